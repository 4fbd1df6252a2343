"""Whose runs are running: a locked file beside the store, which its process cannot outlive.

A run that no agent holds belongs to the process that began it. Where that was killed nobody says
so, and its row would say ``running`` for good. The lock is one of POSIX's records: it belongs to
the process alone, and not to what that has forked. It tells nothing of processes of other machines.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import secrets
import socket
import sys
from collections.abc import Iterable
from pathlib import Path

from thetahat.store._shared_files import PerProcess

FOLDER = "running"
REASON = "its process ended without a word: it was killed, or the machine went down"
_AT = 1 << 30
"""The byte that is locked: Windows lets nobody read what is."""
_PAGE = 4096
_held: dict[str, _File] = {}
"""Files that this process holds, by name: to open and close one would let go of its lock."""


class Owner:
    """This process's hold on runs that it began. A folder that takes no file is no reason to stop.

    Args:    folder: of the store.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def hold(self, runs: Iterable[str]) -> None:
        """Hold these runs, until they are released."""
        with _files.lock, contextlib.suppress(OSError):
            _files.of(self._folder).hold(self, runs)

    def release(self) -> None:
        """Hold none any more."""
        with _files.lock, contextlib.suppress(OSError):
            _files.of(self._folder).release(self)


class _File:
    """One locked file that tells of all the runs that this process holds in a store."""

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
        """All that it tells of."""
        return [run for runs in list(self._runs.values()) for run in runs]

    def hold(self, owner: Owner, runs: Iterable[str]) -> None:
        self._runs[owner] = list(runs)
        if self._handle is not None and not self._is_there():
            # Somebody has removed the folder, and what is in it.
            self.disown()
        if self._handle is None:
            self._folder.mkdir(exist_ok=True)
            self._handle = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
            _held[self._path.name] = self
            _lock(self._handle, shared=False)
        self._write()

    def release(self, owner: Owner) -> None:
        if self._runs.pop(owner, None) is not None and self._handle is not None:
            self._write()

    def close(self) -> None:
        handle = self._handle
        if handle is None:
            return
        with contextlib.suppress(OSError):
            # While it is locked: who finds an unlocked file takes its runs for dead.
            self._path.unlink()
        self.disown()
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)  # Windows deletes nothing that is open
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
            # Room first: on a full disk what was told before stays whole.
            size = -(-len(text) // _PAGE) * _PAGE
            os.lseek(self._handle, self._size, os.SEEK_SET)
            if os.write(self._handle, b" " * (size - self._size)) < size - self._size:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            self._size = size
        os.lseek(self._handle, 0, os.SEEK_SET)
        os.write(self._handle, text.ljust(self._size))


_files = PerProcess(_File)


def close_idle(folder: Path) -> None:
    """Remove this process's file beside a store, unless it holds a run there."""
    _files.close_idle(folder)


def gone(folder: Path) -> dict[str, list[Path]]:
    """The runs whose process on this machine is gone, each with the files that told of it."""
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
            # All its runs had ended when it was killed.
            with contextlib.suppress(OSError):
                path.unlink()
        for run in runs if is_dead else ():
            dead.setdefault(run, []).append(path)
    return {run: paths for run, paths in dead.items() if run not in alive}


def _read(path: Path) -> tuple[list[str], bool]:
    """The runs of a file, and whether nobody holds them any more."""
    handle = None
    try:
        handle = os.open(path, os.O_RDONLY if sys.platform != "win32" else os.O_RDWR)
        free = _lock(handle, shared=True)
        told = json.loads(os.read(handle, 1 << 24))
        return list(map(str, told["runs"])), free and told["host"] == _host()
    except (OSError, ValueError, TypeError, LookupError):
        return [], False
    finally:
        if handle is not None:
            os.close(handle)


def _host() -> str:
    """This machine, by a word that does not tell its name."""
    return hashlib.sha256(socket.gethostname().encode()).hexdigest()[:16]


def _lock(handle: int, *, shared: bool) -> bool:
    """Take a lock without waiting: whether it was free; False too where there are no locks."""
    try:
        if sys.platform == "win32":
            import msvcrt

            os.lseek(handle, _AT, os.SEEK_SET)
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
            os.lseek(handle, 0, os.SEEK_SET)
        else:
            import fcntl

            how = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
            fcntl.lockf(handle, how | fcntl.LOCK_NB, 1, _AT)
    except OSError:
        return False
    return True
