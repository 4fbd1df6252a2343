"""A worker in this process: for an experiment that no file has, such as a notebook's function.

The worker is a thread that trains whole cohorts; the agent talks to it as to a process, by a pipe.
A thread cannot be killed: it ends after its chunk, and with this process in any case.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from typing import Any

from thetahat.sweep.workers._connection import WorkerProcess
from thetahat.sweep.workers._messages import Broken, Ready
from thetahat.sweep.workers._worker import Worker, explain


class _Thread:
    """A thread with the methods of ``subprocess.Popen`` that an agent uses."""

    pid = None

    def __init__(self, work: Callable[[], None], stop: Callable[[], None]) -> None:
        self._thread = threading.Thread(target=work, name="thetahat worker", daemon=True)
        self._stop = stop
        self._thread.start()

    def poll(self) -> int | None:
        return None if self._thread.is_alive() else 0

    def wait(self, timeout: float | None = None) -> int:
        self._thread.join(timeout)
        if self._thread.is_alive():
            raise subprocess.TimeoutExpired("a worker's thread", timeout or 0.0)
        return 0

    def terminate(self) -> None:
        self._stop()

    kill = terminate


class WorkerThread(WorkerProcess):
    """One worker in this process.

    Args:    experiment: the function.   log: the file for tracebacks.
    """

    def __init__(self, experiment: Callable[..., Any], log: Path) -> None:
        self.log = log
        self.ready = None
        self._first_rss = 0
        self._early: list[Any] = []
        self._connected = True
        self._drained = threading.Event()
        self.link, theirs = Pipe()
        self._ours = self.link
        self.process: Any = _Thread(lambda: _work(experiment, theirs, log), self._cut)

    def has_grown(self, rss: int) -> bool:
        """Never: another thread would not free this process's memory."""
        return False

    def why_dead(self) -> str:
        """Say why the thread ended."""
        return "the worker's thread ended"

    def leave(self) -> None:
        """Ask the thread to end, without waiting for it."""
        from thetahat.sweep.workers._messages import Quit

        self.send(Quit())

    def kill(self) -> None:
        """Let the thread end after its chunk: it cannot be killed."""
        self._cut()

    def _cut(self) -> None:
        with contextlib.suppress(OSError):
            self._ours.close()
        self.link = None


def _work(experiment: Callable[..., Any], link: Connection, log: Path) -> None:
    """Serve until the agent closes its end."""
    from thetahat.train import Shop

    try:
        with contextlib.suppress(EOFError, OSError):
            try:
                shop = Shop(experiment)
            except Exception as error:  # noqa: BLE001 - a user's annotation may raise anything
                link.send(Broken(explain(error)))
                return
            link.send(Ready(os.getpid(), shop.traced))
            Worker(link, shop, [], log).serve()
    finally:
        link.close()
