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
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Client, Connection
from pathlib import Path
from typing import Any, NoReturn

from thetahat.core.data_files import DataFile, data_files, listen
from thetahat.core.errors import CheckpointError, InputError, Notice, ThetahatError
from thetahat.core.json import plain_value
from thetahat.core.provenance import versions
from thetahat.core.run import Event, Started
from thetahat.sweep._full_disk import AGAIN_S, ROOM_S
from thetahat.sweep.spec._coerce import typed
from thetahat.sweep.spec._examine import Examined
from thetahat.sweep.workers._messages import (
    At,
    Broken,
    Check,
    Drop,
    Fewer,
    Files,
    Job,
    Over,
    Quit,
    Ready,
    Regroup,
    Stop,
    Timed,
    Told,
)
from thetahat.sweep.workers._resume import keep_reasons, read_reasons, take_member

ADDRESS, KEY = "THETAHAT_WORKER_ADDRESS", "THETAHAT_WORKER_KEY"
SHARE = "THETAHAT_WORKER_SHARE"
PROGRAM = "THETAHAT_WORKER_PROGRAM"
SURE_S = 0.5
"""Seconds of training after which a job's pace is told: its first chunk is shorter than others."""


@dataclass
class _Live:
    """A job being trained."""

    job: Job
    training: Any
    events: list[Event] = field(default_factory=list)
    waits: bool = False
    """At a mark: the agent decides who goes on."""
    trained_s: float = 0.0
    epoch_s: float = float("inf")
    """Seconds of an epoch, in the fastest chunk."""

    def step(self) -> bool:
        """Train a chunk more, and see how long it takes; False when the job is over."""
        driver = self.training.driver
        spent, epoch = driver.clock.spent_s, driver.epoch
        busy = size = self.training.program.size
        if self.training.program.mode == "map":
            # One by one, those that have ended cost nothing.
            busy = max(1, int(self.training.running.sum()))
        more = self.training.step()
        # The few that are left of a cohort may go on one by one: that is not its pace.
        if driver.epoch > epoch and driver.program is self.training.program:
            took = driver.clock.spent_s - spent
            self.trained_s += took
            self.epoch_s = min(self.epoch_s, took / (driver.epoch - epoch) * size / busy)
        return more

    def timed(self, *, over: bool) -> Timed | None:
        """Its pace, when it has trained long enough to tell."""
        if not self.trained_s or not (over or self.trained_s > SURE_S):
            return None
        program, epochs = self.training.program, self.training.driver.epoch
        return Timed(program.size, program.mode, self.epoch_s, epochs, program.compile_s)

    def told(self, notices: list[str]) -> Told:
        """What happened since the last word, for the agent."""
        events, self.events[:] = list(self.events), []
        said, notices[:] = list(notices), []
        alive = [k for k, on in enumerate(self.training.running) if on]
        # Before the agent hears that its places are free.
        timed = self.timed(over=not alive)
        return Told(self.job.id, events, alive, self.waits, said, timed)


class Worker:
    """Trains jobs in turn until the agent is gone."""

    def __init__(self, link: Connection, shop: Any) -> None:
        self.link, self.shop = link, shop
        self.live: dict[str, _Live] = {}
        self.notices: list[str] = []
        self._at: At | None = None
        self._files: list[DataFile] = []

    def serve(self) -> None:
        """Do what the agent asks, until it asks no more."""
        while True:
            while not any(not live.waits for live in self.live.values()) or self.link.poll(0):
                message = self.link.recv()
                if isinstance(message, Quit):
                    return
                self._obey(message)
            for live in list(self.live.values()):
                if not live.waits:
                    self._advance(live)

    def files(self) -> list[DataFile]:
        """The data files that were read so far: the agent hears of new ones."""
        found = data_files()
        if found != self._files:
            self._files = found
            self.link.send(Files(found))
        return found

    def _obey(self, message: Any) -> None:
        if isinstance(message, Job):
            self._begin(message)
        elif isinstance(message, Check):
            self.link.send(self._examined(message))
        elif isinstance(message, Stop) and message.job in self.live:
            live = self.live[message.job]
            live.waits = False
            if message.reasons:
                keep_reasons(live.job.checkpoint, message.reasons)
                live.training.stop(message.reasons)
                self.link.send(live.told(self.notices))
        elif isinstance(message, Drop):
            for name in [message.job] if message.job else list(self.live):
                self.live.pop(name, None)

    def _examined(self, check: Check) -> Examined | Broken:
        from thetahat.sweep.spec._examine import examine

        try:
            return examine(check.spec, self.shop.experiment)
        except InputError as error:
            return Broken(str(error), True)

    def _go_to(self, at: At) -> None:
        """Say what is done next, where it is another thing than before."""
        if at != self._at:
            self.link.send(at)
            self._at = at

    def _begin(self, job: Job) -> None:
        from thetahat.train import Interrupt, NeedsStatic, Options, TooLarge

        self._go_to(At(job.id, begins=True))
        events: list[Event] = []
        job = _padded(job) if job.resume else job
        signature = self.shop.signature
        real = len(job.configs) - job.ghosts

        def tracker(event: Event) -> None:
            if event.member >= real:
                return
            if isinstance(event, Started):
                # The agent knows nothing of the experiment's own types.
                facts = {"versions": versions(), **_read(self.files()), **event.provenance}
                event = replace(event, config=plain_value(event.config), provenance=facts)
            events.append(event)

        def open_(resume: bool) -> Any:
            memory, idle = self._memory(), frozenset((*job.ended, *range(real, len(job.configs))))
            options = Options((tracker,), job.checkpoint, resume, None, job.mode, memory, idle)
            configs = [typed(signature, config) for config in job.configs]
            return self.shop.open(configs, options, Interrupt(), marks=job.marks)

        try:
            try:
                training = self._opened(job, lambda: open_(job.resume))
            except CheckpointError as error:
                if not job.resume:
                    raise
                self.notices.append(f"{error}. The run began again from its first epoch")
                events.clear()
                training = self._opened(job, lambda: open_(False))
        except NeedsStatic:
            said, self.notices[:] = tuple(self.notices), []
            self.link.send(Regroup(job.id, self.shop.traced, said))
        except TooLarge as error:
            said, self.notices[:] = tuple(self.notices), []
            self.link.send(Fewer(job.id, error.fits, said))
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a user's program may raise anything
            _log()
            blocked = isinstance(error, CheckpointError)
            self.link.send(Over(job.id, resident(), explain(error), blocked=blocked))
        else:
            if job.resume:
                training.session.reasons.update(read_reasons(job.checkpoint))
            idle = (*job.ended, *range(real, len(job.configs)))
            if idle:
                training.stop(dict.fromkeys(idle, "idle"))
            # At a mark the agent before may not have decided: who goes on must wait there again.
            live = _Live(job, training, events, training.driver.epoch in job.marks)
            self.live[job.id] = live
            self.link.send(live.told(self.notices))

    def _opened(self, job: Job, open_: Callable[[], Any]) -> Any:
        """A job opened; while the disk has no room for its first checkpoint, it waits."""
        until, said = time.monotonic() + ROOM_S, False
        while True:
            try:
                return open_()
            except CheckpointError as error:
                if not _no_room(error) or time.monotonic() > until:
                    raise
                if not said:
                    self.notices.append(f"{error}. The runs wait for room, for {ROOM_S:g} s")
                    lines, self.notices[:] = list(self.notices), []
                    self.link.send(Told(job.id, [], range(len(job.configs)), False, lines))
                said = True
            time.sleep(AGAIN_S)

    def _memory(self) -> int:
        """Bytes that a cohort may take: of what is free, this worker's share."""
        from thetahat.train import free_memory

        return int(min(free_memory() * float(os.environ[SHARE]), sys.maxsize))

    def _advance(self, live: _Live) -> None:
        training = live.training
        self._go_to(At(live.job.id))
        try:
            more = live.step()
            live.waits = more and training.driver.epoch in live.job.marks
            if not more:
                training.finish()
        except Exception as error:  # noqa: BLE001 - a user's program may raise anything: it is told
            _log()
            training.fail(error)
            more = False
        self.link.send(live.told(self.notices))
        if not more:
            self.live.pop(live.job.id, None)
            program = training.program
            self.link.send(
                Over(
                    live.job.id,
                    resident(),
                    traces=program.traces,
                    compile_s=program.compile_s,
                    mode=program.mode if program.size > 1 else "alone",
                )
            )


def _no_room(error: CheckpointError) -> bool:
    """Whether a checkpoint could not be written for want of room on the disk."""
    cause = error.__cause__
    return isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT)


def _read(files: Sequence[DataFile]) -> dict[str, Any]:
    """As provenance: what this worker has read, whichever of its runs did."""
    return {"data_files": {file.name: file.digest for file in files}} if files else {}


def _padded(job: Job) -> Job:
    """A job that goes on, with the ghosts that its checkpoint holds."""
    from thetahat.train import read_header

    try:
        if job.part is not None and job.checkpoint is not None:
            take_member(*job.part, job.checkpoint)
        size = int(read_header(str(job.checkpoint))["size"])
    except CheckpointError:
        return job  # opening it says what is wrong
    ghosts = max(0, size - len(job.configs))
    return replace(job, configs=[*job.configs, *[job.configs[-1]] * ghosts], ghosts=ghosts)


def _log() -> None:
    """Write the error at hand into the worker's log."""
    # On a disk that is full: what is told to the agent matters more.
    with contextlib.suppress(OSError):
        traceback.print_exc()


def explain(error: BaseException) -> str:
    """An error in one line: our own messages as they are, others with their type."""
    said = str(error).strip().partition("\n")[0]
    return said if isinstance(error, ThetahatError) else f"{type(error).__name__}: {said}"


def resident() -> int:
    """Return how many bytes of memory this process holds."""
    import psutil

    return psutil.Process().memory_info().rss


def main(load: Callable[[], Any]) -> None:
    """Connect to the agent, load the experiment, and serve."""
    # The agent takes Ctrl-C, and tells its workers what to do.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    link = Client(os.environ[ADDRESS], authkey=bytes.fromhex(os.environ[KEY]))
    said: list[str] = []

    def show(message: Any, category: type[Warning], *where: Any, **more: Any) -> None:
        if issubclass(category, Notice):
            said.append(str(message))
        else:
            before(message, category, *where, **more)

    before, warnings.showwarning = warnings.showwarning, show
    warnings.simplefilter("always", Notice)
    try:
        try:
            shop = load()
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a user's file may raise anything
            _log()
            link.send(Broken(_why_not_loaded(error), isinstance(error, InputError)))
            return
        worker = Worker(link, shop)
        worker.notices = said
        defaults = {
            name: p.default for name, p in shop.signature.parameters.items() if not p.required
        }
        shown = {name: repr(value) for name, value in defaults.items()}
        link.send(Ready(os.getpid(), resident(), shop.traced, shown))
        worker.serve()
    except (EOFError, BrokenPipeError, ConnectionResetError):
        # The agent is gone: what was done is in the checkpoint.
        pass


def _why_not_loaded(error: BaseException) -> str:
    from thetahat.sweep.spec._program import why_not_loaded

    return why_not_loaded(Path(os.environ[PROGRAM]), error)


def _load() -> Any:
    from thetahat.sweep.spec._program import load_experiment
    from thetahat.train import Shop

    listen()
    return Shop(load_experiment(Path(os.environ[PROGRAM])))


def work() -> NoReturn:
    """Be a worker, and end at once.

    Taking JAX apart, object by object, takes half a second and changes nothing.
    """
    main(_load)
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    work()
