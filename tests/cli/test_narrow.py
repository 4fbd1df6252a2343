"""In a narrow terminal the answer stays, and what belongs together goes together."""

from __future__ import annotations

import pytest

from thetahat.core.run import Status
from thetahat.format import Column, fit_width
from thetahat.store import NewSweep, create_sweep, open_store


@pytest.fixture
def grouped(folder) -> str:
    with open_store() as store:
        text = "method: grid\nmetric: {name: val_risk}\nparameters: {learning_rate: {values: [1]}}"
        sweep = create_sweep(store, NewSweep(text, "s"))
        for lr in (1, 2):
            for seed in range(5):
                config = {"learning_rate": lr / 7, "batch_size_of_training": 16 * lr, "seed": seed}
                run = store.create_run(config, sweep_id=sweep.id)
                numbers = {"val_risk": lr + seed / 7, "train_risk": 1.0, "test_risk": 2.0}
                store.finish_run(run.id, status=Status.FINISHED, metrics=numbers)
    return sweep.id


@pytest.mark.parametrize("width", range(56, 200, 9))
def test_the_median_stays_and_quantiles_go_together(
    grouped: str, thetahat, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    head = thetahat("runs", grouped, "--over", "seed")[1].splitlines()[0]
    assert len(head) <= width
    assert "val_risk median" in head
    for name in ("val_risk", "train_risk", "test_risk"):
        assert (f"{name} q10" in head) == (f"{name} q90" in head)
    assert ("val_risk q10" not in head) or ("runs" in head and " n " in head)


PROGRAM = """\
import json, sys
given = dict(word.lstrip("-").split("=", 1) for word in sys.argv[1:])
print(json.dumps({"loss": float(given["lr"]) + (given["act"] == "tanh")}))
"""
FILE = """\
program: train.py
method: grid
metric: {name: loss}
parameters: {lr: {values: [0.1, 0.2]}, act: {values: [tanh, relu]}}
"""


def test_what_the_best_runs_share_stands_below_them(folder, thetahat, monkeypatch) -> None:
    monkeypatch.setattr("thetahat.cli.terminal._sweep_progress.BEST_RUNS", 2)
    (folder / "train.py").write_text(PROGRAM, encoding="utf-8")
    (folder / "s.yaml").write_text(FILE, encoding="utf-8")
    code, out, _ = thetahat("sweep", "s.yaml", "--run")
    assert code == 0
    assert out.splitlines()[-2] == "all: act=relu"
    assert "act" not in out.splitlines()[-6]


def test_columns_of_one_word_leave_together() -> None:
    columns = [Column("a"), Column("low", together="band"), Column("high", together="band")]
    kept, gone = fit_width([{"a": 1, "low": 2, "high": 3}], columns, 8)
    assert [c.key for c in kept] == ["a"]
    assert [c.key for c in gone] == ["low", "high"]
