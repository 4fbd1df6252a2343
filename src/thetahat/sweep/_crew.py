"""Training claimed runs in workers: cohorts where configs share a program, else one by one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from thetahat.core.errors import ConfigError
from thetahat.core.run import Ended, Event, Logged, Started, Status
from thetahat.store import RunRow, Store, pack
from thetahat.sweep._messages import (
    Broken,
    Check,
    Drop,
    Examined,
    Job,
    Over,
    Ready,
    Regroup,
    Stop,
    Told,
)
from thetahat.sweep._recorder import Begun, Closed, Crashed, Noted, Rows, Update
from thetahat.sweep._team import WorkerProcess, wait_for_any

Config = Mapping[str, Any]


@dataclass
class _Task:
    """A job in a worker, and the runs behind its members; None for one that is not ours."""

    job: Job
    members: list[str | None]
    running: set[int]
    waits: bool = False
    """Whether it stands at a mark, until the agent has decided."""


@dataclass
class _Seat:
    """A worker and what it does."""

    worker: WorkerProcess
    tasks: dict[str, _Task] = field(default_factory=dict)
    sizes: dict[Any, set[int]] = field(default_factory=dict)
    """Sizes of the programs it has compiled, by static part."""
    waiting: list[_Task] = field(default_factory=list)
    """What it is to do next: one crashed before beside others, so each of these goes alone."""

    @property
    def load(self) -> int:
        """Members that still train."""
        return sum(len(task.running) for task in self.tasks.values()) + len(self.waiting)


class Crew:
    """Workers that train an experiment's runs.

    Args:    width: runs that a worker trains together, at most.
             start: starts a worker, by its number.
             marks: epochs at which the agent decides.   mode: "auto", "map" (exact) or "vmap".
    """

    def __init__(
        self,
        store: Store,
        start: Callable[[int], WorkerProcess],
        size: int,
        *,
        width: int,
        proposed: Callable[[RunRow], Config],
        marks: tuple[int, ...] = (),
        mode: str = "auto",
    ) -> None:
        self.store, self.start, self.width = store, start, width
        self.proposed, self.marks, self.mode = proposed, marks, mode
        self.seats = [_Seat(start(k)) for k in range(size)]
        self.traced: frozenset[str] | None = None
        self.broken: Broken | None = None

    def examine(self, check: Check) -> Examined:
        """Have the first worker look at the experiment.

        Raises:  ConfigError: the experiment cannot be loaded.
        """
        seat, sent = self.seats[0], False
        while True:
            wait_for_any([seat.worker], 0.1)
            for message in seat.worker.messages():
                self._hear(seat, message, [])
                if isinstance(message, Examined):
                    return message
            if self.broken is not None:
                raise ConfigError(self.broken.message)
            if seat.worker.ready is not None and not sent:
                seat.worker.send(check)
                sent = True
            if not seat.worker.alive and seat.worker.link is None:
                raise ConfigError(f"the worker {seat.worker.why_dead()}; see {seat.worker.log}")

    # -- what an agent asks of those who run its runs ---------------------------------------------

    @property
    def ready(self) -> bool:
        """Whether runs can be taken: some worker has loaded the experiment."""
        return self.traced is not None

    @property
    def busy(self) -> set[str]:
        """Runs of the jobs that are not over."""
        tasks = [t for seat in self.seats for t in (*seat.tasks.values(), *seat.waiting)]
        return {run for task in tasks for run in task.members if run is not None}

    def room(self) -> int:
        """How many runs more it can take: places are filled again when half of them are free."""
        free = [self.width - seat.load for seat in self.seats if seat.load <= self.width // 2]
        return sum(free) if self.ready else 0

    def take(self, again: Sequence[Sequence[RunRow]], fresh: Sequence[RunRow]) -> None:
        """Train runs: those handed back go on with their cohort, new ones by their programs."""
        loose = [run for group in again for run in group if run.checkpoint is None]
        for group in again:
            if group[0].checkpoint is not None:
                self._go_on(group)
        for run in (r for r in loose if r.alone):
            self._queue_alone(run)
        self._begin([r for r in loose if not r.alone] + list(fresh))

    def poll(self, timeout_s: float) -> list[Update]:
        """What has happened; waits for it at most so long."""
        wait_for_any([seat.worker for seat in self.seats], timeout_s)
        updates: list[Update] = []
        for k, seat in enumerate(self.seats):
            for message in seat.worker.messages():
                self._hear(seat, message, updates)
            if not seat.worker.alive and seat.worker.link is None and self.broken is None:
                updates += self._bury(seat)
                seat.worker.close()
                self.seats[k] = _Seat(self.start(k), waiting=seat.waiting)
        for seat in self.seats:
            self._next_alone(seat)
        return updates

    def stop(self, reasons: Mapping[str, str]) -> None:
        """End runs, each for its reason, at the end of their chunk; those at a mark go on."""
        for seat in self.seats:
            for task in seat.tasks.values():
                which = {k: reasons[r] for k, r in enumerate(task.members) if r in reasons}
                if which or task.waits:
                    seat.worker.send(Stop(task.job.id, which))
                    task.waits = False

    def forget(self, runs: set[str]) -> None:
        """Train on, but speak no more of runs that another agent holds now."""
        for seat in self.seats:
            for task in seat.tasks.values():
                task.members = [None if r in runs else r for r in task.members]

    def halt(self) -> None:
        """Stop at the end of the chunk: checkpoints stand."""
        for seat in self.seats:
            seat.worker.send(Drop())
            seat.tasks, seat.waiting = {}, []

    def close(self) -> None:
        """End all workers."""
        for seat in self.seats:
            seat.worker.close()

    # -- beginning ------------------------------------------------------------------------------

    def _begin(self, runs: list[RunRow]) -> None:
        groups: dict[Any, list[RunRow]] = {}
        for run in runs:
            groups.setdefault(self._static(self.proposed(run)), []).append(run)
        free = [seat for seat in self.seats if seat.load <= self.width // 2] or self.seats
        # A program for each worker, until there are fewer programs than workers.
        parts = max(1, len(free) // max(1, len(groups)))
        for key, group in groups.items():
            share = min(self.width, -(-len(group) // parts))
            for at in range(0, len(group), share):
                seat = min(self.seats, key=lambda s: (s.load, key not in s.sizes))
                known = [s for s in free if key in s.sizes and s.load < self.width]
                if known and self.width == 1:
                    seat = known[0]
                self._send(seat, key, group[at : at + share])

    def _send(self, seat: _Seat, key: Any, runs: Sequence[RunRow]) -> None:
        configs = [self.proposed(run) for run in runs]
        sizes = seat.sizes.setdefault(key, set())
        ghosts = 0
        if len(runs) not in sizes:
            # A program that is compiled already is worth some idle members.
            larger = [n for n in sizes if len(runs) < n <= 2 * len(runs)]
            ghosts = min(larger) - len(runs) if larger else 0
        sizes.add(len(runs) + ghosts)
        job_id = f"c{runs[0].id}{runs[0].attempt}"
        job = Job(
            job_id,
            [*configs, *[configs[-1]] * ghosts],
            ghosts,
            str(self.store.folder / "checkpoints" / f"{job_id}.ckpt"),
            marks=self.marks,
            mode=self.mode,
        )
        self._give(seat, _Task(job, [run.id for run in runs], set(range(len(runs)))))

    def _go_on(self, group: Sequence[RunRow]) -> None:
        """A cohort from its checkpoint, which holds all members, also those that have ended."""
        first = group[0]
        whole = list(group)
        if first.cohort is not None:
            whole = sorted(self.store.runs(cohort=first.cohort), key=lambda run: run.member or 0)
        mine = {run.id for run in group}
        job = Job(
            f"c{first.id}{first.attempt}",
            [self.proposed(run) for run in whole],
            checkpoint=first.checkpoint,
            resume=True,
            marks=self.marks,
            mode=self.mode,
        )
        members = [run.id if run.id in mine else None for run in whole]
        running = {k for k, run in enumerate(members) if run is not None}
        seat = min(self.seats, key=lambda s: s.load)
        self._give(seat, _Task(job, members, running))

    def _queue_alone(self, run: RunRow) -> None:
        seat = min(self.seats, key=lambda s: s.load)
        config = self.proposed(run)
        job_id = f"c{run.id}{run.attempt}"
        path = str(self.store.folder / "checkpoints" / f"{job_id}.ckpt")
        job = Job(job_id, [config], 0, path, marks=self.marks, mode=self.mode)
        seat.waiting.append(_Task(job, [run.id], {0}))

    def _next_alone(self, seat: _Seat) -> None:
        if seat.waiting and not seat.tasks and seat.worker.ready is not None:
            self._give(seat, seat.waiting.pop(0))

    def _give(self, seat: _Seat, task: _Task) -> None:
        seat.tasks[task.job.id] = task
        seat.worker.send(task.job)

    def _static(self, config: Config) -> tuple[tuple[str, str], ...]:
        assert self.traced is not None
        return tuple(sorted((k, repr(v)) for k, v in config.items() if k not in self.traced))

    # -- hearing --------------------------------------------------------------------------------

    def _hear(self, seat: _Seat, message: Any, updates: list[Update]) -> None:
        if isinstance(message, Ready):
            self.traced = message.traced if self.traced is None else self.traced & message.traced
        elif isinstance(message, Broken):
            self.broken = message
        elif isinstance(message, Told):
            task = seat.tasks.get(message.job)
            if task is not None:
                updates += [Noted(None, line) for line in message.notices]
                task.running &= set(message.running)
                task.waits = message.waits
                for event in message.events:
                    updates += _update(task, event)
        elif isinstance(message, Regroup):
            updates += [Noted(None, line) for line in message.notices]
            self._regroup(seat, message)
        elif isinstance(message, Over):
            updates += self._over(seat, message)

    def _regroup(self, seat: _Seat, message: Regroup) -> None:
        """Some parameters need a program per value: the job in parts."""
        assert self.traced is not None
        self.traced &= message.traced
        task = seat.tasks.pop(message.job)
        seat.sizes.clear()
        groups: dict[Any, list[int]] = {}
        for k, config in enumerate(task.job.configs[: len(task.members)]):
            groups.setdefault(self._static(config), []).append(k)
        for n, places in enumerate(groups.values()):
            path = str(Path(task.job.checkpoint or "").with_suffix(f".{n}.ckpt"))
            configs = [task.job.configs[k] for k in places]
            job = Job(f"{task.job.id}.{n}", configs, 0, path, marks=self.marks, mode=self.mode)
            members = [task.members[k] for k in places]
            target = min(self.seats, key=lambda s: s.load)
            self._give(target, _Task(job, members, set(range(len(members)))))

    def _over(self, seat: _Seat, message: Over) -> list[Update]:
        task = seat.tasks.pop(message.job, None)
        if task is None:
            return []
        updates: list[Update] = []
        if message.error:
            held = [run for run in task.members if run is not None]
            updates += [Closed(run, Status.FAILED, message.error, epochs=0) for run in held]
        elif task.job.checkpoint:
            for path in (Path(task.job.checkpoint), Path(f"{task.job.checkpoint}.history")):
                path.unlink(missing_ok=True)
        if not seat.tasks and seat.worker.grown(message.rss):
            seat.worker.close()
            updates.append(Noted(None, "a worker's memory had grown: a new one takes its place"))
            at = self.seats.index(seat)
            self.seats[at] = _Seat(self.start(at), waiting=seat.waiting)
        return updates

    def _bury(self, seat: _Seat) -> list[Update]:
        """A worker died: what it trained has crashed, what it had not begun goes elsewhere."""
        reason = f"the worker {seat.worker.why_dead()}"
        updates: list[Update] = []
        for task in seat.tasks.values():
            held = [task.members[k] for k in sorted(task.running)]
            updates.append(Crashed([run for run in held if run is not None], reason))
        return updates


def _update(task: _Task, event: Event) -> list[Update]:
    run = task.members[event.member] if event.member < len(task.members) else None
    if run is None:
        return []
    if isinstance(event, Started):
        return [
            Begun(
                run,
                event.config,
                event.epochs,
                event.n_params,
                event.provenance,
                event.checkpoint,
                task.job.id,
                event.member,
            )
        ]
    if isinstance(event, Logged):
        return [Rows(run, pack(event.columns))] if len(next(iter(event.columns.values()))) else []
    assert isinstance(event, Ended)
    return [
        Closed(
            run,
            event.status,
            event.reason,
            event.metrics,
            event.epochs,
            event.seconds,
            event.detail,
        )
    ]
