"""One cohort's training in this process: its records, its events, its checkpoints, its Results."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

import thetahat
from thetahat.core import (
    CheckpointError,
    Ended,
    Event,
    Logged,
    Started,
    Status,
    StoreError,
    Task,
    ThetahatError,
    Tracker,
    notify,
)
from thetahat.core.acceptance import ACCEPT, accepted_reason, failed_checks
from thetahat.core.errors import why_failed
from thetahat.core.garbage import uncollected
from thetahat.core.metric import PARTS, RISKS, directions_of
from thetahat.core.packed_table import pack_table
from thetahat.data import Shuffle
from thetahat.train._checkpoint import PatientWriter
from thetahat.train._driver import Chunk, Clock
from thetahat.train._identity import identity_of
from thetahat.train._options import Cohort, Options, Progress
from thetahat.train._program import DIVERGED, FIRST_RULE, STOPPED, UNMOVED, CohortStatus
from thetahat.train._result import History, Result
from thetahat.train._resume import ResumedFit
from thetahat.train._stopping import sort_rules
from thetahat.train._tables import has_tables


def _readable(columns: tuple[str, ...]) -> tuple[str, ...]:
    """Order columns for readers: risks, the rate, metrics."""
    first = [c for c in ("train_risk", "val_risk", "learning_rate") if c in columns]
    return (*first, *(c for c in columns if c not in first))


class Session:
    """The records, events, checkpoints and Results of one cohort in training."""

    def __init__(self, cohort: Cohort, options: Options, found: ResumedFit | None) -> None:
        self.cohort, self.program, self.options = cohort, cohort.program, options
        self.trackers = TrackerGroup(list(options.trackers))
        self._on, self._untold = options.on, list[Event]()
        self.names = (*_readable(self.program.columns), "seconds")
        self.records: list[np.ndarray] = []
        self.first, self.clock, self.found = 0, Clock(), found
        self.provenance: list[dict[str, Any]] = []
        self.writer: PatientWriter | None = None
        self.results: dict[int, Result] = {}
        """Of the members that have ended, by their place in the cohort."""
        self.reasons = dict(options.reasons)
        """Why the host stopped members, by their place in the cohort."""
        if found is not None:
            kept = found.checkpoint
            if tuple(kept.header["columns"]) != self.names:
                raise CheckpointError(
                    f"the checkpoint {options.checkpoint} records"
                    f" {', '.join(kept.header['columns'])}, and this task"
                    f" {', '.join(self.names)}; give the task it was made with"
                )
            self.first = found.epoch
            self.records = [found.records]
            self.clock = Clock(float(found.records[..., -1].max(initial=0.0)))
            self.provenance = found.provenance

    def begin(self, state: Any) -> None:
        """Write the first checkpoint and start the trackers, before anything runs."""
        program, task = self.program, self.program.task
        if not self.provenance:
            self.provenance = program.facts(state)
        if self.options.checkpoint is not None:
            found = self.found
            facts = {
                "size": program.size,
                "of": self.cohort.of or program.size,
                "mode": program.mode,
                "provenance": self.provenance,
                "identity": identity_of(self.cohort) if found is None else found.identity,
            }
            past = self.records[0] if self.records else self._none()
            self.writer = PatientWriter(Path(self.options.checkpoint), facts, self.names)
            self.writer.begin(self.first, program.pack(state), past)
        for k, config in enumerate(self.cohort.configs if self._heard else ()):
            self._send(
                Started(
                    member=self.cohort.members[k],
                    config=config,
                    epochs=task.epochs,
                    n_params=program.n_params,
                    provenance=self.provenance[k],
                    checkpoint=None if self.writer is None else str(self.writer.path),
                    resumed=None if self.found is None else self.first,
                    directions=self._directions,
                )
            )
        if self.first and self._heard:
            # A tracker may lack records that the checkpoint has: send them again.
            self._log(0, self.records[0], program.status(state))
        try:
            self._tell()
        except BaseException as error:
            self.fail(error)
            raise

    def take(self, chunk: Chunk) -> None:
        """Keep a chunk's records, send them to trackers, write the checkpoint, show progress."""
        seconds = np.broadcast_to(chunk.ended_s, (self.program.size, chunk.n))
        columns = {**chunk.records, "seconds": seconds}
        new = np.stack([np.asarray(columns[name], np.float64) for name in self.names], axis=-1)
        self.records.append(new)
        now = self.program.status(chunk.state)
        if self._heard:
            self._log(chunk.first, new, now)
        if self.writer is not None:
            self.writer.write(
                chunk.first + chunk.n,
                lambda: self.program.pack(chunk.state),
                new,
                lambda: np.concatenate(self.records, axis=1),
            )
        if self.options.progress is not None:
            row = np.clip(now.epochs - chunk.first, 1, chunk.n) - 1  # each member's last
            members = np.arange(self.program.size)
            last = {name: new[members, row, i] for i, name in enumerate(self.names)}
            task, running = self.program.task, int(now.active.sum())
            self.options.progress(
                Progress(
                    chunk.first + chunk.n,
                    task.epochs,
                    running,
                    self.program.size,
                    last,
                    self.clock.spent_s,
                    now.best_epoch,
                    now.best_value,
                    task.best_by,
                    self.program.best_mode,
                )
            )
        self._tell()

    def finish(self, state: Any, cut: str) -> dict[int, Result]:
        """Report the members that were not reported yet, and return all Results.

        Args:    cut: the reason for which training ended early, or nothing.
        """
        self.settle(state, cut, range(self.program.size))
        return {member: self.results[k] for k, member in enumerate(self.cohort.members)}

    def settle(self, state: Any, cut: str, which: Iterable[int]) -> None:
        """Evaluate the best states of members, once, and report how they ended."""
        which = [k for k in which if k not in self.results]
        if not which:
            return
        now = self.program.status(state)
        parts = ("train", "val") if cut == "interrupted" else ("train", "val", "test")
        numbers = self.program.evaluate(state, parts)
        # JAX sorts its keys.
        known = directions_of(self.program.task.metrics, parts)
        numbers = {name: numbers[name] for name in known if name in numbers}
        tables = self._tables(state)
        ends = Ends(now, numbers, self.records or [self._none()])
        with uncollected():
            for k in which:
                result = self._result(state, cut, ends, k)
                if tables[k] and result.status is not Status.DIVERGED:
                    result = replace(result, tables=tables[k])
                if k not in self.reasons:  # what a sweep cut short is no solution yet
                    result = judged(result, bool(self.program.task.accept))
                self.results[k] = result
                if self._heard:
                    self._report(self.cohort.members[k], result)
        self._tell()

    def _tables(self, state: Any) -> Sequence[Mapping[str, Any]]:
        """Evaluate the tables of the members; a table that fails costs the run nothing else."""
        none: list[dict[str, Any]] = [{} for _ in range(self.program.size)]
        if not has_tables(self.program.task):
            return none
        try:
            return self.program.tables(state)
        except (*FAULTS, MemoryError, ArithmeticError) as error:
            task = self.program.task
            names = ", ".join([*task.tables, *([ACCEPT] if task.accept else [])])
            notify(
                f"the tables ({names}) could not be evaluated: {type(error).__name__}: {error}."
                " The run keeps its other numbers"
            )
            return none

    def _report(self, member: int, result: Result) -> None:
        detail = {"together": self.program.size, **self._batch_order()}
        detail |= {"directions": self._directions}
        self._send(ended(result, member, self._seconds(result.seconds), detail))

    @cached_property
    def _directions(self) -> dict[str, str]:
        """The directions of the numbers that a run may have, if they are known."""
        known = directions_of(self.program.task.metrics)
        return {name: mode for name, mode in known.items() if mode}

    def fail(self, error: BaseException) -> None:
        """Report that every member failed, and why."""
        stopped = isinstance(error, KeyboardInterrupt)
        status = Status.INTERRUPTED if stopped else Status.FAILED
        reason = "interrupted twice" if stopped else why_failed(error)
        done = sum(block.shape[1] for block in self.records)
        spent = {"compile": self.program.compile_s, "run": self.clock.spent_s}
        seconds = self._seconds(spent)
        for k, member in enumerate(self.cohort.members):
            if k not in self.results:
                self._send(Ended(member, status, reason, done, {}, seconds))
        self._tell()

    # -- the parts of the above -------------------------------------------------------------------

    def _seconds(self, spent: Mapping[str, float]) -> dict[str, float]:
        """The cohort's seconds by part and, of several members, each one's share."""
        size = self.program.size
        return dict(spent) if size == 1 else {**spent, "total": sum(spent.values()) / size}

    def _batch_order(self) -> dict[str, str]:
        """Whether runs that differ in their seed differ in the order of their batches.

        Nothing if no order is drawn, if the experiment has no seed, or if it cannot be known: an
        order of its own from a seed that is not traced may be any function of it.
        """
        order, seeds = self.program.batch_order, set(self.cohort.seeds)
        unknown = isinstance(self.program.task.sampling, Shuffle) and (
            not seeds <= self.program.hyper.names
        )
        if not order or not seeds or (order == "shared" and unknown):
            return {}
        return {"batch_order": order}

    def _none(self) -> np.ndarray:
        return np.zeros((self.program.size, 0, len(self.names)))

    def _log(self, first: int, new: np.ndarray, now: CohortStatus) -> None:
        """Send records (C, n, columns) from epoch ``first`` on, up to each member's last epoch."""
        for k, member in enumerate(self.cohort.members):
            n = int(np.clip(now.epochs[k] - first, 0, new.shape[1]))
            if n:
                columns = {name: new[k, :n, i] for i, name in enumerate(self.names)}
                epoch = np.arange(first + 1, first + n + 1)
                self._send(Logged(member, {"epoch": epoch, **columns}))

    @property
    def _heard(self) -> bool:
        """Whether events are sent at all: to make a thousand is a tenth of a short fit."""
        return bool(self.trackers.listening or self._on)

    def _send(self, event: Event) -> None:
        self.trackers.send(event)
        if self._on:
            self._untold.append(event)

    def _tell(self) -> None:
        """Call the user's functions of events, once trackers and checkpoint have all they need.

        They get copies, and none after one has raised.

        Raises:  whatever they raise.
        """
        untold, self._untold = self._untold, []
        functions, self._on = self._on, ()
        for event in untold:
            for on in functions:
                on(_copied(event))
        self._on = functions

    def _result(self, state: Any, cut: str, ends: Ends, k: int) -> Result:
        program, task, now = self.program, self.program.task, ends.now
        epochs = int(now.epochs[k])
        history = History(
            {"epoch": np.arange(1, epochs + 1), **ends.columns(self.names, k, epochs)}
        )
        status, reason = verdict(task, cut, now, history, k, self.reasons.get(k, ""))
        if self.found is not None:
            reason += self.found.note
        lost = status is Status.DIVERGED
        final = {name: math.nan if lost else v[k] for name, v in ends.numbers.items()}
        risk = {part: final.pop(f"{part}_risk") for part in PARTS if f"{part}_risk" in final}
        chosen, at = program.best_mode is not None, int(now.best_epoch[k])
        if chosen and not lost and at > 0:
            kept, again = float(now.best_value[k]), ends.numbers[task.best_by][k]
            prove(task.best_by, kept, again, at, program.dtype)
        return Result(
            config=self.cohort.configs[k],
            status=status,
            reason=reason,
            epochs=epochs,
            best_epoch=at if chosen else epochs - int(lost),
            best_by=task.best_by if chosen else "",
            risk=risk,
            metrics=final,
            history=history,
            n_params=program.n_params,
            traces=program.traces,
            seconds={
                "import": thetahat.import_seconds,
                "compile": program.compile_s,
                "run": self.clock.spent_s,
            },
            provenance={**self.provenance[k], **self.cohort.noted},
            mode="alone" if program.size == 1 else program.mode,
            fitted=program.fitted(state, k, self.cohort.configs[k]),
            looks=["fit"] if "test" in risk and not lost else [],
        )


class Ends:
    """How the members of a cohort stand at its end, read once for all.

    Args:    numbers: at their best states, by column: (C,).
             records: of the chunks: (C, epochs, columns).
    """

    def __init__(
        self, now: CohortStatus, numbers: Mapping[str, np.ndarray], records: Sequence[np.ndarray]
    ) -> None:
        self.now, self._records = now, records
        self.numbers = {name: np.asarray(v).tolist() for name, v in numbers.items()}

    def columns(self, names: Sequence[str], k: int, epochs: int) -> dict[str, np.ndarray]:
        """Copy a member's records by column: a Result must not hold those of its whole cohort."""
        rows = np.concatenate([block[k] for block in self._records])[:epochs]
        return dict(zip(names, np.ascontiguousarray(rows.T), strict=True))


def judged(result: Result, checks: bool) -> Result:
    """Reject a Result that fails a check of its solution: it ended well otherwise.

    Args:    checks: whether its Task has checks.
    """
    if not checks or not result.status.well:
        return result
    if ACCEPT not in result.tables:
        why = "the checks of its solution could not be evaluated"
    else:
        why = failed_checks(result.tables[ACCEPT])
    if why:
        return replace(result, status=Status.REJECTED, reason=f"{why}; {result.reason}")
    return replace(result, reason=accepted_reason(result.reason, result.tables[ACCEPT]))


def ended(
    result: Result, member: int, seconds: Mapping[str, float], detail: Mapping[str, Any]
) -> Ended:
    """The event of a Result: its numbers, and what a reader must know of them."""
    metrics = {**{f"{p}_risk": v for p, v in result.risk.items()}, **result.metrics}
    unit = result.risk_unit
    facts = {
        "best_by": result.best_by,
        "best_epoch": result.best_epoch,
        "n_params": result.n_params,
        "traces": result.traces,
        "mode": result.mode,
        "test_looks": len(result.looks),
        **({} if unit is None else {"risk_unit": unit.facts()}),
        **detail,
    }
    return Ended(
        member=member,
        status=result.status,
        reason=result.reason,
        epochs=result.epochs,
        metrics={n: v if math.isfinite(v) else None for n, v in metrics.items()},
        seconds=seconds,
        detail=facts,
        tables={name: pack_table(name, columns) for name, columns in result.tables.items()},
    )


def _copied(event: Event) -> Event:
    """An event whose mappings and arrays may be changed."""
    fields = {name: value for name, value in vars(event).items() if isinstance(value, Mapping)}
    return replace(
        event,
        **{
            name: {k: np.array(v) if isinstance(v, np.ndarray) else v for k, v in value.items()}
            for name, value in fields.items()
        },
    )


def verdict(
    task: Task,
    cut: str,
    now: CohortStatus,
    history: Mapping[str, np.ndarray],
    k: int,
    stopped: str = "",
) -> tuple[Status, str]:
    """The status of a member at its end, and the reason; ``stopped`` is the host's, if any."""
    outcome, epochs = int(now.outcome[k]), int(now.epochs[k])
    if outcome == STOPPED:
        return Status.STOPPED, stopped or f"stopped after epoch {epochs} of {task.epochs}"
    if outcome == DIVERGED:
        came = {n: history[n][-1] for n in ("train_risk", "val_risk") if n in history}
        risks = ", ".join(f"{n} = {v:.4g}" for n, v in came.items())
        return Status.DIVERGED, f"{risks} in epoch {epochs}; the state before it is kept"
    unmoved = "no parameter changed in {} epochs: check the learning rate and what is trainable"
    if outcome == UNMOVED or (epochs == task.epochs and not now.moved[k]):
        return Status.UNMOVED, unmoved.format(epochs)
    if outcome >= FIRST_RULE:
        rule = sort_rules(task.stopping).inside[outcome - FIRST_RULE]
        return Status.STOPPED, rule.reason({n: float(history[n][-1]) for n in history})
    if cut == "interrupted" and epochs < task.epochs:
        return Status.INTERRUPTED, f"interrupted after epoch {epochs} of {task.epochs}"
    if cut == "wall time" and epochs < task.epochs:
        return Status.STOPPED, f"the wall time of {sort_rules(task.stopping).wall_s:g} s is over"
    return Status.FINISHED, f"all {task.epochs} epochs done"


def prove(name: str, kept: float, again: float, epoch: int, dtype: str = "float64") -> None:
    """Warn if the best state, re-evaluated, does not give the number that it was chosen for."""
    # kept == again for infinities; np.isclose would take a twentieth of a short fit of many.
    if not (kept == again or abs(kept - again) <= 1e-6 + 1e-3 * abs(again) < math.inf):
        what = "the residual" if name in RISKS else "the metric"
        coarse = (
            ", or float32 rounds too coarsely for its numbers: standardise the data, or give"
            " dtype='float64' (--dtype float64)"
        )
        notify(
            f"the best state (epoch {epoch}) was chosen at {name} {kept:.6g} and re-evaluates to"
            f" {again:.6g}; {what} or the model is not a function of its arguments alone"
            + (coarse if dtype == "float32" else ""),
        )


FAULTS = (ThetahatError, OSError, ValueError, TypeError, LookupError, AttributeError, RuntimeError)
"""Errors of a broken tracker. Before anything ran they stop the fit; later they are one notice."""

PASSING = (StoreError, OSError)
"""Errors that may pass, such as a full disk: the tracker keeps what it could not write."""


@dataclass
class TrackerGroup:
    """The trackers of a fit; a broken one gets no more events."""

    working: Sequence[Tracker]
    lost: list[str] = field(default_factory=list)
    """The message of each failed tracker."""
    _missed: list[tuple[Tracker, Ended]] = field(default_factory=list)
    """Ends that could not be written: sent again before the next event."""

    @property
    def listening(self) -> bool:
        """Whether a tracker still works, or an end is left to be sent."""
        return bool(self.working or self._missed)

    def send(self, event: Event) -> None:
        """Send an event to every tracker that still works.

        Raises:  whatever a tracker raises at Started: nothing has run yet, so nothing is lost.
        """
        missed, self._missed = self._missed, []
        for tracker, end in missed:
            self._send(tracker, end)
        for tracker in list(self.working):
            self._send(tracker, event)

    def _send(self, tracker: Tracker, event: Event) -> None:
        try:
            tracker(event)
        except FAULTS as error:
            if isinstance(event, Started):
                raise
            passing = isinstance(error, PASSING)
            if not passing:
                self.working = [t for t in self.working if t is not tracker]
            elif isinstance(event, Ended):
                self._missed.append((tracker, event))
            if str(error) in self.lost:
                return
            self.lost.append(str(error))
            if passing:
                text = f"{error}. The fit goes on, and what could not be kept is tried again"
            else:
                name = getattr(tracker, "__name__", type(tracker).__name__)
                text = (
                    f"the tracker {name} failed and is left out from here on: {error}."
                    " The fit goes on; what was tracked before stands"
                )
            notify(text)
