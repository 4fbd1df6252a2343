"""Memory of the host, also inside a container; and the members that fit into it."""

from __future__ import annotations

import math
from pathlib import Path

import psutil

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
    """Return how many bytes this machine or container has, with its swap space."""
    # The swap space holds data too, if slowly.
    machine = psutil.virtual_memory().total + psutil.swap_memory().total
    limits = [_read(folder / limit) for limit, _ in _GROUPS for folder in _FOLDERS]
    return min([float(machine), *limits])


def free_memory() -> float:
    """Return how many bytes this machine or container has free."""
    free = [
        _read(folder / limit) - _read(folder / used, missing=0.0)
        for limit, used in _GROUPS
        for folder in _FOLDERS
    ]
    return min([psutil.virtual_memory().available, *free])


def _read(path: Path, missing: float = math.inf) -> float:
    try:
        return int(path.read_text())
    except (OSError, ValueError):  # not there, or "max"
        return missing
