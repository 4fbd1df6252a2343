"""The queue of one sweep's runs: one agent at a time claims a run, and no run is lost or run twice.

Every step is one transaction that holds the write lock. The runs of a dead agent stay ``running``
until another agent returns them to the queue, from which they are claimed first.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import select, update

from thetahat.core.places import Server
from thetahat.core.run import Status
from thetahat.store._claims import (
    RETURNED,
    Claim,
    Claiming,
    Offer,
    Propose,
    SweepReader,
    SweepState,
    claim_of_points,
    count_runs_and_points,
    waiting_groups,
)
from thetahat.store._postgres_claims import CHANGED, FEW, claim_points
from thetahat.store._rows import NewRun, RunRow, new_id, text, utc_now
from thetahat.store._run_writer import SUMMARY, WORK
from thetahat.store._schema import agents, runs, sweeps
from thetahat.store._sql import among, plain_rows
from thetahat.store._store import Store
from thetahat.store._sweeps import CANCELLED, FINISHED, RUNNING, SweepRow
from thetahat.store._writer import Writer

CANCELLED_REASON = "the sweep was cancelled"
FINISHED_REASON = "the sweep was finished"
_HELD = (
    # SQLite would look through all running runs of the store if asked for their status.
    f"SELECT id, status, {SUMMARY} FROM runs WHERE agent = :agent"
    " AND id IN (SELECT value FROM json_each(:ids)) ORDER BY id"
)
AHEAD = 256
"""Points that a search creates ahead, if they follow from their numbers alone.

When none is left, all agents of the sweep ask the search, and one creates the next: with 64 a third
of the work of eight agents' claims was that.
"""


class Queue:
    """One sweep's runs, for one agent.

    Args:    cap: limit of runs over all agents; None for no limit.
             ahead: number of points to create ahead of the claims; 0 for a search that looks at
             results or at earlier points.
    """

    def __init__(
        self, store: Store, sweep_id: str, agent: str, cap: int | None = None, ahead: int = 0
    ) -> None:
        self.store, self.sweep_id, self.agent = store, sweep_id, agent
        self.cap, self.ahead = cap, ahead
        self._asked: tuple[str, Any] | None = None
        """The file and the plan with which the search was asked last."""
        self._within: tuple[str, Any, int] | None = None
        """The file, the plan and the cap within which runs and points together are known to be."""
        self._reader = SweepReader(sweep_id)

    def claim(self, n: int, propose: Propose, most: int | None = None) -> Claim:
        """Claim up to ``n`` runs: those in the queue first, then new ones.

        A cohort in the queue is claimed whole, even if it has more than ``n`` runs, but at most
        ``most`` of it.

        ``propose`` is called outside the transaction, so that a slow search blocks no other agent.
        If another agent has claimed runs meanwhile it is called again, the last time inside.
        """
        for turn in range(3):
            # Another agent may have created points since the last turn.
            claim = self._claim_at_hand(n, most)
            if claim is None:
                seen = self._look()
                offer = self._ask(propose, seen, n)
                if turn == 0 and offer is not None and seen.ready >= n and not seen.waiting:
                    continue  # it has: a claim of these needs no lock for itself
                with self.store.batch() as writer:
                    now = self._reader.state(writer.connection)
                    claim = self._take(writer, n, most, seen, now, offer)
            if claim is not None:
                return claim
        with self.store.batch() as writer:
            now = self._reader.state(writer.connection)
            claim = self._take(writer, n, most, now, now, self._ask(propose, now, n))
        assert claim is not None, "inside the transaction nothing changes meanwhile"
        return claim

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

    def return_unknown(self, known: Collection[str]) -> None:
        """Return runs of this agent to the queue that it does not know of, as never begun.

        A server may commit a claim and be gone before it answers.
        """
        with self.store.batch() as writer:
            held = (runs.c.sweep_id == self.sweep_id) & (runs.c.agent == self.agent)
            query = select(runs.c.id).where(held & (runs.c.status == str(Status.RUNNING)))
            unknown = set(writer.connection.execute(query).scalars()) - set(known)
            if unknown:
                self._uncount(writer, unknown)
                mine = held & among(runs.c.id, sorted(unknown))
                self._hand_back(writer, mine, reason="the answer to its claim was lost")

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
        writer.forget(run_ids)
        mine = (runs.c.agent == self.agent) & among(runs.c.id, run_ids)
        values: dict[str, Any] = {"failures": runs.c.failures + int(failed)}
        if afresh:
            cleared = dict.fromkeys(("cohort", "member", "checkpoint", "started"))
            values |= {**cleared, "epochs": 0}
        if alone:
            values["alone"] = True
        if keep and _state(writer, self.sweep_id) not in (CANCELLED, FINISHED):
            writer.connection.execute(update(runs).where(mine).values(values))
            return list(self._claiming(writer).begin_again(run_ids).values())
        self._hand_back(writer, mine, reason=reason, **values)
        return []

    def end_waiting(self, reason: str) -> None:
        """Cancel the runs that wait in the queue."""
        waits = (runs.c.sweep_id == self.sweep_id) & (runs.c.status == str(Status.QUEUED))
        ended = {"status": str(Status.CANCELLED), "reason": text(reason), "finished": utc_now()}
        with self.store.batch() as writer:
            writer.connection.execute(update(runs).where(waits).values(ended))
            writer.told = WORK

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
        # PostgreSQL locks them, one after the other: no other agent takes them meanwhile.
        query = f"{_HELD}{writer.for_update}"
        ids = json.dumps(list(run_ids))
        held = plain_rows(writer.connection, query, agent=self.agent, ids=ids)
        writer.know((run, *summary) for run, _, *summary in held)
        return {run for run, status, *_ in held if status == Status.RUNNING}

    def look(self) -> SweepRow:
        """Return the sweep's row."""
        with self.store.reading() as connection:
            return self._reader.read(connection)

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
        with self.store.batch(beside=True) as writer:
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

    def ended(self, ids: Collection[str], host: str) -> list[str]:
        """Return those of some agents, of any sweep, that have ended and were on this host."""
        query = select(agents.c.id).where(
            among(agents.c.id, ids) & (agents.c.host == text(host)) & agents.c.ended.is_not(None)
        )
        return [row["id"] for row in self.store.read(query)]

    def _look(self) -> SweepState:
        with self.store.reading() as connection:
            return self._reader.state(connection)

    def _within_cap(self, begun: int, n: int) -> int:
        return n if self.cap is None else max(0, min(n, self.cap - begun))

    def _claim_at_hand(self, n: int, most: int | None) -> Claim | None:
        """Claim without the search; None if it must be asked."""
        if not self.ahead or self._asked is None:
            return None
        found = self._claim_points(n)
        if isinstance(found, Claim):
            return found
        return None if found == FEW else self._claim_ready(n, most)

    def _claim_points(self, n: int) -> Claim | str:
        """Claim points created ahead by one question to PostgreSQL, or say why it cannot."""
        known = self._reader.known()
        if known is None or n <= 0 or not isinstance(self.store.path, Server):
            return CHANGED
        text_, plan, sweep = known
        asked = sweep.state == RUNNING and (sweep.text, sweep.plan) == self._asked
        capped = self.cap is not None and self._within != (sweep.text, sweep.plan, self.cap)
        if not asked or capped:
            return CHANGED
        given = (self.sweep_id, text_, plan, self.agent, utc_now())
        with self.store.question() as connection:
            rows = claim_points(connection, RETURNED, given, [new_id() for _ in range(n)])
        return rows if isinstance(rows, str) else claim_of_points(sweep, rows, self.store.folder)

    def _claim_ready(self, n: int, most: int | None) -> Claim | None:
        """Claim runs of the queue and points created ahead; None if these are too few.

        None also for a file or a plan for which the search was not asked yet.
        """
        with self.store.batch(beside=True) as writer:
            sweep, waiting = self._reader.look(writer.connection)
            if sweep.state != RUNNING or (sweep.text, sweep.plan) != self._asked:
                return None
            if not self._is_within(writer, sweep):
                return None  # the cap has fallen since: only alone can it be kept
            claiming = self._claiming(writer)
            again: list[list[str]] | None = []
            if waiting:
                again = waiting_groups(writer, self.sweep_id, n, most, whole=False)
            if again is None:
                return None
            fresh = claiming.take_ready(n - sum(map(len, again)))
            if fresh is None or not (again or fresh):
                return None
            return claiming.finish(sweep, again, fresh, count=False)

    def _is_within(self, writer: Writer, sweep: SweepRow) -> bool:
        """Whether the runs and points of the sweep are within the cap.

        Claims of points do not change their number, and points are created within the cap: once
        known, this holds until the file, the plan or the cap changes.
        """
        if self.cap is None:
            return True
        given = sweep.text, sweep.plan, self.cap
        if self._within != given:
            begun, _, ready = count_runs_and_points(writer.connection, self.sweep_id)
            self._within = given if begun + ready <= self.cap else None
        return self._within is not None

    def _ask(self, propose: Propose, seen: SweepState, n: int) -> Offer | None:
        """Ask the search for the runs that a claim lacks; None if the queue has enough."""
        if seen.sweep.state != RUNNING or seen.waiting >= n:
            return None
        lacking = max(0, n - seen.waiting - seen.ready)
        at = seen.begun + seen.ready
        self._asked = (seen.sweep.text, seen.sweep.plan)
        ahead = self.ahead
        offer = propose(seen.sweep, at, self._within_cap(at, lacking and lacking + ahead))
        if self.ahead == ahead:
            return offer
        # A new file has made it another search, which creates fewer points ahead or none.
        return propose(seen.sweep, at, self._within_cap(at, lacking and lacking + self.ahead))

    def _take(
        self,
        writer: Writer,
        n: int,
        most: int | None,
        seen: SweepState,
        now: SweepState,
        offer: Offer | None,
    ) -> Claim | None:
        """Claim what there is now, and of the offer what is lacking; None if the offer is void.

        Args:    seen: the state for which the search made its offer.
        """
        claiming, sweep = self._claiming(writer), now.sweep
        if sweep.state != RUNNING:
            return claiming.finish(sweep)
        again = waiting_groups(writer, self.sweep_id, n, most) or []
        returned = sum(map(len, again))
        # A cohort that is too large for the rest of a claim leaves it with fewer runs.
        if returned >= n or (again and now.waiting >= n):
            return claiming.finish(sweep, again)
        if offer is None or now.search != seen.search or returned > seen.waiting:
            return None
        left = self._within_cap(now.begun, n - returned)
        fresh = claiming.take_ready(min(left, now.ready)) or []
        created, ahead = self._split(offer, now, left - len(fresh))
        fresh += claiming.create(created)
        claiming.put_ahead(ahead)
        moved = update(sweeps).where(sweeps.c.id == self.sweep_id)
        writer.connection.execute(moved.values(position=offer.position))
        capped = self.cap is not None and now.begun + len(fresh) >= self.cap
        unclaimed = now.ready + len(offer.configs) - len(fresh)
        exhausted = capped or (offer.exhausted and unclaimed == 0)
        return claiming.finish(sweep, again, fresh, exhausted=exhausted)

    def _split(
        self, offer: Offer, now: SweepState, n: int
    ) -> tuple[Sequence[NewRun], Sequence[NewRun]]:
        """Split an offer into the runs to begin now and the points to create ahead.

        A search proposes all replicates of a setting; those beyond are proposed again.
        """
        room = self._within_cap(now.begun + now.ready, len(offer.configs))
        return offer.configs[: min(n, room)], offer.configs[n:room] if self.ahead else []

    def _claiming(self, writer: Writer) -> Claiming:
        return Claiming(writer, self.store.folder, self.sweep_id, self.agent)

    def finish(self, seen: SweepRow) -> str:
        """Finish the sweep unless its file has changed since it was ``seen``; return its state."""
        with self.store.batch() as writer:
            now = self._reader.read(writer.connection)
            if now.state != RUNNING or (now.text, now.plan) != (seen.text, seen.plan):
                return now.state
            over = update(sweeps).where(sweeps.c.id == self.sweep_id)
            writer.connection.execute(over.values(state=FINISHED, reason="", finished=utc_now()))
            writer.told = WORK
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
        writer.told = WORK
        return writer.connection.execute(
            update(runs).where(which & running).values(values)
        ).rowcount


def _state(writer: Writer, sweep_id: str) -> str:
    state = select(sweeps.c.state).where(sweeps.c.id == sweep_id)
    return str(writer.connection.execute(state).scalar())


def new_agent_id() -> str:
    """Return an id for an agent."""
    return new_id()
