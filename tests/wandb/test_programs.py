"""Programs in the styles seen in public: what they log is kept, as the real package keeps it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from children import COMMAND
from thetahat.store import RunRow, Store, list_files, list_tables, open_store, read_table

PROGRAMS = Path(__file__).parent / "programs"
OWN_PYTHONS = True
"""A program starts as users start it."""
LOSSES = [0.25, 0.125, 0.25 / 3]

# What each style leaves: config, metrics, other values, labels, history of one column.
EXPECTED: dict[str, tuple[list[str], dict[str, Any]]] = {
    "with_argparse": (
        ["--lr", "0.25"],
        {
            "config": {"lr": 0.25, "epochs": 3, "name": "ols"},
            "metrics": {
                "train/loss": LOSSES[2],
                "val/loss": 2 * LOSSES[2],
                "epoch": 2,
                "best": LOSSES[2],
            },
            "labels": {"tags": ["argparse"], "group": "styles"},
            "column": ("train/loss", [0, 1, 2], LOSSES),
        },
    ),
    "with_click": (
        ["--lr", "0.25"],
        {
            "config": {"lr": 0.25, "epochs": 3, "width": 16},
            "metrics": {"loss": LOSSES[2]},
            "logged": {"ok": True, "status": "done"},
            "column": ("loss", [0, 10, 20], LOSSES),
        },
    ),
    "with_fire": (
        ["--lr", "0.25"],
        {
            "name": "fire-0.25",
            "config": {"lr": 0.25, "epochs": 3, "layers": [8, 8]},
            "metrics": {"loss": LOSSES[2], "epoch": 2, "nested.a": 1},
            "logged": {"converged": True},
            "column": ("loss", [0, 1, 2], LOSSES),
        },
    ),
    "with_hydra": (
        ["lr=0.25"],
        {
            "config": {"lr": 0.25, "epochs": 3, "net": {"width": 8}},
            "metrics": {"loss": LOSSES[2]},
            "column": ("loss", [0, 1, 2], LOSSES),
        },
    ),
    "with_attributes": (
        [],
        {
            "config": {"lr": 0.5, "epochs": 3, "width": 4},
            "metrics": {"loss": 0.5 / 3},
            "column": ("loss", [0, 1, 2], [0.5, 0.25, 0.5 / 3]),
        },
    ),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_what_a_program_logs_is_kept(run_program, store: Store, name: str) -> None:
    words, expected = EXPECTED[name]
    run_program(name, *words)
    (run,) = store.runs()
    run = store.run(run.id)
    assert (str(run.status), run.project) == ("finished", "wages")
    assert run.config == expected["config"]
    assert run.metrics == pytest.approx(expected["metrics"], rel=1e-6)
    assert (run.detail or {}).get("logged", {}) == expected.get("logged", {})
    assert run.labels == expected.get("labels", {})
    assert run.name == expected.get("name", run.name)
    column, steps, values = expected["column"]
    history = store.history(run.id)
    assert history["step"].tolist() == steps
    assert history[column].tolist() == pytest.approx(values, rel=1e-6)


def test_files_of_a_program_are_kept(run_program, store: Store) -> None:
    run_program("with_attributes")
    (run,) = store.runs()
    files = {file.name: file.path.read_text() for file in list_files(store, run.id)}
    assert files.pop("model.txt") == "weights"
    assert list(files) == [f"ckpt-{run.name}-{run.id}.txt"]


def test_metrics_with_definitions_tables_images_and_artifacts(run_program, store: Store) -> None:
    run_program("with_metrics")
    (run,) = store.runs()
    assert (run.metrics["loss"], run.metrics["loss.min"]) == (7.0, pytest.approx(0.5 / 3))
    assert run.labels == {"job_type": "train", "axes": {"val/*": "epoch"}}
    assert store.history(run.id)["epoch"].tolist()[:3] == [0, 1, 2]
    tables = {table.name: table.kind for table in list_tables(store, run.id)}
    assert tables == {"policy": "table", "draws": "histogram", "curve_table": "chart"}
    policy = read_table(store, run.id, "policy")
    assert policy["k"].tolist() == [t**0.5 for t in range(4)]
    kinds = {file.name: file.kind for file in list_files(store, run.id)}
    assert kinds == {
        "image.png": "image",
        "policy-table:v0": "artifact",
        "policy-table:v0/policy.csv": "artifact file",
    }


def test_a_function_as_the_program_of_an_agent(
    run_program, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    run_program("with_agent")
    out, err = capsys.readouterr()
    assert out.split() == ["0.3", str(1 / 3), "4"]
    assert "ValueError: the learning rate is too large" in err
    runs = store.runs()
    assert [str(run.status) for run in runs] == ["finished"] * 3 + ["failed"]
    assert [run.config["lr"] for run in runs] == [0.1, 0.3, 0.5, 9.0]
    assert all(run.labels == {"tags": ["agent"]} and run.project == "wages" for run in runs)
    assert not any(key.startswith(("WANDB_", "THETAHAT_RUN")) for key in os.environ)


def test_folds_in_child_processes_are_runs_of_the_group(here: Path, store: Store) -> None:
    command = [sys.executable, "-c", COMMAND, "exec", str(PROGRAMS / "with_folds.py")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    whole, *folds = store.runs()
    assert whole.metrics == {"accuracy": pytest.approx(0.075)}
    assert whole.labels == {"notes": "None"}
    found = {fold.name: (fold.labels, fold.metrics) for fold in folds}
    labels = {"group": whole.id, "job_type": whole.name}
    assert found == {
        f"{whole.name}-{k}": (labels, {"fold_accuracy": pytest.approx(0.05 * (k + 1))})
        for k in range(2)
    }


def facts(store: Store, row: RunRow) -> dict[str, Any]:
    """All of a run that two ways of keeping it must agree on."""
    run = store.run(row.id)
    own = ("id", "axes", "alerts")
    history = {name: column.tolist() for name, column in store.history(run.id).items()}
    return {
        "config": run.config,
        "metrics": run.metrics,
        "project": run.project,
        "status": str(run.status),
        "labels": {k: v for k, v in run.labels.items() if k not in own},
        "logged": (run.detail or {}).get("logged"),
        "history": {name: repr(history[name]) for name in sorted(history)},
        "tables": {
            table.name: {k: v.tolist() for k, v in read_table(store, run.id, table.name).items()}
            for table in list_tables(store, run.id)
        },
    }


REAL = {
    **{name: words for name, (words, _) in EXPECTED.items() if name != "with_attributes"},
    "with_metrics": [],
    "with_keras": [],
    "with_lightning": [],
}
"""Programs that wandb 0.31 runs too; it refuses ``start_method``, and sweeps without a network."""


@pytest.mark.slow
@pytest.mark.parametrize("name", REAL)
def test_a_program_leaves_what_the_real_package_leaves(
    here: Path, store: Store, thetahat, name: str
) -> None:
    program = [str(PROGRAMS / f"{name}.py"), *REAL[name]]
    (here / "real").mkdir()
    env = {**os.environ, "WANDB_MODE": "offline", "WANDB_SILENT": "true"}
    python: Callable[..., Any] = subprocess.run
    python([sys.executable, *program], cwd=here / "real", env=env, check=True, capture_output=True)
    python(
        [sys.executable, "-c", COMMAND, "exec", *program],
        cwd=here,
        check=True,
        capture_output=True,
    )
    assert thetahat("import", "wandb", "real", "--store", "imported")[0] == 0
    (mine,) = store.runs()
    with open_store(here / "imported") as imported:
        (real,) = imported.runs()
        assert facts(store, mine) == facts(imported, real)


def test_steps_are_counted_as_steps(run_program, store: Store, thetahat) -> None:
    run_program("with_steps")
    (run,) = store.runs()
    assert (run.epochs, run.counted, run.config["epochs"]) == (300, "steps", 3)
    assert "  steps  " in thetahat("runs")[1].splitlines()[0]
    said = thetahat("show", "last")[1]
    assert "steps       300\n" in said
    assert "tables      draws (64 rows: left, right, count), policy (2 rows: k, c)\n" in said
    assert "files       note.html (11 bytes)\n" in said


def test_the_report_of_a_run_has_its_tables(run_program, store: Store, thetahat) -> None:
    run_program("with_steps")
    latex = thetahat("report", "last", "--format", "latex")[1]
    assert r"Table policy" in latex
    assert "0 & 0.50 \\\\\n1 & 0.75 \\\\\n" in latex
    assert "after 300 steps" in thetahat("report", "last", "--format", "md")[1]
