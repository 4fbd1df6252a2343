"""The queue of one sweep's runs: one agent at a time claims a run, and no run is lost or run twice.

Every step is one transaction that holds the write lock. The runs of a dead agent stay ``running``
until another agent returns them to the queue, from which they are claimed first.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Integer, delete, func, select, update

from thetahat.core.run import Status
from thetahat.store._rows import LISTED, NewRun, RunRow, among, new_id, read_rows, text, utc_now
from thetahat.store._schema import agents, files, records, runs, sweeps, tables
from thetahat.store._store import Store
from thetahat.store._sweeps import CANCELLED, FINISHED, RUNNING, SweepRow, read_sweep_row
from thetahat.store._writer import Writer

CANCELLED_REASON = "the sweep was cancelled"
FINISHED_REASON = "the sweep was finished"


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
"""(sweep, number of runs begun, number of runs wanted) -> new runs."""


@dataclass(frozen=True)
class _SweepState:
    """A sweep, the number of its runs, and how many of them wait."""

    sweep: SweepRow
    begun: int
    waiting: int


class Queue:
    """One sweep's runs, for one agent.

    Args:    cap: limit of runs over all agents; None for no limit.
    """

    def __init__(self, store: Store, sweep_id: str, agent: str, cap: int | None = None) -> None:
        self.store, self.sweep_id, self.agent, self.cap = store, sweep_id, agent, cap

    def claim(self, n: int, propose: Propose, most: int | None = None) -> Claim:
        """Claim up to ``n`` runs: those in the queue first, then new ones.

        A cohort in the queue is claimed whole, even if it has more than ``n`` runs, but at most
        ``most`` of it.

        ``propose`` is called outside the transaction, so that a slow search blocks no other agent.
        If another agent has claimed runs meanwhile it is called again, the last time inside.
        """
        for attempt in range(4):
            seen, offer = self._look(), None
            if attempt < 3 and seen.sweep.state == RUNNING and seen.waiting < n:
                wanted = self._wanted(seen.begun, n - seen.waiting)
                offer = propose(seen.sweep, seen.begun, wanted)
            with self.store.batch() as writer:
                claim = self._take(writer, n, most, propose, seen, offer, attempt == 3)
            if claim is not None:
                return claim
        raise AssertionError("the last attempt proposes inside its transaction")

    def hand_back(
        self, run_ids: Sequence[str], reason: str = "", *, unbegun: Collection[str] = ()
    ) -> None:
        """Return runs of this agent to the queue, to continue from their checkpoints.

        Args:    unbegun: runs that were claimed only: this was no attempt.
        """
        with self.store.batch() as writer:
            mine = (runs.c.agent == self.agent) & among(runs.c.id, run_ids)
            self._uncount(writer, unbegun)
            self._hand_back(writer, mine, reason=reason)

    def give_up(
        self,
        writer: Writer,
        run_ids: Sequence[str],
        *,
        reason: str,
        alone: bool = False,
        failed: bool = False,
        afresh: bool = True,
        keep: bool = False,
    ) -> list[RunRow]:
        """Retry runs; return those that this agent keeps.

        Args:
            alone: each in its own process.   failed: count a failure of the runs.
            afresh: from the beginning, and not from their checkpoints.
            keep: this agent keeps them unless the sweep is over, others may not claim them.
        """
        mine = (runs.c.agent == self.agent) & among(runs.c.id, run_ids)
        values: dict[str, Any] = {"failures": runs.c.failures + int(failed)}
        if afresh:
            cleared = dict.fromkeys(("cohort", "member", "checkpoint", "started"))
            values |= {**cleared, "epochs": 0}
        if alone:
            values["alone"] = True
        if keep and _state(writer, self.sweep_id) not in (CANCELLED, FINISHED):
            writer.connection.execute(update(runs).where(mine).values(values))
            return list(self._begun_again(writer, run_ids).values())
        self._hand_back(writer, mine, reason=reason, **values)
        return []

    def end_waiting(self, reason: str) -> None:
        """Cancel the runs that wait in the queue."""
        waits = (runs.c.sweep_id == self.sweep_id) & (runs.c.status == str(Status.QUEUED))
        ended = {"status": str(Status.CANCELLED), "reason": text(reason), "finished": utc_now()}
        with self.store.batch() as writer:
            writer.connection.execute(update(runs).where(waits).values(ended))

    def recover(self, dead: Sequence[str]) -> int:
        """Return the runs of dead agents to the queue; return their number."""
        with self.store.batch() as writer:
            now = utc_now()
            gone = among(agents.c.id, dead)
            writer.connection.execute(update(agents).where(gone).values(ended=now))
            mine = (runs.c.sweep_id == self.sweep_id) & among(runs.c.agent, dead)
            return self._hand_back(writer, mine, reason="its agent died")

    def still_mine(self, writer: Writer, run_ids: Sequence[str]) -> set[str]:
        """Return the runs that this agent still holds: others may have taken it for dead."""
        if not run_ids:
            return set()
        held = (runs.c.agent == self.agent) & (runs.c.status == str(Status.RUNNING))
        query = select(runs.c.id).where(held & among(runs.c.id, run_ids))
        return {row.id for row in writer.connection.execute(query)}

    def look(self) -> SweepRow:
        """Return the sweep's row."""
        return self._look().sweep

    def join(self, host: str, pid: int) -> None:
        """Add this agent to the sweep."""
        now = utc_now()
        row = {"id": self.agent, "sweep_id": self.sweep_id, "host": text(host), "pid": pid}
        with self.store.batch() as writer:
            writer.connection.execute(
                agents.insert(), {**row, "started": now, "heartbeat": now, "doing": ""}
            )

    def beat(self, doing: str = "") -> str | None:
        """Update this agent's heartbeat; return a request to it ("stop"), if any."""
        with self.store.batch() as writer:
            me = agents.c.id == self.agent
            values = {"heartbeat": utc_now(), "doing": text(doing), "ended": None}
            writer.connection.execute(update(agents).where(me).values(values))
            return writer.connection.execute(select(agents.c.asked).where(me)).scalar()

    def leave(self, *, unbegun: Collection[str] = ()) -> None:
        """End this agent, and return its runs to the queue, as ``hand_back``."""
        with self.store.batch() as writer:
            self._uncount(writer, unbegun)
            mine = (runs.c.sweep_id == self.sweep_id) & (runs.c.agent == self.agent)
            self._hand_back(writer, mine, reason="its agent left")
            me = update(agents).where(agents.c.id == self.agent)
            writer.connection.execute(me.values(ended=utc_now(), doing=""))

    def others(self) -> list[Mapping[str, Any]]:
        """Return the other agents of the sweep that have not ended."""
        query = select(agents).where(
            (agents.c.sweep_id == self.sweep_id)
            & agents.c.ended.is_(None)
            & (agents.c.id != self.agent)
        )
        return list(self.store.read(query))

    def _look(self) -> _SweepState:
        waits = func.sum((runs.c.status == str(Status.QUEUED)).cast(Integer))
        counts = select(func.count(), waits).where(runs.c.sweep_id == self.sweep_id)
        with self.store.reading() as connection:
            row = connection.execute(select(sweeps).where(sweeps.c.id == self.sweep_id))
            sweep = read_sweep_row(row.mappings().one())
            begun, waiting = connection.execute(counts).one()
        return _SweepState(sweep, int(begun), int(waiting or 0))

    def _wanted(self, begun: int, n: int) -> int:
        return n if self.cap is None else max(0, min(n, self.cap - begun))

    def _take(
        self,
        writer: Writer,
        n: int,
        most: int | None,
        propose: Propose,
        seen: _SweepState,
        offer: Offer | None,
        inside: bool,
    ) -> Claim | None:
        connection = writer.connection
        row = connection.execute(select(sweeps).where(sweeps.c.id == self.sweep_id))
        sweep = read_sweep_row(row.mappings().one())
        mine = runs.c.sweep_id == self.sweep_id
        count = select(func.count()).where(mine)
        if sweep.state != RUNNING:
            return self._claimed(writer, sweep, [], [], False)
        again = _waiting(connection, self.sweep_id, n, most)
        left = n - sum(len(group) for group in again)
        now_begun = connection.execute(count).scalar() or 0
        fresh: list[str] = []
        exhausted = False
        if left > 0:
            if inside:
                offer = propose(sweep, now_begun, self._wanted(now_begun, left))
            elif offer is None or now_begun != seen.begun or not _same_search(sweep, seen.sweep):
                return None
            elif left < n - seen.waiting:
                return None  # more runs came back to the queue meanwhile: they come first
            # A search proposes all replicates; those beyond the limit are proposed again.
            taken = offer.configs[: self._wanted(now_begun, min(left, len(offer.configs)))]
            fresh = [writer.create_run(new)[0] for new in taken]
            whole = len(fresh) == len(offer.configs)
            exhausted = (offer.exhausted and whole) or (
                self.cap is not None and now_begun + len(fresh) >= self.cap
            )
            moved = update(sweeps).where(sweeps.c.id == self.sweep_id)
            connection.execute(moved.values(position=offer.position))
        return self._claimed(writer, sweep, again, fresh, exhausted)

    def _claimed(
        self,
        writer: Writer,
        sweep: SweepRow,
        again: Sequence[Sequence[str]],
        fresh: Sequence[str],
        exhausted: bool,
    ) -> Claim:
        connection, now = writer.connection, utc_now()
        found = self._begun_again(writer, [run for group in again for run in group])
        if fresh:
            values = {"status": str(Status.RUNNING), "agent": self.agent, "heartbeat": now}
            which = among(runs.c.id, fresh)
            connection.execute(update(runs).where(which).values({**values, "started": now}))
            found |= _rows(writer, self.store.folder, fresh)
        open_ = (runs.c.sweep_id == self.sweep_id) & runs.c.status.in_(
            [str(Status.QUEUED), str(Status.RUNNING)]
        )
        return Claim(
            sweep,
            [[found[run] for run in group] for group in again],
            [found[run] for run in fresh],
            exhausted,
            connection.execute(select(func.count()).where(open_)).scalar() or 0,
        )

    def _begun_again(self, writer: Writer, run_ids: Sequence[str]) -> dict[str, RunRow]:
        """Begin the next attempt of runs for this agent."""
        if not run_ids:
            return {}
        now = utc_now()
        values = {"status": str(Status.RUNNING), "agent": self.agent, "heartbeat": now}
        values |= {"attempt": runs.c.attempt + 1, "reason": "", "finished": None}
        # A run that begins afresh has no start; one that goes on from a checkpoint keeps its own.
        values["started"] = func.coalesce(runs.c.started, now)
        which = among(runs.c.id, run_ids)
        writer.connection.execute(update(runs).where(which).values(values))
        # The next attempt logs all records again, also those up to its checkpoint.
        logged = select(records.c.run_id).distinct().where(among(records.c.run_id, run_ids))
        for (run,) in writer.connection.execute(logged).all():
            writer.drop_records(run, 0)
        for left in (tables, files):
            writer.connection.execute(delete(left).where(among(left.c.run_id, run_ids)))
        return _rows(writer, self.store.folder, run_ids)

    def finish(self, seen: SweepRow) -> str:
        """Finish the sweep unless its file has changed since it was ``seen``; return its state."""
        with self.store.batch() as writer:
            row = writer.connection.execute(select(sweeps).where(sweeps.c.id == self.sweep_id))
            now = read_sweep_row(row.mappings().one())
            if now.state != RUNNING or (now.text, now.plan) != (seen.text, seen.plan):
                return now.state
            over = update(sweeps).where(sweeps.c.id == self.sweep_id)
            writer.connection.execute(over.values(state=FINISHED, reason="", finished=utc_now()))
            return FINISHED

    def _uncount(self, writer: Writer, run_ids: Collection[str]) -> None:
        """Take back the attempt that a claim counted; the next claim counts it."""
        held = (runs.c.agent == self.agent) & (runs.c.status == str(Status.RUNNING))
        which = held & among(runs.c.id, sorted(run_ids))
        writer.connection.execute(update(runs).where(which).values(attempt=runs.c.attempt - 1))

    def _hand_back(self, writer: Writer, which: Any, *, reason: str, **more: Any) -> int:
        values = {"status": str(Status.QUEUED), "agent": None, "reason": text(reason), **more}
        over = {CANCELLED: CANCELLED_REASON, FINISHED: FINISHED_REASON}
        state = _state(writer, self.sweep_id)
        if state in over:
            # No agent will claim them.
            values |= {"status": str(Status.CANCELLED), "reason": over[state]}
            values["finished"] = utc_now()
        running = runs.c.status == str(Status.RUNNING)
        return writer.connection.execute(
            update(runs).where(which & running).values(values)
        ).rowcount


def _waiting(connection: Connection, sweep_id: str, n: int, most: int | None) -> list[list[str]]:
    """Return ids of runs that wait, by cohort: members of a cohort share a checkpoint."""
    waits = (runs.c.sweep_id == sweep_id) & (runs.c.status == str(Status.QUEUED))
    query = select(runs.c.id, runs.c.cohort, runs.c.checkpoint, runs.c.alone).where(waits)
    groups: dict[str, list[str]] = {}
    for row in connection.execute(query.order_by(runs.c.number)):
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


def _rows(writer: Writer, folder: Path, run_ids: Sequence[str]) -> dict[str, RunRow]:
    columns = (*(runs.c[name] for name in LISTED), runs.c.last)
    query = select(*columns).where(among(runs.c.id, run_ids)).order_by(runs.c.number)
    rows = writer.connection.execute(query).all()
    return {run.id: run for run in read_rows((*LISTED, "last"), rows, folder)}


def _state(writer: Writer, sweep_id: str) -> str:
    state = select(sweeps.c.state).where(sweeps.c.id == sweep_id)
    return str(writer.connection.execute(state).scalar())


def _same_search(one: SweepRow, two: SweepRow) -> bool:
    """Whether position, file and plan of a sweep are unchanged."""
    return (one.position, one.text, one.plan) == (two.position, two.text, two.plan)


def new_agent_id() -> str:
    """Return an id for an agent."""
    return new_id()
