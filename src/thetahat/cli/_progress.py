"""Progress of a fit on standard error: epochs, risks, members, time left. Drawing costs next to
nothing: a terminal is drawn at most four times a second, anything else not at all."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from thetahat.report import short

if TYPE_CHECKING:
    from thetahat.train import Progress

PER_SECOND = 4


@contextmanager
def progress_bar(label: str, *, quiet: bool = False) -> Iterator[Callable[[Progress], None] | None]:
    """A bar that lives while the fit does; gives what ``fit`` wants as ``progress``.

    Where standard error is no terminal, or ``quiet``, there is none.
    """
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress as Bar, SpinnerColumn, TextColumn

    console = Console(stderr=True)
    columns: list[Any] = [
        SpinnerColumn(style="cyan"),
        TextColumn("[bold]{task.description}"),
        BarColumn(bar_width=_bar_width(console.width), complete_style="cyan", pulse_style="cyan"),
        TextColumn("{task.fields[words]}"),
    ]
    bar = Bar(*columns, console=console, transient=True, refresh_per_second=PER_SECOND)
    with bar:
        task = bar.add_task(label, total=None, words="compiling")
        eta = _Eta()

        def show(now: Progress) -> None:
            words = line(now, eta.left_s(now), console.width - len(label) - 8)
            bar.update(task, completed=now.epoch, total=now.epochs, words=words)

        yield show


def line(now: Progress, left_s: float | None, room: int = 100) -> str:
    """What stands beside the bar.

    >>> import numpy as np
    >>> from thetahat.train import Progress
    >>> line(Progress(50, 200, 3, 4, {"train_risk": np.array([0.5, 0.7])}, 1.0), 12.0)
    'epoch 50/200  train 0.6  3 of 4 running  12 s left'
    """
    parts = [f"epoch {now.epoch:,}/{now.epochs:,}"]
    for name in ("train_risk", "val_risk"):
        if name in now.record:
            parts.append(
                f"{name.removesuffix('_risk')} {short(_median(now.record[name]), 3) or 'nan'}"
            )
    if now.size > 1:
        parts.append(f"{now.running} of {now.size} running")
    if left_s is not None:
        parts.append(f"{span(left_s)} left")
    while len("  ".join(parts)) > max(room, 20) - 10 and len(parts) > 2:
        parts.pop(1)
    return "  ".join(parts)


def span(seconds: float) -> str:
    """A duration as people say it.

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


class _Eta:
    """Seconds left, from the epochs since the first chunk (which also compiled)."""

    def __init__(self) -> None:
        self._first: tuple[float, int] | None = None

    def left_s(self, now: Progress) -> float | None:
        clock = time.perf_counter()
        if self._first is None:
            self._first = (clock, now.epoch)
            return None
        began, epoch = self._first
        done = now.epoch - epoch
        return None if done <= 0 else (clock - began) / done * (now.epochs - now.epoch)


def _median(values: Any) -> float:
    import numpy as np

    return float(np.median(np.asarray(values)))


def _bar_width(width: int) -> int:
    return max(8, min(32, width // 5))
