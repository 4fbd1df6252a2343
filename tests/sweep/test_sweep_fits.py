"""Fits inside a sweep: kept models that predict, warm starts, and ready metrics to maximize."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import thetahat as th
from thetahat.cli import run as command

PROGRAM = """\
import thetahat as th

def wage(lr: float = 0.1, epochs: int = 6, seed: th.Seed = 0, bad: int = 0) -> th.Task:
    if bad:
        raise ValueError("a bad setting")
    data = th.split(th.read_table("t.csv", target="y"), train=0.6, val=0.4, test=0, seed=0)
    model = th.models.Linear(2, start="zeros")
    return th.Task(model, data, optimizer=th.optim.named("sgd", lr), epochs=epochs, seed=seed,
                   metrics=["r2"])

if __name__ == "__main__":
    th.main(wage)
"""
GRID = {"method": "grid", "metric": {"name": "val_r2", "goal": "maximize"}}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("THETAHAT_STORE", raising=False)
    rng = np.random.default_rng(0)
    rows = [[2 * a - b + rng.normal(), a, b] for a, b in rng.normal(size=(40, 2))]
    with open("t.csv", "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["y", "a", "b"], *rows])
    Path("wage.py").write_text(PROGRAM, encoding="utf-8")
    return tmp_path


def predicted(file: str, column: str = "predicted") -> list[float]:
    with open(file, newline="", encoding="utf-8") as lines:
        return [float(row[column]) for row in csv.DictReader(lines)]


def test_a_sweep_and_its_best_run_predict_by_the_kept_model(folder: Path) -> None:
    spec = {**GRID, "parameters": {"lr": {"values": [0.003, 0.3, 0.03]}}}
    sweep = th.run_sweep("wage.py", spec, workers=1, quiet=True)
    assert sweep.best is not None
    (best,) = sweep.best.runs
    by_hand = {run.config["lr"]: run.metrics["val_r2"] for run in sweep.runs}
    assert best.config["lr"] == max(by_hand, key=by_hand.__getitem__)
    expected = sweep.best.load().predict("t.csv")
    alone = th.fit(th.sweep.load_experiment(Path("wage.py")), **best.config)
    np.testing.assert_allclose(expected, alone.predict("t.csv"), rtol=1e-4, atol=1e-5)
    for model in (best.name, sweep.id):
        assert command(["predict", model, "t.csv", "-o", f"{model}.csv", "--quiet"]) == 0
        assert predicted(f"{model}.csv") == expected.tolist()


def test_keep_counts_no_failure_and_breaks_ties_by_the_first_run(folder: Path) -> None:
    # From zeros the seeds are equal: two settings, each twice, and four runs that fail.
    axes = {"bad": {"values": [1, 0]}, "epochs": {"values": [1, 4]}, "seed": {"values": [0, 1]}}
    spec = {**GRID, "parameters": {"lr": {"value": 0.1}, **axes}}
    sweep = th.run_sweep("wage.py", spec, keep=2, workers=1, keep_going=True, quiet=True)
    well = [run for run in sweep.runs if str(run.status) == "finished"]
    assert len(well) == 4 == len(sweep.runs) - 4
    ranked = sorted(well, key=lambda run: -run.metrics["val_r2"])  # stable: the first run first
    assert ranked[0].metrics == ranked[1].metrics
    kept = {path.stem for path in (folder / ".thetahat" / "models").glob("*.theta")}
    assert kept == {run.id for run in ranked[:2]}


def line(slope: float, epochs: int, start: Any = None) -> th.Task:
    x = np.linspace(-1, 1, 16, dtype=np.float32)[:, None]
    data = th.Data((x, slope * x[:, 0]), val=(x, slope * x[:, 0]))
    descent = th.optim.named("sgd", 0.1)
    return th.Task(th.models.Linear(1), data, optimizer=descent, epochs=epochs, start=start)


def test_every_run_of_a_sweep_starts_from_the_fit_of_its_experiment(folder: Path) -> None:
    fitted = th.fit(line(2.0, 200))
    fitted.save("line.theta")

    def near(slope: float = 2.0, epochs: int = 1) -> th.Task:
        return line(slope, epochs, start="line.theta")

    spec = {"method": "grid", "parameters": {"slope": {"values": [2.0, 2.5, 9.0]}}}
    sweep = th.run_sweep(near, spec, quiet=True)
    # One step of gradient descent from the fitted slope, by hand.
    moment = float(np.mean(np.linspace(-1, 1, 16) ** 2))
    for run in sweep.runs:
        gap = (2.0 - run.config["slope"]) * (1 - 2 * 0.1 * moment)
        assert run.metrics["val_risk"] == pytest.approx(gap**2 * moment, rel=1e-3, abs=1e-6)


def classifier(lr: float = 0.1, epochs: int = 8) -> th.Task:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(80, 2)).astype(np.float32)
    y = (x[:, 0] + 0.3 * rng.normal(size=80) > 0).astype(np.float32)
    return th.Task(
        th.models.MLP(2, width=4, depth=1, out="scalar", seed=0),
        th.Data((x[:40], y[:40]), val=(x[40:], y[40:])),
        loss="logistic",
        optimizer=th.optim.named("sgd", lr),
        epochs=epochs,
        metrics=["accuracy"],
    )


def test_hyperband_stops_the_lowest_of_a_ready_metric_to_maximize(folder: Path) -> None:
    rates = [0.0, 0.02, 1.0, 4.0]
    spec = {
        "method": "grid",
        "metric": {"name": "val_accuracy", "goal": "maximize"},
        "parameters": {"lr": {"values": rates}, "epochs": {"value": 40}},
        "early_terminate": {"type": "hyperband", "min_iter": 8, "eta": 2},
    }
    # One worker: all four are in the band when the agent decides.
    sweep = th.run_sweep(classifier, spec, workers=1, quiet=True)
    at_band = {lr: th.fit(classifier, lr=lr).history["val_accuracy"][7] for lr in rates}
    highest = max(at_band.values())
    status = {run.config["lr"]: str(run.status) for run in sweep.runs}
    assert {status[lr] for lr in rates if at_band[lr] == highest} == {"finished"}
    lowest = [lr for lr in rates if at_band[lr] == min(at_band.values())]
    assert {status[lr] for lr in lowest} == {"stopped"}
    best = sweep.best
    assert best is not None
    assert best.runs[0].metrics["val_accuracy"] == max(
        run.metrics["val_accuracy"] for run in sweep.runs if str(run.status) == "finished"
    )


def test_bayes_searches_upwards_for_a_ready_metric_to_maximize(folder: Path) -> None:
    def shifted(at: float = 0.0) -> th.Task:
        x = np.linspace(-1, 1, 16, dtype=np.float32)[:, None]
        y = 2 * x[:, 0]
        near = y + (at - 0.7)  # R2 is highest where at = 0.7
        return th.Task(
            th.models.Linear(1, seed=0),
            th.Data((x, y), val=(x, near)),
            optimizer=th.optim.named("newton", 1.0),
            epochs=1,
            metrics=["r2"],
        )

    spec = {
        "method": "bayes",
        "metric": {"name": "val_r2", "goal": "maximize"},
        "parameters": {"at": {"min": -3.0, "max": 3.0}},
    }
    sweep = th.run_sweep(shifted, spec, count=30, cohort=1, quiet=True)
    runs = sweep.runs
    distance = np.array([abs(run.config["at"] - 0.7) for run in runs])
    best = sweep.best
    assert best is not None
    assert best.config["at"] == runs[int(np.argmin(distance))].config["at"]
    ranked = np.argsort([-run.metrics["val_r2"] for run in runs], kind="stable")
    np.testing.assert_allclose(distance[ranked], np.sort(distance), rtol=1e-3, atol=1e-3)
    assert np.median(distance[-10:]) < np.median(distance[:10])  # worse than at random: 1.6
