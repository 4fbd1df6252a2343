"""Memory of the host, also inside a container; and the members that fit into it."""

from __future__ import annotations

import math
from contextlib import suppress
from pathlib import Path

SHARE = 0.6
"""Share of the free memory that a cohort may take: the user's own arrays need some, too."""
_GROUPS = (("memory.max", "memory.current"), ("memory.limit_in_bytes", "memory.usage_in_bytes"))
_FOLDERS = (Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/memory"))


class TooLarge(Exception):
    """A cohort does not fit into memory; ``fits`` members do."""

    def __init__(self, fits: int) -> None:
        super().__init__(f"at most {fits} together")
        self.fits = fits


def total_memory() -> float:
    """Return how many bytes this machine or container has, swap included."""
    import psutil  # most fits ask for no memory

    machine = psutil.virtual_memory().total + psutil.swap_memory().total
    return min(machine, *(limit for limit, _ in _container()))


def free_memory() -> float:
    """Return how many bytes of this machine or container are free."""
    import psutil

    machine = psutil.virtual_memory().available
    return min(machine, *(limit - used for limit, used in _container()))


def _container() -> list[tuple[float, float]]:
    """Return each limit of a container, which may have less than its machine, and what it uses."""
    found = [(math.inf, 0.0)]
    for limit, used in _GROUPS:
        for folder in _FOLDERS:
            with suppress(OSError, ValueError):  # not there, or "max"
                found.append((int((folder / limit).read_text()), int((folder / used).read_text())))
    return found
