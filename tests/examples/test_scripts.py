"""Examples as a reader meets them: short files, run as scripts."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import thetahat as th

EXAMPLES = Path(__file__).parents[2] / "examples"
SCRIPTS = sorted(EXAMPLES.glob("*.py"))


def run(script: str, *words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(EXAMPLES / script), *words],
        cwd=cwd,
        env={**os.environ, "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_an_example_is_short_and_says_what_it_teaches(script):
    text = script.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 100
    assert text.startswith('"""')
    assert f"python examples/{script.name}" in text
    assert 'if __name__ == "__main__":' in text


def test_gradient_descent_prints_the_distance(example, tmp_path):
    done = run("linear_regression_gd.py", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    result = th.fit(example("linear_regression_gd").linear_regression_gd)
    assert done.stdout == f"||theta_hat - theta|| = {result.metrics['distance']:.2e}\n"


def test_mlp_regression_is_a_command_line(tmp_path):
    words = ("--width=8", "--lr=0.05", "--epochs=20", "--batch_size=32")
    done = run("mlp_regression.py", *words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "n_params=105" in done.stdout
    assert (tmp_path / ".thetahat").is_dir()
    wrong = run("mlp_regression.py", "--learning_rate=0.1", cwd=tmp_path)
    assert wrong.returncode == 2
    assert "did you mean 'lr'?" in wrong.stderr
