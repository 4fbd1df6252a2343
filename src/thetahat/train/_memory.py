"""How many members train together: as many as the memory holds."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import jax

from thetahat.train.backends.jax import CohortProgram

SHARE = 0.6
"""Of the memory that is free, what a cohort may take: the user's own arrays need some, too."""
_GROUPS = (("memory.max", "memory.current"), ("memory.limit_in_bytes", "memory.usage_in_bytes"))


class TooLarge(Exception):
    """A cohort does not fit into memory; ``fits`` members do."""

    def __init__(self, fits: int) -> None:
        super().__init__(f"at most {fits} together")
        self.fits = fits


def check_fits(program: CohortProgram, budget: int | None) -> None:
    """Compile a cohort's program, and see that it fits.

    One member alone is always tried: what it needs cannot be divided.

    Args:    budget: bytes; None for a share of what is free.
    Raises:  TooLarge.
    """
    if program.size == 1:
        return
    room = free_memory() * SHARE if budget is None else budget
    # What the members hold is known before anything is compiled, and is held twice.
    least = 2 * program.size * program.staged.member_bytes
    needs = least if least > room else max(least, program.needs())
    if needs > room:
        raise TooLarge(max(1, min(program.size - 1, int(program.size * room / needs))))


def free_memory() -> float:
    """Bytes that the device has free; infinite where nobody tells."""
    stats = jax.local_devices()[0].memory_stats()
    if stats and "bytes_limit" in stats:
        return stats["bytes_limit"] - stats.get("bytes_in_use", 0)
    return min(_free(), default=float("inf"))


def _free() -> Iterator[float]:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        yield next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvail"))
    except (OSError, StopIteration):
        if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
            yield os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    # A container may have less than its machine.
    for limit, used in _GROUPS:
        for folder in (Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/memory")):
            try:
                yield int((folder / limit).read_text()) - int((folder / used).read_text())
            except (OSError, ValueError):  # not there, or "max"
                continue
