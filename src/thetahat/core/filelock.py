"""Locks on files, which the system releases when the process that holds them ends."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from thetahat.core.errors import ConfigError

_BYTE = 1 << 30
"""The byte that is locked: on Windows no other process can read a locked byte."""


def take(handle: int, *, shared: bool = False, inherited: bool = True) -> bool | None:
    """Lock an open file without waiting.

    Args:    shared: other processes may hold a shared lock too.
             inherited: a forked child keeps the lock; if False, the lock belongs to this process
             alone, which loses it as soon as it closes any handle of the file.
    Returns: True if it is locked now, False if another process holds it, None if the file system
             has no locks.
    """
    try:
        if sys.platform == "win32":
            import msvcrt

            os.lseek(handle, _BYTE, os.SEEK_SET)
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
            os.lseek(handle, 0, os.SEEK_SET)
        else:
            import fcntl

            how = (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB
            if inherited:
                fcntl.flock(handle, how)
            else:
                fcntl.lockf(handle, how, 1, _BYTE)
    except (BlockingIOError, PermissionError):
        return False
    except OSError:
        return None
    return True


def is_free(path: Path) -> bool | None:
    """Whether no process holds a lock file; True if the file is missing, None if unknown."""
    try:
        handle = open_to_look(path)
    except FileNotFoundError:
        return True
    except OSError:
        return None
    try:
        return take(handle, shared=True)
    finally:
        os.close(handle)


def open_to_look(path: Path) -> int:
    """Open a lock file to read it and to take a shared lock."""
    return os.open(path, os.O_RDWR if sys.platform == "win32" else os.O_RDONLY)


@contextlib.contextmanager
def held(path: Path, what: str) -> Iterator[None]:
    """Hold the lock file ``path`` while the block runs; a file system without locks is trusted.

    Raises:  ConfigError: another process holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        if take(handle) is False:
            raise ConfigError(
                f"{what} is being trained by another process; wait for it, or stop it"
            )
        yield
        with contextlib.suppress(OSError):
            path.unlink()
    finally:
        os.close(handle)
