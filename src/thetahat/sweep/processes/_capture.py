"""What a program writes to stdout and stderr: kept in files of bounded size, searched for metrics.

A line that is one JSON object with a number in it, such as ``{"val_loss": 0.1, "epoch": 3}``, is a
row of metrics; ``step``, else ``epoch``, is its axis. What else stands in it is kept as words.
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
"""Bytes that are kept of a stream: the first half of them and the last."""

LONGEST_LINE = 2**20
"""Bytes; a longer line is never read as metrics."""

_EDGE = 64
"""Bytes of both ends of a longer line that tell whether it is JSON."""

TAIL = 2**16
"""Bytes of the end of a stream that reasons are looked for in."""
_ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\))")


class Kept:
    """A file of at most about ``limit`` bytes: the head of what was written, and the tail.

    While it is written, the tail lies in a second file beside the first; ``close`` joins them.
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
        """Append; what does not fit into the head pushes out the oldest of the tail."""
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
        """Join head and tail, with a line between them that counts what was left out."""
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


class Lines:
    """Bytes in any pieces, whole lines out; lines that are too long are dropped.

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
        """Bytes of the line that is too long."""
        self._edges = (b"", b"")
        """How that line begins and ends."""

    def feed(self, data: bytes) -> None:
        """Take in a piece of the stream."""
        *whole, rest = data.split(b"\n")
        for end in whole:
            self._keep(end)
            self.end()
        self._keep(rest)

    def end(self) -> None:
        """The line has ended; at the end of the stream it needs no newline."""
        if self._waiting:
            self._take(self._waiting.decode("utf-8", "replace"))
        first, last = self._edges
        if self._dropped and first.lstrip()[:1] == b"{" and last.rstrip()[-1:] == b"}":
            self._drop(self._dropped)
        self._waiting.clear()
        self._dropped, self._edges = 0, (b"", b"")

    def _keep(self, piece: bytes) -> None:
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
    """What one line of JSON says: its numbers, and what is no number: texts, true, lists."""

    values: dict[str, float]
    words: dict[str, Any]


def read_row(line: str) -> Printed | None:
    """A line that is one JSON object with a number in it; None for any other line.

    >>> read_row('{"val_loss": 0.5, "epoch": 3, "note": "ok", "done": false, "best": null}')
    Printed(values={'val_loss': 0.5, 'epoch': 3.0}, words={'note': 'ok', 'done': False})
    >>> read_row("epoch 3: 0.5") is None
    True
    """
    # A progress bar draws its line again and again, each time after a carriage return.
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
    """Text without a terminal's escape sequences."""
    return _ESCAPE.sub("", text)


def number_of(value: Any) -> float | None:
    """A number of JSON as a float; None for what is no number, true and false included."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        return float(value)
    except OverflowError:
        return None


class Stream:
    """Reads one stream of a process in a thread of its own, so that the process never waits.

    Args:
        pipe: the end to read.   path: the file to keep it in.
        take: called with every whole line, in that thread.
        drop: called there with the size of a line of JSON that was too long.
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
        """Why the file could not be written, if so."""
        self._pipe = pipe
        self._kept: Kept | None = Kept(path, limit)
        self._lines = Lines(take, drop)
        self._recent: deque[bytes] = deque()
        self._recent_bytes = 0
        self._closing = threading.Lock()
        self._thread = threading.Thread(target=self._read, name=f"read-{path.name}", daemon=True)
        self._thread.start()

    @property
    def ended(self) -> bool:
        """Whether every process that held the other end has closed it."""
        return not self._thread.is_alive()

    def recent(self) -> str:
        """The last 64 KB of the stream, as text."""
        with self._closing:
            whole = b"".join(self._recent)
        return without_colours(whole[-TAIL:].decode("utf-8", "replace"))

    def close(self) -> None:
        """Finish the file. A process that still writes is read, and what it writes is dropped."""
        with self._closing:
            kept, self._kept = self._kept, None
            if kept is not None:
                self._guarded(kept.close)

    def _read(self) -> None:
        with self._pipe as pipe:
            while data := os.read(pipe.fileno(), 2**16):
                with self._closing:
                    if self._kept is not None:
                        self._take(data, self._kept)
            with self._closing:
                if self._kept is not None:
                    self._lines.end()

    def _take(self, data: bytes, kept: Kept) -> None:
        if not self.problem:
            self._guarded(lambda: kept.write(data))
        self._recent.append(data)
        self._recent_bytes += len(data)
        while self._recent_bytes - len(self._recent[0]) >= TAIL:
            self._recent_bytes -= len(self._recent.popleft())
        self._lines.feed(data)

    def _guarded(self, write: Callable[[], None]) -> None:
        # A full disk must not stop the reading: the program would wait for ever.
        try:
            write()
        except OSError as error:
            self.problem = self.problem or str(error.strerror or error)
