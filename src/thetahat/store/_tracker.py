"""A tracker that keeps runs in a store: a function of the events that training sends."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from thetahat.core.run import Ended, Event, Logged, Started
from thetahat.store._provenance import provenance
from thetahat.store._records import Block, pack
from thetahat.store._rows import NewRun
from thetahat.store._store import Store
from thetahat.store._writer import Writer

FLUSH_S = 0.5
"""Records wait at most this long for the next event before they are written."""

AGAIN_S = 10.0
"""Seconds until what could not be written is tried again; an end is tried at once."""


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


@dataclass
class _Member:
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
        self._members: dict[int, _Member] = {}
        self._starting: list[Started] = []
        self._waiting: list[tuple[int, Block]] = []
        self._written = -FLUSH_S

    def __call__(self, event: Event) -> None:
        """Take in one event; most calls only remember it."""
        if isinstance(event, Started):
            self._starting.append(event)
            if not self._members:
                # A store that cannot be written must say so before anything has run.
                self.flush()
        elif isinstance(event, Logged):
            if event.columns and len(next(iter(event.columns.values()))):
                self._waiting.append((event.member, pack(event.columns)))
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
        if not (self._starting or self._waiting or ended):
            return
        self._written = self._clock() + AGAIN_S - FLUSH_S  # where it fails
        with self.store.batch() as writer:
            begun = {event.member: self._begin(writer, event) for event in self._starting}
            members = {**self._members, **begun}
            self._write(writer, members)
            if ended is not None:
                _end(writer, members[ended.member].run_id, ended)
        # Only now: what failed to be written still waits.
        self._members = members
        for member in {member for member, _ in self._waiting}:
            members[member].resumed = False
        self._starting, self._waiting = [], []
        self._written = self._clock()

    def _member(self, member: int) -> _Member:
        if self._starting:
            self.flush()
        return self._members[member]

    def _begin(self, writer: Writer, event: Started) -> _Member:
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
                return _Member(run_id, name, resumed=True)
        new = NewRun(
            config=event.config,
            max_epochs=event.epochs,
            n_params=event.n_params,
            provenance={**self._process, **event.provenance},
            checkpoint=event.checkpoint,
            member=event.member,
            **self._facts,
        )
        return _Member(*writer.create_run(new))

    def _write(self, writer: Writer, members: dict[int, _Member]) -> None:
        first: dict[int, int] = {}
        for member, block in self._waiting:
            first[member] = min(block.first, first.get(member, block.first))
        for member, start in first.items():
            if members[member].resumed:
                writer.drop_records(members[member].run_id, start)
        writer.log_blocks((members[member].run_id, block) for member, block in self._waiting)


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
