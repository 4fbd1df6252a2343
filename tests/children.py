"""Child processes, and the gates at which their programs wait until a test lets them go on.

No test may depend on how long anything takes: a program waits for a file, a test waits for a
condition.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import preloaded
import thetahat

SOURCE = str(Path(thetahat.__file__).parents[1])
"""Where the tested package is: installed, it has bytecode."""
COMMAND = "import sys; sys.argv[0] = 'thetahat'; from thetahat.cli import run; sys.exit(run())"


HOLD = """
import pathlib, time

def hold(name="go"):
    while not pathlib.Path(name).exists():
        time.sleep(0.02)
"""
"""For a program: wait until the test makes a file, so that it is at work for as long as needed."""
AFTER_ONE = HOLD + "try: open('first', 'x').close()\nexcept FileExistsError: hold()\n"
"""For a program: its first run goes on at once, every other run holds."""

STEPS = """
import pathlib, time
from thetahat.train import _driver

def step(self, step=_driver.Driver.step):
    for gate in pathlib.Path().glob("hold-*"):
        while self.epoch >= int(gate.name[5:]) and gate.exists():
            time.sleep(0.02)
    return step(self)

_driver.Driver.step = step
_driver.ChunkLength.next = lambda self, left, most: min(left, most, 20)
"""
"""For an experiment: train in chunks of 20 epochs, and wait at epoch k while hold-k exists.

The private trainer is changed, because no experiment knows its epoch."""


def hold_at(folder: Path, *epochs: int) -> None:
    """Let experiments with STEPS wait at these epochs only."""
    for gate in folder.glob("hold-*"):
        gate.unlink()
    for epoch in epochs:
        (folder / f"hold-{epoch}").touch()


class Child(preloaded.Popen):
    """A child whose standard error can be read while it works."""

    def __init__(self, argv: Sequence[str], **more: Any) -> None:
        self._errors, self._said = tempfile.TemporaryFile(), ""  # noqa: SIM115
        super().__init__(argv, stdout=subprocess.PIPE, stderr=self._errors, text=True, **more)

    def said(self) -> str:
        """What it has written to standard error."""
        if not self._errors.closed:
            number = self._errors.fileno()
            self._said = os.pread(number, os.fstat(number).st_size, 0).decode()
        return self._said

    def communicate(self, input: str | None = None, timeout: float | None = None) -> Any:
        """Wait for its end; its standard output and error."""
        out, _ = super().communicate(input, timeout)
        said = self.said()
        self._errors.close()
        return out, said

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        self.said()
        self._errors.close()


def start(words: Sequence[str], folder: Path, stdin: int | None = None, **env: str) -> Child:
    """A child Python with the package's source."""
    return Child([sys.executable, *words], cwd=folder, env=environment(**env), stdin=stdin)


def environment(**more: str) -> dict[str, str]:
    """Ours, without a store, with the package's source and one thread."""
    # The same flags as ours: compiled programs are shared.
    flags = os.environ.get("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false")
    added = {"OMP_NUM_THREADS": "1", "XLA_FLAGS": flags}
    path = os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH", ""), SOURCE]))
    kept = {k: v for k, v in os.environ.items() if k not in ("THETAHAT_STORE", "COLUMNS")}
    return {**kept, "PYTHONPATH": path, "NO_COLOR": "1", **added, **more}


def until(holds: Callable[[], Any], patience_s: float = 240.0) -> Any:
    """Wait until something holds, and give it."""
    give_up = time.monotonic() + patience_s
    while not (found := holds()):
        assert time.monotonic() < give_up, "it never came"
        time.sleep(0.02)
    return found
