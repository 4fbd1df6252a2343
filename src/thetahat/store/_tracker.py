"""A tracker that writes runs to a store: a function of the events of training."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from thetahat.core.arguments import arguments_named
from thetahat.core.errors import ConfigError, StoreError
from thetahat.core.exit_code import at_exit
from thetahat.core.provenance import provenance
from thetahat.core.run import Ended, Event, Logged, Started, Status
from thetahat.store._blocks import Block, pack
from thetahat.store._owner_lock import Owner
from thetahat.store._reserved_space import Reserve
from thetahat.store._rows import NewRun
from thetahat.store._sqlite import found_no_room
from thetahat.store._store import Store
from thetahat.store._writer import Writer

FLUSH_S = 0.5
"""Records wait at most this long for the next event before they are written."""

AGAIN_S = 10.0
"""Seconds until a failed write is tried again; the end of a run is tried at once."""

END_AGAIN_S, EXIT_S = 1.0, 10.0
"""Seconds until the failed write of an end is tried again, and limit of the wait at exit."""


@arguments_named
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

    A run that continues from a checkpoint keeps its row, as the next attempt; its records after the
    checkpoint's epoch are deleted.

    Args:
        name: of the run (a cohort's get numbers behind it); memorable ones by default.
        experiment: dotted name of the experiment; ``source``: its file.
        command: the command line; ``cohort``: an id that the runs of one program share.
    Raises:  ConfigError: something else than a store.
             StoreError (from a call): the disk is full, the store is locked or read-only.
    """
    if not isinstance(store, Store):
        given = "a path" if isinstance(store, (str, os.PathLike)) else f"a {type(store).__name__}"
        raise ConfigError(
            f"store_tracker takes an open store; got {given}: th.open_store opens one"
        )
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
    """What could not be stored of a run."""

    member: int
    name: str | None
    """None if the run itself could not be stored."""
    lost: int
    """Number of records that are not in the store."""
    of: int
    marked: bool
    """Whether the run's row says so."""
    why: str

    @property
    def reason(self) -> str:
        """The reason for the row of the run."""
        if not self.lost:
            return f"its end could not be kept: {self.why}"
        return f"{self.lost:,} of {self.of:,} records could not be kept: {self.why}"


@dataclass
class _TrackedRun:
    """One run of the cohort."""

    run_id: str
    name: str
    resumed: bool = False
    """Whether records after the checkpoint still have to be deleted."""


class StoreTracker:
    """Writes the runs of one cohort to a store; made by ``store_tracker``.

    Events wait for half a second or the end of a run, and are then written in one transaction, so
    that training is hardly slower.
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
        """Of runs that have ended but are not completely stored."""
        self._marked: set[int] = set()
        """Those of them whose row has the end, with missing records as the reason."""
        self._over: set[int] = set()
        """Runs that have ended and are stored; their end may be sent again."""
        self._told: Counter[int] = Counter()
        self._written = -FLUSH_S
        self._why = ""
        self._reserve, self._owner = Reserve(store.folder), Owner(store.folder)
        self._lock = threading.RLock()
        self._kept = threading.Event()
        self._late: threading.Thread | None = None
        self._forget: Callable[[], None] = lambda: None

    def __call__(self, event: Event) -> None:
        """Take one event; most calls only buffer it."""
        match event:
            case Started():
                self._starting.append(event)
                if not self._members:
                    # Fail before training if the store cannot be written.
                    self.flush()
            case Logged(columns=columns):
                if columns and (n := len(next(iter(columns.values())))):
                    with self._lock:
                        self._waiting.append((event.member, pack(columns)))
                        self._told[event.member] += n
                if self._clock() - self._written >= FLUSH_S:
                    self.flush()
            case Ended():
                self.flush(event)

    def run_id(self, member: int = 0) -> str:
        """Return the id of a member's run."""
        return self._member(member).run_id

    def run_name(self, member: int = 0) -> str:
        """Return the name of a member's run."""
        return self._member(member).name

    def flush(self, ended: Ended | None = None) -> None:
        """Write the buffered events now; a checkpoint needs its records in the store."""
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
        """Wait until all is stored, at most ``patience_s``; return what is not.

        A run that ended on a full disk is ``failed``, and the reason counts the lost records.
        Writing is tried again until the process ends. After this call the caller reports what
        is lost; otherwise the process reports it when it ends, and fails.
        """
        self._forget()
        return self._settle(patience_s)

    def _settle(self, patience_s: float) -> list[Unkept]:
        if self._late is not None:
            self._kept.wait(patience_s)
        with self._lock:
            return [self._unkept(member) for member in self._ends]

    def _flush(self) -> None:
        """Write all buffered events in one transaction."""
        if self._starting:
            self._reserve.take(len(self._starting) + len(self._members))
            self.store.settle_gone()
        # Runs that begin get numbers and names.
        with self.store.batch(beside=not self._starting) as writer:
            members = self._begun(writer)
            self._write(writer, members)
            for end in self._ends.values():
                writer.end_run(members[end.member].run_id, end)
        # Only now: after an error the events stay in the buffer.
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
        """Write how runs ended, without their records, for which the disk has no space."""
        self._why = "the disk is full" if found_no_room(error) else str(error)
        # The ends use the reserved space.
        self._reserve.release()
        with contextlib.suppress(StoreError), self.store.batch() as writer:
            members = self._begun(writer)
            for member, end in self._ends.items():
                writer.end_run(members[member].run_id, self._marked_end(end))
            self._members, self._starting = members, []
            self._marked = set(self._ends)
        if self._late is None:
            self._kept.clear()
            self._late = threading.Thread(target=self._try_on, name="store-late", daemon=True)
            self._late.start()
            self._forget()
            self._forget = at_exit(self._describe_losses)

    def _try_on(self) -> None:
        """Write the buffered events as soon as the disk has space."""
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

    def _describe_losses(self) -> str:
        """Describe what is lost when the program ends now."""
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
                    max_epochs=event.epochs or 0,
                    provenance={**self._process, **event.provenance},
                    command=self._facts["command"],
                )
                return _TrackedRun(run_id, name, resumed=True)
        name = self._facts["name"]
        new = NewRun(
            config=event.config or {},
            max_epochs=event.epochs,
            n_params=event.n_params,
            provenance={**self._process, **event.provenance},
            checkpoint=event.checkpoint,
            member=event.member,
            **{**self._facts, "name": name and f"{name}-{event.part}" if event.part else name},
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
    """Describe what was lost of a run, its row in the store, and the fix."""
    run = "a run that could not be stored" if one.name is None else f"the run {one.name}"
    has = "the store has it as failed" if one.marked else "the store does not say how it ended"
    return f"of {run}, {one.reason}; {has}. Free some space, and run it again"
