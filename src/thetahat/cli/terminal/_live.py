"""A few lines at the foot of a terminal that are drawn again and again, and leave no trace.

What is printed meanwhile scrolls above them. The cursor comes back however the block ends, and
while the process is stopped.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from thetahat.cli.terminal._output import can_write, is_terminal

PER_SECOND = 4
_SPINNER, _ASCII_SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏", "|/-\\"
_BAR = {"done": "━", "failed": "×", "running": "╍", "left": "─"}
_ASCII_BAR = {"done": "=", "failed": "x", "running": "~", "left": "-"}
_STYLES = {"done": "green", "failed": "red", "running": "cyan", "left": "dim"}

Piece = tuple[str, str]
"""Text, and its style: "bold", "dim", "red", ... or none."""


@dataclass(frozen=True)
class Window:
    """Where the lines are drawn."""

    width: int
    """Cells of a line, at most."""
    height: int
    ascii_only: bool = False


Draw = Callable[[Window], Sequence[Sequence[Piece]]]
"""The lines as they are now, each of pieces. Called from another thread, four times a second."""


def is_live(*, quiet: bool = False) -> bool:
    """Whether lines can be drawn again: standard error is a terminal that moves its cursor."""
    dumb = os.environ.get("TERM", "").lower() in ("dumb", "unknown")
    return not quiet and not dumb and is_terminal(sys.stderr)


@contextmanager
def live(draw: Draw) -> Iterator[None]:
    """Draw lines until the block ends."""
    from rich.console import Console, Group
    from rich.live import Live
    from rich.text import Text

    console = Console(stderr=True, highlight=False)
    ascii_only = not can_write(sys.stderr, "".join(_BAR.values()) + _SPINNER + "▁█·…")

    def lines() -> Group:
        # Two cells stay free: the ^C that a terminal echoes behind the last line must not wrap.
        window = Window(max(20, console.width - 2), console.height, ascii_only)
        return Group(
            *(
                Text.assemble(*line, no_wrap=True, overflow="crop")
                for line in draw(window)[: max(2, window.height - 1)]
            )
        )

    def make() -> Live:
        return Live(
            get_renderable=lines,
            console=console,
            transient=True,
            refresh_per_second=PER_SECOND,
            # Standard output that goes to a file must not end up here.
            redirect_stdout=is_terminal(sys.stdout),
        )

    with shown(make):
        yield


def spinner(window: Window) -> str:
    """A sign of life, one cell wide."""
    frames = _ASCII_SPINNER if window.ascii_only else _SPINNER
    return frames[int(time.monotonic() * PER_SECOND) % len(frames)]


def bar(parts: Sequence[tuple[str, float]], cells: int, window: Window) -> list[Piece]:
    """Shares of a whole ("done", "failed", "running", "left") in so many cells.

    What is there but tiny still gets its cell, as long as there is room.

    >>> bar([("done", 3), ("running", 1), ("left", 4)], 8, Window(80, 24, ascii_only=True))
    [('===', 'green'), ('~', 'cyan'), ('----', 'dim')]
    """
    signs = _ASCII_BAR if window.ascii_only else _BAR
    whole = sum(n for _, n in parts)
    if whole <= 0:
        return [(signs["left"] * cells, _STYLES["left"])]
    least = {kind: 1 if n > 0 and kind != "left" else 0 for kind, n in parts}
    sizes = {kind: max(least[kind], int(cells * n / whole)) for kind, n in parts}
    while sum(sizes.values()) > cells:
        sizes[max(sizes, key=sizes.__getitem__)] -= 1
    short = {kind: cells * n / whole - sizes[kind] for kind, n in parts}
    while sum(sizes.values()) < cells:
        kind = max(short, key=short.__getitem__)
        sizes[kind], short[kind] = sizes[kind] + 1, short[kind] - 1
    return [(signs[kind] * n, _STYLES[kind]) for kind, n in sizes.items() if n > 0]


def fit(pieces: Sequence[tuple[float, str, str]], room: int, gap: int = 3) -> list[Piece]:
    """As many pieces as fit beside each other: (how dear, text, style); the dearest stay.

    >>> fit([(2, "epoch 1", ""), (1, "train 0.5", ""), (3, "2 s left", "")], 20)
    [('epoch 1', ''), ('   ', ''), ('2 s left', '')]
    """
    from rich.cells import cell_len

    kept = [piece for piece in pieces if piece[1]]
    while len(kept) > 1 and sum(cell_len(p[1]) + gap for p in kept) - gap > room:
        kept.remove(min(reversed(kept), key=lambda piece: piece[0]))
    line: list[Piece] = []
    for _, text, style in kept:
        line += [(" " * gap, "")] if line else []
        line.append((cut(text, room), style))
    return line


def cut(text: str, room: int) -> str:
    """Text in at most so many cells."""
    from rich.cells import cell_len, set_cell_size

    if cell_len(text) <= room:
        return text
    return set_cell_size(text, max(0, room - 2)).rstrip() + ".."


def cells_of(line: Sequence[Piece]) -> int:
    """How wide a line is."""
    from rich.cells import cell_len

    return sum(cell_len(text) for text, _ in line)


class Pace:
    """When to say a plain line: after ``first_s``, and then ever more seldom.

    Args:    share: of the time that has passed, until the next line.   most_s: at the most.
    """

    def __init__(self, first_s: float, *, share: float = 0.1, most_s: float = 60.0) -> None:
        self.first_s, self.share, self.most_s = first_s, share, most_s
        self._began = self._last = time.monotonic()

    def due(self) -> bool:
        """Whether it is time for a line; then the next one is due later."""
        now = time.monotonic()
        wait = min(self.most_s, max(self.first_s, self.share * (now - self._began)))
        if now - self._last < wait:
            return False
        self._last = now
        return True


_LOOK_S = 0.25
_STOP = getattr(signal, "SIGTSTP", None)
"""Ctrl-Z; Windows has none."""


class Display(Protocol):
    """What draws on the terminal between its start and its stop."""

    def start(self) -> None:
        """Hide the cursor and draw."""
        ...

    def stop(self) -> None:
        """Leave a clean terminal."""
        ...


@contextmanager
def shown(make: Callable[[], Display]) -> Iterator[None]:
    """Show a display until the block ends, but while the process is stopped or in the background.

    Args:    make: makes a fresh one, for the beginning and for every time the process goes on.
    """
    display = _Paused(make)
    display.show()
    try:
        with _obeyed(display.pause):
            yield
    finally:
        display.close()


class _Paused:
    """A display that can be taken away and shown again."""

    def __init__(self, make: Callable[[], Display]) -> None:
        self._make = make
        self._now: Display | None = None
        self._lock = threading.Lock()
        self._over = threading.Event()

    def show(self) -> None:
        with self._lock:
            if self._now is None and not self._over.is_set():
                self._now = self._make()
                self._now.start()

    def hide(self) -> None:
        with self._lock:
            now, self._now = self._now, None
            if now is not None:
                now.stop()

    def close(self) -> None:
        self._over.set()
        self.hide()

    def pause(self) -> None:
        """Stop the process as Ctrl-Z would have; show again once it is in the foreground."""
        self.hide()
        if _STOP is not None:
            # To this very thread: it must not go on before the process has stopped.
            signal.pthread_kill(threading.get_ident(), _STOP)
        while not (_in_foreground() or self._over.wait(_LOOK_S)):
            pass
        self.show()


@contextmanager
def _obeyed(pause: Callable[[], None]) -> Iterator[None]:
    main = threading.current_thread() is threading.main_thread()
    if _STOP is None or not main or signal.getsignal(_STOP) is not signal.SIG_DFL:
        yield
        return
    stop = _STOP

    def asked(*_: object) -> None:
        # The kernel decides whether a process of this kind can be stopped: nobody could wake one
        # that no shell has started. What draws may hold a lock that this thread waits for.
        signal.signal(stop, signal.SIG_DFL)
        threading.Thread(target=pause, name="pause", daemon=True).start()

    def goes_on(*_: object) -> None:
        signal.signal(stop, asked)

    signal.signal(stop, asked)
    before = signal.signal(signal.SIGCONT, goes_on)
    try:
        yield
    finally:
        signal.signal(signal.SIGCONT, before)
        signal.signal(stop, signal.SIG_DFL)


def _in_foreground() -> bool:
    try:
        return os.tcgetpgrp(2) == os.getpgrp()
    except OSError:  # no terminal of our own: nobody can put us into the background
        return True
