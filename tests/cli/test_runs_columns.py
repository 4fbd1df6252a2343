"""Parameters that are called as a column of ours is: every column is told apart."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from thetahat.cli import run
from thetahat.core.run import Status
from thetahat.store import open_store


def keep(configs: Sequence[dict[str, Any]], epochs: Sequence[int]) -> None:
    """Runs that are finished, in the store of this folder."""
    with open_store() as store:
        for config, last in zip(configs, epochs, strict=True):
            made = store.create_run(config, experiment="line")
            store.log_block(made.id, {"epoch": [last], "val_risk": [1.0]})
            store.finish_run(
                made.id, status=Status.FINISHED, epochs=last, metrics={"val_risk": 1.0}
            )


def heads(words: Sequence[str], capsys: pytest.CaptureFixture[str]) -> list[str]:
    """The titles of a table."""
    assert run(["runs", *words]) == 0
    return capsys.readouterr().out.splitlines()[0].split()


def test_epochs_that_only_repeat_what_the_run_says_stand_once(folder: Path, capsys) -> None:
    keep([{"lr": 0.1, "epochs": 2}, {"lr": 0.2, "epochs": 3}], [2, 3])
    assert heads([], capsys) == ["name", "status", "lr", "epochs", "val_risk", "seconds"]


def test_epochs_that_were_not_all_run_stand_beside_those_that_were(folder: Path, capsys) -> None:
    keep([{"lr": 0.1, "epochs": 2}, {"lr": 0.2, "epochs": 9}], [2, 3])
    told = ["name", "status", "lr", "config.epochs", "val_risk", "epochs", "seconds"]
    assert heads([], capsys) == told
    assert heads(["--sort", "-config.epochs", "--limit=1"], capsys) == told


def test_a_parameter_with_the_name_of_a_metric(folder: Path, capsys) -> None:
    keep([{"val_risk": 1}, {"val_risk": 2}], [1, 1])
    assert heads([], capsys) == [
        *("name", "status", "config.val_risk", "metrics.val_risk", "epochs", "seconds")
    ]


def test_groups_tell_their_own_columns_from_parameters(folder: Path, capsys) -> None:
    keep([{"runs": r, "failed": 7, "seed": s} for r in (30, 40) for s in (1, 2)], [1] * 4)
    words = ["--over=seed", "--columns=config.runs,runs,failed", "--format=csv"]
    assert run(["runs", *words]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "config.runs,runs,failed",
        "30,2,0",
        "40,2,0",
    ]
    assert heads(["--over=seed"], capsys)[:4] == ["config.runs", "runs", "n", "failed"]


def test_nested_configs_are_flat_columns_in_every_format(folder, thetahat) -> None:
    with open_store() as store:
        for width in (3, 4):
            nested = {"net": {"width": width, "act": {"name": "relu"}}, "rest": {}}
            store.finish_run(store.create_run(nested).id, status="finished", metrics={"m": width})
    for form in ("table", "latex", "csv"):
        code, out, _ = thetahat("runs", "--format", form)
        assert code == 0
        assert "net.width" in out and "{'" not in out and '{"' not in out
    code, out, _ = thetahat("show", "last")
    shown = " ".join(out.split())
    assert code == 0 and "net.width 4" in shown and "net.act.name relu" in shown


def test_a_metric_that_is_not_finite_is_not_shown_as_missing(folder: Path, capsys) -> None:
    with open_store() as store:
        for name, metrics in (("a", {"gain": float("inf")}), ("b", {}), ("c", {"gain": 2.0})):
            made = store.create_run({"x": 1}, name=name)
            store.finish_run(made.id, status=Status.FINISHED, epochs=1, metrics=metrics)
    words = ["--columns=name,gain,metrics.gain", "--sort=name"]
    shown = {}
    for kind in ("table", "csv", "latex"):
        assert run(["runs", *words, f"--format={kind}"]) == 0
        shown[kind] = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[-1].strip() for line in shown["table"][2:]] == ["not finite", "–", "2"]
    assert shown["csv"][1:] == ["a,nan,nan", "b,,", "c,2.0,2.0"]
    assert "a & not finite & not finite" in "\n".join(shown["latex"])
    # A column of such numbers alone is there if it is asked for.
    assert run(["runs", "--where=name=a", "--columns=name,gain"]) == 0
    assert "not finite" in capsys.readouterr().out
