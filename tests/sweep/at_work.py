"""Sweeps at work in a folder: through the public command, in this process and in children."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import thetahat
from thetahat.store import RunRow, Store, SweepRow, find_sweep, open_store

SOURCE = str(Path(thetahat.__file__).parents[1])
"""Where the tested package is: installed, it has bytecode."""
COMMAND = "import sys; sys.argv[0] = 'thetahat'; from thetahat.cli import run; sys.exit(run())"

LOSES = """\
import json, sys

given = dict(word.lstrip("-").split("=", 1) for word in sys.argv[1:])
for epoch in range(1, int(given.get("epochs", 2)) + 1):
    print(json.dumps({"epoch": epoch, "loss": (float(given.get("lr", 0)) - 0.3) ** 2 + 1 / epoch}))
"""
"""A program that needs no time: ``loss`` falls with the epochs, and is lowest at lr 0.3."""

HOLD = """
import pathlib, time

def hold(name="go"):
    while not pathlib.Path(name).exists():
        time.sleep(0.02)
"""
"""For a program: wait until the test makes a file, so that it is at work for as long as needed."""
AFTER_ONE = HOLD + "try: open('first', 'x').close()\nexcept FileExistsError: hold()\n"
"""For a program: its first run goes on at once, every other run holds."""

LINE = '''\
import numpy as np, thetahat as th

def line(lr: float = 0.1, scale: float = 1.0, width: int = 4, epochs: int = 30,
         seed: th.Seed = 0) -> th.Task:
    """Fit a small net to a line."""
    x = np.linspace(-1, 1, 64, dtype=np.float32)[:, None]
    data = th.split(th.Observations(x, 2 * x[:, 0]), train=0.5, val=0.25, test=0.25, seed=0)
    return th.Task(
        model=th.models.MLP(1, width=width, depth=1, seed=seed),
        data=data,
        loss=lambda r: scale * r**2,
        optimizer=th.optim.named("sgd", lr),
        epochs=epochs,
        seed=seed,
    )

if __name__ == "__main__":
    th.main(line)
'''
"""A small experiment: ``width`` and ``epochs`` are static."""


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


class At:
    """A folder in which sweeps are made and worked on."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._children: list[Child] = []

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        return path

    def sweep(self, text: str, program: str | None = None, name: str = "sweep.yaml") -> str:
        """Write a sweep file, and its program as train.py."""
        if program is not None:
            self.write("train.py", program)
        self.write(name, text)
        return name

    def store(self) -> Store:
        return open_store(self.folder / ".thetahat")

    def any(self) -> bool:
        """Whether there is a sweep with runs."""
        if not (self.folder / ".thetahat" / "store.db").exists():
            return False
        with self.store() as store:
            return any(run.sweep_id for run in store.runs()) and bool(self.runs())

    def runs(self, sweep: str = "last") -> list[RunRow]:
        """The runs of a sweep, in the order in which they were begun."""
        with self.store() as store:
            return store.runs(sweep_id=find_sweep(store, sweep).id)

    def run(self, run: RunRow) -> RunRow:
        """A run with all that it holds."""
        with self.store() as store:
            return store.run(run.id)

    def row(self, sweep: str = "last") -> SweepRow:
        with self.store() as store:
            return find_sweep(store, sweep)

    def history(self, run: RunRow) -> dict[str, Any]:
        with self.store() as store:
            return store.history(run.id)

    def start(self, *words: str, **env: str) -> Child:
        """The command in a child, whose output is kept and whom Ctrl-C reaches."""
        child = start([sys.executable, "-c", COMMAND, *words], self.folder, **env)
        self._children.append(child)
        return child

    def close(self) -> None:
        """End the children that a failed test has left, whose programs may hold for ever."""
        for child in self._children:
            if child.returncode is None:
                child.kill()
                child.communicate()

    def call(self, *words: str, **env: str) -> tuple[int, str, str]:
        """The command in a child, to its end: exit code, standard output, standard error."""
        with self.start(*words, **env) as child:
            out, err = child.communicate()
        return child.returncode, out, err

    def hold(self, *epochs: int) -> None:
        """Let experiments with STEPS wait at these epochs only."""
        for gate in self.folder.glob("hold-*"):
            gate.unlink()
        for epoch in epochs:
            (self.folder / f"hold-{epoch}").touch()

    def go(self, name: str = "go") -> None:
        """Let the programs that hold go on."""
        (self.folder / name).touch()


class Child(subprocess.Popen[str]):
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


def start(argv: Sequence[str], folder: Path, stdin: int | None = None, **env: str) -> Child:
    """A child with the package's source."""
    return Child(list(argv), cwd=folder, env=environment(**env), stdin=stdin)


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


def summary(runs: Sequence[RunRow]) -> list[tuple[str, str, int]]:
    """Config, status and attempt of runs."""
    return [(json.dumps(r.config, sort_keys=True), str(r.status), r.attempt) for r in runs]
