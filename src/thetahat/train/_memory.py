"""How many members train together: as many as the memory holds. And whether it holds one."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import jax

from thetahat.core import ConfigError
from thetahat.train.jax import CohortProgram, Staged

SHARE = 0.6
"""Of the memory that is free, what a cohort may take: the user's own arrays need some, too."""
_GROUPS = (("memory.max", "memory.current"), ("memory.limit_in_bytes", "memory.usage_in_bytes"))
_FOLDERS = (Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/memory"))


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


def check_possible(staged: Staged) -> None:
    """See that the machine has the memory that one member needs at least, before it is compiled:
    a compiler that is asked for what cannot be may take the whole process along.

    Raises:  ConfigError: it has not, whatever else is running.
    """
    sizes = [math.prod(a.shape) * a.dtype.itemsize for a in staged.closed.out_avals]
    n_state = len(sizes) - len(staged.owned)
    # A state is held twice: as it was, and as it becomes.
    state, made = 2 * sum(sizes[:n_state]), sum(sizes[n_state:])
    total = total_memory()
    if state + made > total:
        what, fix = "model", "make it smaller: a smaller width, say, or fewer layers"
        if made > state:
            what, fix = "data", "make fewer observations"
        raise ConfigError(
            f"the {what} of this fit cannot be held in memory: it takes {_said(state + made)} at"
            f" least, and there are {_said(total)}; {fix}"
        )


@contextmanager
def saying_what_is_short() -> Iterator[None]:
    """Raises:  ConfigError: memory ran out, in place of the compiler's own words."""
    try:
        yield
    except jax.errors.JaxRuntimeError as error:
        if not str(error).startswith("RESOURCE_EXHAUSTED"):
            raise
        said = str(error).partition(": ")[2].partition("\n")[0]
        raise ConfigError(
            f"memory ran out: {_said(free_memory())} of {_said(total_memory())} are free, and"
            f" more was needed ({said.rstrip('.')}); a smaller model, a smaller batch_size or fewer"
            " observations need less"
        ) from error


def _said(n: float) -> str:
    """Bytes in words: ``36 TB``."""
    for unit in ("bytes", "KB", "MB", "GB", "TB", "PB"):
        if n < 1000 or unit == "PB":
            break
        n /= 1000
    return f"{n:.3g} {unit}" if n < 1e6 else f"{n:.0e} {unit}"


def total_memory() -> float:
    """Bytes that the device has, used or free; infinite where nobody tells."""
    stats = jax.local_devices()[0].memory_stats()
    if stats and "bytes_limit" in stats:
        return stats["bytes_limit"]
    return min(_total(), default=float("inf"))


def _total() -> Iterator[float]:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        # What is on the disk can be held, too, if slowly.
        wanted = ("MemTotal:", "SwapTotal:")
        found = sum(int(line.split()[1]) * 1024 for line in lines if line.startswith(wanted))
        yield found or float("inf")
    except OSError:
        if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
            yield os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for limit, _ in _GROUPS:
        for folder in _FOLDERS:
            try:
                yield int((folder / limit).read_text())
            except (OSError, ValueError):  # not there, or "max"
                continue


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
        for folder in _FOLDERS:
            try:
                yield int((folder / limit).read_text()) - int((folder / used).read_text())
            except (OSError, ValueError):  # not there, or "max"
                continue
