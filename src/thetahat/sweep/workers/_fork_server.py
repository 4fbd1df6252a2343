"""Start workers: each as a Python of its own, or forked from a server that has JAX's code.

Loading JAX and all that a worker needs takes a second of a processor. On Linux a process without
threads, the fork server, does it once; it starts nothing of JAX and computes nothing. Workers are
its forks. On other systems, and for a single worker, a worker loads everything itself.
"""

from __future__ import annotations

import ast
import contextlib
import os
import signal
import subprocess
import sys
import time
import tokenize
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from typing import IO

from thetahat.core.errors import StoreError
from thetahat.sweep.processes._process_group import lives

CAN_FORK = sys.platform == "linux"
"""On other systems a process that has loaded the system's frameworks cannot fork safely."""
KNOWN = frozenset({"equinox", "flax", "jax", "numpy", "optax", "pandas", "scipy"})
"""Packages that the server loads if the program does: they start no threads."""
PATIENCE_S = 2.0
WORKER = ("-m", "thetahat.sweep.workers._worker")
SERVER = ("-m", "thetahat.sweep.workers._fork_server_main")


@dataclass(frozen=True)
class WorkerSetup:
    """What a worker starts with.

    Args:    env: its environment.   own: the part of it that is this worker's alone.
             log: the file that its output is added to.
    """

    folder: Path
    env: Mapping[str, str]
    own: Mapping[str, str]
    log: Path


def spawn(setup: WorkerSetup) -> WorkerHandle:
    """Start a worker that loads everything itself.

    Raises:  StoreError: its log cannot be written.
    """
    with appended(setup.log) as log:
        return _spawned(WORKER, setup, log)


class ForkServer:
    """Forks workers, from a process that lives as long as one of them does.

    Args:    preloads: modules that the experiment's program loads too.
    """

    def __init__(self, preloads: Sequence[str] = ()) -> None:
        self._preloads = tuple(preloads)
        self._process: subprocess.Popen[bytes] | None = None
        self._link: Connection | None = None
        self._children: dict[int, ForkedProcess] = {}
        """Workers that have not ended, by their numbers."""
        self._orphans: list[ForkedProcess] = []
        """Workers that have not ended, after their server has."""
        self._count = 0

    def fork(self, setup: WorkerSetup) -> WorkerHandle:
        """Start a worker that has everything loaded, as soon as the server has.

        Raises:  StoreError: its log cannot be written.
        """
        with appended(setup.log) as log:
            if self._link is None:
                self._link, theirs = Pipe()
                fd = theirs.fileno()
                self._process = _spawned((*SERVER, str(fd), *self._preloads), setup, log, (fd,))
                theirs.close()
        child = ForkedProcess(self, self._count)
        self._children[self._count] = child
        self._count += 1
        self._send(child.number, dict(setup.own), str(setup.log))
        return child

    def signal(self, child: ForkedProcess, number: int) -> None:
        """Send a child a signal: through the process that knows whether the id is still its own."""
        if child in self._orphans:
            assert child.pid is not None
            with contextlib.suppress(ProcessLookupError):
                os.kill(child.pid, number)
        elif any(other.pid is not None for other in self._children.values()):
            self._send(child.number, number)
        elif self._process is not None:
            # The server is loading, and reads nothing.
            self._process.kill()

    def read(self, timeout_s: float = 0.0) -> None:
        """Read how the children are; wait for news at most so long."""
        try:
            while self._link is not None and self._link.poll(timeout_s):
                with _uninterrupted():
                    kind, number, value = self._link.recv()
                timeout_s = 0.0
                if kind == "started":
                    self._children[number].pid = value
                    continue
                self._children.pop(number).code = value
                if not self._children:
                    self._shut()
        except (EOFError, OSError):
            self._lost()
        if self._orphans:
            time.sleep(min(timeout_s, 0.05))
            for child in [c for c in self._orphans if c.pid is None or not lives(c.pid)]:
                # How it ended cannot be known.
                child.code = -signal.SIGKILL
                self._orphans.remove(child)

    def _send(self, *message: object) -> None:
        assert self._link is not None
        # If the server has died, read() finds out.
        with contextlib.suppress(OSError):
            self._link.send(message)

    def _shut(self) -> int:
        """End the server; return its exit code."""
        if self._link is not None:
            self._link.close()
        self._link = None
        assert self._process is not None
        try:
            return self._process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()

    def _lost(self) -> None:
        """Take in that the server died: workers that had not started never will, others live on."""
        code = self._shut()
        for child in self._children.values():
            if child.pid is None:
                child.code = code or 1
            else:
                self._orphans.append(child)
        self._children.clear()


class ForkedProcess:
    """A worker of a fork server, with the methods of ``subprocess.Popen``."""

    def __init__(self, server: ForkServer, number: int) -> None:
        self.number, self._server = number, server
        self.pid: int | None = None
        """Its id, and that of its group; None until it is known."""
        self.code: int | None = None

    def poll(self) -> int | None:
        """Return the exit code, negative for a signal; None while it runs."""
        if self.code is None:
            self._server.read()
        return self.code

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the exit code.

        Raises:  subprocess.TimeoutExpired: the process still runs.
        """
        until = float("inf") if timeout is None else time.monotonic() + timeout
        while self.code is None:
            left = until - time.monotonic()
            if left <= 0 and self.poll() is None:
                raise subprocess.TimeoutExpired(list(WORKER), timeout or 0.0)
            self._server.read(min(max(left, 0.0), 1.0))
        return self.code

    def terminate(self) -> None:
        """Ask it to end."""
        if self.poll() is None:
            self._server.signal(self, signal.SIGTERM)

    def kill(self) -> None:
        """End it now."""
        if self.poll() is None:
            self._server.signal(self, signal.SIGKILL)


WorkerHandle = subprocess.Popen[bytes] | ForkedProcess
"""What the agent holds of a worker's process."""


def preloads(file: Path) -> list[str]:
    """Return the modules that a program imports and the fork server can load too."""
    try:
        with tokenize.open(file) as source:
            tree = ast.parse(source.read())
    except (OSError, SyntaxError, ValueError):
        return []  # the worker says what is wrong
    names = []
    for node in tree.body:
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    own = {path.name.partition(".")[0] for path in file.parent.iterdir()}
    return [name for name in names if name.partition(".")[0] in KNOWN - own]


def appended(log: Path) -> IO[bytes]:
    """Open a log to add to it.

    Raises:  StoreError: it cannot be written.
    """
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        return open(log, "ab")
    except OSError as error:
        raise StoreError(
            f"logs cannot be written to {log.parent} ({error.strerror or error}); give another"
            " store with store= (--store) or THETAHAT_STORE"
        ) from error


def _spawned(
    words: Sequence[str], setup: WorkerSetup, log: IO[bytes], fds: Sequence[int] = ()
) -> subprocess.Popen[bytes]:
    # A group of its own: Ctrl-C reaches the agent, which tells its workers what to do.
    group = getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)
    return subprocess.Popen(
        [sys.executable, *words],
        cwd=setup.folder,
        env={**setup.env, **setup.own},
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        pass_fds=tuple(fds),
        start_new_session=not group,
        creationflags=group,
    )


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """Hold Ctrl-C back while a message is read, which would be lost by half."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
