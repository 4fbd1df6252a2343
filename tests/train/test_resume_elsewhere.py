"""A fit that began on a terminal goes on in a pipe: what is printed where is no part of a fit."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import thetahat as th

FIT = """
import sys
import numpy as np
import thetahat as th
x = np.linspace(-1, 1, 30)[:, None]
task = th.Task(th.models.MLP(1, width=4), (x, x[:, 0]), epochs=int(sys.argv[1]))
print(th.fit(task, checkpoint="fit.ckpt", resume=sys.argv[2] == "resume").epochs)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals")
def test_a_fit_of_a_terminal_resumes_in_a_pipe(tmp_path):
    source = str(Path(th.__file__).parents[1])
    env = {**os.environ, "PYTHONPATH": source, "TERM": "xterm-256color"}
    env.pop("NO_COLOR", None)
    ours, theirs = os.openpty()
    try:
        begun = subprocess.run(
            [sys.executable, "-c", FIT, "3", "begin"],
            cwd=tmp_path,
            env=env,
            stdout=theirs,
            stderr=theirs,
            check=False,
        )
    finally:
        os.close(theirs)
        os.close(ours)
    assert begun.returncode == 0
    gone_on = subprocess.run(
        [sys.executable, "-c", FIT, "5", "resume"],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert gone_on.stdout.strip() == "5", gone_on.stderr[-2000:]
