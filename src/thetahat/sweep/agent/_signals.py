"""Signals to an agent: Ctrl-C from a person, SIGTERM from a batch system to a whole job."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from thetahat.core.run import Ended, Status
from thetahat.sweep._events import RunEvent

TERMINATED_S = 1.0
"""How long to wait for a signal of our own, after a program was ended by one."""
_TERMINATED = (-signal.SIGTERM, 128 + signal.SIGTERM, -signal.SIGINT, 128 + signal.SIGINT)
"""Exit codes of programs that a signal has ended; a shell, and ``th.main``, add 128."""


def was_terminated(event: RunEvent) -> bool:
    """Whether a run ended because its program got SIGTERM or SIGINT from outside."""
    failed = isinstance(event, Ended) and event.status is Status.FAILED
    return failed and event.detail.get("exit_code") in _TERMINATED


@contextmanager
def listening(interrupt: Callable[..., None]) -> Iterator[None]:
    """Call ``interrupt`` at Ctrl-C and SIGTERM; only the main thread can."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {s: signal.signal(s, interrupt) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for which, handler in before.items():
            signal.signal(which, handler)
