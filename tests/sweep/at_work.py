"""Sweeps at work in a folder: through the public command, in this process and in children."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from children import COMMAND, Child, hold_at, start
from thetahat.store import RunRow, Store, SweepRow, find_sweep, open_store

LOSES = """\
import json, sys

given = dict(word.lstrip("-").split("=", 1) for word in sys.argv[1:])
for epoch in range(1, int(given.get("epochs", 2)) + 1):
    print(json.dumps({"epoch": epoch, "loss": (float(given.get("lr", 0)) - 0.3) ** 2 + 1 / epoch}))
"""
"""A program that needs no time: ``loss`` falls with the epochs, and is lowest at lr 0.3."""

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


class At:
    """A folder in which sweeps are made and worked on."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._children: list[Child] = []

    def write(self, name: str, text: str) -> Path:
        """Write a file at once: no reader sees the half of it."""
        path = self.folder / name
        new = path.with_name(f".{path.name}.new")
        new.write_text(text, encoding="utf-8")
        os.replace(new, path)
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

    def start(self, *words: str, before: str = "", **env: str) -> Child:
        """The command in a child, whose output is kept and whom Ctrl-C reaches.

        Args:    before: code that the child runs first.
        """
        child = start(["-c", before + COMMAND, *words], self.folder, **env)
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

    def code(self, before: str, *words: str, **env: str) -> tuple[int, str, str]:
        """The command in a child that runs other code before, to its end."""
        with start(["-c", before + COMMAND, *words], self.folder, **env) as child:
            out, err = child.communicate()
        return child.returncode, out, err

    def hold(self, *epochs: int) -> None:
        """Let experiments with STEPS wait at these epochs only."""
        hold_at(self.folder, *epochs)

    def go(self, name: str = "go") -> None:
        """Let the programs that hold go on."""
        (self.folder / name).touch()


def summary(runs: Sequence[RunRow]) -> list[tuple[str, str, int]]:
    """Config, status and attempt of runs."""
    return [(json.dumps(r.config, sort_keys=True), str(r.status), r.attempt) for r in runs]
