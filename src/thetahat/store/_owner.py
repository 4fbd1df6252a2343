"""Whose runs are running: a locked file beside the store, which its process cannot outlive.

A run that no agent holds belongs to the process that began it. Where that was killed nobody says
so, and its row would say ``running`` for good. The lock is one of POSIX's records: it belongs to
the process alone, and not to what that has forked. It tells nothing of processes of other machines.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import socket
import sys
from collections.abc import Iterable
from pathlib import Path

FOLDER = "running"
REASON = "its process ended without a word: it was killed, or the machine went down"
_AT = 1 << 30
"""The byte that is locked: Windows lets nobody read what is."""
_held: dict[str, int] = {}
"""Files that this process holds: to open and close one would let go of its lock."""


class Owner:
    """This process's hold on runs that it began. A folder that takes no file is no reason to stop.

    Args:    folder: of the store.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder / FOLDER
        self._path = self._folder / f"{secrets.token_hex(6)}.lock"
        self._handle: int | None = None
        self._pid = os.getpid()

    def hold(self, runs: Iterable[str]) -> None:
        """Hold these runs: all that it held before, and more."""
        with contextlib.suppress(OSError):
            if self._handle is None:
                self._folder.mkdir(exist_ok=True)
                self._handle = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
                _held[str(self._path)] = self._pid
                _lock(self._handle, shared=False)
            # They are never fewer than before: what is written covers what was.
            text = json.dumps({"host": _host(), "runs": list(runs)})
            os.lseek(self._handle, 0, os.SEEK_SET)
            os.write(self._handle, text.encode("ascii"))

    def release(self) -> None:
        """Hold none any more."""
        if self._handle is None or os.getpid() != self._pid:
            return
        handle, self._handle = self._handle, None
        with contextlib.suppress(OSError):
            # While it is locked: who finds an unlocked file takes its runs for dead.
            self._path.unlink()
        os.close(handle)
        _held.pop(str(self._path), None)
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)  # Windows deletes nothing that is open
            self._folder.rmdir()


def gone(folder: Path) -> dict[str, list[Path]]:
    """The runs whose process on this machine is gone, each with the files that told of it."""
    dead: dict[str, list[Path]] = {}
    alive: set[str] = set()
    for path in (folder / FOLDER).glob("*.lock"):
        runs, is_dead = _read(path)
        if is_dead:
            for run in runs:
                dead.setdefault(run, []).append(path)
        else:
            alive.update(runs)
    return {run: paths for run, paths in dead.items() if run not in alive}


def _read(path: Path) -> tuple[list[str], bool]:
    """The runs of a file, and whether nobody holds them any more."""
    own = _held.get(str(path)) == os.getpid()
    handle = None
    try:
        if own:
            return [], False
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
