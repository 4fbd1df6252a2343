"""The output of a program: kept in files of limited size, and searched for metrics.

A line that is one JSON object with a number in it, such as ``{"val_loss": 0.1, "epoch": 3}``, is a
row of metrics; ``step``, else ``epoch``, is its axis. Other values of the object are kept as words.
"""

from __future__ import annotations

import json
import os
import re
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

LIMIT = 10 * 2**20
"""Limit of bytes kept of a stream: half from its beginning, half from its end."""

LONGEST_LINE = 2**20
"""Limit of bytes of a line that is read as metrics."""

_EDGE = 64
"""Bytes at both ends of a longer line by which JSON is recognised."""

TAIL = 2**16
"""Bytes at the end of a stream that are searched for a reason."""
_ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\))")


class BoundedLog:
    """A file of at most about ``limit`` bytes: the head and the tail of a stream.

    The tail is in a second file until ``close`` joins them.
    """

    def __init__(self, path: Path, limit: int = LIMIT) -> None:
        self.path = path
        self.left_out = 0
        self._half = limit // 2
        self._head = path.open("wb")
        self._room = self._half
        self._tail: IO[bytes] | None = None
        self._older, self._newer = (path.with_name(path.name + end) for end in (".old", ".tail"))

    def write(self, data: bytes) -> None:
        """Append to the head; when it is full, to the tail, which drops its oldest bytes."""
        head, rest = data[: self._room], data[self._room :]
        self._room -= len(head)
        if head:
            self._head.write(head)
            self._head.flush()
        while rest:
            tail = self._tail or self._newer.open("wb")
            self._tail = tail
            room = self._half - tail.tell()
            tail.write(rest[:room])
            tail.flush()
            rest = rest[room:]
            if tail.tell() >= self._half:
                tail.close()
                self._tail = None
                if self._older.exists():
                    self.left_out += self._half
                os.replace(self._newer, self._older)

    def close(self) -> None:
        """Join head and tail, with a line between them that counts the dropped bytes."""
        if self._tail is not None:
            self._tail.close()
        tail = b"".join(p.read_bytes() for p in (self._older, self._newer) if p.exists())
        self.left_out += max(0, len(tail) - self._half)
        if self.left_out:
            self._head.write(f"\n... {self.left_out} bytes left out ...\n".encode())
        self._head.write(tail[-self._half :])
        self._head.close()
        for path in (self._older, self._newer):
            path.unlink(missing_ok=True)


class LineReader:
    """Splits a stream of bytes into lines; drops lines that are too long.

    Args:
        take: called with every line.
        drop: called with the size, in bytes, of every line of JSON that was too long.
    """

    def __init__(
        self, take: Callable[[str], None], drop: Callable[[int], None] = lambda size: None
    ) -> None:
        self._take, self._drop = take, drop
        self._waiting = bytearray()
        self._dropped = 0
        """Bytes of a line that is too long."""
        self._edges = (b"", b"")
        """The beginning and the end of that line."""

    def feed(self, data: bytes) -> None:
        """Take a piece of the stream."""
        *whole, rest = data.split(b"\n")
        for end in whole:
            self._add(end)
            self.end()
        self._add(rest)

    def end(self) -> None:
        """End the line; at the end of the stream it needs no newline."""
        if self._waiting:
            self._take(self._waiting.decode("utf-8", "replace"))
        first, last = self._edges
        if self._dropped and first.lstrip()[:1] == b"{" and last.rstrip()[-1:] == b"}":
            self._drop(self._dropped)
        self._waiting.clear()
        self._dropped, self._edges = 0, (b"", b"")

    def _add(self, piece: bytes) -> None:
        size = len(self._waiting) + len(piece)
        if not self._dropped and size <= LONGEST_LINE:
            self._waiting += piece
            return
        if not self._dropped:
            self._edges = ((self._waiting + piece)[:_EDGE], self._waiting[-_EDGE:])
        self._dropped += size
        self._edges = (self._edges[0], (self._edges[1] + piece)[-_EDGE:])
        self._waiting.clear()


@dataclass(frozen=True)
class Printed:
    """The numbers of one line of JSON, and its other values: texts, booleans, lists."""

    values: dict[str, float]
    words: dict[str, Any]


def read_row(line: str) -> Printed | None:
    """Read a line that is one JSON object with a number in it; None for any other line.

    >>> read_row('{"val_loss": 0.5, "epoch": 3, "note": "ok", "done": false, "best": null}')
    Printed(values={'val_loss': 0.5, 'epoch': 3.0}, words={'note': 'ok', 'done': False})
    >>> read_row("epoch 3: 0.5") is None
    True
    """
    # A progress bar redraws its line after each carriage return.
    line = without_colours(line).rstrip().rpartition("\r")[2].strip().lstrip("\ufeff")
    if not (line.startswith("{") and line.endswith("}")):
        return None
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    row = {str(key): number_of(value) for key, value in found.items()}
    numbers = {key: value for key, value in row.items() if value is not None}
    if not set(numbers) - {"step", "epoch"}:
        return None
    rest = {key: found[key] for key in row if key not in numbers and found[key] is not None}
    return Printed(numbers, rest)


def without_colours(text: str) -> str:
    """Remove a terminal's escape sequences from a text."""
    return _ESCAPE.sub("", text)


def tail_of(log: Path, start: int = 0) -> str:
    """Return the end of what was written to a log after its first ``start`` bytes."""
    try:
        with log.open("rb") as file:
            file.seek(max(start, log.stat().st_size - TAIL))
            return file.read().decode("utf-8", "replace")
    except OSError:
        return ""


def number_of(value: Any) -> float | None:
    """Return a number of JSON as a float; None for other values, booleans included."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        return float(value)
    except OverflowError:
        return None


class Stream:
    """Reads one stream of a process in its own thread, so that the process never waits.

    Args:
        pipe: the end to read.   path: the file to keep it in.
        take: called with every line, in that thread.
        drop: called there with the size of a line of JSON that is too long.
    """

    def __init__(
        self,
        pipe: IO[bytes],
        path: Path,
        *,
        take: Callable[[str], None] = lambda line: None,
        drop: Callable[[int], None] = lambda size: None,
        limit: int = LIMIT,
    ) -> None:
        self.problem = ""
        """The error if the file could not be written."""
        self._pipe = pipe
        self._file: BoundedLog | None = BoundedLog(path, limit)
        self._lines = LineReader(take, drop)
        self._recent: deque[bytes] = deque()
        self._recent_bytes = 0
        self.received = 0
        """How many bytes have come."""
        self._closing = threading.Lock()
        self._thread = threading.Thread(target=self._read, name=f"read-{path.name}", daemon=True)
        self._thread.start()

    @property
    def ended(self) -> bool:
        """Whether every process has closed the other end."""
        return not self._thread.is_alive()

    def recent(self) -> str:
        """Return the last 64 KB of the stream, as text."""
        with self._closing:
            whole = b"".join(self._recent)
        return without_colours(whole[-TAIL:].decode("utf-8", "replace"))

    def close(self) -> None:
        """Close the file. Later output is read and dropped."""
        with self._closing:
            log, self._file = self._file, None
            if log is not None:
                self._guarded(log.close)

    def _read(self) -> None:
        with self._pipe as pipe:
            while data := os.read(pipe.fileno(), 2**16):
                self.received += len(data)
                with self._closing:
                    if self._file is not None:
                        self._take(data, self._file)
            with self._closing:
                if self._file is not None:
                    self._lines.end()

    def _take(self, data: bytes, log: BoundedLog) -> None:
        if not self.problem:
            self._guarded(lambda: log.write(data))
        self._recent.append(data)
        self._recent_bytes += len(data)
        while self._recent_bytes - len(self._recent[0]) >= TAIL:
            self._recent_bytes -= len(self._recent.popleft())
        self._lines.feed(data)

    def _guarded(self, write: Callable[[], None]) -> None:
        # On a full disk reading must go on, or the program waits for ever.
        try:
            write()
        except OSError as error:
            self.problem = self.problem or str(error.strerror or error)
