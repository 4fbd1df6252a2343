"""Read the runs of a sweep, and their records, incrementally."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Table, cast, literal_column, select
from sqlalchemy.types import UserDefinedType

from thetahat.core.json import from_json
from thetahat.core.run import Status
from thetahat.store._blocks import read_block
from thetahat.store._schema import records, runs
from thetahat.store._sql import among, is_sqlite
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
        self._new_runs, self._new_records = _NewRows(runs), _NewRows(records)

    def refresh(self) -> None:
        """Read the changes since the last call."""
        with self.store.reading() as connection:
            mine = runs.c.sweep_id == self.sweep_id
            query = select(*(runs.c[name] for name in self._read)).order_by(runs.c.number)
            new = query.where(mine & self._new_runs.since(connection))
            rows = list(self._new_runs.only(connection.execute(new).mappings().all()))
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
                later = of_mine & self._new_records.since(connection)
                query = select(records).where(later).order_by(records.c.id)
                found = connection.execute(query).mappings().all()
                for row in self._new_records.only(found):
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
        (self._open.discard if run.status.over else self._open.add)(run.id)

    def _append(self, row: Mapping[Any, Any]) -> None:
        run = self.runs.get(row["run_id"])
        block = read_block(row)
        if run is not None and self.column in block.columns:
            run.values.extend(block.column(str(self.column)))


class _NewRows:
    """Finds the rows of a table that have been inserted since the last look, each once.

    SQLite numbers rows in the order of commits. PostgreSQL does not: a row with a lower number may
    be committed later. There each row has its transaction (``written``), and a look begins at the
    lowest transaction that had not ended at the look before; rows from there on may be known.
    """

    def __init__(self, table: Table) -> None:
        self._table, self._number = table, table.c.number if "number" in table.c else table.c.id
        self._last = 0
        self._from, self._next = "0", "0"
        self._known: set[Any] = set()

    def since(self, connection: Connection) -> Any:
        """Return the condition of rows that may be new."""
        if is_sqlite(connection):
            return self._number > self._last
        self._from = self._next
        self._next = connection.scalar(select(_OLDEST))
        return literal_column(f"{self._table.name}.written") >= cast(self._from, _Xid())

    def only(self, rows: Sequence[Any]) -> list[Any]:
        """Return the rows that are new, of those that ``since`` has selected."""
        new = [row for row in rows if row["id"] not in self._known]
        if self._next == "0":
            self._last = max((row[self._number.name] for row in rows), default=self._last)
        else:
            self._known = {row["id"] for row in rows}
        return new


_OLDEST = literal_column("CAST(pg_snapshot_xmin(pg_current_snapshot()) AS text)")
"""The first transaction of PostgreSQL that has not ended."""


class _Xid(UserDefinedType[str]):
    """The number of a transaction of PostgreSQL."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "xid8"
