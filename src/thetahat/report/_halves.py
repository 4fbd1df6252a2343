"""Make texts that do not depend on each other in two processes, where that is safe.

The second process is a fork: it has everything that the tasks need, and sends its results through
a pipe. If it fails in any way, this process does its tasks again, so that errors are as ever.
"""

from __future__ import annotations

import os
import pickle
import sys
import threading
import warnings
from collections.abc import Callable, Sequence
from typing import TypeVar

R = TypeVar("R")
_LEAST = 4
"""Tasks from which on a second process pays."""
_THREADED = ("jax", "torch")
"""Libraries whose threads may hold a lock when a process forks."""


def in_halves(tasks: Sequence[Callable[[], R]]) -> list[R]:
    """Return the results of all tasks in their order; every second one is of a second process."""
    if len(tasks) < _LEAST or not _can_fork():
        return [task() for task in tasks]
    theirs = tasks[1::2]
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of threads that only compute
        child = os.fork()
    if child == 0:
        _send(theirs, writing)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        try:
            ours = [task() for task in tasks[::2]]
            sent = pipe.read()
        finally:
            pipe.close()  # a child that still writes ends
            status = os.waitpid(child, 0)[1]
    done = pickle.loads(sent) if status == 0 else [task() for task in theirs]
    return [(done if k % 2 else ours)[k // 2] for k in range(len(tasks))]


def _send(tasks: Sequence[Callable[[], object]], writing: int) -> None:
    """Do the tasks of the second process, and end it."""
    status = 1
    try:
        with os.fdopen(writing, "wb") as pipe:
            pickle.dump([task() for task in tasks], pipe)
        status = 0
    finally:
        # No handler of the first process may run here, and no buffer of its be written twice.
        os._exit(status)


def _can_fork() -> bool:
    """Tell whether a fork is safe, and has a core of its own."""
    if not sys.platform.startswith("linux") or threading.active_count() > 1:
        return False
    return len(os.sched_getaffinity(0)) > 1 and not any(name in sys.modules for name in _THREADED)
