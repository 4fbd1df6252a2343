"""The file in which a program leaves what it logs by ``th.log``; its agent reads it.

Each line is one JSON object: the agent's own first, then rows of numbers (with a ``step``) and what
the program says of its run (``told``: its config, labels, name, summary and words). A program
appends whole lines; it may be killed at any moment, so that the last line may be cut.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from thetahat.core.json import merge, plain_value
from thetahat.core.last_values import LastValues
from thetahat.sweep.processes._capture import number_of

ROWS = "rows.jsonl"


def open_rows(folder: Path, run: Mapping[str, Any]) -> None:
    """Begin the file of an attempt: a program that still writes to an older one is told.

    Args:    run: the run's id (``run``), name and config, for the program.
    """
    (folder / ROWS).unlink(missing_ok=True)
    (folder / ROWS).write_text(json.dumps(plain_value(run)) + "\n", encoding="utf-8")


class RowsFile:
    """Reads the file of one attempt incrementally."""

    def __init__(self, folder: Path) -> None:
        self.config: dict[str, Any] = {}
        self.labels: dict[str, Any] = {}
        self.name = ""
        self.values = LastValues()
        """What the program puts beside the numbers that it logs."""
        self._path = folder / ROWS
        self._at = 0

    def new(self) -> list[dict[str, float]]:
        """Return the rows since the last call, each with an integer ``step``."""
        try:
            with self._path.open("rb") as file:
                if self._at == 0:
                    file.readline()
                    self._at = file.tell()
                file.seek(self._at)
                *lines, rest = file.read().split(b"\n")
                self._at = file.tell() - len(rest)
        except FileNotFoundError:  # the folder was removed
            return []
        found = (self._take(line) for line in _parsed(lines))
        return [row for row in found if row is not None]

    def _take(self, line: dict[str, Any]) -> dict[str, float] | None:
        if isinstance(line.get("told"), dict):
            self._learn(line["told"])
            return None
        step = line.pop("step")
        self.values.log(line)  # a later row replaces what stood in the summary
        numbers = {n: v if type(v) is float else number_of(v) for n, v in line.items()}
        return {**{n: v for n, v in numbers.items() if v is not None}, "step": int(step)}

    def _learn(self, told: dict[str, Any]) -> None:
        self.config = merge(self.config, told.get("config", {}))
        self.labels |= told.get("labels", {})
        self.name = told.get("name") or self.name
        self.values.put(told.get("summary", {}), told.get("words", {}), told.get("removed", ()))


def _parsed(lines: list[bytes]) -> Iterator[dict[str, Any]]:
    """Parse lines as one text: twice as fast as one by one."""
    try:
        yield from json.loads(b"[%s]" % b",".join(lines))
    except ValueError:  # two processes on a file system where appends can mix
        for line in lines:
            with suppress(ValueError):
                yield json.loads(line)
