"""Runs as calls of a function of this process, one after the other: ``wandb.agent(function=)``.

The agent is a thread; the thread that made it calls the function, so that plots and signals work.
What the function logs takes the way of a process's ``th.log``: by the file of its run's rows.
"""

from __future__ import annotations

import os
import queue
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from thetahat.core.logged import ending_of
from thetahat.core.places import given_place
from thetahat.core.provenance import provenance
from thetahat.core.run import Started, Status
from thetahat.store import RunRow, Store, SweepRow
from thetahat.sweep.processes._metrics import About, Metrics
from thetahat.sweep.processes._process import Ending, environment, own_ending
from thetahat.sweep.processes._process_group import folder_of_run
from thetahat.sweep.processes._runner import Child, Processes

_PASSED_ON = ("WANDB_", "THETAHAT_")
WAIT_S = 0.05


class RunStopped(SystemExit):
    """The search or a user has stopped the run: raised where its function logs next."""


class Call:
    """One call of the function: what the runner of processes knows as a process."""

    def __init__(self, env: Mapping[str, str], folder: Path) -> None:
        self.env, self.folder = env, folder
        self.pid = os.getpid()
        self.asked: tuple[Status, str] | None = None
        self._ending: Ending | None = None

    @property
    def received(self) -> int:
        """What a function prints goes to the terminal, uncounted."""
        return 0

    def last_line(self) -> str:
        """What a function prints is not kept."""
        return ""

    def poll(self) -> Ending | None:
        """Return how it ended, or None while it runs."""
        return self._ending

    def stop(self, status: Status = Status.STOPPED, reason: str = "") -> None:
        """Ask the function to end, where it logs next."""
        self.asked = self.asked or (status, reason)

    kill = stop

    def wait(self, pause_s: float = 0.01) -> Ending | None:
        """Return at once: a function cannot be ended from outside."""
        return self._ending

    def check(self) -> None:
        """End the function if its run has been stopped.

        Raises:  RunStopped: it has.
        """
        if self.asked is not None:
            raise RunStopped(self.asked[1])

    def call(self, function: Callable[[], Any]) -> None:
        """Call the function in the environment of its run.

        Raises:  KeyboardInterrupt: Ctrl-C.
        """
        began, error = time.monotonic(), None
        try:
            with _environment(self.env):
                self.check()
                function()
        except KeyboardInterrupt as pressed:
            error = pressed
            raise
        except (Exception, SystemExit) as raised:  # noqa: BLE001 (the run fails, others go on)
            error = raised
            if not isinstance(raised, SystemExit):
                traceback.print_exc()
        finally:
            status, reason = ending_of(error)
            metrics: Mapping[str, float | None] = {}
            own = own_ending(self.folder)
            if own is not None and error is None:
                status, reason, metrics = own
            status, reason = self.asked or (status, reason)
            seconds = round(time.monotonic() - began, 6)
            self._ending = Ending(status, reason, 0 if error is None else 1, seconds, (), metrics)


class FunctionCalls(Processes):
    """Runs a sweep by calling a function."""

    def __init__(self, store: Store, sweep: SweepRow) -> None:
        super().__init__(store, sweep, 1, command=None, program=None, cwd=Path.cwd())
        self._waiting_calls: queue.Queue[Call] = queue.Queue()
        self._facts = provenance(None)

    def serve(self, function: Callable[[], Any], agent: threading.Thread) -> Iterator[Call]:
        """Call the function for each run that the agent claims; yield each call before it."""
        while agent.is_alive() or not self._waiting_calls.empty():
            try:
                call = self._waiting_calls.get(timeout=WAIT_S)
            except queue.Empty:
                continue
            yield call
            call.call(function)

    def take(self, again: Sequence[Sequence[RunRow]], fresh: Sequence[RunRow]) -> None:
        """Let the function be called for each run."""
        for run in [*(r for group in again for r in group), *fresh]:
            self._begin(run)

    def _begin(self, run: RunRow) -> None:
        config = self._proposed(run)
        folder = folder_of_run(self.store, run)
        env = environment(
            config,
            folder=folder,
            run_id=run.id,
            sweep_id=self.sweep.id,
            store=given_place(self.store.path),
            name=run.name,
        )
        metrics = Metrics(folder, self.cwd, run.id, self.store)
        call = Call(env, folder)
        self.children[run.id] = Child(run, call, metrics, folder, config, About({}, run.name))
        known = config if run.attempt > 1 else None
        self._waiting.append(Started(0, known, None, None, dict(self._facts), run=run.id))
        self._waiting_calls.put(call)


@contextmanager
def _environment(env: Mapping[str, str]) -> Iterator[None]:
    """Give this process the variables of a run, and take them back."""
    before = {k: v for k, v in os.environ.items() if k.startswith(_PASSED_ON)}
    given = {k: v for k, v in env.items() if k.startswith(_PASSED_ON)}
    os.environ.update(given)
    try:
        yield
    finally:
        for name in given:
            os.environ.pop(name, None)
        os.environ.update(before)
