"""Memory of the host, also inside a container; and the members that fit into it."""

from __future__ import annotations

import math
import os
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
    """Bytes that this machine or container has, swap included; infinite if unknown."""
    limits = [_read(folder / limit) for limit, _ in _GROUPS for folder in _FOLDERS]
    return min([_machine("MemTotal:", "SwapTotal:"), *limits])


def free_memory() -> float:
    """Bytes that this machine or container has free; infinite if unknown."""
    free = [
        _read(folder / limit) - _read(folder / used, missing=0.0)
        for limit, used in _GROUPS
        for folder in _FOLDERS
    ]
    return min([_machine("MemAvailable:"), *free])


def _machine(*wanted: str) -> float:
    """The sum of these lines of /proc/meminfo; elsewhere, the physical memory."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        found = [int(line.split()[1]) * 1024 for line in lines if line.startswith(wanted)]
        return sum(found) or math.inf
    except OSError:
        if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
            return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        return math.inf


def _read(path: Path, missing: float = math.inf) -> float:
    try:
        return int(path.read_text())
    except (OSError, ValueError):  # not there, or "max"
        return missing
