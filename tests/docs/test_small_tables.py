"""The page on small tables shows what was measured, and its numbers are those of SciPy and pandas."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import rankdata

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "small-tables.md"
OURS = "thetahat fit"
NAMES = (OURS, "ridge or logit", "forest")


def report(*options: str) -> list[str]:
    """The lines of the benchmark's report, which measures nothing."""
    command = [sys.executable, "-m", "benchmarks.tables", "--report", *options]
    return subprocess.run(
        command, cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.splitlines()


def test_the_page_shows_the_newest_results() -> None:
    shown = PAGE.read_text(encoding="utf-8").splitlines()
    said = report()
    at = shown.index(said[0])
    assert shown[at : at + len(said)] == said


def test_ranks_and_standard_errors_are_those_of_other_software(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = [
        {
            "table": table,
            "estimator": name,
            "repeat": 0,
            "fold": fold,
            "risk": float(rng.uniform(0.5, 0.9)),
            "accuracy": None if variance else 0.5,
            "variance": variance,
            "train": 80,
            "test": 20,
            "cpu_s": 1.0,
            "date": "2026-01-01T00:00:00+00:00",
            "commit": "0",
        }
        for table, variance in (("diabetes", 2.0), ("wage1", 0.7), ("wine", None))
        for name in NAMES
        for fold in range(3)
    ]
    file = tmp_path / "cells.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    cells = {
        line.split("|")[1].strip(): [c.strip(" *") for c in line.split("|")[2:-1]]
        for line in reversed(report("--file", str(file)))
        if line.startswith("|")
    }
    frame = pd.DataFrame(rows)
    means = frame.pivot_table(index="table", columns="estimator", values="risk")[list(NAMES)]
    ranks = np.mean([rankdata(row) for row in means.to_numpy()], axis=0)
    told = [float(text.split(" ± ")[0]) for text in cells["R² or log loss"][1:]]
    assert told == pytest.approx(ranks, abs=0.006)
    diabetes = frame[frame.table == "diabetes"].pivot(
        index="fold", columns="estimator", values="risk"
    )
    gaps = diabetes["forest"] - diabetes[OURS]
    error = np.sqrt((1 / 3 + 20 / 80) * gaps.var()) / 2.0
    text = cells["diabetes"][-1].replace("*", "").split(" ± ")
    assert float(text[0]) == pytest.approx(1 - means.loc["diabetes", "forest"] / 2.0, abs=6e-4)
    assert float(text[1]) == pytest.approx(error, abs=6e-4)
    assert cells["wine"][0] == "100"
