"""An agent's workers: processes that train cohorts; started, watched, replaced when they die."""

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
from multiprocessing.connection import Connection, Listener
from pathlib import Path
from typing import Any

from thetahat.sweep.processes._capture import TAIL
from thetahat.sweep.processes._process import worker_reason
from thetahat.sweep.processes._process_group import WINDOWS, signal_group
from thetahat.sweep.workers._fork_server import Birth, Process, lives, spawn
from thetahat.sweep.workers._messages import Broken, Quit, Ready

ONE_THREAD = {
    **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"),
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
}
"""A worker has one core: as many workers as cores beat one worker with their threads."""

MEMORY = 0.6
"""Of the free memory, what the cohorts of all workers may take."""
SHARE = "THETAHAT_WORKER_SHARE"
DRAIN_S = 1.0
"""Seconds in which what a dead worker had said is read, before its link is cut."""

GROWTH, SPARE = 2.0, 1 << 30
"""A worker is replaced when it holds both twice and a gigabyte more than after its first job."""


class WorkerProcess:
    """One worker: its process, its socket, and what it said about itself.

    Args:    share: of the memory for cohorts, what is its own.   begin: begins a process.
    """

    def __init__(
        self,
        program: Path,
        folder: Path,
        log: Path,
        device: str | None,
        share: float = 1.0,
        begin: Callable[[Birth], Process] = spawn,
    ) -> None:
        self.log, self.ready, self.broken = log, None, None
        self.first_rss = 0
        self.link: Connection | None = None
        self._early: list[Any] = []
        """What was said before the process had come to the socket."""
        self._connected = False
        self._drained = threading.Event()
        """Whether all has been read that the process said before it ended."""
        self._log_from = _size(log)
        self._listener = Listener(authkey=(key := secrets.token_bytes(16)))
        address = self._listener.address
        env = {SHARE: f"{MEMORY * share:.3f}", **os.environ, **_pinned(os.environ)}
        own = {
            "THETAHAT_WORKER_ADDRESS": str(address),
            "THETAHAT_WORKER_KEY": key.hex(),
            "THETAHAT_WORKER_PROGRAM": str(program),
        }
        env.pop("THETAHAT_RUN_ID", None)
        if device is not None:
            own["CUDA_VISIBLE_DEVICES"] = device
        try:
            self.process = begin(Birth(folder, env, own, log))
        except BaseException:
            self._listener.close()
            raise
        threading.Thread(target=self._attend, daemon=True).start()

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self.process.poll() is None

    def messages(self) -> Iterator[Any]:
        """What it has said, without waiting; its link is None when it has died and said no more."""
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
            elif isinstance(message, Broken):
                self.broken = message
            yield message

    def send(self, message: Any) -> None:
        """Say something; a worker that has died does not hear it."""
        if not self._connected or self._early:
            self._early.append(message)
        elif self.link is not None:
            with contextlib.suppress(OSError):
                self.link.send(message)

    def _flush(self) -> None:
        early, self._early = (self._early, []) if self._connected else ([], self._early)
        for message in early:
            self.send(message)

    def grown(self, rss: int) -> bool:
        """Whether its memory has grown so far that a new process is better."""
        self.first_rss = self.first_rss or rss
        return rss > GROWTH * self.first_rss and rss > self.first_rss + SPARE

    def why_dead(self) -> str:
        """What ended the process; of one that could not begin, with the last line that it wrote."""
        from thetahat.sweep.processes._process import ending

        code = self.process.wait()
        if self.ready is None:
            return ending(code, self.log)
        return worker_reason(code, _text_from(self.log, self._log_from))

    def end_left(self) -> None:
        """End what a process that died has started, and left behind."""
        pid = self.process.pid
        if pid is not None and not WINDOWS:
            signal_group(pid, signal.SIGKILL)

    def leave(self) -> None:
        """Ask the process to end, without waiting for it."""
        self._flush()
        self.send(Quit())
        with contextlib.suppress(OSError):
            self._listener.close()
        if self.link is None and self.alive:
            self.process.terminate()

    def close(self, patience_s: float = 2.0) -> None:
        """End the process: kindly, then not."""
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

        The link alone does not tell of a death. What the program has forked, as data loaders are,
        holds the other end too: no end of file comes, and who waits for the rest of a message, or
        for room to send one, would wait as long as they live.
        """
        # Closed by close(), when the process died before it could connect.
        with contextlib.suppress(OSError, EOFError):
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
    """Wait until a process has ended, and leave it to others to take in its exit code."""
    try:
        _wait_for_pid(pid)
    except OSError:
        # It has ended, or this system cannot tell of it by an event.
        while lives(pid):
            time.sleep(0.05)


def _peer(link: socket.socket) -> int:
    """The process at the other end: a fork, on Linux, whose birth has not been read of yet."""
    return struct.unpack("3i", link.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]


def _wait_for_pid(pid: int) -> None:
    if sys.platform == "linux":
        fd = os.pidfd_open(pid)
        try:
            # Not select(): that takes no file of a number above 1,023.
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


def _text_from(path: Path, start: int) -> str:
    """The end of what was written to a file since it was of this size."""
    try:
        with path.open("rb") as file:
            file.seek(max(start, _size(path) - TAIL))
            return file.read().decode("utf-8", "replace")
    except OSError:
        return ""


def count_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def wait_for_any(workers: list[WorkerProcess], timeout_s: float) -> None:
    """Wait until a worker has said something, or one has died, or the time is over."""
    from multiprocessing.connection import wait

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


def _pinned(given: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in ONE_THREAD.items() if name not in given}
