"""A task's own diagnostics as what a sweep is judged by, however its runs are run."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest
from at_work import LINE

import thetahat as th
from thetahat.sweep import load_experiment

GAP = LINE.replace(
    "        seed=seed,\n    )",
    "        seed=seed,\n"
    '        metrics={"gap": lambda h: abs(h(np.ones(1, np.float32)).sum() - 2.0)},\n    )',
)
TEXT = """\
program: train.py
method: {method}
metric: {{name: gap, goal: minimize}}
run_cap: 4
parameters:
  lr: {{values: [0.1, 0.05, 0.01, 0.001]}}
"""
MODES = {"cohort": (), "worker": ("--mode", "worker"), "process": ("--mode", "process")}


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
def test_a_diagnostic_is_a_metric_in_every_mode(at, thetahat, mode) -> None:
    file = at.sweep(TEXT.format(method="bayes"), GAP)
    words = ("--run", "--workers", "1", *MODES[mode], "--format", "json")
    code, _, err = thetahat("sweep", file, *words)
    assert code == 0, err
    runs = at.runs()
    assert [str(run.status) for run in runs] == ["finished"] * 4
    for run in runs:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", th.Notice)
            result = th.fit(load_experiment(at.folder / "train.py"), **run.config)
        np.testing.assert_allclose(run.metrics["gap"], result.metrics["gap"], rtol=1e-4)
        np.testing.assert_allclose(at.history(run)["gap"], result.history["gap"], rtol=1e-4)
    _, out, _ = thetahat("runs", "last", "--sort", "gap", "--format", "json")
    values = [run["metrics"]["gap"] for run in json.loads(out)]
    assert values == sorted(values)
    assert len(set(values)) > 1


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["cohort", "process"])
def test_losers_by_a_diagnostic_are_stopped(at, thetahat, mode) -> None:
    text = TEXT.format(method="grid") + "early_terminate: {type: hyperband, min_iter: 5, eta: 2}\n"
    text = text.replace("parameters:\n", "parameters:\n  epochs: {value: 40}\n")
    words = ("--run", "--workers", "1", "--mode", mode)
    code, _, err = thetahat("sweep", at.sweep(text, GAP), *words)
    assert code == 0, err
    runs = {run.config["lr"]: run for run in at.runs()}
    assert {str(run.status) for run in runs.values()} == {"finished", "stopped"}
    reason = "hyperband: its gap is not among the best 50% of its band"
    assert {run.reason for run in runs.values() if str(run.status) == "stopped"} == {reason}
    assert str(runs[0.1].status) == "finished"


@pytest.mark.slow
def test_a_diagnostic_that_is_not_there_is_said_with_those_that_are(at, thetahat) -> None:
    text = TEXT.format(method="grid").replace("name: gap", "name: gaps")
    code, _, err = thetahat("sweep", at.sweep(text, GAP), "--run", "--workers", "1")
    assert code == 2
    assert "no run logs the metric 'gaps': they log gap, " in err
    assert "; did you mean 'gap'?" in err
