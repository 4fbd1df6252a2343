"""One worker as its agent sees it: a process, a socket, and the messages that came from it."""

from __future__ import annotations

import contextlib
import os
import secrets
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client, Connection, Listener, wait
from pathlib import Path
from typing import Any

from thetahat.sweep.processes._capture import tail_of
from thetahat.sweep.processes._process import ONE_XLA_THREAD, THREADS, ending, worker_reason
from thetahat.sweep.processes._process_group import WINDOWS, signal_group
from thetahat.sweep.workers._fork_server import WorkerHandle, WorkerSetup, lives, spawn
from thetahat.sweep.workers._messages import (
    ADDRESS,
    FUNCTION,
    KEY,
    PROGRAM,
    SHARE,
    Quit,
    Ready,
)

ONE_THREAD = {**dict.fromkeys(THREADS, "1"), "XLA_FLAGS": ONE_XLA_THREAD}
"""A worker has one core: as many workers as cores are faster than one worker with many threads."""

MEMORY = 0.6
"""Share of the free memory that the cohorts of all workers may take."""
DRAIN_S = 1.0
"""Seconds in which the last messages of a dead worker are read, before its link is cut."""

GROWTH, SPARE = 2.0, 1 << 30
"""A worker is replaced if it holds both twice and a gigabyte more than after its first job."""


class WorkerProcess:
    """One worker.

    Args:    variables: of its environment, as which GPU it sees.
             share: of the memory for cohorts.   start: starts a process.
             function: the experiment by name; by default the one passed to ``th.main``.
    """

    def __init__(
        self,
        program: Path,
        folder: Path,
        log: Path,
        variables: Mapping[str, str],
        share: float = 1.0,
        start: Callable[[WorkerSetup], WorkerHandle] = spawn,
        function: str | None = None,
    ) -> None:
        self.log = log
        self.ready: Ready | None = None
        self.link: Connection | None = None
        self._first_rss = 0
        self._early: list[Any] = []
        """Messages to send once the process has come to the socket."""
        self._connected = False
        self._drained = threading.Event()
        """Whether all messages were read that the process sent before it ended."""
        self._log_from = _size(log)
        self._listener = Listener(authkey=(key := secrets.token_bytes(16)))
        self._address = self._listener.address
        shared = {SHARE: f"{MEMORY * share:.3f}", **ONE_THREAD, **os.environ}
        shared.pop("THETAHAT_RUN_ID", None)
        own = {ADDRESS: str(self._address), KEY: key.hex(), PROGRAM: str(program)}
        own[FUNCTION] = function or ""
        own |= variables
        try:
            self.process = start(WorkerSetup(folder, shared, own, log))
        except BaseException:
            self._listener.close()
            raise
        threading.Thread(target=self._attend, daemon=True).start()

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self.process.poll() is None

    def messages(self) -> Iterator[Any]:
        """Yield the new messages, without waiting; after a dead one's last, ``link`` is None."""
        self._flush()
        link, alive = self.link, self.alive
        while link is not None:
            try:
                if not link.poll(0):
                    if not alive:
                        self._hang_up()
                    return
                message = link.recv()
            except (EOFError, OSError):
                self._hang_up()
                return
            if isinstance(message, Ready):
                self.ready = message
            yield message

    def send(self, message: Any) -> None:
        """Send a message; a dead worker does not get it."""
        if not self._connected or self._early:
            self._early.append(message)
        elif self.link is not None:
            with contextlib.suppress(OSError):
                self.link.send(message)

    def _flush(self) -> None:
        early, self._early = (self._early, []) if self._connected else ([], self._early)
        for message in early:
            self.send(message)

    def has_grown(self, rss: int) -> bool:
        """Whether its memory has grown so far that a new process is better."""
        self._first_rss = self._first_rss or rss
        return rss > GROWTH * self._first_rss and rss > self._first_rss + SPARE

    def why_dead(self) -> str:
        """Say why the process ended; with its last line if it never was ready."""
        code = self.process.wait()
        if self.ready is None:
            return ending(code, self.log)
        return worker_reason(code, tail_of(self.log, self._log_from))

    def end_orphans(self) -> None:
        """End the processes that a dead worker has started and left."""
        pid = self.process.pid
        if pid is not None and not WINDOWS:
            signal_group(pid, signal.SIGKILL)

    def leave(self) -> None:
        """Ask the process to end, without waiting for it."""
        self._flush()
        self.send(Quit())
        with contextlib.suppress(OSError, EOFError):
            if not self._connected:
                # A thread that waits for the process: closing the socket does not end its wait.
                Client(self._address).close()
            self._listener.close()
        if self.link is None and self.alive:
            self.process.kill()  # it has nothing to finish, and outlives SIGTERM

    def close(self, patience_s: float = 2.0) -> None:
        """End the process: ask first, then kill."""
        self.leave()
        try:
            self.process.wait(patience_s)
        except subprocess.TimeoutExpired:
            self.kill()
        if self.link is not None:
            self.link.close()

    def kill(self) -> None:
        """End the process now."""
        self.process.kill()
        self.process.wait()

    def _hang_up(self) -> None:
        self.link = None
        self._drained.set()

    def _attend(self) -> None:
        """Let the process connect, and cut its link when it has died, in a thread of its own.

        The link alone does not show a death. What the program has forked, such as data loaders,
        holds the other end too: no end of file comes, and a read or write would block as long as
        they live.
        """
        # leave() ends the wait if the process died before it could connect.
        with contextlib.suppress(OSError, EOFError, AuthenticationError):
            link = self._listener.accept()
            cut = None if WINDOWS else socket.socket(fileno=os.dup(link.fileno()))
            self.link = link
            self._connected = True
            if cut is not None:
                with cut:
                    wait_for_end(self.process.pid or _peer(cut))
                    self._drained.wait(DRAIN_S)
                    cut.shutdown(socket.SHUT_RDWR)


def wait_for_end(pid: int) -> None:
    """Wait until a process has ended, without taking its exit code."""
    try:
        _wait_for_pid(pid)
    except OSError:
        # It has ended, or this system has no event for it.
        while lives(pid):
            time.sleep(0.05)


def _peer(link: socket.socket) -> int:
    """The process at the other end: on Linux, a fork whose id has not been read yet."""
    return struct.unpack("3i", link.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]


def _wait_for_pid(pid: int) -> None:
    if sys.platform == "linux":
        fd = os.pidfd_open(pid)
        try:
            # Not select(), which takes no file number above 1,023.
            poll = select.poll()
            poll.register(fd, select.POLLIN)
            poll.poll()
        finally:
            os.close(fd)
    elif sys.platform != "win32":
        queue = select.kqueue()
        try:
            ends = select.kevent(pid, select.KQ_FILTER_PROC, select.KQ_EV_ADD, select.KQ_NOTE_EXIT)
            queue.control([ends], 1, None)
        finally:
            queue.close()


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def count_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def wait_for_any(workers: list[WorkerProcess], timeout_s: float) -> None:
    """Wait until a worker has sent a message, or one has died, or the time is over."""
    links = [w.link for w in workers if w.link is not None]
    until = time.monotonic() + timeout_s
    while time.monotonic() < until:
        if links and wait(links, min(0.05, timeout_s)):
            return
        if any(not w.alive for w in workers):
            return
        if not links:
            time.sleep(0.01)
            links = [w.link for w in workers if w.link is not None]
            if links:
                return
