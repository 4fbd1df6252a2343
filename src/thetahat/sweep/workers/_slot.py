"""A worker's seat: what it does now, what it is to do next, and what it has compiled."""

from __future__ import annotations

import time
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from thetahat.sweep.workers._connection import WorkerProcess
from thetahat.sweep.workers._messages import At, Drop, Job, Over, Stop


@dataclass
class Task:
    """A job in a worker, and the runs behind its members; None for one that is not ours."""

    job: Job
    members: list[str | None]
    running: set[int]
    cohort: str
    """Those that began together: it stays with their runs, whoever goes on with them."""
    waits: bool = False
    """Whether it stands at a mark, until the agent has decided."""
    begun: bool = False
    """Whether the worker has come to it."""
    solo: bool = False
    """Whether nothing else is to be done beside it: a worker has died that held it."""
    key: Hashable = None
    """Its static part: jobs with the same share a program."""
    given_s: float = 0.0
    width: int = 0
    """Runs that were to train together, at most, when it was cut; 0 where nobody asked so."""

    @property
    def held(self) -> list[str]:
        """Those of our runs that still train."""
        return [run for k, run in enumerate(self.members) if run and k in self.running]

    def part(self, name: str, places: Sequence[int], checkpoint: str, key: Hashable) -> Task:
        """A part of a job that was not begun: the members at these places."""
        configs = [self.job.configs[k] for k in places]
        named = replace(self.job, id=f"{self.job.id}{name}", configs=configs, ghosts=0)
        job = replace(named, checkpoint=checkpoint, resume=False, ended=(), part=None)
        members = [self.members[k] for k in places]
        running, cohort = set(range(len(members))), f"{self.cohort}{name}"
        return Task(job, members, running, cohort, key=key, width=self.width)


@dataclass
class Seat:
    """A worker and what it does."""

    worker: WorkerProcess
    tasks: dict[str, Task] = field(default_factory=dict)
    sizes: dict[Hashable, set[int]] = field(default_factory=dict)
    """Sizes of the programs it has compiled, by static part."""
    waiting: list[Task] = field(default_factory=list)
    """What it is to do next, one after the other: each of these goes alone."""
    at: str | None = None
    """The job that it is at, and whether it only opens it."""
    begins: bool = False
    facts: Mapping[str, Any] = field(default_factory=dict)
    """Where its runs come from: with which code, among others."""
    stale: bool = False
    """Whether the program has changed since it was loaded: what it trains is trained to its end."""

    @property
    def load(self) -> int:
        """Members that still train."""
        waiting = sum(len(task.members) for task in self.waiting)
        return sum(len(task.running) for task in self.tasks.values()) + waiting

    @property
    def runs(self) -> set[str]:
        """Runs of the jobs that are not over."""
        tasks = (*self.tasks.values(), *self.waiting)
        return {run for task in tasks for run in task.members if run is not None}

    def give(self, task: Task) -> None:
        """Have a job done: at once, unless one is at work that goes by itself."""
        if any(other.solo for other in self.tasks.values()):
            self.waiting.append(task)
            return
        task.given_s = time.monotonic()
        self.tasks[task.job.id] = task
        self.worker.send(task.job)

    def come_to(self, at: At) -> None:
        """The worker says what it does from now on."""
        self.at, self.begins = at.job, at.begins
        if at.job in self.tasks:
            self.tasks[at.job].begun = True

    def give_next(self) -> None:
        """Have the next job done of those that go alone, if nothing else is being done."""
        if self.waiting and not self.tasks and not self.stale and self.worker.ready is not None:
            self.give(self.waiting.pop(0))

    def ghosts(self, key: Hashable, n: int) -> int:
        """Idle members that n runs get: a program that is compiled already is worth some."""
        sizes = self.sizes.setdefault(key, set())
        larger = [size for size in sizes if n < size <= 2 * n]
        found = min(larger) - n if larger and n not in sizes else 0
        sizes.add(n + found)
        return found

    def stop(self, reasons: Mapping[str, str]) -> list[str]:
        """End runs, each for its reason, at the end of their chunk; those at a mark go on.

        Returns: those that only waited for their turn, and do not any more.
        """
        waiting = [run for task in self.waiting for run in task.members if run in reasons]
        self.waiting = [task for task in self.waiting if not set(waiting) & set(task.members)]
        for task in self.tasks.values():
            which = {k: reasons[r] for k, r in enumerate(task.members) if r and r in reasons}
            if which or task.waits:
                self.worker.send(Stop(task.job.id, which))
                task.waits = False
        return [run for run in waiting if run is not None]

    def forget(self, runs: set[str]) -> None:
        """Speak no more of runs; a job that nobody wants any more ends."""
        for task in (*self.tasks.values(), *self.waiting):
            task.members = [None if run in runs else run for run in task.members]
        self.waiting = [task for task in self.waiting if any(task.members)]
        for name, task in list(self.tasks.items()):
            if not any(task.members):
                self.worker.send(Drop(name))
                del self.tasks[name]

    def drop(self) -> None:
        """Do nothing any more."""
        self.worker.send(Drop())
        self.tasks, self.waiting = {}, []


@dataclass
class Costs:
    """What jobs have cost so far. It decides whether a run waits for a busy worker that has its
    program compiled, or for a free one to compile it."""

    compile_s: float = 3.0
    run_s: dict[Hashable, float] = field(default_factory=dict)
    """Seconds of a run without compiling, the latest, by static part."""

    def learn(self, task: Task, over: Over) -> None:
        """Take in a job that has ended."""
        if over.traces:
            self.compile_s = over.compile_s
        took = time.monotonic() - task.given_s
        self.run_s[task.key] = max(0.0, took - over.compile_s)

    def until(self, seat: Seat, key: Hashable, seats: Sequence[Seat]) -> float:
        """Seconds, about, until a worker can begin to train a run with this static part."""
        known = any(key in other.sizes for other in seats)
        # The cache on disk spares others half: what is left is tracing.
        compile_s = self.compile_s * (0.5 if known else 1.0)
        usual = max(self.run_s.values(), default=1.0)
        return seat.load * self.run_s.get(key, usual) + (0 if key in seat.sizes else compile_s)
