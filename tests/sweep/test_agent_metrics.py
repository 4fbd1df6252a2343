"""A task's own metrics as what a sweep is judged by, however its runs are run."""

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
def test_a_metric_of_the_task_is_that_of_a_sweep_in_every_mode(at, thetahat, mode) -> None:
    # A process loads everything anew.
    n = 2 if mode == "process" else 4
    file = at.sweep(TEXT.format(method="bayes").replace("cap: 4", f"cap: {n}"), GAP)
    words = ("--run", "--workers", "1", *MODES[mode], "--format", "json")
    code, _, err = thetahat("sweep", file, *words)
    assert code == 0, err
    runs = at.runs()
    assert [str(run.status) for run in runs] == ["finished"] * n
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
def test_early_termination_by_a_metric_stops_runs(at, thetahat, mode) -> None:
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
def test_hyperband_keeps_the_highest_of_a_metric_to_maximize(at, thetahat) -> None:
    within = GAP.replace(
        '"gap": lambda h: abs(h(np.ones(1, np.float32)).sum() - 2.0)',
        '"near": th.Metric(lambda h, z: abs(h(z.x)[0] - z.y) < 0.2, mode="max")',
    ).replace("width=width, depth=1", "width=width, depth=1, out=1")
    within = within.replace(
        "loss=lambda", "residual=lambda h, z: h(z.x)[0] - z.y,\n        loss=lambda"
    )
    text = TEXT.format(method="grid") + "early_terminate: {type: hyperband, min_iter: 20, eta: 2}\n"
    text = text.replace("{name: gap, goal: minimize}", "{name: val_near, goal: maximize}")
    text = text.replace("parameters:\n", "parameters:\n  epochs: {value: 60}\n")
    code, _, err = thetahat("sweep", at.sweep(text, within), "--run", "--workers", "1")
    assert code == 0, err
    runs = {run.config["lr"]: run for run in at.runs()}
    near = {lr: run.metrics["val_near"] for lr, run in runs.items()}
    assert near[0.1] == max(near.values()) > near[0.001]
    assert str(runs[0.1].status) == "finished"
    stopped = [lr for lr, run in runs.items() if str(run.status) == "stopped"]
    assert 0.001 in stopped
    reason = "hyperband: its val_near is not among the best 50% of its band"
    assert {runs[lr].reason for lr in stopped} == {reason}
    assert at.run(runs[0.1]).detail["directions"]["val_near"] == "max"


@pytest.mark.parametrize("how", ["sweep", "check"])
def test_a_missing_metric_is_refused_before_anything_runs(at, thetahat, how) -> None:
    text = TEXT.format(method="grid").replace("name: gap", "name: gaps")
    file = at.sweep(text, GAP)
    code, out, err = thetahat(how, file)
    assert code == 2
    assert "metric.name: line() does not record 'gaps'; did you mean 'gap'?" in out + err


MAXIMIZED = GAP.replace("lambda h: abs", "th.Metric(lambda h: abs").replace(
    "- 2.0)}", '- 2.0), mode="max")}'
)


def test_a_goal_against_the_direction_is_refused_before_anything_runs(at, thetahat) -> None:
    text = TEXT.format(method="grid").replace("name: gap, goal: minimize", "name: gap")
    code, _, err = thetahat("sweep", at.sweep(text, MAXIMIZED))
    assert code == 2
    assert 'gap is better the larger it is (its mode is "max"); a sweep without goal min' in err
    assert not at.any()


@pytest.mark.slow
def test_agent_refuses_a_program_whose_metric_changed_direction(at, thetahat) -> None:
    file = at.sweep(TEXT.format(method="grid"), GAP)
    assert thetahat("sweep", file)[0] == 0
    at.write("train.py", MAXIMIZED)
    code, _, err = thetahat("agent", at.row().id, "--workers", "1")
    assert code == 2
    assert "gap is better the larger it is, and the sweep's goal is minimize" in err
    assert "write goal: maximize in the file" in err


FOLDS = """\
import numpy as np, thetahat as th

x = np.random.default_rng(0).normal(size=(60, 2))
table = {"a": x[:, 0], "b": x[:, 1], "y": 2 * x[:, 0] - x[:, 1]}

def cv(lr: float = 0.1, seed: th.Seed = 0, fold: th.Static[th.Seed] = 0) -> th.Task:
    data = th.folds(th.read_table(table, target="y"), k=3)[fold]
    return th.Task(th.models.Linear(2), data, optimizer=th.optim.named("sgd", lr), epochs=2,
                   metrics=["rmse"], seed=seed)

if __name__ == "__main__":
    th.main(cv)
"""


def test_a_sweep_ranks_settings_by_a_metric_of_held_out_folds(at, thetahat) -> None:
    text = (
        "program: train.py\nmethod: grid\nmetric: {name: test_rmse, goal: minimize}\n"
        "parameters: {lr: {values: [0.001, 0.1]}, fold: {values: [0, 1]}}\n"
    )
    code, _, err = thetahat("sweep", at.sweep(text, FOLDS), "--run", "--workers", "1")
    assert code == 0 and "is static" not in err, err
    runs = at.runs()
    assert [str(run.status) for run in runs] == ["finished"] * 4
    assert all(run.contaminated for run in runs)
    best = th.open_sweep("last", store=at.folder / ".thetahat").best
    assert best is not None and best.config["lr"] == 0.1
    mine = [run.metrics["test_rmse"] for run in runs if run.config["lr"] == 0.1]
    assert best.median == pytest.approx(np.median(mine)) and len(best.values) == 2
    experiment = load_experiment(at.folder / "train.py")
    alone = th.fit(experiment, lr=0.1, fold=1)
    assert any(value == pytest.approx(alone.metrics["test_rmse"], rel=1e-4) for value in mine)
