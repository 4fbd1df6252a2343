"""Training claimed runs in workers: cohorts where configs share a program, else one by one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

from thetahat.core.content import StaticPart, static_part
from thetahat.core.errors import ConfigError, StoreError
from thetahat.core.run import Ended, Event, Logged, Started, Status
from thetahat.store import RunRow, Store, pack
from thetahat.sweep._updates import Begun, Closed, Noted, Rows, Update
from thetahat.sweep.spec._examine import Examined
from thetahat.sweep.spec._source_files import Code
from thetahat.sweep.workers._charge import charge
from thetahat.sweep.workers._cohort_size import Widths
from thetahat.sweep.workers._connection import WorkerProcess, wait_for_any
from thetahat.sweep.workers._messages import (
    At,
    Broken,
    Check,
    Fewer,
    Files,
    Job,
    Over,
    Ready,
    Regroup,
    Told,
)
from thetahat.sweep.workers._resume import (
    checkpoint_path,
    copy_checkpoint,
    places_of,
    remove_checkpoints,
)
from thetahat.sweep.workers._slot import Costs, Seat, Task
from thetahat.sweep.workers._staff import Staff

Config = Mapping[str, Any]
STILLBORN = 2
"""Workers that die while they load the experiment, until the agent believes that all will."""


class Crew:
    """Workers that train an experiment's runs.

    Args:    widths: how many runs a worker trains together.
             start: starts a worker, by its number.
             marks: epochs at which the agent decides.   mode: "auto", "map" (exact) or "vmap".
             code: the program's source, to begin workers anew when it has changed.
             begun: the first workers, where they are at it already.
    """

    def __init__(
        self,
        store: Store,
        start: Callable[[int], WorkerProcess],
        size: int,
        *,
        widths: Widths,
        proposed: Callable[[RunRow], Config],
        marks: tuple[int, ...] = (),
        mode: str = "auto",
        code: Code | None = None,
        begun: Sequence[WorkerProcess] = (),
    ) -> None:
        self.store, self.widths, self.size = store, widths, size
        self.proposed, self.marks, self.mode = proposed, marks, mode
        self.staff = Staff(start, size, code, begun)
        self.broken: Broken | None = None
        self._unborn = 0
        """Workers that died before they had loaded the experiment, one after the other."""
        self._costs = Costs()
        self._ended: list[Update] = []
        """Runs that were ended before they began."""
        self._spent: set[str] = set()
        """Cohorts that have ended here, or of which a member goes on alone."""

    # -- what an agent asks of those who run its runs ---------------------------------------------

    @property
    def ready(self) -> bool:
        """Whether runs can be taken: some worker has loaded the experiment, as it is now."""
        return self.staff.traced is not None and self.staff.loaded

    @property
    def busy(self) -> set[str]:
        """Runs of the jobs that are not over."""
        return set().union(*(seat.runs for seat in self.staff.seats))

    def room(self) -> int:
        """How many runs more it can take: places are filled again when half of them are free."""
        if not self.ready or not self.staff.up_to_date():
            return 0
        return self.widths.room([seat.load for seat in self.staff.seats if not seat.stale])

    def take(self, again: Sequence[Sequence[RunRow]], fresh: Sequence[RunRow]) -> None:
        """Train runs: those handed back go on with their cohort, new ones by their programs."""
        loose: list[RunRow] = []
        for group in again:
            if any(run.alone for run in group):
                for run in group:
                    self._queue_alone(run)
            elif group[0].checkpoint is None or not self._go_on(group):
                loose += group
        self._begin(loose + list(fresh))

    def poll(self, timeout_s: float) -> list[Update]:
        """What has happened; waits for it at most so long.

        Raises:  ConfigError: the experiment cannot be loaded.
        """
        wait_for_any([seat.worker for seat in self.staff.seats], timeout_s)
        updates, self._ended = self._ended, []
        for k, seat in enumerate(self.staff.seats):
            for message in seat.worker.messages():
                self.hear(seat, message, updates)
            if self.broken is not None:
                raise ConfigError(self.broken.message)
            if not seat.worker.alive and seat.worker.link is None:
                updates += self._bury(seat)
                self.staff.renew(k)
            elif seat.stale and not seat.tasks:
                self.staff.renew(k)
        return updates + [Noted(None, line) for line in self.staff.go_on()]

    def stop(self, reasons: Mapping[str, str]) -> None:
        """End runs, each for its reason, at the end of their chunk; those at a mark go on."""
        for seat in self.staff.seats:
            for run in seat.stop(reasons):
                self._ended.append(Closed(run, Status.STOPPED, reasons[run], epochs=0))

    def forget(self, runs: set[str]) -> None:
        """Speak no more of runs that another agent holds now; the others of their cohort go on."""
        for seat in self.staff.seats:
            seat.forget(runs)

    def kept(self) -> None:
        """All that was told is in the store: the checkpoints of what has ended can go."""
        self._spent -= _removed(self.store, self._spent)

    def halt(self) -> None:
        """Stop at the end of the chunk: checkpoints stand."""
        for seat in self.staff.seats:
            seat.drop()

    def close(self) -> None:
        """End all workers."""
        self.staff.close()

    # -- beginning ------------------------------------------------------------------------------

    def _begin(self, runs: list[RunRow]) -> None:
        groups: dict[Any, list[RunRow]] = {}
        for run in runs:
            groups.setdefault(self._static(self.proposed(run)), []).append(run)
        open_ = self.staff.open
        free = [seat for seat in open_ if seat.load <= self.widths.ask() // 2] or open_
        for key, cohorts in self.widths.cut(groups, len(free)).items():
            left = iter(groups[key])
            for n, width in cohorts:
                seat = min(open_, key=lambda s: self._costs.until(s, key, open_))
                self._send(seat, key, list(islice(left, n)), width)

    def _send(self, seat: Seat, key: Any, runs: Sequence[RunRow], width: int) -> None:
        configs = [self.proposed(run) for run in runs]
        ghosts = seat.ghosts(key, len(runs))
        name = f"c{runs[0].id}{runs[0].attempt}"
        members = [*configs, *[configs[-1]] * ghosts]
        path = checkpoint_path(self.store, name)
        job = Job(name, members, ghosts, path, marks=self.marks, mode=self.mode)
        held: list[str | None] = [run.id for run in runs]
        task = Task(job, held, set(range(len(held))), name, key=key, width=width)
        if self.widths.of(key) == 1 or key in self.widths.fits:
            seat.waiting.append(task)
            seat.give_next()
        else:
            seat.give(task)

    def _go_on(self, group: Sequence[RunRow]) -> bool:
        """Go on with a cohort from its checkpoint; whether there is one."""
        task = _going_on(self.store, group, self.proposed)
        if task is not None:
            task.job = replace(task.job, marks=self.marks, mode=self.mode)
            self.staff.idlest.give(task)
        return task is not None

    def _queue_alone(self, run: RunRow) -> None:
        seat = self.staff.idlest
        task = _by_itself(self.store, run, self.proposed(run))
        task.job = replace(task.job, marks=self.marks, mode=self.mode)
        if task.job.part is not None:
            self._spent.add(run.cohort or task.job.id)
        seat.waiting.append(task)

    def _static(self, config: Config) -> StaticPart:
        traced = self.staff.traced or frozenset()
        return static_part(config, traced)

    # -- hearing --------------------------------------------------------------------------------

    def hear(self, seat: Seat, message: Any, updates: list[Update]) -> None:
        """Take in what a worker says."""
        if isinstance(message, Ready):
            self._unborn = 0
            self.staff.meet(seat, message)
        elif isinstance(message, Broken):
            self.broken = message
        elif isinstance(message, At):
            seat.come_to(message)
        elif isinstance(message, Told):
            task = seat.tasks.get(message.job)
            if task is not None:
                updates += [Noted(None, line) for line in message.notices]
                task.running, task.waits = task.running & set(message.running), message.waits
                if message.timed is not None:
                    line = self.widths.learn(task.key, task.width, message.timed)
                    updates += [Noted(None, line)] if line else []
                for event in message.events:
                    updates += _update(task, event, seat.facts)
        elif isinstance(message, Files):
            self.staff.watch(message.read)
        elif isinstance(message, Regroup):
            updates += [Noted(None, line) for line in message.notices]
            self._regroup(seat, message)
        elif isinstance(message, Fewer):
            updates += [Noted(None, line) for line in message.notices]
            updates += self._fewer(seat, message)
        elif isinstance(message, Over):
            updates += self._over(seat, message)

    def _regroup(self, seat: Seat, message: Regroup) -> None:
        """Some parameters need a program per value: the job in parts."""
        self.staff.narrow(message.traced)
        task = seat.tasks.pop(message.job)
        seat.sizes.clear()
        groups: dict[Any, list[int]] = {}
        for k, config in enumerate(task.job.configs[: len(task.members)]):
            groups.setdefault(self._static(config), []).append(k)
        if task.job.resume and len(groups) == 1:
            # The worker knows it now; the checkpoint is of such a part.
            seat.give(task)
            return
        for n, (key, places) in enumerate(groups.items()):
            self.staff.idlest.give(self._part(task, n, places, key))

    def _fewer(self, seat: Seat, message: Fewer) -> list[Update]:
        """Not all of them fit into memory: the job in parts, one after the other."""
        task = seat.tasks.pop(message.job)
        self.widths.fits[task.key] = message.fits
        seat.sizes.pop(task.key, None)
        n = len(task.members)
        for at in range(0, n, message.fits):
            places = range(n)[at : at + message.fits]
            seat.waiting.append(self._part(task, at // message.fits, places, task.key))
        return [Noted(None, f"{message.fits} of {n} runs train at a time: memory holds no more")]

    def _part(self, task: Task, n: int, places: Sequence[int], key: Any) -> Task:
        return task.part(f".{n}", places, checkpoint_path(self.store, f"{task.cohort}.{n}"), key)

    def _over(self, seat: Seat, message: Over) -> list[Update]:
        task = seat.tasks.pop(message.job, None)
        if task is None:
            return []
        self._costs.learn(task, message)
        updates: list[Update] = []
        if message.blocked:
            raise StoreError(message.error)
        if message.error:
            updates += [Closed(r, Status.FAILED, message.error, epochs=0) for r in task.held]
        else:
            self._spent.add(task.cohort)
        if not seat.tasks and seat.worker.grown(message.rss):
            updates.append(Noted(None, "a worker's memory had grown: a new one takes its place"))
            self.staff.renew(self.staff.seats.index(seat))
        return updates

    def _bury(self, seat: Seat) -> list[Update]:
        """A worker died: what it trained has crashed, what it had not begun goes elsewhere.

        Raises:  ConfigError: workers die before they have loaded the experiment.
        """
        if seat.worker.ready is None:
            self._unborn += 1
            if self._unborn >= STILLBORN:
                raise ConfigError(_stillborn(seat.worker))
        reason = seat.worker.why_dead()
        seat.worker.end_left()
        crashed, left = charge(seat, seat.worker.process.wait(), reason)
        self._spent |= {task.cohort for task in seat.tasks.values() if task.begun}
        seat.tasks = {}
        for task in left:
            self.staff.idlest.waiting.append(task)
        return list(crashed)


def _removed(store: Store, spent: set[str]) -> set[str]:
    """The cohorts of ``spent`` all of whose runs are over: their checkpoints are removed."""
    over = set()
    for cohort in spent:
        # A part of it may be another agent's, or wait for one who goes on with it.
        if all(run.status.over for run in store.runs(cohort=cohort)):
            remove_checkpoints(store, cohort)
            over.add(cohort)
    return over


def _going_on(
    store: Store, group: Sequence[RunRow], proposed: Callable[[RunRow], Config]
) -> Task | None:
    """The task of a cohort that was handed back; None without a checkpoint."""
    first = group[0]
    cohort = first.cohort or f"c{first.id}{first.attempt}"
    path = checkpoint_path(store, f"{cohort}.{first.attempt}")
    if first.checkpoint is None or not copy_checkpoint(first.checkpoint, path):
        return None
    configs, members = places_of(store, group, proposed)
    running = {k for k, run in enumerate(members) if run is not None}
    ended = tuple(k for k, run in enumerate(members) if run is None)
    job = Job(f"c{first.id}{first.attempt}", configs, 0, path, True, ended=ended)
    return Task(job, members, running, cohort)


def _by_itself(store: Store, run: RunRow, config: Config) -> Task:
    """The task of one run, from its place in its cohort's checkpoint, if there is one."""
    job_id = f"c{run.id}{run.attempt}"
    part = None
    if run.checkpoint is not None and Path(run.checkpoint).exists():
        part = (run.checkpoint, run.member or 0)
    path = checkpoint_path(store, job_id)
    job = Job(job_id, [config], 0, path, resume=part is not None, part=part)
    return Task(job, [run.id], {0}, job_id, solo=True)


def ask(crew: Crew, check: Check) -> Examined:
    """Have the first worker look at the experiment.

    Raises:  ConfigError: the experiment cannot be loaded.
    """
    worker, sent = crew.staff.seats[0].worker, False
    while True:
        wait_for_any([worker], 0.1)
        for message in worker.messages():
            crew.hear(crew.staff.seats[0], message, [])
            if isinstance(message, Examined):
                return message
        if crew.broken is not None:
            raise ConfigError(crew.broken.message)
        if worker.ready is not None and not sent:
            worker.send(check)
            sent = True
        if not worker.alive and worker.link is None:
            raise ConfigError(_stillborn(worker))


def _stillborn(worker: WorkerProcess) -> str:
    return (
        f"a worker ended while it loaded the experiment: {worker.why_dead()}; what it said is in"
        f" {worker.log}"
    )


def _update(task: Task, event: Event, facts: Mapping[str, Any]) -> list[Update]:
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
                {**facts, **event.provenance},
                event.checkpoint,
                task.cohort,
                event.member,
                event.directions,
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
