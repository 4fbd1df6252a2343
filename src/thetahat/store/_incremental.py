"""Read the runs of a sweep, and their records, incrementally."""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select

from thetahat.core.json import from_json
from thetahat.core.run import Status
from thetahat.store._blocks import read_block
from thetahat.store._rows import among
from thetahat.store._schema import records, runs
from thetahat.store._store import Store

_READ = ("id", "number", "name", "config", "status", "metrics", "attempt", "point", "replicate")
_OF_STUDIES = ("created", "finished", "proposed", "reason")
"""Columns that only the search of a study needs."""


@dataclass
class Followed:
    """A run of a sweep, as a search needs it."""

    id: str
    number: int
    name: str
    config: Mapping[str, Any]
    status: Status
    metrics: Mapping[str, float | None]
    attempt: int
    point: int | None
    replicate: int | None
    created: str = ""
    finished: str | None = None
    proposed: Mapping[str, Any] | None = None
    reason: str = ""
    values: array[float] = field(default_factory=lambda: array("d"))
    """The logged values of the followed column, NaN if not finite."""

    @property
    def setting(self) -> Mapping[str, Any]:
        """The config without values that the program added."""
        return self.config if self.proposed is None else self.proposed


class Follower:
    """The runs of one sweep; ``refresh`` reads new runs and those that were not over.

    Args:    column: a column of the records to follow, or None.
             times: whether to read when runs began and ended, why, and what was proposed.
    """

    def __init__(
        self, store: Store, sweep_id: str, column: str | None = None, *, times: bool = False
    ) -> None:
        self.store, self.sweep_id, self.column = store, sweep_id, column
        self._read = (*_READ, *_OF_STUDIES) if times else _READ
        self.runs: dict[str, Followed] = {}
        """By id, in the order of their numbers."""
        self._open: set[str] = set()
        self._last_number, self._last_record = 0, 0

    def refresh(self) -> None:
        """Read the changes since the last call."""
        with self.store.reading() as connection:
            mine = runs.c.sweep_id == self.sweep_id
            query = select(*(runs.c[name] for name in self._read)).order_by(runs.c.number)
            new = query.where(mine & (runs.c.number > self._last_number))
            rows = list(connection.execute(new).mappings())
            # A failed run may be tried again.
            stand = runs.c.status.in_([str(Status.QUEUED), str(Status.RUNNING)])
            open_ = set(connection.execute(select(runs.c.id).where(mine & stand)).scalars())
            self._open |= open_ & self.runs.keys()
            if self._open:
                known = query.where(among(runs.c.id, self._open))
                rows += connection.execute(known).mappings()
            for row in rows:
                self._take(row)
            if self.column is not None:
                of_mine = records.c.run_id.in_(select(runs.c.id).where(mine))
                later = of_mine & (records.c.id > self._last_record)
                query = select(records).where(later).order_by(records.c.id)
                for row in connection.execute(query).mappings():
                    self._append(row)

    def _take(self, row: Mapping[Any, Any]) -> None:
        values = dict(row)
        for name in ("config", "metrics"):
            values[name] = from_json(values[name])
        if values.get("proposed") is not None:
            values["proposed"] = from_json(values["proposed"])
        run = Followed(**{**values, "status": Status(row["status"])})
        before = self.runs.get(run.id)
        if before is not None and before.attempt == run.attempt:
            run.values = before.values
        self.runs[run.id] = run
        self._last_number = max(self._last_number, run.number)
        (self._open.discard if run.status.over else self._open.add)(run.id)

    def _append(self, row: Mapping[Any, Any]) -> None:
        self._last_record = row["id"]
        run = self.runs.get(row["run_id"])
        block = read_block(row)
        if run is not None and self.column in block.columns:
            run.values.extend(block.column(str(self.column)))
