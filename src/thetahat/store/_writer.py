"""Write to a store within one open transaction."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, delete, select, update

from thetahat.core.json import from_json, to_json
from thetahat.core.run import Ended, Started, Status
from thetahat.store._blocks import Block, read_block
from thetahat.store._rows import near, text, utc_now
from thetahat.store._run_writer import (
    INSERT_BLOCK,
    UPDATE_SUMMARY,
    RunSummary,
    RunWriter,
    block_row,
)
from thetahat.store._schema import notices, records, run_numbers, runs
from thetahat.store._sql import is_sqlite, plain_cursor

_EARLIER = "json_extract(provenance, '$.earlier')"
_KEPT = f"json_set(:provenance, '$.earlier', json({_EARLIER}))"
_KEPT_BY_POSTGRES = (
    "CAST(CAST(CAST(:provenance AS text) AS jsonb) || jsonb_build_object('earlier',"
    " CAST(provenance AS jsonb) -> 'earlier') AS text)"
)
_NUMBERS = f"SELECT nextval('{run_numbers.name}') FROM generate_series(1, :n)"
_BEGIN = (
    "UPDATE runs SET config = coalesce(:config, config), max_epochs = :max_epochs,"
    " n_params = :n_params, checkpoint = :checkpoint, cohort = :cohort, member = :member,"
    " heartbeat = :now,"
    # A run that is tried again keeps the provenance of its earlier attempts.
    f" provenance = CASE WHEN {_EARLIER} IS NULL THEN CAST(:provenance AS text)"
    " ELSE {kept} END WHERE id = :run"
)


class Writer(RunWriter):
    """The writes of one transaction, which is atomic."""

    def __init__(self, connection: Connection, folder: Path) -> None:
        super().__init__(plain_cursor(connection), folder)
        self.connection = connection
        self.for_update = "" if is_sqlite(connection) else " FOR UPDATE"
        self.skip_locked = self.for_update and f"{self.for_update} SKIP LOCKED"
        """Ends a query that locks its rows, and leaves out those that another transaction holds."""
        self.next_number = "NULL" if is_sqlite(connection) else f"nextval('{run_numbers.name}')"
        """The number of a run that a statement makes; NULL where numbers are those of the rows."""
        kept = _KEPT if is_sqlite(connection) else _KEPT_BY_POSTGRES
        self._begin = _BEGIN.format(kept=kept)

    def _insert(self, sql: str, rows: Sequence[Mapping[str, Any]]) -> list[tuple[Any, ...]]:
        if is_sqlite(self.connection):
            return super()._insert(sql, rows)
        return self._cursor().returned(sql, rows)

    def log_blocks(self, blocks: Iterable[tuple[str, Block]]) -> None:
        """Append blocks of records, and update each run's summary for listings.

        Several are sent to PostgreSQL one by one as they come: it stores them while the next ones
        are packed.
        """
        waiting = iter(blocks)
        head = list(islice(waiting, 2))
        if is_sqlite(self.connection) or len(head) < 2:
            super().log_blocks(chain(head, waiting))
            return
        from thetahat.store._postgres_rows import copy_blocks, update_summaries

        given: Iterable[tuple[str, Block]] = chain(head, waiting)
        known, self._summaries = self._summaries, {}
        if head[0][0] not in known:
            given = list(given)
            known = self._summaries_of(dict.fromkeys(run_id for run_id, _ in given))
        changed: dict[str, RunSummary] = {}
        later: list[tuple[str, Block]] = []

        def rows() -> Iterator[Mapping[str, Any]]:
            for run_id, block in given:
                before = changed.get(run_id) or known.get(run_id)
                if before is None:
                    later.append((run_id, block))
                else:
                    changed[run_id] = before.after(block)
                    yield block_row(run_id, block)

        raw: Any = self.connection.connection.driver_connection
        copy_blocks(raw, rows())
        now = utc_now()
        update_summaries(raw, [{"run": k, "now": now, **v.columns()} for k, v in changed.items()])
        self.log_blocks(later)

    def _next_numbers(self, n: int) -> Sequence[int]:
        if is_sqlite(self.connection):
            return super()._next_numbers(n)
        return sorted(number for (number,) in self._fast(_NUMBERS, {"n": n}).fetchall())

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
        for name, table in event.tables.items():
            self.keep_table(run_id, name, table)
        for line in event.detail.get("notices", ()):
            self.note(run_id, str(line))

    def begin_run(self, run_id: str, event: Started) -> None:
        """Write the parameters, the provenance and the cohort of a run that was claimed."""
        row = {
            "run": run_id,
            "now": utc_now(),
            "config": None if event.config is None else to_json(event.config),
            "max_epochs": event.epochs,
            "n_params": event.n_params,
            "provenance": to_json(event.provenance),
            "checkpoint": text(near(event.checkpoint, self._folder)),
            "cohort": event.cohort,
            "member": None if event.cohort is None else event.member,
        }
        self._fast(self._begin, row)

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

        Records of later epochs are deleted; provenance keeps the earlier attempts. The command
        stays the one that began the run.
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
                command=old_command or text(command),
                provenance=to_json({**provenance, "earlier": history}),
            )
        )

    def drop_records(self, run_id: str, start: int) -> None:
        """Delete the records from the epoch ``start`` on, and update the run's summary."""
        self.forget([run_id])
        mine = records.c.run_id == run_id
        cut = select(records).where(mine & (records.c.last >= start)).order_by(records.c.id)
        rows = self.connection.execute(cut).mappings()
        late = [(row["id"], read_block(row)) for row in rows]
        for row_id, block in late:
            self.connection.execute(delete(records).where(records.c.id == row_id))
            kept = block.before(start)
            if kept is not None:
                self._fast(INSERT_BLOCK, block_row(run_id, kept))
        if late:
            self._summarise(run_id)

    def note(self, run_id: str | None, line: str) -> None:
        """Store a notice of a run."""
        row = {"run_id": run_id, "at": utc_now(), "text": text(line)}
        self.connection.execute(notices.insert(), row)

    def _summarise(self, run_id: str) -> None:
        query = select(records).where(records.c.run_id == run_id).order_by(records.c.id)
        summary = RunSummary()
        for row in self.connection.execute(query).mappings():
            summary = summary.after(read_block(row))
        self._fast(UPDATE_SUMMARY, {"run": run_id, "now": utc_now(), **summary.values()})
