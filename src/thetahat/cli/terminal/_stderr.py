"""Standard error on a full disk or behind a closed pipe: only the messages are lost."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def standard_error_may_fail() -> Iterator[None]:
    """Ignore errors of standard error: a fit must not fail because of its progress lines."""
    before = sys.stderr
    buffer = getattr(before, "buffer", None)
    raw = getattr(buffer, "raw", buffer)  # with PYTHONUNBUFFERED there is no buffer
    # The replacement of a test or a notebook is not a file that could be full.
    if before is not sys.__stderr__ or not isinstance(raw, io.RawIOBase):
        yield
        return
    sys.stderr = io.TextIOWrapper(
        _LossyFile(raw), before.encoding, before.errors, line_buffering=True, write_through=True
    )
    try:
        yield
    finally:
        sys.stderr = before


class _LossyFile(io.RawIOBase):
    """A file that accepts everything, and writes what the file below accepts."""

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
            pass  # there is no stream left for a message
        return size

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._below.fileno()

    def isatty(self) -> bool:
        return self._below.isatty()
