"""Space on a store's disk that is kept free, so that on a full disk the end of a run still fits."""

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
"""What a process keeps for its next run when the last one has ended: to fill it anew for each run
would take longer than to keep the run."""
_FULL = (errno.ENOSPC, errno.EDQUOT)


class Reserve:
    """The share of some runs in the space that this process keeps on the disk of a store.

    Args:    folder: of the store.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._bytes = 0
        self._pid = os.getpid()

    def take(self, runs: int = 1) -> None:
        """Keep the space that the ends of so many runs need, if it is not kept already.

        Raises:  StoreError: the disk is full. What else may go wrong is no reason not to begin.
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
                    " give another place with --store or THETAHAT_STORE"
                ) from error
            return
        self._bytes, self._pid = size, os.getpid()

    def release(self) -> None:
        """Give the space back to the disk, for what has to be written now."""
        self._drop(keep=0)

    def done(self) -> None:
        """Need the space no more: a little of it stays for the next run of this process."""
        self._drop(keep=IDLE_BYTES)

    def _drop(self, keep: int) -> None:
        # A forked child has no share: it must not give back that of its parent.
        if not self._bytes or os.getpid() != self._pid:
            return
        with _spaces.lock, contextlib.suppress(OSError):
            size, self._bytes = self._bytes, 0
            _spaces.of(self._folder).drop(size, keep)

    def __del__(self) -> None:
        self.release()


class _Space:
    """A file without a name: it takes space until it is closed, or its process is gone."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file: IO[bytes] | None = None
        self._place: tuple[int, int] | None = None
        self._size = self._needed = 0

    @property
    def idle(self) -> bool:
        return self._needed == 0

    def hold(self, size: int) -> None:
        """Need so many bytes more."""
        about = os.stat(self._folder)
        if self._file is None or self._place != (about.st_dev, about.st_ino):
            # Another folder, perhaps of another disk, has taken the place of the first.
            self.close()
            self._file = tempfile.TemporaryFile(dir=self._folder, buffering=0)  # noqa: SIM115
            self._place = (about.st_dev, about.st_ino)
        if self._needed + size > self._size:
            self._grow(self._file, self._needed + size)
        self._needed += size

    def _grow(self, file: IO[bytes], size: int) -> None:
        try:
            file.seek(self._size)
            # Random, since some file systems store zeros in no space.
            left = memoryview(os.urandom(size - self._size))
            while left:
                left = left[file.write(left) :]
        except OSError:
            file.truncate(self._size)
            raise
        self._size = size

    def drop(self, size: int, keep: int) -> None:
        """Need so many bytes less; what is needed by nobody is kept up to ``keep`` in all."""
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


_spaces = PerProcess(_Space)


def close_idle(folder: Path) -> None:
    """Give back what is kept for the next run in a store, unless a run needs it."""
    _spaces.close_idle(folder)
