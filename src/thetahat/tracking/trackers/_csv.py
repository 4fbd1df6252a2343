"""``th.trackers.csv``: every epoch of a fit as a row of a CSV file."""

from __future__ import annotations

import csv as lines
import os
from pathlib import Path
from typing import Any

from thetahat.core.files import given_path
from thetahat.core.run import Ended, Started
from thetahat.tracking.trackers._tracker import (
    EpochColumns,
    RunTracker,
    config_of,
    flat,
    free_path,
)


def csv(path: str | os.PathLike[str]) -> RunTracker:
    """Keep every epoch as a row of a CSV file: the run's number (in a sweep its name),
    its parameters, the columns.

    The file is written anew by the first fit of this tracker, as its rows come.

    Args:    path: of the file; its folder is made.
    Returns: a function of events, for ``th.fit(..., on=[...])``.
    """
    return csv_file(given_path("path", path, "log.csv"))


def csv_file(path: Path, *, beside: bool = False) -> RunTracker:
    """Keep rows in a file, or in one beside those that exist."""
    file = _CsvFile(path, beside)
    return RunTracker("th.trackers.csv", lambda *of: _CsvRun(file, *of), {"path": str(path)})


class _CsvFile:
    """A CSV file whose header may still grow."""

    def __init__(self, path: Path, beside: bool) -> None:
        self._path, self._beside = path, beside
        self._names: list[str] | None = None

    def add(self, rows: list[dict[str, Any]]) -> None:
        """Append rows of equal names; new names become columns of the file."""
        if self._names is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path = free_path(self._path) if self._beside else self._path
            self._write("w", list(rows[0]), [])
        assert self._names is not None
        new = [name for name in rows[0] if name not in self._names]
        if new:
            with self._path.open(newline="", encoding="utf-8") as file:
                old = list(lines.DictReader(file))
            self._write("w", [*self._names, *new], old)
        self._write("a", self._names, rows)

    def _write(self, mode: str, names: list[str], rows: list[dict[str, Any]]) -> None:
        self._names = names
        with self._path.open(mode, newline="", encoding="utf-8") as file:
            writer = lines.DictWriter(file, names, restval="", lineterminator="\n")
            if mode == "w":
                writer.writeheader()
            writer.writerows(rows)


class _CsvRun:
    """The rows of one run."""

    def __init__(self, file: _CsvFile, event: Started, number: int) -> None:
        run = event.name or number
        self._file, self._first = file, {"run": run, **flat(config_of(event))}

    def log(self, columns: EpochColumns) -> None:
        # A parameter with the name of a column keeps its value under another name.
        first = {f"config.{k}" if k in columns else k: v for k, v in self._first.items()}
        names = list(columns)
        rows = zip(*columns.values(), strict=True)
        self._file.add([{**first, **dict(zip(names, row, strict=True))} for row in rows])

    def end(self, event: Ended) -> None: ...
