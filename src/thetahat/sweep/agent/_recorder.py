"""Write an agent's events to the store, in one place; after a crash, retry or fail its runs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from thetahat.core.run import Ended, Logged, Started, Status
from thetahat.store import CANCELLED_REASON, Queue, RunRow, Store, Writer, describe_run, pack
from thetahat.sweep._events import Crashed, Described, Noted, RunEvent


@dataclass
class Written:
    """What became of events that were written."""

    lost: set[str] = field(default_factory=set)
    """Runs that another agent took, because this one seemed dead."""
    retried: dict[str, str] = field(default_factory=dict)
    """Runs that failed and went back to the queue, and why."""
    ended: list[Ended] = field(default_factory=list)
    again: list[RunRow] = field(default_factory=list)
    """Retried runs that this agent keeps and starts again itself."""


class Recorder:
    """Writes events, many in one transaction, and only of runs that its agent still holds.

    Args:    retries: how often a failed run goes back to the queue.
             keep: whether retried runs stay with this agent, because it is to end a given number.
    """

    def __init__(self, store: Store, queue: Queue, retries: int, *, keep: bool) -> None:
        self.store, self.queue, self.retries, self.keep = store, queue, retries, keep
        self.runs: dict[str, RunRow] = {}
        """The runs that this agent holds."""
        self.unbegun: set[str] = set()
        """Those of which no event has come."""

    def hold(self, runs: Sequence[RunRow]) -> None:
        """Remember runs that were claimed."""
        self.runs |= {run.id: run for run in runs}
        self.unbegun |= {run.id for run in runs}

    def write(self, events: Sequence[RunEvent], metric: str | None) -> Written:
        """Write events in their order; records come before ends, whose metrics may need them.

        Args:    metric: what the sweep tunes.
        """
        written = Written()
        if not events:
            return written
        asked = {run for event in events for run in runs_of(event)}
        self.unbegun -= asked
        # A name is compared with those of other runs.
        named = any(isinstance(event, Described) and event.name for event in events)
        with self.store.batch(beside=not named) as writer:
            mine = self.queue.still_mine(writer, sorted(asked))
            written.lost |= asked - mine
            held = [event for event in events if mine.issuperset(runs_of(event))]
            # A crash may be of runs some of which are lost.
            crashes = [event for event in events if isinstance(event, Crashed)]
            for event in held:
                self._write(writer, event)
            for crash in crashes:
                self._crash(writer, crash, [run for run in crash.runs if run in mine], written)
            writer.log_blocks(
                (event.run, pack(event.columns, next(iter(event.columns))))
                for event in held
                if isinstance(event, Logged) and event.run and _length(event)
            )
            for event in held:
                if isinstance(event, Ended) and event.run is not None:
                    self._end(writer, event.run, judged(event, metric), written)
        for run in [*written.lost, *written.retried, *(e.run or "" for e in written.ended)]:
            self.runs.pop(run, None)
        self.hold(written.again)
        return written

    def _write(self, writer: Writer, event: RunEvent) -> None:
        match event:
            case Started(run=str(run)):
                writer.begin_run(run, event)
            case Described(run=run):
                name = describe_run(
                    writer,
                    run,
                    config=event.config,
                    proposed=event.proposed,
                    name=event.name,
                    labels=event.labels,
                )
                self.runs[run] = replace(self.runs[run], name=name)
            case Noted(run=run, line=line):
                writer.note(run, line)

    def _end(
        self, writer: Writer, run: str, event: Ended, written: Written, *, crash: bool = False
    ) -> None:
        event = replace(event, name=self.runs[run].name)
        # Only failures use up retries: a run is not at fault when its agent dies.
        if event.status is Status.FAILED and self.runs[run].failures < self.retries:
            self._retry(writer, [run], event.reason, written, failed=True, afresh=not crash)
        else:
            writer.end_run(run, event)
            written.ended.append(event)

    def _crash(self, writer: Writer, crash: Crashed, held: Sequence[str], written: Written) -> None:
        """Fail a run that certainly caused the crash; retry possible causes one by one."""
        if crash.cause == "certain" and len(held) == 1:
            event = Ended(0, Status.FAILED, crash.reason, run=held[0])
            self._end(writer, held[0], event, written, crash=True)
        elif held:
            alone = crash.cause != "other"
            self._retry(writer, held, crash.reason, written, alone=alone, afresh=False)

    def _retry(
        self, writer: Writer, held: Sequence[str], reason: str, written: Written, **how: bool
    ) -> None:
        kept = self.queue.give_up(writer, held, reason=reason, keep=self.keep, **how)
        written.again.extend(kept)
        written.retried.update(dict.fromkeys(held, reason))


def runs_of(event: RunEvent) -> Sequence[str]:
    """The ids of the runs that an event is about."""
    if isinstance(event, Crashed):
        return event.runs
    return [] if event.run is None else [event.run]


def judged(event: Ended, metric: str | None) -> Ended:
    """How a run ended for its sweep: cancelled with it, or diverged without a finite metric.

    A program that exits with 0 does not know the metric that it is tuned for.

    >>> judged(Ended(0, Status.FINISHED, "", 1, {"loss": float("nan")}), "loss").reason
    'loss = nan at the end'
    """
    if event.status is Status.STOPPED and event.reason == CANCELLED_REASON:
        return replace(event, status=Status.CANCELLED)
    if metric is None or not event.status.well or metric not in event.metrics:
        return event
    given = event.metrics[metric]
    value = math.nan if given is None else float(given)
    if math.isfinite(value):
        return event
    what = f"{metric} = {value:g} at the end"
    reason = f"{what}; {event.reason}" if event.reason else what
    return replace(event, status=Status.DIVERGED, reason=reason)


def _length(event: Logged) -> int:
    return len(next(iter(event.columns.values()), ()))
