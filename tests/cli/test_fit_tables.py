"""``thetahat fit`` on tables as they come: marks in cells, groups and times, several targets."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

N = 120
RNG = np.random.default_rng(0)
FRAME = pd.DataFrame(
    {
        "a": RNG.normal(5, 2, N),
        "b": RNG.normal(-1, 3, N),
        "firm": [f"f{i // 4}" for i in range(N)],
        "year": [2000 + i % 4 for i in range(N)],
    }
)
FRAME["y"] = 100 * (3 + 2 * FRAME["a"] - FRAME["b"] + RNG.normal(0, 0.5, N))
FRAME["z"] = FRAME["b"] - RNG.normal(0, 1, N)
EXACT = ["--model=linear", "--optimizer=sgd", "--lr=0.3", "--epochs=200"]
EXACT += ["--dtype=float64", "--val=0"]


@pytest.fixture
def table(folder: Path) -> Path:
    """A file of Stata's and of Europe's habits."""
    odd = FRAME.assign(b=[f"{b:.12f}".replace(".", ",") for b in FRAME["b"]])
    odd.loc[[2, 9], "b"] = "."
    odd.to_csv(folder / "t.csv.gz", index=False, sep=";", decimal=",")
    return folder


def part_of(rows: list[dict[str, str]], column: str) -> dict[str, set[str]]:
    return {
        part: set(FRAME[column].astype(str)[[r["part"] == part for r in rows]])
        for part in ("train", "test")
    }


def read(path: str) -> list[dict[str, str]]:
    with Path(path).open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


MARKS = ["--na-values=.", "--decimal=,", "--missing=drop", "--train=0.8", "--test=0.2"]


def test_cells_are_read_by_their_marks_and_groups_stay_whole(table: Path, thetahat) -> None:
    words = ["fit", "t.csv.gz", "--target=y", "--ignore=year,z", "--groups=firm", *EXACT]
    code, _, err = thetahat(*words, "--no-store")
    assert code == 2
    assert "column 'a' holds numbers, and text in 120 rows (row 1: '" in err
    assert "give decimal=',' (--decimal=',')" in err
    code, out, err = thetahat(*words, *MARKS, "--predict=p.csv", "--format=json", "--no-store")
    assert code == 0
    assert err.splitlines() == [
        "note: 2 of 120 rows are left out (missing='drop'), as they have missing values: 'b' in 2",
        "note: fitted values of 120 rows are in p.csv; 2 of them have none: 2 lack a feature",
    ]
    rows = read("p.csv")
    assert [r["row"] for r in rows if not r["part"]] == ["3", "10"]
    parts = part_of(rows, "firm")
    assert not parts["train"] & parts["test"]
    assert len(parts["train"]) > len(parts["test"]) > 2
    fit, line = json.loads(out)[:2]
    assert fit["test_mse"] == pytest.approx(line["test_mse"], rel=1e-4)
    used = [r for r in rows if r["part"] == "test"]
    error = np.mean([(float(r["y"]) - float(r["fitted"])) ** 2 for r in used])
    assert fit["test_mse"] == pytest.approx(error, rel=1e-6)


def test_several_targets_are_fitted_at_once_in_their_own_units(table: Path, thetahat) -> None:
    FRAME.to_csv("whole.csv", index=False)
    words = ["fit", "whole.csv", "--target=y,z", "--order=year", "--ignore=firm", *EXACT]
    words += ["--train=0.75", "--test=0.25"]
    code, out, _ = thetahat(*words, "--save=m.theta", "--predict=p.csv", "--format=json")
    assert code == 0
    found = {(r["target"], r["model"]): r for r in json.loads(out)}
    rows = read("p.csv")
    assert part_of(rows, "year") == {"train": {"2000", "2001", "2002"}, "test": {"2003"}}
    for target in ("y", "z"):
        fit, line = found[target, "linear"], found[target, "OLS"]
        assert fit["test_r2"] == pytest.approx(line["test_r2"], rel=1e-4)
        own = [
            (float(r[target]), float(r[f"fitted_{target}"])) for r in rows if r["part"] == "test"
        ]
        assert fit["test_mse"] == pytest.approx(np.mean([(a - b) ** 2 for a, b in own]), rel=1e-6)
        truth = np.var([a for a, _ in own])
        assert fit["test_r2"] == pytest.approx(1 - fit["test_mse"] / truth, rel=1e-6)
    assert thetahat("predict", "m.theta", "whole.csv", "-o", "q.csv")[0] == 0
    again = read("q.csv")
    assert [r["predicted_z"] for r in again] == [r["fitted_z"] for r in rows]
    code, out, _ = thetahat(*words, "--seeds=2", "--no-store")
    assert code == 0
    assert out.count("linear, median") == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--target=y,q"], "the table has no column 'q' (target); known: "),
        (["--target=y,z", "--model=polynomial", "--features=a"], "has one output, and --target y,z 2 columns"),
        (["--target=y", "--groups=q", "--ignore=name"], "the table has no column 'q' (groups)"),
        (["--target=y", "--groups=firm", "--order=year", "--ignore=name"], "groups= and order= are given; a split has one rule"),
        (["--target=y", "--decimal=ab"], "decimal='ab'; give one character such as ',' or '.'"),
        (["--target=y", "--ignore=q"], "the table has no column 'q' (ignore)"),
        (["--target=y", "--order=name", "--features=a"], "order='name' holds text such as 'x y', which does not"),
    ],
)  # fmt: skip
def test_flags_that_cannot_be_met_are_one_message(
    words: list[str], said: str, folder: Path, thetahat
) -> None:
    FRAME.assign(name=["x y", "z"] * 60).drop(
        columns="firm" if "firm" not in str(words) else "z"
    ).to_csv(folder / "t.csv", index=False)
    code, out, err = thetahat("fit", "t.csv", *words, "--no-store", "--loss=squared")
    assert (code, out) == (2, "")
    assert said in err
    assert err.count("\n") == 1
