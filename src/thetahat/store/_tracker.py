"""A tracker that keeps runs in a store: a function of the events that training sends."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from thetahat.core.errors import StoreError
from thetahat.core.provenance import provenance
from thetahat.core.run import Ended, Event, Logged, Started, Status
from thetahat.store._blocks import Block, pack
from thetahat.store._exit_code import at_exit
from thetahat.store._owner_lock import Owner
from thetahat.store._reserved_space import Reserve
from thetahat.store._rows import NewRun
from thetahat.store._sqlite import found_no_room
from thetahat.store._store import Store
from thetahat.store._writer import Writer

FLUSH_S = 0.5
"""Records wait at most this long for the next event before they are written."""

AGAIN_S = 10.0
"""Seconds until what could not be written is tried again; an end is tried at once."""

END_AGAIN_S, EXIT_S = 1.0, 10.0
"""Seconds until an end that could not be written whole is tried again; and those that a program
which ends waits for it to succeed."""


def store_tracker(
    store: Store,
    *,
    name: str | None = None,
    experiment: str | None = None,
    source: str | None = None,
    command: str | None = None,
    cohort: str | None = None,
    project: str | None = None,
    agent: str | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> StoreTracker:
    """A tracker that writes a cohort's runs to ``store``.

    A run that goes on from a checkpoint goes on in its row, as the next attempt: the records after
    the checkpoint's epoch, which come again, are dropped first.

    Args:
        name: of the run (a cohort's get numbers behind it); memorable ones by default.
        experiment: dotted name of the experiment; ``source``: its file.
        command: the command line; ``cohort``: an id that the runs of one program share.
    Raises:  StoreError (from a call): the disk is full, the store is locked or read-only.
    """
    facts = {
        "name": name,
        "experiment": experiment,
        "source": source,
        "command": command,
        "cohort": cohort,
        "project": project,
        "agent": agent,
    }
    return StoreTracker(store, facts, clock)


@dataclass(frozen=True)
class Unkept:
    """What a run's row lacks in the store."""

    member: int
    name: str | None
    """None for a run that is not even there."""
    lost: int
    """Records that are not in the store."""
    of: int
    marked: bool
    """Whether the run's row says so."""
    why: str

    @property
    def reason(self) -> str:
        """The reason of a run that lacks them."""
        if not self.lost:
            return f"its end could not be kept: {self.why}"
        return f"{self.lost:,} of {self.of:,} records could not be kept: {self.why}"


@dataclass
class _TrackedRun:
    """What the tracker knows of one run of the cohort."""

    run_id: str
    name: str
    resumed: bool = False
    """Whether records still have to make room for those that come again."""


class StoreTracker:
    """Keeps the runs of one cohort in a store; made by ``store_tracker``.

    Events wait until half a second has passed or a run ends, and are then written in one
    transaction, so that keeping records costs training nearly nothing.
    """

    def __init__(
        self, store: Store, facts: dict[str, Any], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.store = store
        self._facts = facts
        self._process = provenance(facts.get("source"))
        self._clock = clock
        self._members: dict[int, _TrackedRun] = {}
        self._starting: list[Started] = []
        self._waiting: list[tuple[int, Block]] = []
        self._ends: dict[int, Ended] = {}
        """Of runs that have ended, and of which not all is in the store."""
        self._marked: set[int] = set()
        """Those of them whose row says how they ended, and that records are missing."""
        self._over: set[int] = set()
        """Runs that have ended, and of which all is in the store: they may be told of again."""
        self._told: Counter[int] = Counter()
        self._written = -FLUSH_S
        self._why = ""
        self._reserve, self._owner = Reserve(store.folder), Owner(store.folder)
        self._lock = threading.RLock()
        self._kept = threading.Event()
        self._late: threading.Thread | None = None
        self._forget: Callable[[], None] = lambda: None

    def __call__(self, event: Event) -> None:
        """Take in one event; most calls only remember it."""
        if isinstance(event, Started):
            self._starting.append(event)
            if not self._members:
                # A store that cannot be written must say so before anything has run.
                self.flush()
        elif isinstance(event, Logged):
            if event.columns and (n := len(next(iter(event.columns.values())))):
                with self._lock:
                    self._waiting.append((event.member, pack(event.columns)))
                    self._told[event.member] += n
            if self._clock() - self._written >= FLUSH_S:
                self.flush()
        else:
            self.flush(event)

    def run_id(self, member: int = 0) -> str:
        """The id of the cohort's run at a position."""
        return self._member(member).run_id

    def run_name(self, member: int = 0) -> str:
        """The name of the cohort's run at a position."""
        return self._member(member).name

    def flush(self, ended: Ended | None = None) -> None:
        """Write what waits, now. Call it before a checkpoint that counts on its records."""
        with self._lock:
            if ended is not None and ended.member not in self._over:
                self._ends[ended.member] = ended
            if not (self._starting or self._waiting or self._ends):
                return
            self._written = self._clock() + AGAIN_S - FLUSH_S  # where it fails
            try:
                self._flush()
            except StoreError as error:
                if self._ends:
                    self._flush_ends(error)
                raise

    def settle(self, patience_s: float = EXIT_S) -> list[Unkept]:
        """Wait until all is in the store, at most so long; what is not.

        A run that ended on a full disk is ``failed`` in the store, with what it lacks as its
        reason. This goes on trying, until there is room, as long as the process lives.
        Who asks says what is lost; otherwise the process says it when it ends, and fails.
        """
        self._forget()
        return self._settle(patience_s)

    def _settle(self, patience_s: float) -> list[Unkept]:
        if self._late is not None:
            self._kept.wait(patience_s)
        with self._lock:
            return [self._unkept(member) for member in self._ends]

    def _flush(self) -> None:
        """Write all that waits, in one transaction."""
        if self._starting:
            self._reserve.take(len(self._starting) + len(self._members))
            self.store.settle_gone()
        with self.store.batch() as writer:
            members = self._begun(writer)
            self._write(writer, members)
            for end in self._ends.values():
                _end(writer, members[end.member].run_id, end)
        # Only now: what failed to be written still waits.
        self._members = members
        for member in {member for member, _ in self._waiting}:
            members[member].resumed = False
        self._starting, self._waiting = [], []
        self._over |= set(self._ends)
        self._ends, self._marked = {}, set()
        if self._over == set(members):
            self._owner.release()
            self._reserve.done()
        self._written = self._clock()

    def _flush_ends(self, error: StoreError) -> None:
        """Write how runs ended without their records, where there is no room for those."""
        self._why = "the disk is full" if found_no_room(error) else str(error)
        # From here on the space is better used.
        self._reserve.release()
        with contextlib.suppress(StoreError), self.store.batch() as writer:
            members = self._begun(writer)
            for member, end in self._ends.items():
                _end(writer, members[member].run_id, self._marked_end(end))
            self._members, self._starting = members, []
            self._marked = set(self._ends)
        if self._late is None:
            self._kept.clear()
            self._late = threading.Thread(target=self._try_on, name="store-late", daemon=True)
            self._late.start()
            self._forget()
            self._forget = at_exit(self._say_at_exit)

    def _try_on(self) -> None:
        """Write what waits as soon as there is room for it."""
        while True:
            time.sleep(END_AGAIN_S)
            with self._lock, contextlib.suppress(StoreError):
                if self._ends:
                    self._flush()
            with self._lock:
                if not self._ends:
                    self._late = None
                    self._kept.set()
                    return

    def _say_at_exit(self) -> str:
        """What a program that ends has to say: the lines of what is lost with it."""
        where = f"the store {self.store.path}"
        return "\n".join(f"{where}: {said(one)}" for one in self._settle(EXIT_S))

    def _begun(self, writer: Writer) -> dict[int, _TrackedRun]:
        if not self._starting:
            return self._members
        begun = {event.member: self._begin(writer, event) for event in self._starting}
        members = {**self._members, **begun}
        self._owner.hold(member.run_id for member in members.values())
        return members

    def _unkept(self, member: int) -> Unkept:
        lost = sum(block.count for of, block in self._waiting if of == member)
        known = self._members.get(member)
        name = None if known is None else known.name
        marked = member in self._marked
        return Unkept(member, name, lost, max(lost, self._told[member]), marked, self._why)

    def _marked_end(self, end: Ended) -> Ended:
        reason = self._unkept(end.member).reason
        if end.status in (Status.FINISHED, Status.STOPPED):
            return replace(end, status=Status.FAILED, reason=reason)
        return replace(end, reason=f"{end.reason}; {reason}" if end.reason else reason)

    def _member(self, member: int) -> _TrackedRun:
        if self._starting and member not in self._members:
            self.flush()
        return self._members[member]

    def _begin(self, writer: Writer, event: Started) -> _TrackedRun:
        if event.resumed is not None and event.checkpoint:
            found = writer.find_run(event.checkpoint, event.member)
            if found is not None:
                run_id, name = found
                writer.continue_run(
                    run_id,
                    epochs=event.resumed,
                    max_epochs=event.epochs,
                    provenance={**self._process, **event.provenance},
                    command=self._facts["command"],
                )
                return _TrackedRun(run_id, name, resumed=True)
        new = NewRun(
            config=event.config,
            max_epochs=event.epochs,
            n_params=event.n_params,
            provenance={**self._process, **event.provenance},
            checkpoint=event.checkpoint,
            member=event.member,
            **self._facts,
        )
        return _TrackedRun(*writer.create_run(new))

    def _write(self, writer: Writer, members: dict[int, _TrackedRun]) -> None:
        first: dict[int, int] = {}
        for member, block in self._waiting:
            first[member] = min(block.first, first.get(member, block.first))
        for member, start in first.items():
            if members[member].resumed:
                writer.drop_records(members[member].run_id, start)
        writer.log_blocks((members[member].run_id, block) for member, block in self._waiting)


def said(one: Unkept) -> str:
    """What was lost of a run, how the store has it, and how to repair it."""
    run = "a run that could not be begun there" if one.name is None else f"the run {one.name}"
    has = "the store has it as failed" if one.marked else "the store does not say how it ended"
    return f"of {run}, {one.reason}; {has}. Free some space, and run it again"


def _end(writer: Writer, run_id: str, event: Ended) -> None:
    writer.finish_run(
        run_id,
        status=event.status,
        reason=event.reason,
        epochs=event.epochs,
        metrics=event.metrics,
        seconds=event.seconds,
        detail=event.detail,
    )
    for line in event.detail.get("notices", ()):
        writer.note(run_id, str(line))
