"""A worker: a process that imports and compiles once, and trains cohorts for its agent.

It is started as ``python -m thetahat.sweep.workers._worker`` with a socket's address in its
environment, or forked by the fork server before JAX has started anything (``_fork_server_main``).
It trains the jobs that it is sent, a chunk at a time, several jobs in turn.
"""

from __future__ import annotations

import atexit
import contextlib
import errno
import os
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable
from dataclasses import replace
from multiprocessing.connection import Client, Connection
from pathlib import Path
from typing import Any, NoReturn

from thetahat.core.data_files import DataFile, data_files, listen
from thetahat.core.errors import CheckpointError, InputError, Notice, ThetahatError, why_failed
from thetahat.core.json import plain_value
from thetahat.core.provenance import versions
from thetahat.core.run import Ended, Event, Started
from thetahat.sweep._full_disk import AGAIN_S, ROOM_S
from thetahat.sweep.spec._coerce import typed
from thetahat.sweep.workers._fork_server import appended
from thetahat.sweep.workers._kept import ModelKeeper
from thetahat.sweep.workers._messages import (
    ADDRESS,
    FUNCTION,
    KEY,
    PROGRAM,
    SHARE,
    Broken,
    Drop,
    Examine,
    Fewer,
    FilesRead,
    Job,
    JobPhase,
    JobReport,
    Over,
    Quit,
    Ready,
    Regroup,
    Stop,
    Timed,
)
from thetahat.sweep.workers._resume import keep_reasons, read_reasons, take_member

_WHOLE = "0.6"
"""Share of the free memory for cohorts, of a worker that is no process of its own."""
SURE_S = 0.5
"""Seconds of training until a job's speed is reported: its first chunk is shorter than others."""


class LiveJob:
    """A job that is being trained.

    Raises:  CheckpointError: the first checkpoint cannot be written.
    """

    def __init__(self, job: Job, worker: Worker) -> None:
        self.job, self._worker = _padded(job) if job.resume else job, worker
        self._idle = frozenset(k for k, run in enumerate(self.job.runs) if run is None)
        self._events: list[Event] = []
        self._trained_s, self._epoch_s = 0.0, float("inf")
        try:
            self.training = self._open(job.resume)
        except CheckpointError as error:
            if not job.resume or _is_disk_full(error):
                raise
            worker.notices.append(f"{error}. The run began again from its first epoch")
            self._events.clear()
            self.training = self._open(False)
        if self._idle:
            self.training.stop(dict.fromkeys(self._idle, "idle"))
        # A run may stand at a mark at which the agent before had not decided.
        self.waits = self.training.driver.epoch in job.marks

    def _open(self, resume: bool) -> Any:
        from thetahat.train import Interrupt, Options

        job = self.job
        options = Options(
            trackers=(self._track,),
            checkpoint=job.checkpoint,
            resume=resume,
            mode=job.mode,
            share=float(os.environ.get(SHARE, _WHOLE)),
            idle=self._idle,
            reasons=read_reasons(job.checkpoint) if resume else {},
        )
        configs = [typed(self._worker.shop.signature, config) for config in job.configs]
        return self._worker.shop.open(configs, options, Interrupt(), marks=job.marks)

    def _track(self, event: Event) -> None:
        """Keep an event of training for the agent, with the id of its run."""
        run = self.job.runs[event.member]
        if run is None:
            return
        event = replace(event, run=run)
        if isinstance(event, Started):
            files = {file.name: file.digest for file in self._worker.read_files()}
            given = {**self.job.provenance, "versions": versions(), **event.provenance}
            # Whichever of the worker's runs has read them.
            given = {"data_files": files, **given} if files else given
            # The agent cannot import the experiment's own types.
            config = plain_value(event.config)
            event = replace(event, config=config, provenance=given, cohort=self.job.cohort)
        if isinstance(event, Ended) and self.job.models is not None:
            # Before its end is reported: the best run of a sweep always has its model.
            result = self.training.session.results.get(event.member)
            if result is not None:
                self._worker.keeper.take(self.job.models, event, result)
        self._events.append(event)

    def step(self) -> bool:
        """Train one more chunk, and time it; return False when the job is over."""
        training, driver = self.training, self.training.driver
        spent, epoch = driver.clock.spent_s, driver.epoch
        busy = size = training.program.size
        if training.program.mode == "exact":
            # One by one, members that have ended cost nothing.
            busy = max(1, int(training.running.sum()))
        more = training.step()
        # The last members of a cohort may go on one by one: that is not its speed.
        if driver.epoch > epoch and driver.program is training.program:
            took = driver.clock.spent_s - spent
            self._trained_s += took
            self._epoch_s = min(self._epoch_s, took / (driver.epoch - epoch) * size / busy)
        self.waits = more and driver.epoch in self.job.marks
        if not more:
            training.finish()
        return more

    def stop(self, reasons: dict[int, str]) -> None:
        """End members, by place and reason; the others go on."""
        self.waits = False
        if reasons:
            keep_reasons(self.job.checkpoint, reasons)
            self.training.stop(reasons)

    def report(self) -> JobReport:
        """Report what happened since the last report."""
        events, self._events[:] = list(self._events), []
        running = [k for k, on in enumerate(self.training.running) if on]
        # The speed comes with the report that the places are free, or before.
        timed = None
        if self._trained_s and (not running or self._trained_s > SURE_S):
            program, epochs = self.training.program, self.training.driver.epoch
            timed = Timed(program.size, program.mode, self._epoch_s, epochs, program.compile_s)
        lines = self._worker.taken_notices()
        return JobReport(self.job.id, events, running, self.waits, lines, timed)


class Worker:
    """Trains jobs in turn until the agent is gone.

    Args:    notices: lines for users, collected while the worker works.
             log: the file for tracebacks; by default they go to standard error, a process's log.
    """

    def __init__(
        self, link: Connection, shop: Any, notices: list[str], log: Path | None = None
    ) -> None:
        self.link, self.shop, self.notices, self._log = link, shop, notices, log
        self.live: dict[str, LiveJob] = {}
        self.keeper = ModelKeeper(notices.append)
        self._phase: JobPhase | None = None
        self._files: list[DataFile] = []

    def serve(self) -> None:
        """Do what the agent asks, until it asks to quit."""
        while True:
            while not any(not live.waits for live in self.live.values()) or self.link.poll(0):
                message = self.link.recv()
                if isinstance(message, Quit):
                    return
                self._obey(message)
            for live in list(self.live.values()):
                if not live.waits:
                    self._advance(live)

    def read_files(self) -> list[DataFile]:
        """Return the data files that were read so far, and send new ones to the agent."""
        found = data_files()
        if found != self._files:
            self._files = found
            self.link.send(FilesRead(found))
        return found

    def _obey(self, message: Any) -> None:
        match message:
            case Job():
                self._begin(message)
            case Examine(spec=spec):
                from thetahat.sweep.spec._signature_check import examine

                try:
                    self.link.send(examine(spec, self.shop.experiment))
                except InputError as error:
                    self.link.send(Broken(str(error)))
            case Stop(job=name, reasons=reasons) if name in self.live:
                self.live[name].stop(dict(reasons))
                if reasons:
                    self.link.send(self.live[name].report())
            case Drop(job=None):
                self.live.clear()
            case Drop(job=str(name)):
                self.live.pop(name, None)

    def _enter(self, phase: JobPhase) -> None:
        """Tell the agent what is done next, if it differs from before."""
        if phase != self._phase:
            self.link.send(phase)
            self._phase = phase

    def _begin(self, job: Job) -> None:
        from thetahat.train import NeedsStatic, TooLarge

        self._enter(JobPhase(job.id, opens=True))
        try:
            live = self._open(job)
        except NeedsStatic:
            self.link.send(Regroup(job.id, self.shop.traced, self.taken_notices()))
        except TooLarge as error:
            self.link.send(Fewer(job.id, error.fits, self.taken_notices()))
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a user's program may raise anything
            log_error(self._log)
            blocked = isinstance(error, CheckpointError)
            self.link.send(Over(job.id, resident(), error=explain(error), blocked=blocked))
        else:
            self.live[job.id] = live
            self.link.send(live.report())

    def _open(self, job: Job) -> LiveJob:
        """Open a job; while the disk is too full for its first checkpoint, wait."""
        until, noted = time.monotonic() + ROOM_S, False
        while True:
            try:
                return LiveJob(job, self)
            except CheckpointError as error:
                if not _is_disk_full(error) or time.monotonic() > until:
                    raise
                if not noted:
                    self.notices.append(f"{error}. The runs wait for room, for {ROOM_S:g} s")
                    running = range(len(job.runs))
                    self.link.send(JobReport(job.id, [], running, notices=self.taken_notices()))
                noted = True
            time.sleep(AGAIN_S)

    def taken_notices(self) -> list[str]:
        """Return the notices since the last call."""
        taken, self.notices[:] = list(self.notices), []
        return taken

    def _advance(self, live: LiveJob) -> None:
        self._enter(JobPhase(live.job.id))
        try:
            more = live.step()
        except Exception as error:  # noqa: BLE001 - a user's program may raise anything: it is told
            log_error(self._log)
            live.training.fail(error)
            more = live.waits = False
        self.link.send(live.report())
        if not more:
            self.live.pop(live.job.id, None)
            program = live.training.program
            self.link.send(Over(live.job.id, resident(), program.traces, program.compile_s))


def _is_disk_full(error: CheckpointError) -> bool:
    cause = error.__cause__
    return isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT)


def _padded(job: Job) -> Job:
    """A job to resume, with as many idle members as its checkpoint has."""
    from thetahat.train import read_header

    try:
        if job.part is not None and job.checkpoint is not None:
            take_member(*job.part, job.checkpoint)
        size = int(read_header(str(job.checkpoint))["size"])
    except CheckpointError:
        return job  # opening it says what is wrong
    idle = max(0, size - len(job.configs))
    configs = [*job.configs, *[job.configs[-1]] * idle]
    return replace(job, configs=configs, runs=[*job.runs, *[None] * idle])


def log_error(log: Path | None = None) -> None:
    """Write the current error into the worker's log."""
    # If the disk is full, the message to the agent matters more.
    with contextlib.suppress(OSError):
        if log is None:
            traceback.print_exc()
            return
        with appended(log) as file:
            file.write(traceback.format_exc().encode("utf-8", "backslashreplace"))


def explain(error: BaseException) -> str:
    """An error in one line: our own messages as they are, others with their type and line."""
    line = str(error).strip().partition("\n")[0]
    return line if isinstance(error, ThetahatError) else why_failed(error)


def resident() -> int:
    """Return how many bytes of memory this process holds."""
    import psutil

    return psutil.Process().memory_info().rss


def main(load: Callable[[], Any]) -> None:
    """Connect to the agent, load the experiment, and serve."""
    # The agent handles Ctrl-C and SIGTERM, and tells its workers what to do.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _outlive_sigterm()
    link = Client(os.environ[ADDRESS], authkey=bytes.fromhex(os.environ[KEY]))
    notices: list[str] = []

    def show(message: Any, category: type[Warning], *where: Any, **more: Any) -> None:
        if issubclass(category, Notice):
            notices.append(str(message))
        else:
            before(message, category, *where, **more)

    before, warnings.showwarning = warnings.showwarning, show
    warnings.simplefilter("always", Notice)
    try:
        try:
            shop = load()
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a user's file may raise anything
            from thetahat.sweep.spec._program import why_not_loaded

            log_error()
            link.send(Broken(why_not_loaded(Path(os.environ[PROGRAM]), error)))
            return
        link.send(Ready(os.getpid(), shop.traced))
        Worker(link, shop, notices).serve()
    except (EOFError, BrokenPipeError, ConnectionResetError):
        # The agent is gone: the checkpoint holds what was done.
        pass


def _outlive_sigterm() -> None:
    """Do nothing at SIGTERM: a batch system sends it to all processes of a job at once.

    What an experiment starts, such as data loaders, still ends by it: a handler does not outlast
    the start of another program, as SIG_IGN would, and forks get the default back.
    """
    signal.signal(signal.SIGTERM, lambda *_: None)
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=lambda: signal.signal(signal.SIGTERM, signal.SIG_DFL))


def _load() -> Any:
    from thetahat.sweep.spec._program import load_experiment
    from thetahat.train import Shop

    listen()
    return Shop(load_experiment(Path(os.environ[PROGRAM]), os.environ.get(FUNCTION) or None))


def work() -> NoReturn:
    """Be a worker, and end at once: taking JAX apart takes half a second and changes nothing."""
    main(_load)
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    work()
