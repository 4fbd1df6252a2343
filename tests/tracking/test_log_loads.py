"""What a program loads that logs to a store without an agent."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import thetahat
from thetahat.store import open_store

OWN_PYTHONS = True
SOURCE = str(Path(thetahat.__file__).parents[1])
PROGRAM = """
import sys
import thetahat as th
th.log({"loss": 0.5})
print(*(m for m in ("sqlalchemy", "numpy", "jax", "asyncio") if m in sys.modules))
"""


def test_log_loads_no_library_in_a_store_that_is_there(tmp_path: Path) -> None:
    open_store(tmp_path).close()
    env = {k: v for k, v in os.environ.items() if not k.startswith("THETAHAT")}
    env |= {"PYTHONPATH": SOURCE, "THETAHAT_STORE": str(tmp_path)}
    words = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(words, env=env, cwd=tmp_path, text=True, capture_output=True, check=True)
    assert (done.stdout.strip(), done.stderr) == ("", "")
    with open_store(tmp_path) as store:
        assert [run.metrics for run in store.runs()] == [{"loss": 0.5}]
