"""The sweeps of examples/, as a reader runs them: each table against numbers found another way."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from ruamel.yaml import YAML

import thetahat as th
from thetahat.cli import run as command

EXAMPLES = Path(__file__).parents[2] / "examples"
SWEEPS = sorted(EXAMPLES.glob("*.yaml"))

LECTURE = {
    "name": "Sweep Example",
    "method": "bayes",
    "metric": {"name": "test_loss", "goal": "minimize"},
    "parameters": {
        "wandb_mode": {"value": "online"},
        "num_epochs": {"value": 300},
        "lr": {"min": 0.0001, "max": 0.01},
        "width": {"values": [64, 128, 256]},
    },
}
"""The file as the lecture prints it, but for ``program``."""


@pytest.fixture
def sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Runs a sweep file of examples/ from a copy of the folder, and hands back what was shown."""
    desk = tmp_path / "examples"
    shutil.copytree(EXAMPLES, desk, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.chdir(desk)
    monkeypatch.delenv("THETAHAT_STORE", raising=False)
    monkeypatch.setenv("NO_COLOR", "1")

    def call(*words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = command(list(words))
        said = capsys.readouterr()
        return code, said.out, said.err

    def sweep(name: str, *words: str) -> SimpleNamespace:
        code, out, err = call("sweep", f"{name}.yaml", "--run", *words)
        id_ = out.split()[1]
        listed = json.loads(call("runs", id_, "--sort=number", "--format=json")[1])
        return SimpleNamespace(code=code, out=out, err=err, id=id_, runs=listed, call=call)

    return sweep


@pytest.mark.parametrize("file", SWEEPS, ids=lambda file: file.stem)
def test_every_sweep_file_is_right(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(EXAMPLES.parent)
    assert command(["check", f"examples/{file.name}", "--format=json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["valid"], said["errors"]) == (True, [])
    points = {"discount_sweep": 10, "linear_regression_sweep": 12, "seeds_sweep": 100}
    assert said["points"] == points.get(file.stem)


def test_the_lectures_file_is_as_it_is_printed() -> None:
    text = (EXAMPLES / "mlp_regression_logging_sweep.yaml").read_text(encoding="utf-8")
    printed = dict(YAML(typ="safe").load(text))
    assert (EXAMPLES / printed.pop("program")).is_file()
    assert printed == LECTURE
    ours = YAML(typ="safe").load((EXAMPLES / "mlp_sweep.yaml").read_text(encoding="utf-8"))
    for name in ("lr", "width"):
        assert ours["parameters"][name] == LECTURE["parameters"][name]
    assert ours["parameters"]["epochs"] == LECTURE["parameters"]["num_epochs"]


@pytest.mark.slow
def test_the_mlp_sweep_finds_large_rates_and_shows_the_best_first(sweep) -> None:
    done = sweep("mlp_sweep")
    assert done.code == 0, done.err
    assert len(done.runs) == 12
    assert {run["status"] for run in done.runs} == {"finished"}
    assert {run["epochs"] for run in done.runs} == {300}
    for run in done.runs:
        assert 0.0001 <= run["config"]["lr"] <= 0.01
        assert run["config"]["width"] in (64, 128, 256)
    # Far from convergence, a longer step is a lower risk, whatever the width.
    ranked = sorted(done.runs, key=lambda run: run["metrics"]["val_risk"])
    halves = [[run["config"]["lr"] for run in half] for half in (ranked[:6], ranked[6:])]
    assert np.median(halves[0]) > np.median(halves[1])
    assert "contaminated" not in done.out + done.err
    table = done.out[done.out.index("the best by val_risk:") :].splitlines()
    assert [line.split()[0] for line in table[3:13]] == [run["name"] for run in ranked[:10]]
    assert f"thetahat runs {done.id}" in done.out


@pytest.mark.slow
def test_the_lectures_file_runs_its_own_program_and_is_marked_everywhere(sweep) -> None:
    pytest.importorskip("wandb")
    pytest.importorskip("jsonargparse")
    done = sweep("mlp_regression_logging_sweep", "--count=2", "--format=table")
    assert done.code == 0, done.err
    assert [run["status"] for run in done.runs] == ["finished", "finished"]
    for run in done.runs:
        width = run["config"]["width"]
        assert run["metrics"]["num_params"] == width**2 + 5 * width + 1
        assert run["config"]["wandb_mode"] == "online"
        # 300 steps of gradient descent leave a little of the variance, ||theta||^2, and not all.
        assert 0 < run["metrics"]["test_loss"] < 1
        assert run["contaminated"] is True
    tuned = "contaminated: it tunes on the test set (test_loss)"
    assert tuned in done.err
    assert "contaminated: tuned on the test set; its best value is no estimate" in done.err
    code, table, _ = done.call("runs", done.id)
    assert code == 0
    head, _, *rows = table.splitlines()
    assert "contaminated" in head.split()
    assert all(row.split().count("yes") == 1 for row in rows[:2])
    checked = json.loads(
        done.call("check", "mlp_regression_logging_sweep.yaml", "--format=json")[1]
    )
    assert any("contaminated" in note["message"] for note in checked["notes"])


@pytest.mark.slow
def test_batch_size_and_rate_are_chosen_on_the_validation_part(
    sweep, example: Callable[[str], SimpleNamespace]
) -> None:
    done = sweep("linear_regression_sweep")
    assert done.code == 0, done.err
    assert len(done.runs) == 12
    order = [(run["config"]["batch_size"], run["config"]["lr"]) for run in done.runs]
    assert order == sorted(order), "a grid: names sorted, the last varies fastest"
    alone = th.fit(example("linear_regression_tuned").linear_regression, batch_size=32, lr=0.001)
    same = done.runs[order.index((32, 0.001))]
    for part in ("train", "val", "test"):
        assert same["metrics"][f"{part}_risk"] == pytest.approx(alone.risk[part], rel=1e-5)
    # The best come to the error of least squares: sigma sqrt(M / 350), chi^2 of two.
    best = min(done.runs, key=lambda run: run["metrics"]["val_risk"])
    assert best["metrics"]["distance"] < 5 * 0.01 * np.sqrt(2 / 350)
    # A tiny rate is still far away: (1 - 2 lr)^(350 / 8 * 50) of the first distance, whose square
    # is the first risk, is left.
    left = done.runs[order.index((8, 0.0001))]["metrics"]["distance"]
    start = alone.history["train_risk"][0] ** 0.5
    assert left == pytest.approx((1 - 2e-4) ** 2200 * start, rel=0.25)


@pytest.mark.slow
def test_one_hundred_seeds_are_an_ensemble(
    sweep, example: Callable[[str], SimpleNamespace]
) -> None:
    done = sweep("seeds_sweep", "--count=8")
    assert done.code == 0, done.err
    assert [run["config"]["seed"] for run in done.runs] == list(range(1, 9))
    config = {"width": 64, "lr": 0.01, "epochs": 300, "seed": 3}
    with pytest.warns(th.Notice, match="one full batch"):
        alone = th.fit(example("mlp_regression").mlp_regression, **config)
    assert done.runs[2]["metrics"]["val_risk"] == pytest.approx(alone.risk["val"], rel=1e-4)
    code, text, _ = done.call("runs", done.id, "--over=seed", "--format=json")
    (setting,) = json.loads(text)
    assert code == 0
    assert (setting["runs"], setting["failed"]) == (8, 0)
    assert setting["config"]["width"] == 64
    assert "seed" not in setting["config"]
    risks = [run["metrics"]["test_risk"] for run in done.runs]
    low, middle, high = np.quantile(risks, [0.1, 0.5, 0.9])
    said = setting["metrics"]["test_risk"]
    assert said == pytest.approx({"n": 8, "median": middle, "q10": low, "q90": high})


@pytest.mark.slow
def test_every_discount_factor_has_its_closed_form_beside(sweep) -> None:
    done = sweep("discount_sweep")
    assert done.code == 0, done.err
    betas = [run["config"]["beta"] for run in done.runs]
    assert betas == pytest.approx(np.linspace(0.8, 0.98, 10))
    for run in done.runs:
        beta = run["config"]["beta"]
        dividends = 0.1 - 0.02 * 0.9 ** np.arange(20_000)
        price = float(beta ** np.arange(20_000) @ dividends)
        assert run["metrics"]["closed_form"] == pytest.approx(price, rel=1e-6)
        assert run["metrics"]["price"] == pytest.approx(price, rel=2e-3)
    assert len({run["agent"] for run in done.runs}) == 1
    _, table, _ = done.call("runs", done.id, "--columns=name,beta,price,closed_form")
    assert table.split("\n")[0].split() == ["name", "beta", "price", "closed_form"]
