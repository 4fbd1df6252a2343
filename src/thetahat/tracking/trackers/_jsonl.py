"""``th.trackers.jsonl``: every event of a fit as a line of JSON."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from thetahat.core.files import given_path
from thetahat.core.json import to_json
from thetahat.core.run import Ended, Started
from thetahat.tracking.trackers._tracker import EpochColumns, RunTracker, config_of, free_path


def jsonl(path: str | os.PathLike[str]) -> RunTracker:
    """Keep a fit as lines of JSON: how each run started, every epoch, and how the run ended.

    ``event`` is "started", "logged" or "ended"; ``run`` is the run's number, in a sweep its name.
    Numbers that are not finite are null. The file is written anew by the first fit of this tracker,
    as its lines come.

    Args:    path: of the file; its folder is made.
    Returns: a function of events, for ``th.fit(..., on=[...])``.
    """
    return jsonl_file(given_path("path", path, "log.jsonl"))


def jsonl_file(path: Path, *, beside: bool = False) -> RunTracker:
    """Keep lines in a file, or in one beside those that exist."""
    file = _JsonLinesFile(path, beside)
    return RunTracker("th.trackers.jsonl", lambda *of: _Lines(file, *of), {"path": str(path)})


class _JsonLinesFile:
    def __init__(self, path: Path, beside: bool) -> None:
        self._path, self._beside, self._mode = path, beside, "w"

    def add(self, rows: list[dict[str, Any]], *, numbers: bool = True) -> None:
        """Append lines."""
        if self._mode == "w":
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path = free_path(self._path) if self._beside else self._path
        with self._path.open(self._mode, encoding="utf-8") as file:
            file.writelines(f"{to_json(row, numbers=numbers)}\n" for row in rows)
        self._mode = "a"


class _Lines:
    """The lines of one run."""

    def __init__(self, file: _JsonLinesFile, event: Started, number: int) -> None:
        self._file, self._run = file, event.name or number
        facts = {"epochs": event.epochs, "n_params": event.n_params}
        # In a config, infinity is a value: "inf".
        file.add([self._line("started", config=config_of(event), **facts)], numbers=False)

    def log(self, columns: EpochColumns) -> None:
        names = list(columns)
        rows = zip(*columns.values(), strict=True)
        self._file.add([self._line("logged", **dict(zip(names, row, strict=True))) for row in rows])

    def end(self, event: Ended) -> None:
        how = {"status": event.status, "reason": event.reason, "epochs": event.epochs}
        more = {"metrics": event.metrics, "seconds": event.seconds}
        self._file.add([self._line("ended", **how, **more)])

    def _line(self, kind: str, **values: Any) -> dict[str, Any]:
        return {"event": kind, "run": self._run, **values}
