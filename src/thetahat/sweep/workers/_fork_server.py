"""Where workers are born: each as a Python of its own, or forked from one that has JAX's code.

To load JAX and all that a worker needs takes a second of a processor. On Linux a process without
threads, the nursery, does it once; it starts nothing of JAX and computes nothing. Workers are its
forks. Elsewhere, and where there is one worker, a worker loads everything itself.
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
from typing import IO, Protocol

from thetahat.core.errors import StoreError
from thetahat.sweep.processes._process_group import lives

CAN_FORK = sys.platform == "linux"
"""Elsewhere a fork of a process that has loaded the system's frameworks is not safe."""
KNOWN = frozenset({"equinox", "flax", "jax", "numpy", "optax", "pandas", "scipy"})
"""Packages that a nursery loads when the program does: they begin no threads."""
PATIENCE_S = 2.0
WORKER = ("-m", "thetahat.sweep.workers._worker")


@dataclass(frozen=True)
class Birth:
    """What a worker begins with.

    Args:    env: what it finds in its environment.   own: what is its own of that.
             log: the file that its output is added to.
    """

    folder: Path
    env: Mapping[str, str]
    own: Mapping[str, str]
    log: Path


class Process(Protocol):
    """What the agent does with a worker's process; as in ``subprocess``."""

    @property
    def pid(self) -> int | None:
        """Its id, and that of its group; None until it is known."""
        ...

    def poll(self) -> int | None:
        """Its exit code, negative for a signal; None while it runs."""
        ...

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code, when it has ended.

        Raises:  subprocess.TimeoutExpired: it has not.
        """
        ...

    def terminate(self) -> None:
        """Ask it to end."""
        ...

    def kill(self) -> None:
        """End it."""
        ...


def spawn(birth: Birth) -> Process:
    """A worker that loads everything itself.

    Raises:  StoreError: its log cannot be written.
    """
    with appended(birth.log) as log:
        return _spawned(WORKER, birth, log)


class Nursery:
    """Forks workers, from a process that lives as long as one of them does.

    Args:    preloads: modules that the experiment's program loads too.
    """

    def __init__(self, preloads: Sequence[str] = ()) -> None:
        self._preloads = tuple(preloads)
        self._process: subprocess.Popen[bytes] | None = None
        self._link: Connection | None = None
        self._children: dict[int, Forked] = {}
        """Those that have not ended, by their numbers."""
        self._orphans: list[Forked] = []
        """Those that have not ended, and whose nursery has."""
        self._count = 0

    def fork(self, birth: Birth) -> Process:
        """A worker that has everything loaded, as soon as the nursery has.

        Raises:  StoreError: its log cannot be written.
        """
        with appended(birth.log) as log:
            if self._link is None:
                self._begin(birth, log)
        child = Forked(self, self._count)
        self._children[self._count] = child
        self._count += 1
        self._say((child.number, dict(birth.own), str(birth.log)))
        return child

    def signal(self, child: Forked, number: int) -> None:
        """Send a child a signal: through the process that knows whether it is still a child."""
        if child in self._orphans:
            assert child.pid is not None
            with contextlib.suppress(ProcessLookupError):
                os.kill(child.pid, number)
        elif any(other.pid is not None for other in self._children.values()):
            self._say((child.number, number))
        elif self._process is not None:
            # It is loading, and hears nothing.
            self._process.kill()

    def hear(self, timeout_s: float = 0.0) -> None:
        """Take in what has become of the children; waits for a word at most so long."""
        try:
            while self._link is not None and self._link.poll(timeout_s):
                with _uninterrupted():
                    kind, number, value = self._link.recv()
                timeout_s = 0.0
                child = self._children[number]
                if kind == "born":
                    child.pid = value
                else:
                    self._ended(child, value)
        except (EOFError, OSError):
            self._lost()
        if self._orphans:
            time.sleep(min(timeout_s, 0.05))
            self._look()

    def _begin(self, birth: Birth, log: IO[bytes]) -> None:
        self._link, theirs = Pipe()
        fd = theirs.fileno()
        words = ("-m", "thetahat.sweep.workers._fork_server_main", str(fd), *self._preloads)
        self._process = _spawned(words, birth, log, (fd,))
        theirs.close()

    def _say(self, words: tuple[object, ...]) -> None:
        assert self._link is not None
        # Where it has died, hear() finds out.
        with contextlib.suppress(OSError):
            self._link.send(words)

    def _ended(self, child: Forked, code: int) -> None:
        child.code = code
        del self._children[child.number]
        if not self._children:
            self._shut()

    def _shut(self) -> int:
        """The nursery's end, and its exit code."""
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
        """The nursery died: those who were not born never will be, the others live."""
        code = self._shut()
        for child in list(self._children.values()):
            if child.pid is None:
                child.code = code or 1
            else:
                self._orphans.append(child)
        self._children.clear()

    def _look(self) -> None:
        """Who lives of those whose nursery died: how they ended, nobody has been told."""
        for child in [c for c in self._orphans if c.pid is None or not lives(c.pid)]:
            child.code = -signal.SIGKILL
            self._orphans.remove(child)


class Forked:
    """A worker of a nursery."""

    def __init__(self, nursery: Nursery, number: int) -> None:
        self.number, self._nursery = number, nursery
        self.pid: int | None = None
        self.code: int | None = None

    def poll(self) -> int | None:
        """Its exit code, negative for a signal; None while it runs."""
        if self.code is None:
            self._nursery.hear()
        return self.code

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code, when it has ended.

        Raises:  subprocess.TimeoutExpired: it has not.
        """
        until = float("inf") if timeout is None else time.monotonic() + timeout
        while self.code is None:
            left = until - time.monotonic()
            if left <= 0 and self.poll() is None:
                raise subprocess.TimeoutExpired(list(WORKER), timeout or 0.0)
            self._nursery.hear(min(max(left, 0.0), 1.0))
        return self.code

    def terminate(self) -> None:
        """Ask it to end."""
        self._send(signal.SIGTERM)

    def kill(self) -> None:
        """End it."""
        self._send(signal.SIGKILL)

    def _send(self, number: int) -> None:
        if self.poll() is None:
            self._nursery.signal(self, number)


def preloads(file: Path) -> list[str]:
    """Those of the modules that a program imports which a nursery may as well have loaded."""
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
    """A log, to be added to.

    Raises:  StoreError: it cannot be written.
    """
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        return open(log, "ab")
    except OSError as error:
        raise StoreError(
            f"logs cannot be written to {log.parent} ({error.strerror or error}); give another"
            " store with --store or THETAHAT_STORE"
        ) from error


def _spawned(
    words: Sequence[str], birth: Birth, log: IO[bytes], fds: Sequence[int] = ()
) -> subprocess.Popen[bytes]:
    # A group of its own: Ctrl-C is the agent's, who tells its workers what to do.
    group = getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)
    return subprocess.Popen(
        [sys.executable, *words],
        cwd=birth.folder,
        env={**birth.env, **birth.own},
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        pass_fds=tuple(fds),
        start_new_session=not group,
        creationflags=group,
    )


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """No Ctrl-C while a word is read: half of it would be lost."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
