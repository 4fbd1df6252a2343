"""Lines at the foot of a terminal that are drawn again and again, and then removed.

Other output scrolls above them. The cursor comes back however the block ends. Ctrl-Z removes the
lines and stops the process; after ``fg`` they are drawn again, below the words of the shell.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from thetahat.cli.terminal._output import can_write, is_terminal
from thetahat.format import cut, word

if TYPE_CHECKING:
    from rich.live import Live
    from rich.text import Text

PER_SECOND = 4
_SPINNER, _ASCII_SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏", "|/-\\"
_BAR = {
    "done": ("━", "=", "green"),
    "failed": ("×", "x", "red"),
    "running": ("╍", "~", "cyan"),
    "left": ("─", "-", "dim"),
}
"""Parts of a bar: their sign, their sign in ASCII, their style."""


@dataclass(frozen=True)
class Window:
    """Where the lines are drawn."""

    width: int
    """Cells of a line, at most."""
    height: int
    ascii_only: bool = False


DrawLines = Callable[[Window], Sequence["Text"]]
"""Gives the lines as they are now. Called from another thread, four times a second."""


def is_live(*, quiet: bool = False) -> bool:
    """Tell whether standard error is a terminal on which lines can be drawn again."""
    dumb = os.environ.get("TERM", "").lower() in ("dumb", "unknown")
    return not quiet and not dumb and is_terminal(sys.stderr)


@contextmanager
def live(draw: DrawLines) -> Iterator[None]:
    """Draw lines until the block ends."""
    from rich.console import Console, Group
    from rich.live import Live

    console = Console(stderr=True, highlight=False)
    signs = "".join(sign for sign, _, _ in _BAR.values())
    ascii_only = not can_write(sys.stderr, signs + _SPINNER + "▁█·…")

    def lines() -> Group:
        # Two cells stay free: the ^C that a terminal echoes behind the last line must not wrap.
        window = Window(max(20, console.width - 2), console.height, ascii_only)
        drawn = draw(window)[: max(2, window.height - 1)]
        for line in drawn:
            line.no_wrap, line.overflow = True, "crop"
        return Group(*drawn)

    def make() -> Live:
        return Live(
            get_renderable=lines,
            console=console,
            transient=True,
            refresh_per_second=PER_SECOND,
            # Standard output that goes to a file must not end up here.
            redirect_stdout=is_terminal(sys.stdout),
        )

    display = _PausableDisplay(make)
    display.show()
    try:
        with _obeyed(display.pause):
            yield
    finally:
        display.close()


def spinner(window: Window) -> str:
    """Give the frame of the spinner to draw now, one cell wide."""
    frames = _ASCII_SPINNER if window.ascii_only else _SPINNER
    return frames[int(time.monotonic() * PER_SECOND) % len(frames)]


def bar(parts: Mapping[str, float], cells: int, window: Window) -> Text:
    """Draw shares of a whole ("done", "failed", "running", "left") in so many cells.

    A share that is tiny still gets a cell, as long as there is room.

    >>> bar({"done": 3, "running": 1, "left": 4}, 8, Window(80, 24, ascii_only=True)).plain
    '===~----'
    """
    from rich.text import Text

    whole = sum(parts.values())
    if whole <= 0:
        parts, whole = {"left": 1}, 1
    exact = {kind: cells * n / whole for kind, n in parts.items()}
    least = {kind: int(n > 0 and kind != "left") for kind, n in parts.items()}
    sizes = {kind: max(least[kind], int(share)) for kind, share in exact.items()}
    while sum(sizes.values()) > cells:
        sizes[max(sizes, key=sizes.__getitem__)] -= 1
    while sum(sizes.values()) < cells:
        sizes[max(sizes, key=lambda kind: exact[kind] - sizes[kind])] += 1
    drawn = [(_BAR[kind][window.ascii_only] * n, _BAR[kind][2]) for kind, n in sizes.items() if n]
    return Text.assemble(*drawn)


def fit(pieces: Sequence[tuple[float, str, str]], room: int, gap: int = 3) -> Text:
    """Put pieces beside each other: (priority, text, style); those of least priority go first.

    >>> fit([(2, "epoch 1", ""), (1, "train 0.5", ""), (3, "2 s left", "")], 20).plain
    'epoch 1   2 s left'
    """
    from rich.cells import cell_len
    from rich.text import Text

    kept = [(priority, word(text), style) for priority, text, style in pieces if text]
    while len(kept) > 1 and sum(cell_len(p[1]) + gap for p in kept) - gap > room:
        kept.remove(min(reversed(kept), key=lambda piece: piece[0]))
    return Text(" " * gap).join(Text(cut(text, room), style) for _, text, style in kept)


class RefreshRate:
    """When to print a plain line: after ``first_s``, and then less and less often.

    Args:    share: of the time that has passed, until the next line.   most_s: at the most.
    """

    def __init__(self, first_s: float, *, share: float = 0.1, most_s: float = 60.0) -> None:
        self.first_s, self.share, self.most_s = first_s, share, most_s
        self._began = self._last = time.monotonic()

    def due(self) -> bool:
        """Tell whether it is time for a line; if so, the next one is due later."""
        now = time.monotonic()
        wait = min(self.most_s, max(self.first_s, self.share * (now - self._began)))
        if now - self._last < wait:
            return False
        self._last = now
        return True


_LOOK_S = 0.25
_OBEYED_S = 2.0
"""Seconds until the display is shown again anyway: without a shell the kernel stops no process, and
nothing tells it to go on."""
_STOP = getattr(signal, "SIGTSTP", None)
"""Ctrl-Z; Windows has none."""


class _PausableDisplay:
    """A display that is removed while the process is stopped or in the background.

    Args:    make: makes a new display, at the start and each time the process continues.
    """

    def __init__(self, make: Callable[[], Live]) -> None:
        self._make = make
        self._now: Live | None = None
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

    def pause(self, obeyed: threading.Event) -> None:
        """Stop the process, as Ctrl-Z asks; show the display once it is in the foreground again.

        Args:    obeyed: set once the next Ctrl-Z is obeyed too, by a main thread that may compute.
        """
        self.hide()
        if _STOP is not None:
            # To this very thread: it must not continue before the process has stopped.
            signal.pthread_kill(threading.get_ident(), _STOP)
        while not (_in_foreground() or self._over.wait(_LOOK_S)):
            pass
        obeyed.wait(_OBEYED_S)
        self.show()


@contextmanager
def _obeyed(pause: Callable[[threading.Event], None]) -> Iterator[None]:
    main = threading.current_thread() is threading.main_thread()
    if _STOP is None or not main or signal.getsignal(_STOP) is not signal.SIG_DFL:
        yield
        return
    stop, obeyed = _STOP, threading.Event()

    def asked(*_: object) -> None:
        # The kernel decides whether this process can be stopped: without a shell it could not be
        # woken. A thread of its own, because the drawing thread may hold a lock that we wait for.
        obeyed.clear()
        signal.signal(stop, signal.SIG_DFL)
        threading.Thread(target=pause, args=(obeyed,), name="pause", daemon=True).start()

    def continued(*_: object) -> None:
        signal.signal(stop, asked)
        obeyed.set()

    signal.signal(stop, asked)
    before = signal.signal(signal.SIGCONT, continued)
    try:
        yield
    finally:
        signal.signal(signal.SIGCONT, before)
        signal.signal(stop, signal.SIG_DFL)


def _in_foreground() -> bool:
    try:
        return os.tcgetpgrp(2) == os.getpgrp()
    except OSError:  # without a terminal of its own a process is never in the background
        return True
