"""Small programs that the tests of the command line run."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from children import COMMAND, environment

LINE = '''
import numpy as np, thetahat as th

def line(N: int = 48, slope: float = 2.0, lr: float = 0.1, epochs: int = 20,
         batch_size: int = 16, seed: th.Seed = 3) -> th.Task:
    """Fit a line to a line.

    Args:
        N: observations.
        slope: what is to be found.
    """
    x = np.linspace(-1.0, 1.0, N, dtype=np.float32)[:, None]
    data = th.split((x, slope * x[:, 0] + 0.5), train=0.5, val=0.25, test=0.25, seed=1)
    return th.Task(th.models.Linear(1), data, optimizer=th.optim.named("sgd", lr),
                   epochs=epochs, batch_size=batch_size, seed=seed)

if __name__ == "__main__":
    th.main(line)
'''

LOSS = """\
import json, sys
given = dict(word.lstrip("-").split("=", 1) for word in sys.argv[1:])
print(json.dumps({"loss": float(given["lr"])}))
"""
"""A program that is no experiment: its loss is its lr."""


def run_python(words: list[str], folder: Path, **more: str) -> tuple[int, str, str]:
    """A child Python to its end: exit code, standard output, standard error."""
    # By pipes: in a child that may write no file, standard error must be none.
    done = subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        env=environment(**more),
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout, said(done.stderr)


def said(err: str) -> str:
    """Standard error without the lines of progress, which a fit on a slow machine prints."""
    progress = r"epoch [\d,]+/[\d,]+  .*|it compiles; the first epoch has not ended"
    return re.sub(rf"^[\w.]+: (?:{progress})\n", "", err, flags=re.MULTILINE)


def run_thetahat(words: list[str], folder: Path, **more: str) -> tuple[int, str, str]:
    """The ``thetahat`` command in a child."""
    return run_python(["-c", COMMAND, *words], folder, **more)


def load(folder: Path, text: str, name: str = "line") -> Callable[..., Any]:
    """Write a program and load its experiment."""
    file = folder / f"{name}.py"
    file.write_text(text, encoding="utf-8")
    spec = importlib.util.spec_from_file_location(f"{name}_script", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return getattr(module, name)
