"""Write to a store within one open transaction."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import (
    Connection,
    Dialect,
    bindparam,
    case,
    delete,
    func,
    literal_column,
    select,
    update,
)

from thetahat.core.errors import StoreError
from thetahat.core.json import from_json, to_json
from thetahat.core.run import Ended, Started, Status
from thetahat.store._blocks import (
    Block,
    best_of,
    last_values,
    names_json,
    read_block,
)
from thetahat.store._rows import NewRun, among, near, new_id, text, utc_now
from thetahat.store._run_names import run_name
from thetahat.store._schema import notices, records, runs

_INSERT_BLOCK = records.insert().values(
    {c.name: bindparam(c.name) for c in records.c if c.name != "id"}
)
_SUMMARY = ("last", "epochs", "best_val_risk", "best_epoch")
_READ_SUMMARY = select(*(runs.c[name] for name in _SUMMARY)).where(runs.c.id == bindparam("run"))
_UPDATE_SUMMARY = (
    update(runs)
    .where(runs.c.id == bindparam("run"))
    .values({**{c: bindparam(f"new_{c}") for c in _SUMMARY}, "heartbeat": bindparam("now")})
)

_HIGHEST = select(func.max(runs.c.number))
_TAKEN = select(runs.c.id).where(
    (runs.c.id == bindparam("run")) | (runs.c.name == bindparam("word"))
)
_INSERT_RUN = runs.insert().values({c.name: bindparam(c.name) for c in runs.c})
_DEFAULTS = {
    "reason": "",
    "epochs": 0,
    "attempt": 1,
    "contaminated": False,
    **dict.fromkeys(("metrics", "last", "seconds", "detail", "provenance", "labels"), "{}"),
}
_FINISH = (
    update(runs)
    .where(runs.c.id == bindparam("run"))
    .values(
        status=bindparam("new_status"),
        reason=bindparam("new_reason"),
        finished=bindparam("now"),
        heartbeat=bindparam("now"),
        **{
            name: func.coalesce(bindparam(f"new_{name}"), runs.c[name])
            for name in ("epochs", "metrics", "seconds", "detail")
        },
    )
)
_PATH = literal_column("'$.earlier'")
_EARLIER = func.json_extract(runs.c.provenance, _PATH)


def _with_earlier() -> Any:
    return func.json_set(bindparam("new_provenance"), _PATH, func.json(_EARLIER))


_BEGUN = ("config", "max_epochs", "n_params", "provenance", "checkpoint", "cohort", "member")
_BEGIN = (
    update(runs)
    .where(runs.c.id == bindparam("run"))
    .values(
        {
            **{c: bindparam(f"new_{c}") for c in _BEGUN},
            "config": func.coalesce(bindparam("new_config"), runs.c.config),
            # A run that is tried again keeps the provenance of its earlier attempts.
            "provenance": case(
                (_EARLIER.is_(None), bindparam("new_provenance")), else_=_with_earlier()
            ),
            "heartbeat": bindparam("now"),
        }
    )
)


@functools.cache
def _compiled(statement: Any, dialect: Dialect) -> tuple[str, tuple[str, ...]]:
    compiled = statement.compile(dialect=dialect)
    return str(compiled), tuple(compiled.positiontup)


class Writer:
    """The writes of one transaction, which is atomic."""

    def __init__(self, connection: Connection, folder: Path) -> None:
        self.connection = connection
        self._folder = folder

    def create_run(self, new: NewRun) -> tuple[str, str]:
        """Insert a run; return its id and its name."""
        highest = self._fast(_HIGHEST, {}).fetchone()[0] or 0
        number = highest + 1
        wanted = text(new.name) or run_name(number)
        run_id, name = new_id(), wanted
        while (taken := self._fast(_TAKEN, {"run": run_id, "word": name}).fetchone()) is not None:
            if taken[0] == run_id:
                run_id = new_id()
            else:
                # Only names that users give can be taken.
                name = f"{name}-{number}"
        row = dict.fromkeys(c.name for c in runs.c)
        row |= {"id": run_id, "number": number, "name": name, **_DEFAULTS}
        self._fast(_INSERT_RUN, row | new.values(self._folder, utc_now()))
        return run_id, name

    def log_blocks(self, blocks: Iterable[tuple[str, Block]]) -> None:
        """Append blocks of records, and update each run's summary for listings."""
        grouped: dict[str, list[Block]] = {}
        for run_id, block in blocks:
            grouped.setdefault(run_id, []).append(block)
        if not grouped:
            return
        summaries = _read_summaries(self._fast, list(grouped))
        now = utc_now()
        updates = []
        for run_id, mine in grouped.items():
            summary = summaries[run_id]
            for block in mine:
                summary = summary.after(block)
            updates.append({"run": run_id, "now": now, **summary.values()})
        rows = [_row(run_id, block) for run_id, mine in grouped.items() for block in mine]
        self._fast(_INSERT_BLOCK, *rows)
        self._fast(_UPDATE_SUMMARY, *updates)

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
            "new_status": str(Status(status)),
            "new_reason": text(reason),
            "new_epochs": None if epochs is None else int(epochs),
            **{
                f"new_{name}": None if value is None else to_json(value, numbers=True)
                for name, value in given.items()
            },
        }
        self._fast(_FINISH, row)
        _keep_best(self.connection, run_id, detail or {}, metrics or {})

    def end_run(self, run_id: str, event: Ended) -> None:
        """Write how a run ended, and the notices in its detail."""
        self.finish_run(
            run_id,
            status=event.status,
            reason=event.reason,
            epochs=event.epochs,
            metrics=event.metrics or None,
            seconds=event.seconds,
            detail=event.detail,
        )
        for line in event.detail.get("notices", ()):
            self.note(run_id, str(line))

    def begin_run(self, run_id: str, event: Started) -> None:
        """Write the parameters, the provenance and the cohort of a run that was claimed."""
        row = {
            "run": run_id,
            "now": utc_now(),
            "new_config": None if event.config is None else to_json(event.config),
            "new_max_epochs": event.epochs,
            "new_n_params": event.n_params,
            "new_provenance": to_json(event.provenance),
            "new_checkpoint": text(near(event.checkpoint, self._folder)),
            "new_cohort": event.cohort,
            "new_member": None if event.cohort is None else event.member,
        }
        self._fast(_BEGIN, row)

    def find_run(self, checkpoint: str, member: int) -> tuple[str, str] | None:
        """Return id and name of the latest run with this checkpoint and place in its cohort."""
        place = text(near(checkpoint, self._folder))
        mine = (runs.c.checkpoint == place) & (runs.c.member == member)
        query = select(runs.c.id, runs.c.name).where(mine).order_by(runs.c.number.desc())
        row = self.connection.execute(query).first()
        return None if row is None else (row.id, row.name)

    def continue_run(
        self,
        run_id: str,
        *,
        epochs: int,
        max_epochs: int,
        provenance: Mapping[str, Any],
        command: str | None,
    ) -> None:
        """Continue a run after ``epochs``, as its next attempt.

        Records of later epochs are deleted; provenance keeps the earlier attempts.
        """
        query = select(runs.c.provenance, runs.c.command).where(runs.c.id == run_id)
        before, old_command = self.connection.execute(query).one()
        earlier = from_json(before)
        history = [*earlier.pop("earlier", []), {**earlier, "until_epoch": epochs}]
        now = utc_now()
        self.drop_records(run_id, epochs + 1)
        self.connection.execute(
            update(runs)
            .where(runs.c.id == run_id)
            .values(
                status=str(Status.RUNNING),
                reason="",
                finished=None,
                heartbeat=now,
                epochs=epochs,
                max_epochs=max_epochs,
                metrics="{}",
                attempt=runs.c.attempt + 1,
                command=text(command) or old_command,
                provenance=to_json({**provenance, "earlier": history}),
            )
        )

    def drop_records(self, run_id: str, start: int) -> None:
        """Delete the records from the epoch ``start`` on, and update the run's summary."""
        mine = records.c.run_id == run_id
        cut = select(records).where(mine & (records.c.last >= start)).order_by(records.c.id)
        rows = self.connection.execute(cut).mappings()
        late = [(row["id"], read_block(row)) for row in rows]
        for row_id, block in late:
            self.connection.execute(delete(records).where(records.c.id == row_id))
            kept = block.before(start)
            if kept is not None:
                self.connection.execute(_INSERT_BLOCK, _row(run_id, kept))
        if late:
            self._summarise(run_id)

    def beat(self, run_ids: Sequence[str]) -> None:
        """Update the heartbeat of runs."""
        alive = update(runs).where(among(runs.c.id, run_ids)).values(heartbeat=utc_now())
        self.connection.execute(alive)

    def note(self, run_id: str | None, line: str) -> None:
        """Store a notice of a run."""
        row = {"run_id": run_id, "at": utc_now(), "text": text(line)}
        self.connection.execute(notices.insert(), row)

    def _summarise(self, run_id: str) -> None:
        query = select(records).where(records.c.run_id == run_id).order_by(records.c.id)
        summary = _RunSummary()
        for row in self.connection.execute(query).mappings():
            summary = summary.after(read_block(row))
        self.connection.execute(
            _UPDATE_SUMMARY, {"run": run_id, "now": utc_now(), **summary.values()}
        )

    def _fast(self, statement: Any, *rows: Mapping[str, Any]) -> Any:
        """Execute a frequent statement directly by the driver, at a fifth of the cost."""
        sql, names = _compiled(statement, self.connection.dialect)
        given = [tuple(row[name] for name in names) for row in rows]
        cursor = self.connection.connection.cursor()
        if len(given) == 1:
            cursor.execute(sql, given[0])
        else:
            cursor.executemany(sql, given)
        return cursor


def _keep_best(
    connection: Connection,
    run_id: str,
    detail: Mapping[str, Any],
    metrics: Mapping[str, float | None],
) -> None:
    """Store the best of a run that is an average, or whose state another column chose."""
    if "members" in detail:
        best = {"best_val_risk": metrics.get("val_risk"), "best_epoch": None}
        connection.execute(update(runs).where(runs.c.id == run_id).values(best))
    elif (detail.get("best_by") or "val_risk") != "val_risk":
        best = {"best_val_risk": None, "best_epoch": detail.get("best_epoch")}
        connection.execute(update(runs).where(runs.c.id == run_id).values(best))


@dataclass(frozen=True)
class _RunSummary:
    """The summary of a run's records for listings."""

    last: Mapping[str, float | None] = field(default_factory=dict)
    epochs: int = 0
    best: tuple[float, int] | None = None

    def after(self, block: Block) -> _RunSummary:
        last = last_values(block)
        epoch = last.get("epoch")
        return _RunSummary(
            last={**self.last, **last},
            epochs=max(self.epochs, block.last + 1 if epoch is None else int(epoch)),
            best=min((b for b in (self.best, best_of(block)) if b is not None), default=None),
        )

    def values(self) -> dict[str, Any]:
        return {
            "new_last": json.dumps(self.last, ensure_ascii=False, allow_nan=False),
            "new_epochs": self.epochs,
            "new_best_val_risk": self.best[0] if self.best else None,
            "new_best_epoch": self.best[1] if self.best else None,
        }


def _read_summaries(fast: Callable[..., Any], run_ids: Sequence[str]) -> dict[str, _RunSummary]:
    found: dict[str, _RunSummary] = {}
    for run_id in run_ids:
        row = fast(_READ_SUMMARY, {"run": run_id}).fetchone()
        if row is None:
            raise StoreError(f"records for the run {run_id!r}, which the store does not have")
        last, epochs, best, best_epoch = row
        found[run_id] = _RunSummary(
            json.loads(last), epochs, None if best is None else (best, best_epoch)
        )
    return found


def _row(run_id: str, block: Block) -> dict[str, Any]:
    return {
        "run_id": run_id,
        "first": block.first,
        "last": block.last,
        "count": block.count,
        "columns": names_json(block.columns),
        "data": block.data,
    }
