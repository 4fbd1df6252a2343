"""--keep K: the best runs of a sweep keep their model, over all agents; others leave no file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import thetahat as th
from thetahat.core.run import Ended, Status
from thetahat.search import Objective
from thetahat.store import Follower, NewSweep, create_sweep

# What is kept is tested without training.
from thetahat.sweep.agent._history import SweepTrials
from thetahat.sweep.agent._kept_models import KeptModels
from thetahat.sweep.workers._kept import ModelKeeper, Models

PROGRAM = """
import jax, thetahat as th

def net(lr: float = 0.1, width: int = 3, seed: th.Seed = 0, epochs: int = 8) -> th.Task:
    draw = th.dgp.linear(N=60, M=2, sigma=0.1, seed=0)
    data = th.split(draw, train=40, val=20, test=0, seed=0)
    model = th.models.MLP(2, width=width, depth=1)
    descent = th.optim.named("adam", lr)
    return th.Task(model, data, optimizer=descent, epochs=epochs, seed=seed)

if __name__ == "__main__":
    th.main(net)
"""
METRIC = {"name": "val_risk", "goal": "minimize"}


@pytest.fixture
def program(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "net.py"
    path.write_text(PROGRAM, encoding="utf-8")
    return path


def files(folder: Path) -> set[str]:
    return {path.stem for path in (folder / ".thetahat" / "models").glob("*.theta")}


def test_the_best_run_of_a_sweep_keeps_its_model(program, tmp_path, capfd):
    values = {"lr": {"values": [0.001, 0.01, 0.1]}, "width": {"values": [3, 4]}}
    spec = {"method": "grid", "metric": METRIC, "parameters": values}
    sweep = th.run_sweep(program, spec, workers=1, quiet=True)
    assert sweep.best is not None
    (run,) = sweep.best.runs
    assert files(tmp_path) == {run.id}
    model = th.open_sweep("last").best.load()  # pyright: ignore[reportOptionalMemberAccess]
    assert model.risk["val"] == pytest.approx(run.metrics["val_risk"])
    x = np.array([[0.5, -1.0], [2.0, 0.0]])
    assert model.predict(x).shape == (2,)
    with pytest.raises(th.InputError, match="keeps no model of .*; run it with keep=K"):
        sweep.settings[-1].load()
    from thetahat.cli import run as command

    assert command(["show", run.id]) == 0
    shown = capfd.readouterr().out
    assert f"models/{run.id}.theta" in shown
    assert "no longer there" not in shown


def test_a_replicated_sweep_keeps_the_models_of_its_best_settings(program, tmp_path):
    spec = {"method": "grid", "metric": METRIC, "parameters": {"lr": {"values": [0.001, 0.1, 0.2]}}}
    sweep = th.run_sweep(program, spec, replicates=2, keep=2, workers=1, quiet=True)
    kept = {run.id for setting in sweep.settings[:2] for run in setting.runs}
    assert files(tmp_path) == kept
    assert isinstance(sweep.settings[1].load(), th.Results)
    assert len(sweep.settings[0].load()) == 2


def test_keep_0_keeps_none_and_a_wrong_number_is_refused(program, tmp_path):
    spec = {"method": "grid", "metric": METRIC, "parameters": {"lr": {"values": [0.1]}}}
    th.run_sweep(program, spec, keep=0, workers=1, quiet=True)
    assert files(tmp_path) == set()
    with pytest.raises(th.InputError, match="keep=-1: give a whole number of at least 0"):
        th.run_sweep(program, spec, keep=-1)


# -- several workers and agents --------------------------------------------------------------------


class Saved:
    """A Result that writes a file."""

    def save(self, path: Path) -> None:
        path.write_text("model")


def ended(run: str, value: float | None, status: Status = Status.FINISHED) -> Ended:
    return Ended(0, status, "", 1, {"m": value}, run=run)


def test_a_worker_writes_only_what_may_be_among_the_best(tmp_path):
    models, lines = Models(str(tmp_path), ("m",), -1, 2), []
    keeper = ModelKeeper(lines.append)
    for run, value in {"a": 1.0, "b": 3.0, "c": 2.0, "d": 1.5, "e": 2.0, "f": None}.items():
        keeper.take(models, ended(run, value), Saved())
    keeper.take(models, ended("g", 9.0, Status.DIVERGED), Saved())
    assert {p.stem for p in (tmp_path / "models").iterdir()} == {"a", "b", "c", "e"}
    assert lines == []


def test_agents_that_race_keep_the_models_of_the_best_runs_in_the_store(tmp_path):
    rng = np.random.default_rng(0)
    for trial in range(20):
        with th.open_store(f"sqlite:///{tmp_path}/{trial}.db") as store:
            folder = tmp_path / "models"
            folder.mkdir(exist_ok=True)
            models, metric = Models(str(tmp_path), ("m",), 1, 2), Objective("m")
            sweep = store_sweep(store)
            agents = [
                KeptModels(SweepTrials(Follower(store, sweep), metric, ()), models, 2)
                for _ in range(2)
            ]
            keepers = [ModelKeeper(print) for _ in range(2)]
            values = {}
            for n in range(12):
                run = store.create_run({"lr": float(n)}, sweep_id=sweep).id
                values[run] = float(rng.integers(0, 6))  # with ties
                event = ended(run, values[run])
                keepers[rng.integers(2)].take(models, event, Saved())
                if rng.uniform() < 0.5:  # another agent looks before the end is recorded
                    agents[rng.integers(2)].prune(now=True)
                with store.batch() as writer:
                    writer.end_run(run, event)
                if rng.uniform() < 0.3:
                    agents[rng.integers(2)].prune(now=True)
            for agent in agents:
                agent.prune(now=True)
            ranked = sorted(values, key=lambda run: values[run])  # stable: the first run first
            assert {p.stem for p in folder.iterdir() if p.stem in values} == set(ranked[:2])


def store_sweep(store) -> str:
    """A sweep without a search."""
    return create_sweep(store, NewSweep(text="{}", plan={})).id


FOLDED = """
import thetahat as th

LOSSES = [[2.0, 2.0, 2.0], [1.0, 1.0, 9.0]]
"Its median over folds prefers x = 1, its mean x = 0."

def folded(x: th.Static[int] = 0, fold: th.Static[th.Seed] = 0) -> th.Task:
    draw = th.dgp.linear(N=12, M=1, sigma=0.1, seed=0)
    data = th.split(draw, train=8, val=4, test=0, seed=0)
    loss = th.Metric(lambda prediction, y, w: LOSSES[x][fold] + 0.0 * y.sum(), mode="min")
    return th.Task(th.models.Linear(1), data, epochs=1, metrics={"loss": loss})

if __name__ == "__main__":
    th.main(folded)
"""


def test_a_sweep_over_folds_keeps_the_models_of_the_best_mean(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "folded.py"
    path.write_text(FOLDED, encoding="utf-8")
    spec = {
        "method": "grid",
        "metric": {"name": "val_loss"},
        "parameters": {"x": {"values": [0, 1]}},
    }
    sweep = th.run_sweep(path, spec, folds=3, workers=1, quiet=True)
    assert sweep.best is not None
    assert (sweep.best.config["x"], sweep.best.center) == (0, 2.0)
    assert files(tmp_path) == {run.id for run in sweep.best.runs}
    assert len(sweep.best.load()) == 3
