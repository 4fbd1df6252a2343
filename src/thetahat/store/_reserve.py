"""Space on a store's disk that is kept free, so that on a full disk the end of a run still fits."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from pathlib import Path
from typing import IO

from thetahat.core.errors import StoreError

LEAST_BYTES, RUN_BYTES, MOST_BYTES = 128 * 1024, 8 * 1024, 16 * 1024 * 1024
_FULL = (errno.ENOSPC, errno.EDQUOT)


class Reserve:
    """A file without a name: it takes space until it is released, or its process is gone.

    Args:    folder: of the store.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file: IO[bytes] | None = None
        self._pid = os.getpid()

    def take(self, runs: int = 1) -> None:
        """Keep the space that the ends of so many runs need, if it is not kept already.

        Raises:  StoreError: the disk is full. What else may go wrong is no reason not to begin.
        """
        if self._file is not None:
            return
        size = min(LEAST_BYTES + runs * RUN_BYTES, MOST_BYTES)
        file: IO[bytes] | None = None
        try:
            file = tempfile.TemporaryFile(dir=self._folder, buffering=0)  # noqa: SIM115 - stays open
            # Random, since some file systems store zeros in no space.
            left = memoryview(os.urandom(size))
            while left:
                left = left[file.write(left) :]
        except OSError as error:
            if file is not None:
                file.close()
            if error.errno in _FULL:
                raise StoreError(
                    f"the disk is full: {self._folder} has no room for a run; free some space, or"
                    " give another place with --store or THETAHAT_STORE"
                ) from error
            return
        self._file = file

    def release(self) -> None:
        """Give the space back to the disk."""
        # A forked child holds the same file: it must not shrink it under its parent.
        if self._file is not None and os.getpid() == self._pid:
            with contextlib.suppress(OSError):
                self._file.truncate(0)
            self._file.close()
            self._file = None

    def __del__(self) -> None:
        self.release()
