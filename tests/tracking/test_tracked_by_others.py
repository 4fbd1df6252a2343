"""W&B, TensorBoard and MLflow: the real packages keep a fit, and read it back."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PROGRAM = Path(__file__).with_name("tracked.py")


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The results of a fit of three runs, and what each package read back."""
    quiet = {"WANDB_SILENT": "true", "WANDB_ERROR_REPORTING": "false"}
    done = subprocess.run(
        [sys.executable, str(PROGRAM)],
        cwd=tmp_path_factory.mktemp("tracked"),
        env={**os.environ, **quiet, "MLFLOW_DISABLE_TELEMETRY": "true"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "failed and is left out" not in done.stderr
    return json.loads(done.stdout)


def runs_of(kept: dict[str, Any], package: str) -> list[dict[str, Any]]:
    if package not in kept["read"]:
        pytest.skip(f"{package} is not installed")
    runs = sorted(kept["read"][package], key=lambda run: run["name"])
    assert [run["name"] for run in runs] == ["line", "line-1", "line-2"]
    return runs


def test_no_tracker_changes_a_number(kept):
    assert [result["same"] for result in kept["results"]] == [True] * 3
    assert [result["status"] for result in kept["results"]] == ["finished", "diverged", "finished"]


def test_wandb_has_a_run_for_each_config(kept):
    for run, result in zip(runs_of(kept, "wandb"), kept["results"], strict=True):
        history = run["history"]
        assert history["_step"] == history["epoch"] == result["history"]["epoch"]
        for name in ("train_risk", "val_risk", "learning_rate", "seconds"):
            assert history[name] == result["history"][name]
        config = {name: run["config"][name] for name in ("data", "lr", "width", "epochs")}
        assert config == {"data": "drawn", **result["config"]}
        assert (run["project"], run["tags"]) == ("wages", ["ols"])
        assert run["exit"] == (0 if result["status"] == "finished" else 1)
        assert run["summary"]["status"] == result["status"]
        assert run["summary"]["best_epoch"] == result["best_epoch"]
        for part, risk in result["risk"].items():
            said = run["summary"][f"{part}_risk"]
            assert said == risk if math.isfinite(risk) else said is None
    # The summary is that of the best epoch, not of the last one.
    assert kept["results"][0]["best_epoch"] < 6
    assert kept["disabled"] == ""


def test_tensorboard_has_scalars_and_hyperparameters(kept):
    for run, result in zip(runs_of(kept, "tensorboardX"), kept["results"], strict=True):
        for name in ("train_risk", "val_risk", "learning_rate"):
            steps, values = zip(*run["scalars"][name], strict=True)
            assert list(steps) == result["history"]["epoch"]
            assert values == pytest.approx(result["history"][name], rel=1e-7)
        config = {name: run["hparams"][name] for name in ("lr", "width", "epochs")}
        assert config == result["config"]
        assert run["hparams"]["status"] == result["status"]
        for part, risk in result["risk"].items():
            said = run["scalars"].get(f"result/{part}_risk")
            if math.isfinite(risk):
                assert said == [[len(result["history"]["epoch"]), pytest.approx(risk, rel=1e-7)]]
            else:
                assert said is None


def test_mlflow_has_params_metrics_and_how_a_run_ended(kept):
    for run, result in zip(runs_of(kept, "mlflow"), kept["results"], strict=True):
        well = result["status"] == "finished"
        assert run["status"] == ("FINISHED" if well else "FAILED")
        assert {name: float(run["params"][name]) for name in result["config"]} == result["config"]
        assert run["tags"]["status"] == result["status"]
        for name in ("train_risk", "val_risk") if well else ("train_risk",):
            epochs = result["history"]["epoch"]
            assert run["values"][name] == [
                [epoch, value] for epoch, value in zip(epochs, result["history"][name], strict=True)
            ]
        for part, risk in result["risk"].items():
            if math.isfinite(risk):
                assert run["values"][f"result/{part}_risk"] == [[6, risk]]
