"""Standard error on a full disk or behind a closed pipe: what is said is lost, and nothing else."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def standard_error_may_fail() -> Iterator[None]:
    """Write to standard error as long as it can be written: a fit must not die of its progress."""
    before = sys.stderr
    buffer = getattr(before, "buffer", None)
    raw = getattr(buffer, "raw", buffer)  # with PYTHONUNBUFFERED there is no buffer
    # What a test or a notebook has put in its place is no file that could be full.
    if before is not sys.__stderr__ or not isinstance(raw, io.RawIOBase):
        yield
        return
    sys.stderr = io.TextIOWrapper(
        _Deaf(raw), before.encoding, before.errors, line_buffering=True, write_through=True
    )
    try:
        yield
    finally:
        sys.stderr = before


class _Deaf(io.RawIOBase):
    """A file that takes all, and keeps what the file below takes."""

    name = "<stderr>"

    def __init__(self, below: io.RawIOBase) -> None:
        self._below = below

    def write(self, data: Any, /) -> int:
        left = memoryview(data).cast("B")
        size = len(left)
        try:
            while left:
                left = left[self._below.write(left) or len(left) :]
        except OSError:
            pass  # there is nowhere left to say it
        return size

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._below.fileno()

    def isatty(self) -> bool:
        return self._below.isatty()
