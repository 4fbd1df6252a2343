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

from sqlalchemy import Connection, bindparam, case, delete, func, select, update

from thetahat.core.run import Status
from thetahat.store._rows import LISTED, NewRun, RunRow, read_rows, utc_now
from thetahat.store._schema import files, points, records, runs, sweeps, tables
from thetahat.store._sql import among
from thetahat.store._sweeps import SweepRow, read_sweep_row
from thetahat.store._writer import Writer

_OPEN = [str(Status.QUEUED), str(Status.RUNNING)]


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
    open: int
    """Number of runs of the sweep that are queued or running, with these."""

    @property
    def runs(self) -> list[RunRow]:
        """All claimed runs."""
        return [run for group in self.again for run in group] + list(self.fresh)


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


def read_sweep(connection: Connection, sweep_id: str) -> SweepRow:
    """Return the row of a sweep."""
    found = connection.execute(select(sweeps).where(sweeps.c.id == sweep_id))
    return read_sweep_row(found.mappings().one())


def read_state(connection: Connection, sweep_id: str) -> SweepState:
    """Return a sweep with the numbers of its runs and points."""
    return SweepState(
        read_sweep(connection, sweep_id), *count_runs_and_points(connection, sweep_id)
    )


def count_runs_and_points(connection: Connection, sweep_id: str) -> tuple[int, int, int]:
    """Count the runs of a sweep, those in the queue, and the points that wait."""
    waits = func.sum(case((runs.c.status == str(Status.QUEUED), 1), else_=0))
    ready = select(func.count()).where(points.c.sweep_id == sweep_id).scalar_subquery()
    # One statement: in PostgreSQL each sees a moment of its own.
    counts = select(func.count(), waits, ready).where(runs.c.sweep_id == sweep_id)
    begun, waiting, ahead = connection.execute(counts).one()
    return begun, int(waiting or 0), ahead


def waiting_groups(
    connection: Connection, sweep_id: str, n: int, most: int | None
) -> list[list[str]]:
    """Return ids of runs that wait, by cohort: members of a cohort share a checkpoint.

    A cohort is returned whole, even if it has more than ``n`` runs, but at most ``most`` of it.
    """
    waits = (runs.c.sweep_id == sweep_id) & (runs.c.status == str(Status.QUEUED))
    query = select(runs.c.id, runs.c.cohort, runs.c.checkpoint, runs.c.alone).where(waits)
    groups: dict[str, list[str]] = {}
    # PostgreSQL leaves out runs that another agent claims at this moment.
    for row in connection.execute(query.order_by(runs.c.number).with_for_update(skip_locked=True)):
        together = row.cohort if row.checkpoint and not row.alone else None
        groups.setdefault(together or row.id, []).append(row.id)
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

    def create(self, new: Sequence[NewRun]) -> list[str]:
        """Create runs that this agent begins at once; return their ids."""
        mine = {"status": Status.RUNNING, "agent": self._agent}
        now = utc_now()
        rows = [replace(one, **mine).values(self._folder, now) for one in new]
        return [run for run, _ in self._writer.insert_runs(rows)]

    def put_ahead(self, new: Sequence[NewRun]) -> None:
        """Store points that a later claim, of any agent, makes runs of."""
        if new:
            rows = [one.values(self._folder, "") for one in new]
            self._connection.execute(
                points.insert(),
                [{"sweep_id": self._sweep_id, "run": json.dumps(row)} for row in rows],
            )

    def take_ready(self, n: int) -> list[str] | None:
        """Make runs of the next ``n`` points; return their ids, or None if there are fewer."""
        if n <= 0:
            return []
        mine = points.c.sweep_id == self._sweep_id
        query = select(points.c.id, points.c.run).where(mine).order_by(points.c.id).limit(n)
        found = self._connection.execute(query.with_for_update(skip_locked=True)).all()
        if len(found) < n:
            return None
        now = utc_now()
        began = {"status": str(Status.RUNNING), "agent": self._agent, "created": now}
        began |= {"started": now, "heartbeat": now}
        gone = delete(points).where(points.c.id == bindparam("gone"))
        self._connection.execute(gone, [{"gone": row.id} for row in found])
        rows = [{**json.loads(row.run), **began} for row in found]
        return [run for run, _ in self._writer.insert_runs(rows)]

    def finish(
        self,
        sweep: SweepRow,
        again: Sequence[Sequence[str]] = (),
        fresh: Sequence[str] = (),
        *,
        exhausted: bool = False,
    ) -> Claim:
        """Begin the next attempt of runs from the queue; return what this agent has claimed."""
        found = self.begin_again([run for group in again for run in group])
        found |= self._rows(fresh)
        open_ = (runs.c.sweep_id == self._sweep_id) & runs.c.status.in_(_OPEN)
        return Claim(
            sweep,
            [[found[run] for run in group] for group in again],
            [found[run] for run in fresh],
            exhausted,
            self._connection.execute(select(func.count()).where(open_)).scalar_one(),
        )

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
        columns = (*(runs.c[name] for name in LISTED), runs.c.last)
        query = select(*columns).where(among(runs.c.id, run_ids)).order_by(runs.c.number)
        rows = self._connection.execute(query).all()
        return {run.id: run for run in read_rows((*LISTED, "last"), rows, self._folder)}
