"""Short jobs of a second hour with sweeps: bands over seeds, a retry after a fix, a notebook."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import nbformat
import numpy as np
import pytest

import thetahat as th

STANDARD_PROGRAMS = True

EXAMPLES = Path(__file__).parents[2] / "examples"
NOTEBOOK = EXAMPLES / "notebooks" / "sweep.ipynb"
EXECUTE = """
import sys, nbclient, nbformat
book = nbformat.read(sys.argv[1], 4)
slow = {"timeout": 400, "startup_timeout": 400}
nbclient.NotebookClient(book, kernel_name="python3", **slow).execute()
nbformat.write(book, sys.argv[2])
"""


def run(*words: str, cwd: Path) -> str:
    source = str(Path(th.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, *words],
        cwd=cwd,
        env={
            **os.environ,
            "NO_COLOR": "1",
            "PYTHONPATH": source,
            "IPYTHONDIR": str(cwd / "ipython"),
        },
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.mark.parametrize("name", ["seed_bands", "retry_after_fix"])
def test_a_job_has_thirty_lines(name):
    assert len((EXAMPLES / f"{name}.py").read_text(encoding="utf-8").splitlines()) <= 30


def test_bands_are_the_quantiles_over_one_hundred_seeds(example, tmp_path):
    job = example("seed_bands")
    out = run(str(EXAMPLES / "seed_bands.py"), cwd=tmp_path).splitlines()
    best = out[1].split()
    assert best[1:3] == ["0.10", "100"]
    fits = th.fit_many(job.sine_bump, [{"lr": 0.1, "seed": seed} for seed in range(100)])
    wanted = np.quantile([fit.risk["val"] for fit in fits], [0.1, 0.5, 0.9])
    np.testing.assert_allclose([float(word) for word in best[3:]], wanted, rtol=0.02)


def test_failed_points_run_again_after_the_fix(tmp_path):
    out = run(str(EXAMPLES / "retry_after_fix.py"), cwd=tmp_path)
    rows = [line.split()[1:] for line in out.splitlines() if line[:1].isdigit()]
    assert rows == [
        ["1", "finished", "1"], ["2", "failed", "1"], ["1", "finished", "1"], ["2", "finished", "2"]
    ]  # fmt: skip


def test_a_notebook_sweeps_its_own_function(tmp_path):
    assert sum(
        len(cell.source.splitlines())
        for cell in nbformat.read(NOTEBOOK, 4).cells
        if cell.cell_type == "code"
    ) <= 30  # fmt: skip
    out = tmp_path / "out.ipynb"
    run("-c", EXECUTE, str(NOTEBOOK), str(out), cwd=tmp_path)
    cells = [cell for cell in nbformat.read(out, 4).cells if cell.cell_type == "code"]
    screen, drawn = cells[1].outputs
    assert "runs over" in screen.data["text/html"] and "finished" in screen.data["text/html"]
    assert "random sweep" in drawn.data["text/html"]
    assert "12 finished" in "".join(o.get("text", "") for o in cells[3].outputs)
