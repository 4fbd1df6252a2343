"""Runs as processes: any program, in any language."""

from __future__ import annotations

import contextlib
import os
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from thetahat.core.errors import InputError, StoreError
from thetahat.core.places import given_place
from thetahat.core.provenance import provenance
from thetahat.core.run import Ended, Logged, Started, Status
from thetahat.store import RunRow, Store, SweepRow
from thetahat.sweep._events import Described, Noted, RunEvent
from thetahat.sweep.processes._metrics import About, Metrics
from thetahat.sweep.processes._process import Ending, Order, ProgramProcess, environment
from thetahat.sweep.processes._process_group import (
    Watchdog,
    began_at,
    folder_of_run,
    remember_program,
)
from thetahat.sweep.processes._rows_file import ROWS
from thetahat.sweep.processes._silence import Silence
from thetahat.sweep.spec._command import argv_of
from thetahat.sweep.spec._source_files import Code

READ_S = 0.25
"""Seconds between two reads of a program's metrics."""


class Running(Protocol):
    """A program that runs: a process, or a call of a function."""

    @property
    def pid(self) -> int:
        """Its process."""
        ...

    @property
    def received(self) -> int:
        """How many bytes it has printed, as far as that is known."""
        ...

    def last_line(self) -> str:
        """Return the last line that it printed, as far as that is known."""
        ...

    def poll(self) -> Ending | None:
        """Return how it ended, or None while it runs."""
        ...

    def stop(self, status: Status = ..., reason: str = ...) -> None:
        """Ask it to end."""
        ...

    def kill(self, status: Status = ..., reason: str = ...) -> None:
        """End it now."""
        ...

    def wait(self, pause_s: float = ...) -> Ending | None:
        """Wait until it has ended."""
        ...


@dataclass
class Child:
    """The process of one run, and what it logs."""

    run: RunRow
    process: Running
    metrics: Metrics
    folder: Path
    proposed: Mapping[str, Any]
    about: About
    """What the program said of the run, as far as it was reported."""
    device: str | None = None
    read_s: float = 0.0
    silence: Silence = field(default_factory=lambda: Silence(time.monotonic()))


class Processes:
    """Runs as processes, several at once.

    Args:    size: limit of processes at a time.   command, program: of the sweep file.
             cwd: where programs run.   devices: used in turn, as CUDA_VISIBLE_DEVICES.
             code: the program's source.
    """

    ready = True

    def __init__(
        self,
        store: Store,
        sweep: SweepRow,
        size: int,
        *,
        command: Sequence[str] | None,
        program: str | None,
        cwd: Path,
        timeout_s: float | None = None,
        devices: Sequence[str] = (),
        code: Code | None = None,
    ) -> None:
        self.store, self.sweep, self.size = store, sweep, size
        self.command, self.program = command, program
        self._proposed: Callable[[RunRow], Mapping[str, Any]] = lambda run: run.config
        self.cwd, self.timeout_s, self.devices = cwd, timeout_s, devices
        self.children: dict[str, Child] = {}
        self._waiting: list[RunEvent] = []
        self.code = code
        self._facts = provenance(None) if code is None else code.facts()
        self._watchdog = Watchdog()
        self._reported_media: set[str] = set()
        self._ended: list[Path] = []
        """Folders of runs that ended since the last ``kept``."""

    def follow(self, proposed: Callable[[RunRow], Mapping[str, Any]]) -> None:
        """Give programs the part of a run's config that its sweep proposed."""
        self._proposed = proposed

    @property
    def busy(self) -> set[str]:
        """Ids of the runs whose processes run."""
        return set(self.children)

    def room(self) -> int:
        """Return how many more processes may start."""
        return self.size - len(self.children)

    def take(self, again: Sequence[Sequence[RunRow]], fresh: Sequence[RunRow]) -> None:
        """Start a process for each run; a run whose process cannot start fails.

        Raises:  StoreError: the store's folder cannot be written; the runs return to the queue.
        """
        for run in [*(r for group in again for r in group), *fresh]:
            try:
                self._start(run)
            except StoreError:
                raise
            except InputError as error:
                self._waiting.append(Ended(0, Status.FAILED, str(error), run=run.id))

    def poll(self, timeout_s: float) -> list[RunEvent]:
        """Return what has happened; wait for it at most ``timeout_s``."""
        until = time.monotonic() + timeout_s
        while True:
            events, self._waiting = self._waiting, []
            for child in list(self.children.values()):
                events += self._look(child)
            if events or time.monotonic() >= until or not self.children:
                return events
            time.sleep(0.01)

    def stop(self, reasons: Mapping[str, str]) -> None:
        """Terminate processes, each for its reason, and kill them after a grace period."""
        for run, reason in reasons.items():
            if run in self.children:
                self.children[run].process.stop(Status.STOPPED, reason)

    def forget(self, runs: set[str]) -> None:
        """Kill the processes of runs that another agent has claimed."""
        for run in runs & set(self.children):
            process = self.children.pop(run).process
            process.kill(Status.INTERRUPTED, "another agent took it")
            self._watchdog.release(process.pid)

    def kept(self) -> None:
        """Remove what programs logged: the store has it. Their outputs are kept."""
        for folder in self._ended:
            # A process that still runs there is told by its next ``th.log``.
            with contextlib.suppress(OSError):
                (folder / ROWS).unlink()
        self._ended = []

    def halt(self) -> None:
        """Terminate all processes, kill them after a grace period, and report nothing more."""
        try:
            for child in self.children.values():
                child.process.stop(Status.INTERRUPTED, "its agent left")
            for child in self.children.values():
                child.process.wait()
        finally:
            # Also after a second Ctrl-C: another agent may claim their runs at once.
            self.close()

    def close(self) -> None:
        """Kill every process."""
        for child in self.children.values():
            child.process.kill()
            child.process.wait()
        self.children = {}
        self._watchdog.close()

    def _start(self, run: RunRow) -> None:
        config = self._proposed(run)
        self._look_at_code()
        folder = folder_of_run(self.store, run)
        env = environment(
            config,
            folder=folder,
            run_id=run.id,
            sweep_id=self.sweep.id,
            store=given_place(self.store.path),
            name=run.name,
        )
        device = self._next_device()
        if device is not None:
            env["CUDA_VISIBLE_DEVICES"] = device
        argv = argv_of(self.command, self.program, config, env=env, folder=folder)
        metrics = Metrics(folder, self.cwd, run.id, self.store)
        self._watchdog.start()
        process = ProgramProcess(
            Order(argv, env, folder, self.cwd, self.timeout_s),
            on_stdout=metrics.take_stdout,
            on_stderr=metrics.take_stderr,
            on_long=metrics.take_long,
        )
        began = began_at(process.pid)
        if began is not None:
            self._watchdog.watch(process.pid, began)
            remember_program(folder, process.pid, began)
        about = About({}, run.name)
        self.children[run.id] = Child(run, process, metrics, folder, config, about, device)
        facts = {**self._facts, "argv": argv, "logs": os.path.relpath(folder, self.store.folder)}
        # A program may add to its config by ``th.start`` before this is written. A later attempt
        # starts without what the earlier one added.
        known = config if run.attempt > 1 else None
        self._waiting.append(Started(0, known, None, None, facts, run=run.id))

    def _next_device(self) -> str | None:
        """Return the device that the fewest processes use."""
        used = Counter(child.device for child in self.children.values())
        return min(self.devices, key=lambda device: used[device], default=None)

    def _look_at_code(self) -> None:
        """Record the source that the next process reads."""
        if self.code is None:
            return
        change = self.code.look(settled_s=0.0, warm=False)
        if change.say:
            self._waiting.append(Noted(None, change.say))
        if change.anew:
            self._facts = self.code.facts()

    def _look(self, child: Child) -> list[RunEvent]:
        ending = child.process.poll()
        now = time.monotonic()
        if ending is None and now - child.read_s < READ_S:
            return []
        child.read_s = now
        events: list[RunEvent] = []
        rows = child.metrics.new()
        if rows:
            run = child.run.id
            events += [Logged(0, columns, run) for columns in child.metrics.unstored()]
            events.append(Logged(0, dict.fromkeys((n for row in rows for n in row), ()), run))
        about = child.metrics.about()
        if about != child.about:
            name = "" if about.name == child.about.name else about.name
            events.append(Described(child.run.id, about.config, child.proposed, name, about.labels))
            child.about = about
        for line in child.metrics.notes():
            events.append(Noted(child.run.id, f"{child.run.name}: {line}"))
        events += self._media(child)
        quiet = child.silence.look(now, child.process.received, logged=bool(rows))
        if quiet and ending is None:
            events.append(Noted(child.run.id, _quiet_words(child, quiet)))
        if ending is not None:
            events += self._close(child, ending)
        return events

    def _media(self, child: Child) -> list[RunEvent]:
        """Report media, which are not metrics, once for all runs."""
        new = sorted(set(child.metrics.media) - self._reported_media)
        if not new:
            return []
        self._reported_media |= set(new)
        kinds = ", ".join(f"{name} ({child.metrics.media[name]})" for name in new)
        line = f"logged as media, and so no metrics: {kinds}; the files stay in the runs' folders"
        return [Noted(None, line)]

    def _close(self, child: Child, ending: Ending) -> list[RunEvent]:
        self.children.pop(child.run.id, None)
        self._watchdog.release(child.process.pid)
        notes = [Noted(child.run.id, f"{child.run.name}: {line}") for line in ending.notes]
        words = child.metrics.words()
        self._ended.append(child.folder)
        ended = Ended(
            0,
            ending.status,
            ending.reason,
            metrics=ending.metrics or child.metrics.summary(),
            seconds={"total": ending.seconds},
            detail={"exit_code": ending.code, **({"logged": words} if words else {})},
            run=child.run.id,
        )
        return [*notes, ended]


def _quiet_words(child: Child, quiet: str) -> str:
    last = child.process.last_line()
    return (
        f"{child.run.name}: no output and no metric for {quiet}"
        + (f"; its last line: {last}" if last else "")
        + ". It may wait for a process that has died: Ctrl-C ends this agent, and a sweep made with"
        " --timeout S ends such runs"
    )
