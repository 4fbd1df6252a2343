"""Sweeps of an experiment: cohorts in workers, with the numbers of fits alone."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from at_work import LINE, At

import thetahat as th
from thetahat.search import Objective, Trial, asha, stop
from thetahat.sweep import load_experiment

STANDARD_PROGRAMS = True

TOGETHER = """\
program: train.py
method: grid
metric: {name: val_risk}
parameters:
  lr: {values: [0.01, 0.05, 0.1]}
  width: {values: [3, 4]}
  seed: {values: [1, 2]}
"""


def alone(at: At, run):
    """The fit of a run's config by itself."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", th.Notice)
        return th.fit(load_experiment(at.folder / "train.py"), **run.config)


def check_alone(at: At, runs, *, exact: bool = False) -> None:
    """Risks and every record equal those of fits alone."""
    for run in runs:
        result = alone(at, run)
        history = at.history(run)
        tight = {"rtol": 0, "atol": 0} if exact else {"rtol": 1e-5, "atol": 0}
        assert run.epochs == result.epochs == len(history["epoch"])
        for part in ("train", "val", "test"):
            np.testing.assert_allclose(run.metrics[f"{part}_risk"], result.risk[part], **tight)
        for name in ("train_risk", "val_risk"):
            np.testing.assert_allclose(history[name], result.history[name], **tight)


def test_a_grid_in_cohorts_gives_what_fits_alone_give(at, thetahat) -> None:
    code, _, _ = thetahat("sweep", at.sweep(TOGETHER, LINE), "--run", "--workers", "1")
    assert code == 0
    runs = at.runs()
    points = [(r.config["lr"], r.config["seed"], r.config["width"]) for r in runs]
    assert points == [(lr, s, w) for lr in (0.01, 0.05, 0.1) for s in (1, 2) for w in (3, 4)]
    # All parameters are kept, also those that the file leaves at their defaults.
    assert runs[0].config == {"lr": 0.01, "scale": 1.0, "width": 3, "epochs": 30, "seed": 1}
    assert {(str(r.status), r.attempt, r.reason) for r in runs} == {
        ("finished", 1, "all 30 epochs done")
    }
    # A width is a program, and its runs are a cohort.
    by_cohort = {}
    for run in runs:
        by_cohort.setdefault(run.cohort, set()).add(run.config["width"])
    assert sorted(by_cohort.values(), key=sorted) == [{3}, {4}]
    check_alone(at, [runs[0], runs[5], runs[11]])
    assert list((at.folder / ".thetahat" / "checkpoints").iterdir()) == []
    assert at.row().state == "finished"


def test_exact_members_are_bitwise_fits_alone(at, thetahat) -> None:
    text = TOGETHER.replace("[3, 4]", "[3]")
    code, _, _ = thetahat("sweep", at.sweep(text, LINE), "--run", "--workers", "1", "--exact")
    assert code == 0
    runs = at.runs()
    assert len({run.cohort for run in runs}) == 1
    check_alone(at, runs[::2], exact=True)


def test_worker_mode_trains_one_run_at_a_time(at, thetahat, monkeypatch) -> None:
    monkeypatch.setenv("THETAHAT_CACHE", "off")
    words = ("--run", "--workers", "1", "--mode", "worker", "--count", "4")
    code, _, _ = thetahat("sweep", at.sweep(TOGETHER, LINE), *words)
    assert code == 0
    runs = at.runs()
    assert len({run.cohort for run in runs}) == 4
    with at.store() as store:
        whole = [store.run(run.id) for run in runs]
    assert {run.detail["mode"] for run in whole} == {"alone"}
    # Two widths: two programs are compiled, the other runs use them.
    assert [run.detail["traces"] for run in whole] == [1, 1, 0, 0]
    check_alone(at, runs[1:3], exact=True)


BRANCHING = LINE.replace("seed: th.Seed = 0)", "flag: float = 1.0, seed: th.Seed = 0)").replace(
    "        epochs=epochs,", "        epochs=epochs if flag > 0.5 else epochs // 2,"
)


def test_cohorts_are_regrouped_by_a_parameter_that_python_must_know(at, thetahat) -> None:
    text = """\
program: train.py
method: grid
metric: {name: val_risk}
parameters:
  flag: {values: [0.0, 1.0]}
  lr: {values: [0.01, 0.05, 0.1]}
"""
    code, _, err = thetahat("sweep", at.sweep(text, BRANCHING), "--run", "--workers", "2")
    assert code == 0
    assert err.count("'flag' is static, because Python must know it") == 1
    runs = at.runs()
    assert [run.epochs for run in runs] == [15, 15, 15, 30, 30, 30]
    assert {run.attempt for run in runs} == {1}
    check_alone(at, [runs[0], runs[4]])


def test_a_compiled_program_is_used_for_fewer_runs(at, thetahat, monkeypatch) -> None:
    monkeypatch.setenv("THETAHAT_CACHE", "off")
    text = "program: train.py\nmethod: random\nrun_cap: 7\nparameters: {lr: {min: 0.01, max: 0.1}}"
    words = ("--run", "--workers", "1", "--cohort", "4")
    code, _, _ = thetahat("sweep", at.sweep(text, LINE), *words)
    assert code == 0
    runs = at.runs()
    assert [run.member for run in runs] == [0, 1, 2, 3, 0, 1, 2]
    with at.store() as store:
        traces = [store.run(run.id).detail["traces"] for run in runs]
    assert traces == [1] * 4 + [0] * 3
    check_alone(at, [runs[3], runs[6]])


HYPERBAND = """\
program: train.py
method: random
metric: {name: val_risk}
run_cap: 14
early_terminate: {type: hyperband, min_iter: 4, eta: 2}
parameters:
  lr: {distribution: log_uniform_values, min: 0.0001, max: 0.2}
  epochs: {value: 40}
"""


@pytest.mark.slow
@pytest.mark.parametrize("rule", ["hyperband", "asha"])
def test_early_termination_stops_runs_at_bands_and_fills_free_places(at, thetahat, rule) -> None:
    words = ["--run", "--workers", "1", "--cohort", "8"] + (["--asha"] if rule == "asha" else [])
    code, _, _ = thetahat("sweep", at.sweep(HYPERBAND, LINE), *words)
    assert code == 0
    runs = at.runs()
    assert len(runs) == 14
    bands = (4, 8, 16, 32)
    stopped = [run for run in runs if str(run.status) == "stopped"]
    kept = [run for run in runs if str(run.status) == "finished"]
    assert len(stopped) + len(kept) == 14
    assert len(stopped) >= 4
    assert {run.epochs for run in stopped} <= set(bands)
    assert {run.epochs for run in kept} == {40}
    reason = f"{rule}: its val_risk is not among the best 50% of its band"
    assert {run.reason for run in stopped} == {reason}
    for run in runs:
        assert len(at.history(run)["epoch"]) == run.epochs
    check_alone(at, kept[:2])
    # The first eight were judged together at the first band, exactly as the search says.
    metric = Objective("val_risk")
    from thetahat.search import Hyperband

    first = [Trial(r.id, {}, "running", list(at.history(r)["val_risk"][:4])) for r in runs[:8]]
    losers = (asha if rule == "asha" else stop)(first, Hyperband(min_iter=4, eta=2), metric)
    assert losers == {run.id for run in runs[:8] if run.epochs == 4}
    # Places that were free were filled while others of their cohort still trained.
    assert len({run.cohort for run in runs}) >= 2


def test_cohorts_are_as_large_as_the_memory_holds(at, thetahat, monkeypatch) -> None:
    monkeypatch.setenv("THETAHAT_WORKER_SHARE", "1e-9")
    text = TOGETHER.replace("[3, 4]", "[3]")
    code, _, err = thetahat("sweep", at.sweep(text, LINE), "--run", "--workers", "1")
    assert code == 0
    assert "1 of 6 runs train at a time: memory holds no more" in err
    runs = at.runs()
    assert len({run.cohort for run in runs}) == 6
    assert {(str(run.status), run.attempt) for run in runs} == {("finished", 1)}
    check_alone(at, runs[::3])
