"""``runs --group-by`` and ``--over``: what groups are, beside pandas."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from thetahat.core.run import Status
from thetahat.store import open_store


@pytest.fixture
def runs(folder) -> pd.DataFrame:
    """Runs of two widths, two rates and three seeds; one failed, one lacks its width."""
    rows = []
    with open_store() as store:
        for k, (width, lr, seed) in enumerate(
            (w, lr, s) for w in (8, 16) for lr in (0.1, 0.01) for s in range(3)
        ):
            config = {"width": width, "lr": lr, "seed": seed}
            failed, risk = k == 4, float(k % 5) + width
            if k == 7:
                del config["width"]
            made = store.create_run(config, experiment="even" if k % 2 == 0 else "odd")
            status = Status.FAILED if failed else Status.FINISHED
            store.finish_run(made.id, status=status, epochs=1, metrics={"val_risk": risk})
            rows.append(
                {**config, "experiment": ["even", "odd"][k % 2], "ok": not failed, "r": risk}
            )
    return pd.DataFrame(rows).astype({"width": "Int64"})


@pytest.mark.parametrize("by", ["width", "lr", "seed", "lr,seed", "experiment", "width,experiment"])
def test_groups_are_those_of_pandas(runs: pd.DataFrame, thetahat, by: str) -> None:
    names = by.split(",")
    found = json.loads(thetahat("runs", "--group-by", by, "--format=json")[1])
    right = runs.groupby(names, dropna=False)
    assert len(found) == right.ngroups
    by_key = {tuple(g["config"][n] for n in names): g for g in found}
    for key, members in right:
        group = by_key[tuple(None if pd.isna(part) else part for part in key)]
        assert group["runs"] == len(members)
        assert group["failed"] == (~members["ok"]).sum()
        done = members.loc[members["ok"], "r"]
        assert group["metrics"]["val_risk"]["n"] == len(done)
        assert group["metrics"]["val_risk"]["median"] == pytest.approx(done.median())


def test_groups_that_mix_experiments_say_so(runs: pd.DataFrame, thetahat) -> None:
    code, out, err = thetahat("runs", "--group-by", "width")
    said = "the groups mix runs of 2 experiments; --group-by experiment,width separates them\n"
    assert (code, err) == (0, said)
    code, out, err = thetahat("runs", "--group-by", "experiment,width")
    assert (code, err) == (0, "")
    assert out.split()[:2] == ["experiment", "width"]


def test_over_groups_by_every_other_parameter(runs: pd.DataFrame, thetahat) -> None:
    over = json.loads(thetahat("runs", "--over", "seed", "--format=json")[1])
    names = {
        (g["experiment"], g["config"].get("width"), g["config"]["lr"]): g["runs"] for g in over
    }
    # Runs of different experiments are never of one setting.
    assert names == {
        ("even", 8, 0.1): 2,
        ("odd", 8, 0.1): 1,
        ("even", 8, 0.01): 1,
        ("odd", 8, 0.01): 2,
        ("even", 16, 0.1): 2,
        ("odd", None, 0.1): 1,
        ("even", 16, 0.01): 1,
        ("odd", 16, 0.01): 2,
    }


def test_the_named_column_stands_also_where_it_does_not_vary(runs: pd.DataFrame, thetahat) -> None:
    out = thetahat("runs", "--where", "width=8", "--group-by", "width,status")[1]
    head, _, *rows = out.splitlines()
    assert head.split()[:5] == ["width", "status", "runs", "n", "failed"]
    assert [row.split()[:5] for row in rows] == [
        ["8", "finished", "5", "5", "0"],
        ["8", "failed", "1", "0", "1"],
    ]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--group-by=widht"], "no run has a column 'widht'; did you mean 'width'?"),
        (["--over=sed"], "no run has the parameter 'sed'; did you mean 'seed'?"),
    ],
)
def test_messages(runs: pd.DataFrame, thetahat, words: list[str], said: str) -> None:
    assert thetahat("runs", *words) == (2, "", f"thetahat: {said}\n")
