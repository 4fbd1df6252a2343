"""Reserve disk space beside a store, so that the end of a run fits on a full disk."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from pathlib import Path
from typing import IO

from thetahat.core.errors import StoreError
from thetahat.store._shared_files import PerProcess

LEAST_BYTES, RUN_BYTES, MOST_BYTES = 128 * 1024, 8 * 1024, 16 * 1024 * 1024
IDLE_BYTES = LEAST_BYTES + RUN_BYTES
"""Reserved between two runs of a process: to allocate for each run takes longer than the run."""
_FULL = (errno.ENOSPC, errno.EDQUOT)


class Reserve:
    """The part of this process's reserved space that belongs to some runs.

    Args:    folder: of the store.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._bytes = 0
        self._pid = os.getpid()

    def take(self, runs: int = 1) -> None:
        """Reserve the space that the ends of so many runs need, once.

        Raises:  StoreError: the disk is full. Other errors are ignored.
        """
        if self._bytes:
            return
        size = min(LEAST_BYTES + runs * RUN_BYTES, MOST_BYTES)
        try:
            with _spaces.lock:
                _spaces.of(self._folder).hold(size)
        except OSError as error:
            if error.errno in _FULL:
                raise StoreError(
                    f"the disk is full: {self._folder} has no room for a run; free some space, or"
                    " give another place with store= (--store) or THETAHAT_STORE"
                ) from error
            return
        self._bytes, self._pid = size, os.getpid()

    def release(self) -> None:
        """Free the space for an urgent write."""
        self._drop(keep=0)

    def done(self) -> None:
        """Free the space, but for a little that the next run of this process uses."""
        self._drop(keep=IDLE_BYTES)

    def _drop(self, keep: int) -> None:
        # The space belongs to the parent of a forked child.
        if not self._bytes or os.getpid() != self._pid:
            return
        with _spaces.lock, contextlib.suppress(OSError):
            size, self._bytes = self._bytes, 0
            _spaces.of(self._folder).drop(size, keep)

    def __del__(self) -> None:
        self.release()


class _ReservedFile:
    """A file without a name: it takes space until it is closed or its process ends."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file: IO[bytes] | None = None
        self._place: tuple[int, int] | None = None
        self._size = self._needed = 0

    @property
    def idle(self) -> bool:
        return self._needed == 0

    def hold(self, size: int) -> None:
        """Need ``size`` bytes more."""
        about = os.stat(self._folder)
        if self._file is None or self._place != (about.st_dev, about.st_ino):
            # Another folder, perhaps on another disk, has replaced the first.
            self.close()
            self._file = tempfile.TemporaryFile(dir=self._folder, buffering=0)  # noqa: SIM115
            self._place = (about.st_dev, about.st_ino)
        if self._needed + size > self._size:
            self._grow(self._file, self._needed + size)
        self._needed += size

    def _grow(self, file: IO[bytes], size: int) -> None:
        try:
            file.seek(self._size)
            # Random: some file systems do not allocate space for zeros.
            left = memoryview(os.urandom(size - self._size))
            while left:
                left = left[file.write(left) :]
        except OSError:
            file.truncate(self._size)
            raise
        self._size = size

    def drop(self, size: int, keep: int) -> None:
        """Need ``size`` bytes less; keep at least ``keep`` bytes in all."""
        self._needed -= size
        keep = min(self._size, max(self._needed, keep))
        if self._file is not None and keep < self._size:
            self._file.truncate(keep)
            self._size = keep

    def close(self) -> None:
        if self._file is not None:
            with contextlib.suppress(OSError):
                # A forked child may hold the same file.
                self._file.truncate(0)
        self.disown()

    def disown(self) -> None:
        if self._file is not None:
            self._file.close()
        self._file, self._size = None, 0


_spaces = PerProcess(_ReservedFile)


def close_idle(folder: Path) -> None:
    """Free the space that waits for the next run in a store, if no run needs it."""
    _spaces.close_idle(folder)
