"""One process at a time trains a run: a lock that the system lets go of when its holder dies."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from thetahat.core.errors import ConfigError


@contextlib.contextmanager
def held(path: Path, what: str) -> Iterator[None]:
    """Hold the lock file ``path`` while the block runs; file systems without locks are trusted.

    Raises:  ConfigError: another process holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        if try_lock(handle) is False:
            raise ConfigError(
                f"{what} is being trained by another process; wait for it, or stop it"
            )
        yield
        with contextlib.suppress(OSError):
            path.unlink()
    finally:
        os.close(handle)


def try_lock(handle: int) -> bool | None:
    """Lock a file without waiting: whether it was free; None on a file system without locks."""
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except OSError:
        return None
    return True
