"""Claim runs of a sweep for an agent, in one transaction: returned runs first, then new points.

A search whose points follow from their numbers creates them in batches, ahead of the claims: most
claims then move a point into the table of runs, and ask no search. A point that waits is not yet a
run: it has no number, no page shows it, and a sweep that ends leaves it unused.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, delete, func, select, update

from thetahat.core.errors import StoreError
from thetahat.core.run import Status
from thetahat.store._postgres_rows import storable
from thetahat.store._rows import LISTED, NewRun, RunRow, read_rows, utc_now
from thetahat.store._schema import files, records, runs, sweeps, tables
from thetahat.store._sql import among, plain_cursor, plain_rows
from thetahat.store._sweeps import SweepRow, read_sweep_row
from thetahat.store._writer import Writer

_SWEEP_COLUMNS = tuple(column.name for column in sweeps.c)
_RUN_COLUMNS = (*LISTED, "last")


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


# Plain statements: these are executed once a claim, while other agents wait for the write lock.
_SWEEP = (
    f"SELECT {_listed(_SWEEP_COLUMNS)}, EXISTS (SELECT 1 FROM runs WHERE sweep_id = :sweep AND"
    " status = 'queued') FROM sweeps WHERE id = :sweep"
)
_NUMBERS = (
    "(SELECT count(*) FROM runs WHERE sweep_id = :sweep),"
    " (SELECT count(*) FROM runs WHERE sweep_id = :sweep AND status = 'queued'),"
    " (SELECT count(*) FROM points WHERE sweep_id = :sweep)"
)
# One statement: in PostgreSQL each sees a moment of its own.
_COUNTS = f"SELECT {_NUMBERS}"
_STATE = f"SELECT {_listed(_SWEEP_COLUMNS)}, {_NUMBERS} FROM sweeps WHERE id = :sweep"
_OPEN = "SELECT count(*) FROM runs WHERE sweep_id = :sweep AND status IN ('queued', 'running')"
_WAITING = (
    "SELECT id, cohort, checkpoint, alone FROM runs WHERE sweep_id = :sweep AND status = 'queued'"
    " ORDER BY number LIMIT :n{skip_locked}"
)
_MEMBERS = (
    "SELECT id, cohort FROM runs WHERE sweep_id = :sweep AND status = 'queued' AND NOT alone"
    " AND checkpoint <> '' AND cohort IN (SELECT value FROM json_each(:cohorts)) ORDER BY number"
)
_TAKE = (
    # PostgreSQL might execute a subquery that is not materialized more than once.
    "WITH first_points AS MATERIALIZED (SELECT id FROM points WHERE sweep_id = :sweep"
    " ORDER BY id LIMIT :n{skip_locked})"
    " DELETE FROM points WHERE id IN (SELECT id FROM first_points)"
    " AND (SELECT count(*) FROM first_points) = :n RETURNING id, run, {number}"
)
_AHEAD = "INSERT INTO points (sweep_id, run) SELECT :sweep, value FROM json_each(:rows)"
"""One statement, however many points: PostgreSQL takes half the time of one for each."""
RETURNED = _listed(_RUN_COLUMNS)
"""The columns of a claimed run, in SQL."""
_RUNS = f"SELECT {RETURNED} FROM runs WHERE id IN (SELECT value FROM json_each(:ids))"


@dataclass(frozen=True)
class Offer:
    """New runs that a search proposes."""

    configs: Sequence[NewRun]
    position: int
    """The position of the search after these runs."""
    exhausted: bool = False


@dataclass(frozen=True)
class Claim:
    """The runs that an agent claimed: earlier ones from the queue, by cohort, and new ones."""

    sweep: SweepRow
    again: Sequence[Sequence[RunRow]]
    fresh: Sequence[RunRow]
    exhausted: bool
    open: int | None
    """Number of runs of the sweep that are queued or running, with these.

    None where it was not counted, because there may be more to claim.
    """

    @property
    def runs(self) -> list[RunRow]:
        """All claimed runs."""
        return [run for group in self.again for run in group] + list(self.fresh)


def claim_of_points(sweep: SweepRow, rows: Sequence[tuple[Any, ...]], folder: Path) -> Claim:
    """Return a claim of points alone; ``rows`` have the columns ``RETURNED``."""
    return Claim(sweep, [], read_rows(_RUN_COLUMNS, rows, folder), exhausted=False, open=None)


Propose = Callable[[SweepRow, int, int], Offer]
"""(sweep, number of points proposed so far, number of runs wanted) -> new runs."""


@dataclass(frozen=True)
class SweepState:
    """A sweep and the numbers of its runs and points, as one transaction reads them."""

    sweep: SweepRow
    begun: int
    """Runs of the sweep, in any status."""
    waiting: int
    """Runs in the queue."""
    ready: int
    """Points that were created ahead and are not runs yet."""

    @property
    def search(self) -> tuple[Any, ...]:
        """What a search's offer depends on: if it has changed, the offer is void."""
        sweep = self.sweep
        return sweep.position, sweep.text, sweep.plan, self.begun, self.ready


class SweepReader:
    """Reads the row of one sweep, and parses it only if it has changed."""

    def __init__(self, sweep_id: str) -> None:
        self.sweep_id = sweep_id
        self._known: tuple[list[Any], SweepRow] | None = None

    def known(self) -> tuple[str, str, SweepRow] | None:
        """Return the text, the plan as JSON, and the row of the last look, if there was any."""
        if self._known is None:
            return None
        raw, row = self._known
        text, plan = (raw[_SWEEP_COLUMNS.index(name)] for name in ("text", "plan"))
        return text, plan, row

    def read(self, connection: Connection) -> SweepRow:
        """Return the row of the sweep.

        Raises:  StoreError: the store does not have it.
        """
        return self.look(connection)[0]

    def look(self, connection: Connection) -> tuple[SweepRow, bool]:
        """Return the row of the sweep, and whether runs wait in its queue.

        Raises:  StoreError: the store does not have the sweep.
        """
        sweep, (waiting,) = self._ask(connection, _SWEEP)
        return sweep, bool(waiting)

    def state(self, connection: Connection) -> SweepState:
        """Return the sweep with the numbers of its runs and points.

        Raises:  StoreError: the store does not have the sweep.
        """
        sweep, numbers = self._ask(connection, _STATE)
        return SweepState(sweep, *numbers)

    def _ask(self, connection: Connection, query: str) -> tuple[SweepRow, Sequence[Any]]:
        """Return the row, and what the query returns behind its columns."""
        found = plain_rows(connection, query, sweep=self.sweep_id)
        if not found:
            raise StoreError(f"the store no longer has the sweep {self.sweep_id!r}")
        row, more = list(found[0][: len(_SWEEP_COLUMNS)]), found[0][len(_SWEEP_COLUMNS) :]
        if self._known is None or self._known[0] != row:
            read = read_sweep_row(dict(zip(_SWEEP_COLUMNS, row, strict=True)))
            self._known = row, read
        return self._known[1], more


def count_runs_and_points(connection: Connection, sweep_id: str) -> tuple[int, int, int]:
    """Count the runs of a sweep, those in the queue, and the points that wait."""
    ((begun, waiting, ahead),) = plain_rows(connection, _COUNTS, sweep=sweep_id)
    return begun, waiting, ahead


def waiting_groups(
    writer: Writer, sweep_id: str, n: int, most: int | None, *, whole: bool = True
) -> list[list[str]] | None:
    """Return ids of runs that wait, by cohort: members of a cohort share a checkpoint.

    A cohort is returned whole, even if it has more than ``n`` runs, but at most ``most`` of it.

    Args:    whole: whether no other agent claims at this moment, so that cohorts can be claimed;
             if not, the answer is None where one of the runs is a member of a cohort.
    """
    # PostgreSQL leaves out runs that another agent claims at this moment. The first runs decide
    # which groups come first.
    query = _WAITING.format(skip_locked=writer.skip_locked)
    found = plain_rows(writer.connection, query, sweep=sweep_id, n=n)
    if not found:
        return []
    groups: dict[str, list[str]] = {}
    cohorts: dict[str, list[str]] = {}
    for run, cohort, checkpoint, alone in found:
        if cohort and checkpoint and not alone:
            cohorts[cohort] = groups.setdefault(cohort, [])
        else:
            groups[run] = [run]
    if cohorts and not whole:
        return None
    if cohorts:
        ids = json.dumps(list(cohorts))
        for run, cohort in plain_rows(writer.connection, _MEMBERS, sweep=sweep_id, cohorts=ids):
            cohorts[cohort].append(run)
    taken: list[list[str]] = []
    count = 0
    for group in groups.values():
        if taken and count + len(group) > n:
            break
        taken.append(group[:most])
        count += len(taken[-1])
    return taken


class Claiming:
    """One claim of an agent, within an open transaction."""

    def __init__(self, writer: Writer, folder: Path, sweep_id: str, agent: str) -> None:
        self._writer, self._connection = writer, writer.connection
        self._folder, self._sweep_id, self._agent = folder, sweep_id, agent

    def create(self, new: Sequence[NewRun]) -> list[tuple[Any, ...]]:
        """Create runs that this agent begins at once; return their rows."""
        mine = {"status": Status.RUNNING, "agent": self._agent}
        now = utc_now()
        rows = [replace(one, **mine).values(self._folder, now) for one in new]
        return self._writer.insert_runs(rows, returning=RETURNED)

    def put_ahead(self, new: Sequence[NewRun]) -> None:
        """Store points that a later claim, of any agent, makes runs of."""
        if new:
            rows = [storable(json.dumps(one.values(self._folder, ""))) for one in new]
            cursor = plain_cursor(self._connection)()
            cursor.execute(_AHEAD, {"sweep": self._sweep_id, "rows": json.dumps(rows)})

    def take_ready(self, n: int) -> list[tuple[Any, ...]] | None:
        """Make runs of the next ``n`` points; return their rows, or None if there are fewer."""
        if n <= 0:
            return []
        writer = self._writer
        query = _TAKE.format(skip_locked=writer.skip_locked, number=writer.next_number)
        found = plain_rows(self._connection, query, sweep=self._sweep_id, n=n)
        if len(found) < n:
            return None
        now = utc_now()
        began = {"status": str(Status.RUNNING), "agent": self._agent, "created": now}
        began |= {"started": now, "heartbeat": now}
        # What a statement returns has no order.
        found.sort()
        rows = [{**json.loads(run), **began} for _, run, _ in found]
        numbers = sorted(number for *_, number in found if number is not None)
        return writer.insert_runs(rows, numbers or None, returning=RETURNED)

    def finish(
        self,
        sweep: SweepRow,
        again: Sequence[Sequence[str]] = (),
        fresh: Sequence[tuple[Any, ...]] = (),
        *,
        exhausted: bool = False,
        count: bool = True,
    ) -> Claim:
        """Begin the next attempt of runs from the queue; return what this agent has claimed.

        Args:    fresh: rows of new runs.   count: whether to count those queued or running.
        """
        found = self.begin_again([run for group in again for run in group])
        return Claim(
            sweep,
            [[found[run] for run in group] for group in again],
            read_rows(_RUN_COLUMNS, fresh, self._folder),
            exhausted,
            self._count_open() if count else None,
        )

    def _count_open(self) -> int:
        ((found,),) = plain_rows(self._connection, _OPEN, sweep=self._sweep_id)
        return int(found)

    def begin_again(self, run_ids: Sequence[str]) -> dict[str, RunRow]:
        """Begin the next attempt of runs for this agent."""
        if not run_ids:
            return {}
        now = utc_now()
        values = {"status": str(Status.RUNNING), "agent": self._agent, "heartbeat": now}
        values |= {"attempt": runs.c.attempt + 1, "reason": "", "finished": None}
        # A run that begins afresh has no start; one that goes on from a checkpoint keeps its own.
        values["started"] = func.coalesce(runs.c.started, now)
        which = among(runs.c.id, run_ids)
        self._connection.execute(update(runs).where(which).values(values))
        # The next attempt logs all records again, also those up to its checkpoint.
        logged = select(records.c.run_id).distinct().where(among(records.c.run_id, run_ids))
        for (run,) in self._connection.execute(logged).all():
            self._writer.drop_records(run, 0)
        for left in (tables, files):
            self._connection.execute(delete(left).where(among(left.c.run_id, run_ids)))
        return self._rows(run_ids)

    def _rows(self, run_ids: Sequence[str]) -> dict[str, RunRow]:
        if not run_ids:
            return {}
        rows = plain_rows(self._connection, _RUNS, ids=json.dumps(list(run_ids)))
        return {run.id: run for run in read_rows(_RUN_COLUMNS, rows, self._folder)}
