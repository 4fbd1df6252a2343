"""The one place that writes what happens to an agent's runs to the store."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from thetahat.core.run import Status
from thetahat.store import (
    CANCELLED_REASON,
    Queue,
    RunRow,
    Store,
    Writer,
    describe_run,
)
from thetahat.sweep._updates import Begun, Closed, Crashed, Described, Noted, Rows, Update


@dataclass(frozen=True)
class Written:
    """What became of updates."""

    lost: set[str]
    """Runs that this agent no longer holds: another took them, thinking it dead."""
    retried: dict[str, str]
    """Runs that failed and went back to the queue, and why."""
    closed: list[Closed]
    again: list[RunRow] = field(default_factory=list)
    """Of those that failed: runs that this agent keeps, to be begun again by it."""
    names: dict[str, str] = field(default_factory=dict)
    """Of the runs that closed."""


class Recorder:
    """Writes an agent's updates, many in one transaction, and only of runs that it still holds.

    Args:    retries: how often a failed run goes back to the queue.
    """

    keeps = False
    """Whether runs that are tried again stay with this agent: where it is to end so many."""

    metric: str | None = None
    """What the sweep tunes: a run that ends with a number of it that is not finite has diverged."""

    def __init__(self, store: Store, queue: Queue, retries: int) -> None:
        self.store, self.queue, self.retries = store, queue, retries
        self.runs: dict[str, RunRow] = {}
        """The runs that this agent holds."""

    def hold(self, runs: Sequence[RunRow]) -> None:
        """Remember runs that were claimed."""
        self.runs |= {run.id: run for run in runs}

    def write(self, updates: Sequence[Update]) -> Written:
        """Write updates in their order."""
        written = Written(set(), {}, [])
        if not updates:
            return written
        asked = {u.run for u in updates if not isinstance(u, Crashed) and u.run is not None}
        asked |= {run for u in updates if isinstance(u, Crashed) for run in u.runs}
        with self.store.batch() as writer:
            mine = self.queue.still_mine(writer, sorted(asked))
            written.lost.update(asked - mine)
            for update in updates:
                self._write(writer, update, mine, written)
            rows = [(u.run, u.block) for u in updates if isinstance(u, Rows) and u.run in mine]
            # Metrics may count on the last record: rows first, ends afterwards.
            writer.log_blocks(rows)
            for update in updates:
                if isinstance(update, Closed) and update.run in mine:
                    self._close(writer, update, written)
        written.names.update({c.run: self.runs[c.run].name for c in written.closed})
        for run in [*written.lost, *written.retried, *(c.run for c in written.closed)]:
            self.runs.pop(run, None)
        self.hold(written.again)
        return written

    def _write(self, writer: Writer, update: Update, mine: set[str], written: Written) -> None:
        if isinstance(update, Begun) and update.run in mine:
            writer.begin_run(
                update.run,
                config=update.config,
                max_epochs=update.max_epochs,
                n_params=update.n_params,
                provenance=update.provenance,
                checkpoint=update.checkpoint,
                cohort=update.cohort,
                member=update.member,
            )
        elif isinstance(update, Described) and update.run in mine:
            name = describe_run(
                writer,
                update.run,
                config=update.config,
                proposed=update.proposed,
                name=update.name,
                labels=update.labels,
            )
            self.runs[update.run] = replace(self.runs[update.run], name=name)
        elif isinstance(update, Noted) and (update.run is None or update.run in mine):
            writer.note(update.run, update.line)
        elif isinstance(update, Crashed):
            self._crash(writer, update, mine, written)

    def _close(
        self, writer: Writer, closed: Closed, written: Written, *, crash: bool = False
    ) -> None:
        closed = judged(closed, self.metric)
        failed = closed.status == Status.FAILED
        # An agent that died is no fault of the run's: only failures use up its retries.
        if failed and self.runs[closed.run].failures < self.retries:
            self._again(writer, [closed.run], closed.reason, written, failed=True, afresh=not crash)
            return
        writer.finish_run(
            closed.run,
            status=closed.status,
            reason=closed.reason,
            epochs=closed.epochs,
            metrics=closed.metrics or None,
            seconds=closed.seconds,
            detail=closed.detail,
        )
        written.closed.append(closed)

    def _crash(self, writer: Writer, crash: Crashed, mine: set[str], written: Written) -> None:
        """One of several is to blame: each goes on alone. One alone is: it has failed."""
        held = [run for run in crash.runs if run in mine]
        if crash.guilt == "sure" and len(held) == 1:
            self._close(writer, Closed(held[0], Status.FAILED, crash.reason), written, crash=True)
        elif held:
            alone = crash.guilt != "none"
            self._again(writer, held, crash.reason, written, alone=alone, afresh=False)

    def _again(
        self, writer: Writer, held: Sequence[str], reason: str, written: Written, **how: bool
    ) -> None:
        kept = self.queue.give_up(writer, held, reason=reason, keep=self.keeps, **how)
        written.again.extend(kept)
        written.retried.update(dict.fromkeys(held, reason))


def judged(closed: Closed, metric: str | None) -> Closed:
    """How a run ended, seen by its sweep: cut short by a cancelled one, or without a finite metric.

    A program that exits with 0 knows nothing of the metric that it is tuned for.

    >>> judged(Closed("r", Status.FINISHED, "", {"loss": float("nan")}), "loss").reason
    'loss = nan at the end'
    """
    if closed.status is Status.STOPPED and closed.reason == CANCELLED_REASON:
        return replace(closed, status=Status.CANCELLED)
    if metric is None or not closed.status.well or metric not in closed.metrics:
        return closed
    value = closed.metrics[metric]
    value = math.nan if value is None else float(value)
    if math.isfinite(value):
        return closed
    said = f"{metric} = {value:g} at the end"
    reason = f"{said}; {closed.reason}" if closed.reason else said
    return replace(closed, status=Status.DIVERGED, reason=reason)
