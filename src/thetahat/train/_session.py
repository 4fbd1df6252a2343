"""One cohort's training in this process: its records, its events, its checkpoints, its Results."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

import thetahat
from thetahat.core import CheckpointError, Ended, Logged, Started, Status
from thetahat.core.metric import PARTS, directions_of
from thetahat.train import _program as program
from thetahat.train._checkpoint import PatientWriter
from thetahat.train._driver import Chunk, Clock, Drive
from thetahat.train._ending import prove, verdict
from thetahat.train._identity import identity_of
from thetahat.train._notify import Audience
from thetahat.train._options import Cohort, Options, Progress
from thetahat.train._provenance import batch_order, provenance_of
from thetahat.train._result import History, Result
from thetahat.train._resume import Resumed
from thetahat.train.jax import CohortProgram


def _readable(columns: tuple[str, ...]) -> tuple[str, ...]:
    """Risks first, then the rate, then metrics: the order in which people read."""
    first = [c for c in ("train_risk", "val_risk", "learning_rate") if c in columns]
    return (*first, *(c for c in columns if c not in first))


class Session:
    """A cohort being trained; see the module."""

    def __init__(
        self, cohort: Cohort, program: CohortProgram, options: Options, found: Resumed | None
    ) -> None:
        self.cohort, self.program, self.options = cohort, program, options
        self.audience = Audience(list(options.trackers))
        self.names = (*_readable(program.columns), "seconds")
        self.records: list[np.ndarray] = []
        self.first, self.clock, self.found = 0, Clock(), found
        self.provenance: list[dict[str, Any]] = []
        self.writer: PatientWriter | None = None
        self.results: dict[int, Result] = {}
        """Of the members that have ended and were told of, by their place in the cohort."""
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
        """Tell the trackers, and write the first checkpoint, before anything runs."""
        program, task = self.program, self.program.staged.task
        if not self.provenance:
            self.provenance = provenance_of(program, state)
        if self.options.checkpoint is not None:
            found = self.found
            facts = {
                "size": program.size,
                "of": self.cohort.of or program.size,
                "mode": program.mode,
                "provenance": self.provenance,
                "identity": identity_of(self.cohort, program) if found is None else found.identity,
            }
            past = self.records[0] if self.records else self._none()
            self.writer = PatientWriter(Path(self.options.checkpoint), facts, self.names)
            self.writer.begin(self.first, program.pack(state), past)
        for k, config in enumerate(self.cohort.configs):
            self.audience.tell(
                Started(
                    member=self.cohort.members[k],
                    config=config,
                    epochs=task.epochs,
                    n_params=program.staged.n_params,
                    provenance=self.provenance[k],
                    checkpoint=None if self.writer is None else str(self.writer.path),
                    resumed=None if self.found is None else self.first,
                    directions=self._directions,
                )
            )
        if self.first and self.audience.trackers:
            # A tracker may have died before the checkpoint did: tell it the past again.
            self._log(0, self.records[0], program.standing(state))

    def take(self, chunk: Chunk) -> None:
        """Keep a chunk's records, tell the trackers, write the checkpoint, draw progress."""
        seconds = np.broadcast_to(chunk.ended_s, (self.program.size, chunk.n))
        columns = {**chunk.records, "seconds": seconds}
        new = np.stack([np.asarray(columns[name], np.float64) for name in self.names], axis=-1)
        self.records.append(new)
        standing = self.program.standing(chunk.state)
        if self.audience.trackers:
            self._log(chunk.first, new, standing)
        if self.writer is not None:
            self.writer.write(
                chunk.first + chunk.n,
                lambda: self.program.pack(chunk.state),
                new,
                lambda: np.concatenate(self.records, axis=1),
            )
        if self.options.progress is not None:
            row = np.clip(standing.epochs - chunk.first, 1, chunk.n) - 1  # the last each lived
            members = np.arange(self.program.size)
            last = {name: new[members, row, i] for i, name in enumerate(self.names)}
            task, running = self.program.staged.task, int(standing.active.sum())
            self.options.progress(
                Progress(
                    chunk.first + chunk.n,
                    task.epochs,
                    running,
                    self.program.size,
                    last,
                    self.clock.spent_s,
                    standing.best_epoch,
                    standing.best_value,
                    task.best_by,
                    self.program.staged.best_mode,
                )
            )

    def finish(self, ended: Drive) -> dict[int, Result]:
        """Tell how every member ended that has not been told of, and give all Results."""
        self.settle(ended, range(self.program.size))
        return {member: self.results[k] for k, member in enumerate(self.cohort.members)}

    def settle(self, ended: Drive, which: Iterable[int]) -> None:
        """Evaluate the best states of members, once, and tell how they ended."""
        which = [k for k in which if k not in self.results]
        if not which:
            return
        standing = self.program.standing(ended.state)
        parts = ("train", "val") if ended.cut == "interrupted" else ("train", "val", "test")
        numbers = self.program.evaluate(ended.state, parts)
        # JAX sorts its keys.
        known = directions_of(self.program.staged.task.metrics, parts)
        numbers = {name: numbers[name] for name in known if name in numbers}
        records = np.concatenate(self.records, axis=1) if self.records else self._none()
        for k in which:
            result = self._result(ended, standing, numbers, records[k], k)
            self.results[k] = result
            self._tell_end(self.cohort.members[k], result)

    def _tell_end(self, member: int, result: Result) -> None:
        metrics = {**{f"{p}_risk": v for p, v in result.risk.items()}, **result.metrics}
        detail = {
            "best_by": result.best_by,
            "directions": self._directions,
            "best_epoch": result.best_epoch,
            "n_params": result.n_params,
            "traces": result.traces,
            "mode": result.mode,
            "test_looks": len(result.looks),
            "together": self.program.size,
            **self._batch_order(),
        }
        self.audience.tell(
            Ended(
                member=member,
                status=result.status,
                reason=result.reason,
                epochs=result.epochs,
                metrics={n: v if np.isfinite(v) else None for n, v in metrics.items()},
                seconds=self._seconds(result.seconds),
                detail=detail,
            )
        )

    @cached_property
    def _directions(self) -> dict[str, str]:
        """Of the numbers that a run may have: in which direction they are better, where known."""
        known = directions_of(self.program.staged.task.metrics)
        return {name: mode for name, mode in known.items() if mode}

    def fail(self, error: BaseException) -> None:
        """Tell that every member broke, and why."""
        stopped = isinstance(error, KeyboardInterrupt)
        status = Status.INTERRUPTED if stopped else Status.FAILED
        reason = "interrupted twice" if stopped else f"{type(error).__name__}: {error}"
        done = sum(block.shape[1] for block in self.records)
        spent = {"compile": self.program.compile_s, "run": self.clock.spent_s}
        seconds = self._seconds(spent)
        for k, member in enumerate(self.cohort.members):
            if k not in self.results:
                self.audience.tell(Ended(member, status, reason, done, {}, seconds))

    # -- the parts of the above -------------------------------------------------------------------

    def _seconds(self, spent: Mapping[str, float]) -> dict[str, float]:
        """The cohort's seconds by part and, where it has several members, each one's share."""
        size = self.program.size
        return dict(spent) if size == 1 else {**spent, "total": sum(spent.values()) / size}

    def _batch_order(self) -> dict[str, str]:
        hyper = self.program.hyper
        return batch_order(self.program.staged, self.cohort.seeds, {*hyper.own, *hyper.common})

    def _none(self) -> np.ndarray:
        return np.zeros((self.program.size, 0, len(self.names)))

    def _log(self, first: int, new: np.ndarray, standing: program.Standing) -> None:
        """Tell records (C, n, columns) of epochs from ``first`` on, as far as each member lived."""
        for k, member in enumerate(self.cohort.members):
            n = int(np.clip(standing.epochs[k] - first, 0, new.shape[1]))
            if n:
                columns = {name: new[k, :n, i] for i, name in enumerate(self.names)}
                epoch = np.arange(first + 1, first + n + 1)
                self.audience.tell(Logged(member, {"epoch": epoch, **columns}))

    def _result(
        self,
        ended: Drive,
        standing: program.Standing,
        numbers: Mapping[str, np.ndarray],
        records: np.ndarray,
        k: int,
    ) -> Result:
        program, task = self.program, self.program.staged.task
        epochs = int(standing.epochs[k])
        columns = {name: records[:epochs, i] for i, name in enumerate(self.names)}
        history = History({"epoch": np.arange(1, epochs + 1), **columns})
        status, reason = verdict(task, ended, standing, history, k, self.reasons.get(k, ""))
        if self.found is not None:
            reason += self.found.note
        lost = status is Status.DIVERGED
        final = {name: float("nan") if lost else float(v[k]) for name, v in numbers.items()}
        risk = {part: final.pop(f"{part}_risk") for part in PARTS if f"{part}_risk" in final}
        chosen, at = program.staged.best_mode is not None, int(standing.best_epoch[k])
        if chosen and not lost and at > 0:
            kept, again = float(standing.best_value[k]), float(numbers[task.best_by][k])
            prove(task.best_by, kept, again, at, program.dtype)
        params, frozen, data = program.member_arrays(ended.state, k)
        values = {n: v[k] for n, v in program.hyper.own.items()} | dict(program.hyper.common)
        config = self.cohort.configs[k]
        native = {n: config.get(n, v) for n, v in values.items()}
        return Result(
            config=config,
            status=status,
            reason=reason,
            epochs=epochs,
            best_epoch=at if chosen else epochs - int(lost),
            best_by=task.best_by if chosen else "",
            risk=risk,
            metrics=final,
            history=history,
            params=params,
            n_params=program.staged.n_params,
            traces=program.traces,
            seconds={
                "import": thetahat.import_seconds,
                "compile": program.compile_s,
                "run": self.clock.spent_s,
            },
            provenance=self.provenance[k],
            mode="alone" if program.size == 1 else program.mode,
            build=lambda: program.build(native),
            frozen=frozen,
            data=data,
            looks=["fit"] if "test" in risk and not lost else [],
        )
