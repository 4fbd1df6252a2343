"""A worker's slot: the jobs that it does now and next, and the programs that it has compiled."""

from __future__ import annotations

import time
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from thetahat.sweep._events import Crashed
from thetahat.sweep.workers._connection import WorkerProcess
from thetahat.sweep.workers._messages import Drop, Job, JobPhase, Over, Stop

KILLED = (-9, -15)
"""Exit codes of a process that the system, short of memory, or a person has killed."""


@dataclass
class ClaimedJob:
    """A job in a slot, and what has become of its runs."""

    job: Job
    key: Hashable = None
    """Its static part: jobs with the same one share a program."""
    size: int = 0
    """The cohort size that it was cut for; 0 if none was asked for."""
    alone: bool = False
    """Whether the worker may do nothing beside it, because a worker crashed with it."""
    runs: list[str | None] = field(init=False)
    """By place; None for a member without a run of this agent."""
    running: set[int] = field(init=False)
    """Places of the runs that still train."""
    waits: bool = False
    """Whether it stands at a mark, until the agent has decided."""
    begun: bool = False
    """Whether the worker has begun to open it."""
    sent_s: float = 0.0

    def __post_init__(self) -> None:
        self.runs = list(self.job.runs)
        self.running = set(self.places)

    @property
    def places(self) -> list[int]:
        """Places of the members that have a run."""
        return [k for k, run in enumerate(self.runs) if run is not None]

    @property
    def held(self) -> list[str]:
        """The runs that still train."""
        return [run for k, run in enumerate(self.runs) if run is not None and k in self.running]

    def part(self, n: int, places: Sequence[int], checkpoint: str, key: Hashable) -> ClaimedJob:
        """A part of a job that was not begun: the members at these places."""
        job = replace(
            self.job,
            id=f"{self.job.id}.{n}",
            cohort=f"{self.job.cohort}.{n}",
            configs=[self.job.configs[k] for k in places],
            runs=[self.runs[k] for k in places],
            checkpoint=checkpoint,
            resume=False,
            part=None,
        )
        return ClaimedJob(job, key, self.size)


@dataclass
class Slot:
    """A worker and its jobs."""

    worker: WorkerProcess
    jobs: dict[str, ClaimedJob] = field(default_factory=dict)
    waiting: list[ClaimedJob] = field(default_factory=list)
    """Jobs for later, one after the other: nothing is done beside them."""
    sizes: dict[Hashable, set[int]] = field(default_factory=dict)
    """Sizes of the programs that the worker has compiled, by static part."""
    phase: JobPhase | None = None
    """What the worker does now."""
    provenance: Mapping[str, Any] = field(default_factory=dict)
    """Of its runs: the code that it loaded, among others."""
    stale: bool = False
    """Whether the program has changed since it was loaded: the slot gets no new jobs."""

    @property
    def load(self) -> int:
        """Runs that train, or wait to."""
        waiting = sum(len(claimed.places) for claimed in self.waiting)
        return sum(len(claimed.running) for claimed in self.jobs.values()) + waiting

    @property
    def runs(self) -> set[str]:
        """Runs of the jobs that are not over."""
        every = (*self.jobs.values(), *self.waiting)
        return {run for claimed in every for run in claimed.runs if run is not None}

    def send(self, claimed: ClaimedJob) -> None:
        """Send a job to the worker: at once, unless it does one that must be alone."""
        if any(other.alone for other in self.jobs.values()):
            self.waiting.append(claimed)
            return
        claimed.sent_s = time.monotonic()
        self.jobs[claimed.job.id] = claimed
        self.worker.send(replace(claimed.job, provenance=self.provenance))

    def send_next(self) -> None:
        """Send the next waiting job, if the worker has nothing else to do."""
        if self.waiting and not self.jobs and not self.stale and self.worker.ready is not None:
            self.send(self.waiting.pop(0))

    def enter(self, phase: JobPhase) -> None:
        """Take in what the worker does from now on."""
        self.phase = phase
        if phase.job in self.jobs:
            self.jobs[phase.job].begun = True

    def padding(self, key: Hashable, n: int) -> int:
        """Idle members for ``n`` runs to fill up a program that is compiled already."""
        sizes = self.sizes.setdefault(key, set())
        larger = [size for size in sizes if n < size <= 2 * n]
        found = min(larger) - n if larger and n not in sizes else 0
        sizes.add(n + found)
        return found

    def stop(self, reasons: Mapping[str, str]) -> list[str]:
        """End runs, each for its reason, at the end of their chunk; those at a mark go on.

        Returns: runs that only waited for their turn, and have ended now.
        """
        waiting = [run for claimed in self.waiting for run in claimed.runs if run in reasons]
        self.waiting = [claimed for claimed in self.waiting if not set(waiting) & set(claimed.runs)]
        for claimed in self.jobs.values():
            which = {k: reasons[r] for k, r in enumerate(claimed.runs) if r and r in reasons}
            if which or claimed.waits:
                self.worker.send(Stop(claimed.job.id, which))
                claimed.waits = False
        return [run for run in waiting if run is not None]

    def forget(self, runs: set[str]) -> None:
        """Drop runs; a job without runs ends."""
        for claimed in (*self.jobs.values(), *self.waiting):
            claimed.runs = [None if run in runs else run for run in claimed.runs]
        self.waiting = [claimed for claimed in self.waiting if claimed.places]
        for name, claimed in list(self.jobs.items()):
            if not claimed.places:
                self.worker.send(Drop(name))
                del self.jobs[name]

    def drop(self) -> None:
        """Drop all jobs."""
        self.worker.send(Drop())
        self.jobs, self.waiting = {}, []


def crashes(slot: Slot, code: int, reason: str) -> tuple[list[Crashed], list[ClaimedJob]]:
    """Find which of a crashed worker's jobs caused the crash: mostly one, and none not yet begun.

    A worker does one thing at a time, and reports it before. If it aborts while it opens a job
    (compiles it, say), or has no other, that job certainly is the cause. If it aborts in training,
    beside others, their memory may be the cause: that job is retried alone. If it was killed from
    outside, each of its jobs possibly is. The other jobs go on as they were.

    Args:    code: the exit code, negative for a signal.
    Returns: events to record, and the jobs that had not begun, which have lost nothing.
    """
    begun = [claimed for claimed in slot.jobs.values() if claimed.begun]
    crashed: list[Crashed] = []
    for claimed in begun:
        current = slot.phase is not None and claimed.job.id == slot.phase.job
        opened = current and slot.phase is not None and slot.phase.opens
        cause: Literal["certain", "possible", "other"] = "other"
        if len(begun) == 1 or (opened and code not in KILLED):
            cause = "certain"
        elif current or code in KILLED:
            cause = "possible"
        crashed.append(Crashed(claimed.held, reason, cause))
    return crashed, [claimed for claimed in slot.jobs.values() if not claimed.begun]


@dataclass
class JobCosts:
    """Seconds that jobs took: a run waits for a busy worker that has compiled its program, or a
    free one compiles it, whichever is sooner."""

    compile_s: float = 3.0
    run_s: dict[Hashable, float] = field(default_factory=dict)
    """Seconds of a run without compiling, the latest, by static part."""

    def learn(self, claimed: ClaimedJob, over: Over) -> None:
        """Take in a job that has ended."""
        if over.traces:
            self.compile_s = over.compile_s
        took = time.monotonic() - claimed.sent_s
        self.run_s[claimed.key] = max(0.0, took - over.compile_s)

    def until(self, slot: Slot, key: Hashable, slots: Sequence[Slot]) -> float:
        """Estimate the seconds until a worker can begin to train a run with this static part."""
        known = any(key in other.sizes for other in slots)
        # The cache on disk saves other workers half of it: tracing is left.
        compile_s = self.compile_s * (0.5 if known else 1.0)
        usual = max(self.run_s.values(), default=1.0)
        return slot.load * self.run_s.get(key, usual) + (0 if key in slot.sizes else compile_s)
