"""Progress of a fit on standard error: epochs, risks, members, time left. A terminal is drawn four
times a second; a file or pipe gets a line now and then."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from thetahat.cli.terminal._live import RefreshRate, Window, bar, fit, is_live, live, spinner
from thetahat.cli.terminal._output import say
from thetahat.format import cut, short, sparkline

if TYPE_CHECKING:
    from rich.text import Text

    from thetahat.train import Progress

FIRST_LINE_S = 10.0
"""Seconds until the first line in a file or pipe; the next ones come less and less often."""
_MOST_VALUES = 512
_LEAST_BAR = 6


@contextmanager
def progress_bar(label: str, *, quiet: bool = False) -> Iterator[Callable[[Progress], None] | None]:
    """Show the progress of a fit while the block runs; yields the ``progress`` argument of ``fit``.

    If standard error is not a terminal, print a plain line now and then; with ``quiet``, nothing.
    """
    if quiet:
        yield None
        return
    status = FitStatus(label)
    if is_live():
        with live(status.lines):
            yield status.update
        return
    rate = RefreshRate(FIRST_LINE_S)
    waiting = SlowNotice(f"{label}: it compiles; the first epoch has not ended")
    waiting.__enter__()

    printed = 0

    def print_line(now: Progress) -> None:
        nonlocal printed
        waiting.__exit__(None, None, None)
        status.update(now)
        if rate.due() and now.epoch < now.epochs:
            printed = now.epoch
            say(f"{label}: {line(now, status.left_s(), 200)}", beside=True)

    try:
        yield print_line
    finally:
        waiting.__exit__(None, None, None)
        # The last of several lines tells how the fit ended, not how it stood some time ago.
        if printed and status.now is not None and status.now.epoch > printed:
            say(f"{label}: {line(status.now, None, 200)}", beside=True)


class SlowNotice:
    """Print one line if the block takes long, so that no command is silent for a minute."""

    def __init__(self, line: str) -> None:
        self._timer = threading.Timer(min(FIRST_LINE_S, threading.TIMEOUT_MAX), self._say)
        self._timer.daemon = True
        self._line = line

    def __enter__(self) -> None:
        self._timer.start()

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()

    def _say(self) -> None:
        say(self._line, beside=True)


class FitStatus:
    """The latest progress of a fit, its speed, and the lines that show both."""

    def __init__(self, label: str) -> None:
        self.label = label
        self.now: Progress | None = None
        self._began_s = time.monotonic()
        self._first: tuple[float, int] | None = None
        self._last_s = 0.0
        self._values: list[float] = []

    def update(self, now: Progress) -> None:
        """Record the latest progress."""
        self._last_s = time.monotonic()
        if self._first is None:
            self._first = (self._last_s, now.epoch)
        name = next((n for n in (now.best_by, "val_risk", "train_risk") if n in now.record), None)
        if name is not None:
            self._values.append(_median(now.record[name]))
        if len(self._values) > _MOST_VALUES:
            self._values = self._values[::2]
        self.now = now

    def per_second(self) -> float | None:
        """Compute epochs a second since the first chunk, which also compiled; None until known."""
        if self.now is None or self._first is None or self._last_s <= self._first[0]:
            return None
        rate = (self.now.epoch - self._first[1]) / (self._last_s - self._first[0])
        return rate or None

    def left_s(self) -> float | None:
        """Estimate the seconds left if nothing stops the fit early; None until known."""
        rate = self.per_second()
        if rate is None or self.now is None:
            return None
        since = time.monotonic() - self._last_s
        return max(0.0, (self.now.epochs - self.now.epoch) / rate - since)

    def lines(self, window: Window) -> list[Text]:
        """Draw the fit in two lines: epochs and time, then risks and their curve."""
        from rich.text import Text

        label = cut(self.label, max(8, window.width // 3))
        head = Text.assemble((spinner(window), "cyan"), " ", (label, "bold"), "  ")
        if self.now is None:
            took = time.monotonic() - self._began_s
            return [head.append(f"compiling  {span(took)}", "dim")]
        now, left_s, rate = self.now, self.left_s(), self.per_second()
        room = window.width - head.cell_len
        pieces = [
            (9, f"epoch {now.epoch:,}/{now.epochs:,}", ""),
            (7, _members(now), ""),
            (5, "" if rate is None else f"{short(rate, 3)} epochs/s", "dim"),
            (8, "" if left_s is None else f"{span(left_s)} left", ""),
        ]
        # The bar has priority over the rate, and the time left over the bar.
        words = fit(pieces, room - _LEAST_BAR - 2, gap=2)
        if left_s is not None and not words.plain.endswith(" left"):
            words = fit(pieces, room, gap=2)
        cells = min(32, room - words.cell_len - 2)
        if cells >= _LEAST_BAR:
            parts = {"done": now.epoch, "left": now.epochs - now.epoch}
            head.append_text(bar(parts, cells, window)).append("  ")
        return [head.append_text(words), self._risks(now, window)]

    def _risks(self, now: Progress, window: Window) -> Text:
        from rich.text import Text

        room = window.width - 2
        words = fit([*_risk_pieces(now), (6, _best(now), "")], room)
        cells = min(40, room - words.cell_len - 3)
        drawn = Text("  ").append_text(words)
        if cells >= 8 and len(self._values) >= 2:
            curve = sparkline(self._values[:], cells, ascii_only=window.ascii_only)
            drawn.append("   ").append(curve, "cyan")
        return drawn


def line(now: Progress, left_s: float | None, room: int = 100) -> str:
    """Describe a fit in one plain line.

    >>> import numpy as np
    >>> from thetahat.train import Progress
    >>> line(Progress(50, 200, 3, 4, {"train_risk": np.array([0.5, 0.7])}, 1.0), 12.0)
    'epoch 50/200  median train 0.6  3 of 4 running  12 s left'
    """
    pieces = [
        (9, f"epoch {now.epoch:,}/{now.epochs:,}", ""),
        *_risk_pieces(now),
        (4, _best(now), ""),
        (5, _members(now), ""),
        (8, "" if left_s is None else f"{span(left_s)} left", ""),
    ]
    return fit(pieces, room, gap=2).plain


def span(seconds: float) -> str:
    """Write a duration in its two largest units.

    >>> span(0.4), span(75), span(4000)
    ('0.4 s', '1 min 15 s', '1 h 6 min')
    """
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if seconds < 59.5:
        return f"{seconds:.0f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def _risk_pieces(now: Progress) -> list[tuple[float, str, str]]:
    median = "median " if now.size > 1 else ""
    return [
        (priority, f"{median}{part} {short(_median(now.record[f'{part}_risk'])) or 'nan'}", "")
        for part, priority in (("train", 4), ("val", 7))
        if f"{part}_risk" in now.record
    ]


def _best(now: Progress) -> str:
    """Name the best value of the metric that chooses the state, and its epoch; in a cohort, the
    best of all members."""
    if now.best_by not in now.record or now.best_value is None or now.best_epoch is None:
        return ""
    import numpy as np

    sign = -1 if now.best_mode == "max" else 1
    values = np.where(np.isfinite(now.best_value), sign * now.best_value, np.inf)
    k = int(np.argmin(values))
    at, name = int(now.best_epoch[k]), "" if now.best_by == "val_risk" else f"{now.best_by} "
    best = float(sign * values[k])
    return f"best {name}{short(best)} at epoch {at:,}" if np.isfinite(values[k]) else ""


def _members(now: Progress) -> str:
    return f"{now.running} of {now.size} running" if now.size > 1 else ""


def _median(values: Any) -> float:
    import numpy as np

    return float(np.median(np.asarray(values)))
