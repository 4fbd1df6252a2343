"""Write runs and their records to a store, in plain SQL: SQLAlchemy takes long to load.

A program that logs by hand loads this module and ``_plain_store`` alone. ``Writer`` has the rest.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thetahat.core.errors import StoreError
from thetahat.core.json import to_json
from thetahat.core.run import Status
from thetahat.store._blocks import Block, best_of, last_values, names_json
from thetahat.store._rows import NewRun, logged_metrics, new_id, parse_all, text, utc_now
from thetahat.store._run_names import run_name

if TYPE_CHECKING:
    from thetahat.core.packed_table import PackedTable

ENDED, WORK = "ended", "work"
"""What is told of a transaction: a run has ended; or agents may find work, or a sweep changed."""
VERSION = 6
"""The version of the tables; a new one needs a step in ``MIGRATIONS`` of ``_schema``."""

DEFAULTS = {
    "reason": "",
    "epochs": 0,
    "attempt": 1,
    "contaminated": False,
    **dict.fromkeys(("metrics", "last", "seconds", "detail", "provenance", "labels"), "{}"),
}
_TAKEN = " UNION ALL ".join(
    f"SELECT id, name FROM runs WHERE {key} IN (SELECT value FROM json_each(:{key}s))"
    for key in ("id", "name")
)
INSERT_BLOCK = (
    'INSERT INTO records (run_id, "first", "last", "count", "columns", data)'
    " VALUES (:run_id, :first, :last, :count, :columns, :data)"
)
_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False)
SUMMARY = '"last", epochs, best_val_risk, best_epoch'
"""The columns of a run that summarise its records."""
_SUMMARIES = f"SELECT id, {SUMMARY} FROM runs WHERE id IN (SELECT value FROM json_each(:ids))"
UPDATE_SUMMARY = (
    'UPDATE runs SET "last" = :last, epochs = :epochs, best_val_risk = :best_val_risk,'
    " best_epoch = :best_epoch, heartbeat = :now WHERE id = :run"
)
_FINISH = (
    "UPDATE runs SET status = :status, reason = :reason, finished = :now, heartbeat = :now,"
    " epochs = coalesce(:epochs, epochs), metrics = coalesce(:metrics, metrics),"
    " seconds = coalesce(:seconds, seconds), detail = coalesce(:detail, detail) WHERE id = :run"
)
_KEEP_BEST = "UPDATE runs SET best_val_risk = :risk, best_epoch = :epoch WHERE id = :run"


_SAME = "WHERE run_id = :run_id AND name = :name AND step IS :step"
_TABLE = (
    "INSERT INTO tables (run_id, name, step, kind, rows, columns, detail)"
    " VALUES (:run_id, :name, :step, :kind, :rows, :columns, :detail) RETURNING id"
)
_COLUMN = (
    "INSERT INTO table_columns (table_id, place, kind, data) VALUES (:table, :place, :kind, :data)"
)
_FILE = (
    "INSERT INTO files (run_id, name, step, kind, media, digest, bytes, detail)"
    " VALUES (:run_id, :name, :step, :kind, :media, :digest, :bytes, :detail)"
)


class RunWriter:
    """The writes of one transaction, which is atomic.

    Args:    cursor: makes a cursor of the driver.   folder: of the store.
    """

    for_update = ""
    """Ends a query that locks its rows until the commit; SQLite has one writer at a time."""

    def __init__(self, cursor: Callable[[], Any], folder: Path) -> None:
        self._cursor = cursor
        self._folder = folder
        self._summaries: dict[str, RunSummary] = {}
        """Summaries of runs whose rows this transaction has locked, until a write changes them."""
        self.told = ""
        """What others are told after the commit: ENDED, WORK, or nothing."""

    def execute(self, sql: str, row: Mapping[str, Any]) -> Any:
        """Execute one plain statement, and return the driver's cursor."""
        return self._fast(sql, row)

    def create_run(self, new: NewRun) -> tuple[str, str]:
        """Insert a run; return its id and its name."""
        ((run_id, name),) = self.insert_runs([new.values(self._folder, utc_now())])
        return run_id, name

    def insert_runs(
        self,
        rows: Sequence[Mapping[str, Any]],
        numbers: Sequence[int] | None = None,
        returning: str = "id, name",
    ) -> list[tuple[Any, ...]]:
        """Insert runs from their columns, with ids and numbers of their own, in their order.

        Args:    rows: with equal columns; a ``name`` of None is replaced by the run's own.
                 numbers: for these runs; by default the next ones.
                 returning: the columns that are returned of each run.
        """
        if not rows:
            return []
        made: list[dict[str, Any]] = []
        numbers = self._next_numbers(len(rows)) if numbers is None else numbers
        for values, number in zip(rows, numbers, strict=True):
            name = values["name"] or run_name(number)
            made.append({**DEFAULTS, **values, "id": new_id(), "number": number, "name": name})
        columns = ", ".join(f'"{column}"' for column in made[0])
        places = ", ".join(f":{column}" for column in made[0])
        into = f"INSERT INTO runs ({columns}) VALUES ({places})"
        found = self._insert(f"{into} ON CONFLICT DO NOTHING RETURNING {returning}", made)
        if len(found) == len(made):
            return found
        # An id or a name is taken.
        for row in made:
            self._fast("DELETE FROM runs WHERE number = :number", {"number": row["number"]})
        while self._rename_taken(made):
            pass
        return self._insert(f"{into} RETURNING {returning}", made)

    def _insert(self, sql: str, rows: Sequence[Mapping[str, Any]]) -> list[tuple[Any, ...]]:
        """Insert rows; return what the statement returns of those that were inserted."""
        cursor = self._cursor()
        found = [cursor.execute(sql, row).fetchall() for row in rows]
        return [one for each in found for one in each]

    def _next_numbers(self, n: int) -> Sequence[int]:
        highest = self._fast("SELECT max(number) FROM runs", {}).fetchone()[0] or 0
        return range(highest + 1, highest + 1 + n)

    def _rename_taken(self, made: Sequence[dict[str, Any]]) -> bool:
        """Replace ids and names that other runs have; return whether there were any.

        Only names that users give can be taken: these get the run's number.
        """
        given = {f"{key}s": json.dumps([row[key] for row in made]) for key in ("id", "name")}
        found = self._fast(_TAKEN, given).fetchall()
        ids, names, replaced = {i for i, _ in found}, {name for _, name in found}, False
        for row in made:
            if row["id"] in ids:
                row["id"], replaced = new_id(), True
            if row["name"] in names:
                row["name"], replaced = f"{row['name']}-{row['number']}", True
            ids.add(row["id"])
            names.add(row["name"])
        return replaced

    def log_blocks(self, blocks: Iterable[tuple[str, Block]]) -> None:
        """Append blocks of records, and update each run's summary for listings."""
        given = list(blocks)
        if not given:
            return
        summaries = self._summaries_of(dict.fromkeys(run_id for run_id, _ in given))
        for run_id, block in given:
            summaries[run_id] = summaries[run_id].after(block)
        self._fast(INSERT_BLOCK, *(block_row(run_id, block) for run_id, block in given))
        self._fast(UPDATE_SUMMARY, *updates_of(summaries))

    def know(self, rows: Iterable[Sequence[Any]]) -> None:
        """Take in the summaries of runs whose rows are locked.

        Args:    rows: the id and the columns ``SUMMARY`` of each run.
        """
        self._summaries |= _summaries(rows)

    def forget(self, run_ids: Iterable[str]) -> None:
        """Drop known summaries of runs whose rows are changed."""
        for run_id in run_ids:
            self._summaries.pop(run_id, None)

    def _summaries_of(self, run_ids: Iterable[str]) -> dict[str, RunSummary]:
        """Return the summaries of runs, which are known no longer.

        Raises:  StoreError: the store does not have a run.
        """
        found = {run_id: self._summaries.pop(run_id, None) for run_id in run_ids}
        unknown = [run_id for run_id, summary in found.items() if summary is None]
        read = _read_summaries(self._fast, unknown) if unknown else {}
        return {run_id: summary or read[run_id] for run_id, summary in found.items()}

    def finish_run(
        self,
        run_id: str,
        *,
        status: Status,
        reason: str = "",
        epochs: int | None = None,
        metrics: Mapping[str, float | None] | None = None,
        seconds: Mapping[str, float] | None = None,
        detail: Mapping[str, Any] | None = None,
    ) -> None:
        """Store how a run ended. Numbers that are not finite are stored as null."""
        given = {"metrics": metrics, "seconds": seconds, "detail": detail}
        row = {
            "run": run_id,
            "now": utc_now(),
            "status": str(Status(status)),
            "reason": text(reason),
            "epochs": None if epochs is None else int(epochs),
            **{
                name: None if value is None else to_json(value, numbers=True)
                for name, value in given.items()
            },
        }
        self.forget([run_id])
        self._fast(_FINISH, row)
        self.told = self.told or ENDED
        self._keep_best(run_id, detail or {}, metrics or {})

    def keep_table(
        self,
        run_id: str,
        name: str,
        table: PackedTable,
        *,
        step: int | None = None,
        kind: str = "table",
        detail: Mapping[str, Any] | None = None,
    ) -> None:
        """Store a table of a run, in place of one of this name and step."""
        mine = {"run_id": run_id, "name": name, "step": step}
        self._fast(f"DELETE FROM tables {_SAME}", mine)
        columns, about = json.dumps(table.names, ensure_ascii=False), to_json(detail or {})
        row = {**mine, "kind": kind, "rows": table.rows, "columns": columns, "detail": about}
        number = self._fast(_TABLE, row).fetchone()[0]
        pairs = enumerate(zip(table.kinds, table.data, strict=True))
        self._fast(
            _COLUMN,
            *({"table": number, "place": k, "kind": of, "data": data} for k, (of, data) in pairs),
        )

    def keep_file(
        self,
        run_id: str,
        name: str,
        about: Mapping[str, Any],
        *,
        step: int | None = None,
        kind: str = "file",
        detail: Mapping[str, Any] | None = None,
    ) -> None:
        """Store which bytes (``about``: digest, bytes, media) a run has kept under a name."""
        mine = {"run_id": run_id, "name": name, "step": step}
        self._fast(f"DELETE FROM files {_SAME}", mine)
        self._fast(_FILE, {**mine, **about, "kind": kind, "detail": to_json(detail or {})})

    def beat(self, run_ids: Sequence[str]) -> None:
        """Update the heartbeat of runs."""
        alive = "UPDATE runs SET heartbeat = :now WHERE id IN (SELECT value FROM json_each(:ids))"
        self._fast(alive, {"now": utc_now(), "ids": json.dumps(list(run_ids))})

    def attempt_of(self, run_id: str) -> int:
        """Return the attempt of a run, which no one claims before this transaction ends.

        Raises:  StoreError: the store does not have the run.
        """
        query = f"SELECT attempt FROM runs WHERE id = :run{self.for_update}"
        return self._known(self._fast(query, {"run": run_id}).fetchone(), run_id)[0]

    def metrics_of(self, run_id: str) -> Mapping[str, float | None]:
        """Return the metrics of a run: the last record while it runs.

        Raises:  StoreError: the store does not have the run.
        """
        row = self._fast('SELECT metrics, "last" FROM runs WHERE id = :run', {"run": run_id})
        found = self._known(row.fetchone(), run_id)
        return logged_metrics([found[0]], [found[1]])[0]

    def _known(self, row: Any, run_id: str) -> Any:
        if row is None:
            raise StoreError(f"the store in {self._folder} no longer has the run {run_id!r}")
        return row

    def _keep_best(
        self, run_id: str, detail: Mapping[str, Any], metrics: Mapping[str, float | None]
    ) -> None:
        """Store the best of a run that is an average, or whose state another column chose."""
        if "members" in detail:
            risk = metrics.get("val_risk")
            self._fast(_KEEP_BEST, {"run": run_id, "risk": risk, "epoch": None})
        elif (detail.get("best_by") or "val_risk") != "val_risk":
            best = {"run": run_id, "risk": None, "epoch": detail.get("best_epoch")}
            self._fast(_KEEP_BEST, best)

    def _fast(self, sql: str, *rows: Mapping[str, Any]) -> Any:
        """Execute a statement directly by the driver."""
        cursor = self._cursor()
        if len(rows) == 1:
            cursor.execute(sql, rows[0])
        else:
            cursor.executemany(sql, rows)
        return cursor


@dataclass(frozen=True)
class RunSummary:
    """The summary of a run's records for listings."""

    last: Mapping[str, float | None] = field(default_factory=dict)
    epochs: int = 0
    best: tuple[float, int] | None = None

    def after(self, block: Block) -> RunSummary:
        """Return the summary with one more block."""
        last = last_values(block)
        epoch = last.get("epoch")
        # Rows of steps are counted as steps, unless each of them is an epoch.
        by_epoch = block.columns[0] == "epoch" or (epoch or 0) + 1 >= block.last
        count = block.last + 1 if epoch is None or not by_epoch else int(epoch)
        return RunSummary(
            last={**self.last, **last},
            epochs=max(self.epochs, count),
            best=min((b for b in (self.best, best_of(block)) if b is not None), default=None),
        )

    def values(self) -> dict[str, Any]:
        """Return the columns of the run."""
        return {**self.columns(), "last": _ENCODER.encode(self.last)}

    def columns(self) -> dict[str, Any]:
        """Return the columns of the run, with the last record as an object."""
        return {
            "last": self.last,
            "epochs": self.epochs,
            "best_val_risk": self.best[0] if self.best else None,
            "best_epoch": self.best[1] if self.best else None,
        }


def _read_summaries(fast: Callable[..., Any], run_ids: Sequence[str]) -> dict[str, RunSummary]:
    found = _summaries(fast(_SUMMARIES, {"ids": json.dumps(list(run_ids))}).fetchall())
    for run_id in run_ids:
        if run_id not in found:
            raise StoreError(f"records for the run {run_id!r}, which the store does not have")
    return found


def _summaries(rows: Iterable[Sequence[Any]]) -> dict[str, RunSummary]:
    """Read summaries from rows of the id and the columns ``SUMMARY``."""
    rows = list(rows)
    lasts = parse_all(row[1] for row in rows)
    return {
        run: RunSummary(last, epochs, None if best is None else (best, best_epoch))
        for (run, _, epochs, best, best_epoch), last in zip(rows, lasts, strict=True)
    }


def updates_of(summaries: Mapping[str, RunSummary]) -> list[dict[str, Any]]:
    """Return the rows of ``UPDATE_SUMMARY``."""
    now = utc_now()
    return [{"run": run, "now": now, **summary.values()} for run, summary in summaries.items()]


def block_row(run_id: str, block: Block) -> dict[str, Any]:
    """Return a block as a row of the table of records."""
    return {
        "run_id": run_id,
        "first": block.first,
        "last": block.last,
        "count": block.count,
        "columns": names_json(block.columns),
        "data": block.data,
    }
