"""Programs of other frameworks, each swept by a file in its own style."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import thetahat as th
from thetahat.cli import run as command

FOLDER = Path(__file__).parents[2] / "examples" / "frameworks"
PROGRAMS = sorted(FOLDER.glob("*.py"))


@pytest.fixture
def sweep(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., list[dict[str, Any]]]:
    """Runs a sweep file, and gives its runs in the order they were made."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("THETAHAT_STORE", raising=False)

    def sweep(name: str, *words: str) -> list[dict[str, Any]]:
        code = command(["sweep", str(FOLDER / f"{name}_sweep.yaml"), "--run", *words])
        said = capsys.readouterr()
        assert code == 0, said.err
        command(["runs", "last", "--sort=number", "--format=json"])
        runs = json.loads(capsys.readouterr().out)
        assert {run["status"] for run in runs} == {"finished"}
        return runs

    return sweep


def history() -> dict[str, np.ndarray]:
    """The logged columns of the only run."""
    with th.open_store() as store:
        (run,) = store.runs()
        return {name: np.asarray(values) for name, values in store.history(run.id).items()}


def needs(package: str) -> None:
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed")


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda path: path.stem)
def test_a_program_is_short_and_says_how_it_runs(program):
    text = program.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 100
    assert f"python examples/frameworks/{program.name}" in text
    (file,) = [word for word in text.split() if word.endswith("_sweep.yaml")]
    assert f"program: {program.name}\n" in (FOLDER / Path(file).name).read_text(encoding="utf-8")


def test_fire_gets_lists_and_numbers(sweep):
    runs = sweep("fire")
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, 200)
    y = np.sin(3 * x) + 0.1 * rng.normal(size=200)
    for run in runs:
        # Ridge regression as least squares with a row more for each coefficient.
        powers = x[:, None] ** [0, *run["config"]["degrees"]]
        k, ridge = powers.shape[1], run["config"]["ridge"]
        rows = np.vstack([powers[:100], np.sqrt(ridge) * np.eye(k)])
        theta, *_ = np.linalg.lstsq(rows, np.concatenate([y[:100], np.zeros(k)]))
        risk = np.mean((powers[100:] @ theta - y[100:]) ** 2)
        assert run["metrics"]["val_risk"] == pytest.approx(risk)
    assert len(runs) == 4


def test_hydra_gets_a_choice_of_a_group_and_a_value_in_it(sweep, path):
    runs = sweep("hydra")
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 3))
    y = x @ [1.0, -1.0, 0.5] + 0.1 * rng.normal(size=200)
    points = {(run["config"]["optimizer"], run["config"]["optimizer.lr"]) for run in runs}
    assert len(points) == 4
    for run in runs:
        if run["config"]["optimizer"] == "descent":
            theta = path(x, y, np.zeros(3), run["config"]["optimizer.lr"], 20)
            risk = np.mean((x @ theta - y) ** 2)
            assert run["metrics"]["train_risk"] == pytest.approx(risk)
    risks = [run["metrics"]["train_risk"] for run in runs]
    assert len(set(risks)) == 4


@pytest.mark.slow
def test_lightning_gets_dotted_parameters_over_a_file_of_defaults(sweep):
    needs("lightning")
    (run,) = sweep("lightning", "--count=1")
    columns = history()
    assert len(columns["val_loss"]) == 5  # of the defaults
    np.testing.assert_allclose(columns["lr"], run["config"]["model.lr"], rtol=1e-6)
    assert columns["val_loss"][-1] < columns["val_loss"][0]


@pytest.mark.slow
def test_keras_on_jax(sweep):
    needs("keras")
    (run,) = sweep("keras", "--count=1")
    columns = history()
    assert len(columns["val_loss"]) == 5
    np.testing.assert_allclose(columns["lr"], run["config"]["lr"], rtol=1e-6)
    assert columns["val_loss"][-1] < columns["val_loss"][0]


@pytest.mark.slow
def test_skorch_gets_its_own_names(sweep):
    needs("skorch")
    (run,) = sweep("skorch", "--count=1")
    columns = history()
    assert len(columns["valid_loss"]) == 5
    assert set(columns["n_params"]) == {4 * run["config"]["module__width"] + 1}
    assert columns["valid_loss"][-1] < columns["valid_loss"][0]
