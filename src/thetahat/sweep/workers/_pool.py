"""The pool of an agent's workers: cohorts for configs that share a program, else one by one.

Each worker has a slot. The pool replaces a worker that crashed, whose memory grew, or whose program
has changed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from thetahat.core.content import StaticPart, static_part
from thetahat.core.errors import ConfigError, StoreError
from thetahat.core.nested import flat_config
from thetahat.core.run import Ended, Started, Status
from thetahat.store import RunRow, Store
from thetahat.sweep._events import Noted, RunEvent
from thetahat.sweep.spec._signature_check import Examined
from thetahat.sweep.spec._source_files import Code
from thetahat.sweep.spec._spec import SweepSpec
from thetahat.sweep.workers._cohort_size import CohortSizes
from thetahat.sweep.workers._connection import WorkerProcess, wait_for_any
from thetahat.sweep.workers._kept import Models
from thetahat.sweep.workers._messages import (
    Broken,
    Examine,
    Fewer,
    FilesRead,
    Job,
    JobPhase,
    JobReport,
    Over,
    Ready,
    Regroup,
)
from thetahat.sweep.workers._resume import (
    checkpoint_path,
    copy_checkpoint,
    places_of,
    remove_checkpoints,
)
from thetahat.sweep.workers._slot import ClaimedJob, JobCosts, Slot, crashes
from thetahat.sweep.workers._spread import COHORTS, DeviceSpread

Config = Mapping[str, Any]
FAILED_LOADS = 2
"""If so many workers crash one after the other while they load the experiment, the agent stops."""
PATIENCE_S = 2.0


class Pool:
    """Workers that train an experiment's runs.

    Args:    start: starts a worker, by its number.
             mode: "auto", "exact" or "vmap".
             code: the program's source: workers are replaced when it has changed.
             begun: the first workers, if they have started already.
             spread: how the runs lie on several devices.
    """

    def __init__(
        self,
        store: Store,
        start: Callable[[int], WorkerProcess],
        size: int,
        *,
        mode: str = "auto",
        code: Code | None = None,
        begun: Sequence[WorkerProcess] = (),
        spread: DeviceSpread | None = None,
    ) -> None:
        self.store, self.size, self._mode = store, size, mode
        self._start, self._code, self._spread = start, code, spread
        # Workers start before anything else is done: loading JAX takes them a second.
        workers = begun or [start(k) for k in range(size)]
        self._provenance = self._facts()
        self.slots = [Slot(worker, provenance=self._provenance) for worker in workers]
        self.traced: frozenset[str] | None = None
        """The parameters whose values share a program."""
        self._sizes, self._marks = CohortSizes(1), ()
        self._each = self._sizes
        """The sizes for workers that have one device."""
        self._began_s, self._load_s = time.monotonic(), 0.0
        self._models: Models | None = None
        self._proposed: Callable[[RunRow], Config] = lambda run: run.config
        self._broken: Broken | None = None
        self._failed_loads = 0
        self._costs = JobCosts()
        self._events: list[RunEvent] = []
        """Events since the last poll that no worker reported."""
        self._spent: set[str] = set()
        """Cohorts that have ended here, or of which a member goes on alone."""

    def follow(
        self,
        proposed: Callable[[RunRow], Config],
        sizes: CohortSizes,
        marks: tuple[int, ...] = (),
        models: Models | None = None,
    ) -> None:
        """Work for a sweep's file from now on.

        Args:    proposed: the part of a run's config that the sweep proposed.
                 marks: epochs at which the agent decides which runs go on.
                 models: which models the workers keep.
        """
        self._proposed, self._each, self._marks = proposed, sizes, marks
        wide = self._spread is not None and self._spread.way == COHORTS
        self._sizes = sizes.on(self._spread.devices, 1) if self._spread and wide else sizes
        self._models = models

    def examine(self, spec: SweepSpec) -> Examined:
        """Have the first worker check the experiment against a sweep file.

        Raises:  ConfigError: the experiment cannot be loaded.
        """
        slot, sent = self.slots[0], False
        while True:
            wait_for_any([slot.worker], 0.1)
            for message in slot.worker.messages():
                self.take_message(slot, message)
                if isinstance(message, Examined):
                    return message
            if self._broken is not None:
                raise ConfigError(self._broken.message)
            if slot.worker.ready is not None and not sent:
                slot.worker.send(Examine(spec))
                sent = True
            if not slot.worker.alive and slot.worker.link is None:
                raise ConfigError(_failed_load(slot.worker))

    # -- the runner of an agent -----------------------------------------------------------------

    @property
    def ready(self) -> bool:
        """Whether some worker has loaded the experiment, as it is now."""
        loaded = any(slot.worker.ready is not None for slot in self.slots if not slot.stale)
        return self.traced is not None and loaded

    @property
    def busy(self) -> set[str]:
        """Runs of the jobs that are not over."""
        return set().union(*(slot.runs for slot in self.slots))

    def room(self) -> int:
        """How many more runs it can take: slots are filled again when half of them is free."""
        if not self.ready or not self._is_up_to_date():
            return 0
        if self._spread is not None:
            self._spread.consider(self._sizes.steady(), self._load_s)
            if self._spread.turns:
                return 0
        return self._sizes.room([slot.load for slot in self.slots if not slot.stale])

    def take(self, again: Sequence[Sequence[RunRow]], fresh: Sequence[RunRow]) -> None:
        """Train runs: returned ones go on with their cohort, new ones by their programs."""
        loose: list[RunRow] = []
        for group in again:
            if any(run.alone for run in group):
                for run in group:
                    self._queue_alone(run)
            elif group[0].checkpoint is None or not self._resume(group):
                loose += group
        self._begin(loose + list(fresh))

    def poll(self, timeout_s: float) -> list[RunEvent]:
        """Return what has happened; wait for it at most so long.

        Raises:  ConfigError: the experiment cannot be loaded.
        """
        wait_for_any([slot.worker for slot in self.slots], timeout_s)
        events, self._events = self._events, []
        for k, slot in enumerate(self.slots):
            for message in slot.worker.messages():
                events += self.take_message(slot, message)
            if self._broken is not None:
                raise ConfigError(self._broken.message)
            if not slot.worker.alive and slot.worker.link is None:
                events += self._crashed(slot)
                self.replace(k)
            elif slot.stale and not slot.jobs:
                self.replace(k)
        if self._spread is not None and self._spread.turns and not self._busy_slots:
            self._turn(self._spread)
        for slot in self.slots:
            slot.send_next()
        return events

    def stop(self, reasons: Mapping[str, str]) -> None:
        """End runs, each for its reason, at the end of their chunk; those at a mark go on."""
        for slot in self.slots:
            for run in slot.stop(reasons):
                self._events.append(Ended(0, Status.STOPPED, reasons[run], 0, run=run))

    def forget(self, runs: set[str]) -> None:
        """Drop runs that another agent holds now; the others of their cohort go on."""
        for slot in self.slots:
            slot.forget(runs)

    def kept(self) -> None:
        """Remove the checkpoints of cohorts that have ended: all their events are in the store."""
        for cohort in list(self._spent):
            # A part of it may be another agent's, or wait to be resumed.
            if all(run.status.over for run in self.store.runs(cohort=cohort)):
                remove_checkpoints(self.store, cohort)
                self._spent.discard(cohort)

    def halt(self) -> None:
        """Stop at the end of the chunk: checkpoints stand."""
        for slot in self.slots:
            slot.drop()

    def close(self) -> None:
        """End all workers: together they have two seconds."""
        until = time.monotonic() + PATIENCE_S
        try:
            for slot in self.slots:
                slot.worker.leave()
            for slot in self.slots:
                slot.worker.close(max(0.0, until - time.monotonic()))
        finally:
            # Also after a second Ctrl-C: no worker stays behind.
            for slot in self.slots:
                slot.worker.kill()

    # -- workers --------------------------------------------------------------------------------

    @property
    def open(self) -> list[Slot]:
        """Slots that can be given a job."""
        return [slot for slot in self.slots if not slot.stale] or self.slots

    @property
    def idlest(self) -> Slot:
        """The slot with the least to do."""
        return min(self.open, key=lambda slot: slot.load)

    def replace(self, k: int) -> None:
        """Start another worker in a slot; its waiting jobs wait on."""
        before = self.slots[k]
        before.worker.close()
        worker = self._start(k)
        self.slots[k] = Slot(worker, waiting=before.waiting, provenance=self._provenance)

    @property
    def _busy_slots(self) -> list[Slot]:
        return [slot for slot in self.slots if slot.jobs or slot.waiting]

    def _facts(self) -> Mapping[str, Any]:
        """The provenance of all runs: the code, and how they lie on several devices."""
        code = {} if self._code is None else self._code.facts()
        return code if self._spread is None else {**code, "spread": self._spread.way}

    def _turn(self, spread: DeviceSpread) -> None:
        """Replace all workers by those of the other way to use the devices."""
        self.close()
        spread.turn()
        if spread.way == COHORTS:
            self._sizes = self._each.on(spread.devices, spread.devices)
        else:
            self._each.take(self._sizes)
            self._sizes = self._each
        self._start, self.size = spread.start[spread.way], spread.workers
        self._provenance, self._began_s = self._facts(), time.monotonic()
        workers = [self._start(k) for k in range(self.size)]
        self.slots = [Slot(worker, provenance=self._provenance) for worker in workers]

    def _is_up_to_date(self) -> bool:
        """Whether runs may begin: not while the program is being changed."""
        if self._code is None:
            return True
        change = self._code.look()
        if change.say:
            self._events.append(Noted(None, change.say))
        if change.anew:
            self._provenance = self._facts()
            for slot in self.slots:
                slot.stale = True
        return change.settled and not change.anew

    def _loaded(self, slot: Slot, ready: Ready) -> None:
        self._failed_loads = 0
        self._load_s = self._load_s or time.monotonic() - self._began_s
        if not any(s.worker.ready for s in self.slots if s is not slot and not s.stale):
            # What the program traced before it changed does not count.
            self.traced = None
        self._narrow(ready.traced)

    def _narrow(self, traced: frozenset[str]) -> None:
        """Let no other parameters than these share a program."""
        self.traced = traced if self.traced is None else self.traced & traced

    def _crashed(self, slot: Slot) -> list[RunEvent]:
        """Report a worker's crash; move the jobs that it had not begun to other workers.

        Raises:  ConfigError: workers crash before they have loaded the experiment.
        """
        if slot.worker.ready is None:
            self._failed_loads += 1
            if self._failed_loads >= FAILED_LOADS:
                raise ConfigError(_failed_load(slot.worker))
        reason = slot.worker.why_dead()
        slot.worker.end_orphans()
        crashed, left = crashes(slot, slot.worker.process.wait(), reason)
        self._spent |= {claimed.job.cohort for claimed in slot.jobs.values() if claimed.begun}
        slot.jobs = {}
        for claimed in left:
            self.idlest.waiting.append(claimed)
        return list(crashed)

    # -- beginning ------------------------------------------------------------------------------

    def _begin(self, runs: list[RunRow]) -> None:
        """Cut new runs into cohorts by their programs, and send each to the soonest worker."""
        groups: dict[Any, list[RunRow]] = {}
        for run in runs:
            groups.setdefault(self._static(self._proposed(run)), []).append(run)
        free = [slot for slot in self.open if slot.load <= self._sizes.ask() // 2] or self.open
        for key, cohorts in self._sizes.cut(groups, len(free)).items():
            left = iter(groups[key])
            for n, size in cohorts:
                slot = min(self.open, key=lambda s: self._costs.until(s, key, self.open))
                self._send(slot, key, list(islice(left, n)), size)

    def _send(self, slot: Slot, key: Any, runs: Sequence[RunRow], size: int) -> None:
        padding = slot.padding(key, len(runs))
        configs = [self._proposed(run) for run in runs]
        job = self._job(
            f"c{runs[0].id}{runs[0].attempt}",
            [*configs, *[configs[-1]] * padding],
            [*(run.id for run in runs), *[None] * padding],
        )
        claimed = ClaimedJob(job, key, size)
        if self._sizes.of(key) == 1 or key in self._sizes.fits:
            slot.waiting.append(claimed)
            slot.send_next()
        else:
            slot.send(claimed)

    def _job(
        self,
        name: str,
        configs: Sequence[Config],
        runs: Sequence[str | None],
        *,
        cohort: str = "",
        checkpoint: str = "",
        resume: bool = False,
        part: tuple[str, int] | None = None,
    ) -> Job:
        return Job(
            name,
            configs,
            runs,
            cohort or name,
            checkpoint or checkpoint_path(self.store, name),
            resume,
            part,
            self._marks,
            self._mode,
            self._models,
        )

    def _resume(self, group: Sequence[RunRow]) -> bool:
        """Resume a returned cohort from its checkpoint; return whether there is one."""
        first = group[0]
        name = f"c{first.id}{first.attempt}"
        cohort = first.cohort or name
        path = checkpoint_path(self.store, f"{cohort}.{first.attempt}")
        if first.checkpoint is None or not copy_checkpoint(first.checkpoint, path):
            return False
        configs, runs = places_of(self.store, group, self._proposed)
        job = self._job(name, configs, runs, cohort=cohort, checkpoint=path, resume=True)
        self.idlest.send(ClaimedJob(job))
        return True

    def _queue_alone(self, run: RunRow) -> None:
        """Queue one run alone, from its place in its cohort's checkpoint, if there is one."""
        part = None
        if run.checkpoint is not None and Path(run.checkpoint).exists():
            part = (run.checkpoint, run.member or 0)
        name, config = f"c{run.id}{run.attempt}", self._proposed(run)
        job = self._job(name, [config], [run.id], resume=part is not None, part=part)
        if part is not None:
            self._spent.add(run.cohort or name)
        self.idlest.waiting.append(ClaimedJob(job, alone=True))

    def _static(self, config: Config) -> StaticPart:
        return static_part(flat_config(config), self.traced or frozenset())

    # -- messages -------------------------------------------------------------------------------

    def take_message(self, slot: Slot, message: Any) -> list[RunEvent]:
        """Take in a worker's message; return what it tells about runs."""
        events: list[RunEvent] = []
        if isinstance(message, JobReport | Regroup | Fewer):
            events += [Noted(None, line) for line in message.notices]
        match message:
            case Ready():
                self._loaded(slot, message)
            case Broken():
                self._broken = message
            case JobPhase():
                slot.enter(message)
            case JobReport():
                events += self._reported(slot, message)
            case FilesRead(read=files):
                # Runs that begin after one of them has changed read it anew.
                if self._code is not None:
                    self._code.watch(files)
            case Regroup():
                self._regroup(slot, message)
            case Fewer():
                events.append(self._split(slot, message))
            case Over():
                events += self._over(slot, message)
        return events

    def _reported(self, slot: Slot, report: JobReport) -> list[RunEvent]:
        claimed = slot.jobs.get(report.job)
        if claimed is None:
            return []
        runs = set(claimed.runs)
        claimed.running &= set(report.running)
        claimed.waits = report.waits
        events: list[RunEvent] = [event for event in report.events if event.run in runs]
        if report.timed is not None:
            lines = [self._sizes.learn(claimed.key, claimed.size, report.timed)]
            if self._spread is not None:
                left = self._sizes.left(self._sizes.taken)
                lines.append(self._spread.judge(report.timed, left, self._load_s))
            events += [Noted(None, line) for line in lines if line]
        return events

    def _regroup(self, slot: Slot, message: Regroup) -> None:
        """Send a job in parts, because some parameters need a program per value."""
        self._narrow(message.traced)
        claimed = slot.jobs.pop(message.job)
        slot.sizes.clear()
        groups: dict[Any, list[int]] = {}
        for k in claimed.places:
            groups.setdefault(self._static(claimed.job.configs[k]), []).append(k)
        if claimed.job.resume and len(groups) == 1:
            # The worker knows the parameters now; the checkpoint is of such a part.
            slot.send(claimed)
            return
        for n, (key, places) in enumerate(groups.items()):
            self.idlest.send(self._part(claimed, n, places, key))

    def _split(self, slot: Slot, message: Fewer) -> Noted:
        """Send a job in parts, one after the other, because memory does not hold it whole."""
        claimed = slot.jobs.pop(message.job)
        self._sizes.fits[claimed.key] = message.fits
        slot.sizes.pop(claimed.key, None)
        places = claimed.places
        for n, at in enumerate(range(0, len(places), message.fits)):
            part = self._part(claimed, n, places[at : at + message.fits], claimed.key)
            slot.waiting.append(part)
        return Noted(
            None, f"{message.fits} of {len(places)} runs train at a time: memory holds no more"
        )

    def _part(self, claimed: ClaimedJob, n: int, places: Sequence[int], key: Any) -> ClaimedJob:
        path = checkpoint_path(self.store, f"{claimed.job.cohort}.{n}")
        return claimed.part(n, places, path, key)

    def _over(self, slot: Slot, over: Over) -> list[RunEvent]:
        """Take in the end of a job.

        Raises:  StoreError: the worker could not write where checkpoints lie.
        """
        claimed = slot.jobs.pop(over.job, None)
        if claimed is None:
            return []
        self._costs.learn(claimed, over)
        if over.blocked:
            raise StoreError(over.error)
        events: list[RunEvent] = []
        if over.error:
            for run in claimed.held:
                if not claimed.job.resume:  # so that the failed run has its code too
                    events.append(Started(0, None, None, None, slot.provenance, run=run))
                events.append(Ended(0, Status.FAILED, over.error, 0, run=run))
        else:
            self._spent.add(claimed.job.cohort)
        if not slot.jobs and slot.worker.has_grown(over.rss):
            events.append(Noted(None, "a worker's memory had grown: a new one takes its place"))
            self.replace(self.slots.index(slot))
        return events


def _failed_load(worker: WorkerProcess) -> str:
    return (
        f"a worker ended while it loaded the experiment: {worker.why_dead()}; its output is in"
        f" {worker.log}"
    )
