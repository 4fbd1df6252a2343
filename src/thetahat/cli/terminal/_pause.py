"""Ctrl-Z while lines are being drawn: they go, the cursor comes back, and after ``fg`` all is drawn
anew, below what the shell has said meanwhile."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

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
