"""The metrics of a program that runs as a process.

``th.log`` and wandb write a file each, and any program may print JSON; a program that gave its run
a name by ``th.start`` writes to the store itself. A metric that is logged in two ways is read from
the one that logged it first.
"""

from __future__ import annotations

import copy
import json
import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from thetahat.core.json import merge
from thetahat.store import Store, columns_of, rows_after
from thetahat.sweep.processes._capture import LONGEST_LINE, read_row
from thetahat.sweep.processes._rows_file import RowsFile
from thetahat.sweep.processes._wandb import WandbTail

_AXES = ("step", "epoch")
LONGEST_WORD = 1000
"""Limit of characters of a value that is not a number."""


@dataclass(frozen=True)
class About:
    """What a program says of its run so far, besides numbers."""

    config: Mapping[str, Any]
    name: str = ""
    """The name that the program gave, else the agent's."""
    labels: Mapping[str, Any] = field(default_factory=dict)


class Metrics:
    """What one program logs. Create it before the program starts.

    Args:
        folder: the run's folder (WANDB_DIR); ``cwd``: where the program runs.
        run_id: the run, also WANDB_RUN_ID.
        store: where the program may write rows itself; None if it does not.
    """

    def __init__(self, folder: Path, cwd: Path, run_id: str, store: Store | None = None) -> None:
        self._store = store
        self._run_id = run_id
        self._after = 0 if store is None else rows_after(store, run_id)[1]
        self._logged = RowsFile(folder)
        self._wandb = WandbTail(folder, cwd, run_id)
        self._printed: deque[dict[str, float]] = deque()
        self._words: dict[str, Any] = {}
        self._long: int | None = None
        """The size of the first line that was too long; 0 when it was reported."""
        self._next_step = 0
        self._source_of: dict[str, str] = {}
        self._last: dict[str, float] = {}
        self._unstored: list[dict[str, float]] = []

    def take_stdout(self, line: str) -> None:
        """Take a line of stdout; any thread may call this."""
        row = read_row(line)
        if row is not None:
            self._printed.append(row.values)
            for name in row.values:
                self._words.pop(name, None)
            self._words.update(row.words)

    def take_long(self, size: int) -> None:
        """Take the size of a line of JSON on stdout that was too long; any thread may call this."""
        if self._long is None:
            self._long = size

    def take_stderr(self, line: str) -> None:
        """Take a line of stderr; any thread may call this."""
        self._wandb.take_stderr(line)

    def new(self) -> list[dict[str, float]]:
        """Return the rows since the last call, in order, each with an integer ``step``.

        Raises:  StoreError: the store cannot be read.
        """
        stored: list[dict[str, float]] = []
        if self._store is not None:
            stored, self._after = rows_after(self._store, self._run_id, self._after)
        rows = self._mine("th.log", stored)
        others = self._mine("th.log", self._logged.new())
        others += self._mine("wandb", self._wandb.new())
        others += self._mine("stdout", self._take_printed())
        self._unstored += others
        return rows + others

    def unstored(self) -> list[dict[str, Sequence[float]]]:
        """Return the rows from ``new`` that the store does not have yet, as columns."""
        rows, self._unstored = self._unstored, []
        merged: dict[int, dict[str, float]] = {}
        for row in rows:
            values = {name: value for name, value in row.items() if name != "step"}
            merged.setdefault(int(row["step"]), {}).update(values)
        return columns_of(merged)

    def summary(self) -> dict[str, float]:
        """Return the last value of every metric, or the summary of a wandb program."""
        others = {k: v for k, v in self._last.items() if self._source_of.get(k, "wandb") != "wandb"}
        return self._logged.values.summary(self._wandb.values.summary(self._last) | others)

    def words(self) -> dict[str, Any]:
        """Return the last of all logged values that are not numbers; long ones are cut."""
        whole = {**self._words, **self._wandb.words, **self._logged.values.words}
        return {name: _cut(value) for name, value in whole.items()}

    @property
    def media(self) -> Mapping[str, str]:
        """Kinds of the images, tables and other media of a wandb program, by name."""
        return self._wandb.media

    def about(self) -> About:
        """Return what a program says of its run by wandb or ``th.start``: config, name, labels."""
        wandb, logged = self._wandb, self._logged
        config = merge(wandb.config, logged.config)
        labels = {**wandb.labels, **logged.labels}
        return About(copy.deepcopy(config), logged.name or wandb.name, labels)

    def notes(self) -> list[str]:
        """Return notes for the user, each once."""
        long, notes = self._long, self._wandb.notes()
        if long:
            self._long = 0
            notes.append(
                f"a line of JSON on stdout, of {long:,} bytes, was not read: a line may have"
                f" {LONGEST_LINE:,}; print the numbers alone, without lists and texts"
            )
        return notes

    def _mine(self, source: str, rows: list[dict[str, float]]) -> list[dict[str, float]]:
        kept = []
        for row in rows:
            mine = {
                name: value
                for name, value in row.items()
                if name in _AXES or self._source_of.setdefault(name, source) == source
            }
            if set(mine) - set(_AXES):
                kept.append(mine)
                self._last.update((k, v) for k, v in mine.items() if k != "step")
        return kept

    def _take_printed(self) -> list[dict[str, float]]:
        rows = []
        while self._printed:
            row = self._printed.popleft()
            given = next((int(row[axis]) for axis in _AXES if _whole(row.get(axis))), None)
            step = self._next_step if given is None else given
            self._next_step = step + 1
            rows.append({**row, "step": step})
        return rows


def _whole(value: float | None) -> bool:
    return value is not None and math.isfinite(value) and value == int(value) and 0 <= value < 2**53


def _cut(value: Any) -> Any:
    text = value if isinstance(value, str) else json.dumps(value)
    return value if len(text) <= LONGEST_WORD else f"{text[:LONGEST_WORD]}…"
