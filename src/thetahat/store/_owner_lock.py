"""Which process owns a run: a locked file beside the store, which the process cannot outlive.

A run without an agent belongs to the process that began it. If that process is killed, the lock is
free, and the next reader marks the run as interrupted. The lock belongs to the process alone and
not to its forked children. Locks of other machines are ignored.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import secrets
import socket
from collections.abc import Iterable
from pathlib import Path

from thetahat.core.filelock import open_to_look, take
from thetahat.store._shared_files import PerProcess

FOLDER = "running"
REASON = "its process ended without a word: it was killed, or the machine went down"
_PAGE = 4096
_held: dict[str, _OwnerFile] = {}
"""Files that this process holds, by name: to open and close one would release its lock."""


class Owner:
    """The runs that this process began in one store. A folder that cannot be written is ignored.

    Args:    folder: of the store.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def hold(self, runs: Iterable[str]) -> None:
        """Hold these runs until they are released."""
        with _files.lock, contextlib.suppress(OSError):
            _files.of(self._folder).hold(self, runs)

    def release(self) -> None:
        """Release the runs."""
        with _files.lock, contextlib.suppress(OSError):
            _files.of(self._folder).release(self)


class _OwnerFile:
    """One locked file that lists all runs of this process in a store."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / FOLDER
        self._path = self._folder / f"{secrets.token_hex(6)}.lock"
        self._host = _host()
        self._handle: int | None = None
        self._size = 0
        self._runs: dict[Owner, list[str]] = {}

    @property
    def idle(self) -> bool:
        return not self._runs

    def runs(self) -> list[str]:
        """All runs that the file lists."""
        return [run for runs in list(self._runs.values()) for run in runs]

    def hold(self, owner: Owner, runs: Iterable[str]) -> None:
        self._runs[owner] = list(runs)
        if self._handle is not None and not self._is_there():
            # The folder was removed, with the file in it.
            self.disown()
        if self._handle is None:
            self._folder.mkdir(exist_ok=True)
            self._handle = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
            _held[self._path.name] = self
            take(self._handle, inherited=False)
        self._write()

    def release(self, owner: Owner) -> None:
        if self._runs.pop(owner, None) is not None and self._handle is not None:
            self._write()

    def close(self) -> None:
        handle = self._handle
        if handle is None:
            return
        with contextlib.suppress(OSError):
            # While it is locked: an unlocked file means that its runs are dead.
            self._path.unlink()
        self.disown()
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)  # Windows does not delete an open file
            self._folder.rmdir()

    def disown(self) -> None:
        handle, self._handle, self._size = self._handle, None, 0
        if handle is not None:
            with contextlib.suppress(OSError):
                os.close(handle)
        _held.pop(self._path.name, None)

    def _is_there(self) -> bool:
        assert self._handle is not None
        try:
            return os.path.samestat(os.stat(self._path), os.fstat(self._handle))
        except OSError:
            return False

    def _write(self) -> None:
        assert self._handle is not None
        text = json.dumps({"host": self._host, "runs": self.runs()}).encode("ascii")
        if len(text) > self._size:
            # Allocate first: on a full disk the list from before stays whole.
            size = -(-len(text) // _PAGE) * _PAGE
            os.lseek(self._handle, self._size, os.SEEK_SET)
            if os.write(self._handle, b" " * (size - self._size)) < size - self._size:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            self._size = size
        os.lseek(self._handle, 0, os.SEEK_SET)
        os.write(self._handle, text.ljust(self._size))


_files = PerProcess(_OwnerFile)


def close_idle(folder: Path) -> None:
    """Remove this process's file beside a store if it holds no run there."""
    _files.close_idle(folder)


def gone(folder: Path) -> dict[str, list[Path]]:
    """Find the runs whose process on this machine is gone, each with the files that list it."""
    dead: dict[str, list[Path]] = {}
    alive: set[str] = set()
    try:
        names = os.listdir(folder / FOLDER)
    except OSError:
        return {}
    for name in names:
        own = _held.get(name)
        if own is not None:
            alive.update(own.runs())
            continue
        if not name.endswith(".lock"):
            continue
        path = folder / FOLDER / name
        runs, is_dead = _read(path)
        if not is_dead:
            alive.update(runs)
        elif not runs:
            # All its runs had ended before the process was killed.
            with contextlib.suppress(OSError):
                path.unlink()
        for run in runs if is_dead else ():
            dead.setdefault(run, []).append(path)
    return {run: paths for run, paths in dead.items() if run not in alive}


def _read(path: Path) -> tuple[list[str], bool]:
    """Read the runs of a file, and whether its process is gone."""
    handle = None
    try:
        handle = open_to_look(path)
        free = take(handle, shared=True, inherited=False)
        found = json.loads(os.read(handle, 1 << 24))
        return list(map(str, found["runs"])), bool(free) and found["host"] == _host()
    except (OSError, ValueError, TypeError, LookupError):
        return [], False
    finally:
        if handle is not None:
            os.close(handle)


def _host() -> str:
    """Identify this machine without its name."""
    return hashlib.sha256(socket.gethostname().encode()).hexdigest()[:16]
