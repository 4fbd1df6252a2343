"""How many members train together: as many as the memory holds. And whether it holds one."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import jax
import psutil

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
    """Return how many bytes the device has, used or free."""
    stats = jax.local_devices()[0].memory_stats()
    if stats and "bytes_limit" in stats:
        return stats["bytes_limit"]
    # The swap space holds data too, if slowly.
    machine = psutil.virtual_memory().total + psutil.swap_memory().total
    return min(machine, *(limit for limit, _ in _container()))


def free_memory() -> float:
    """Return how many bytes of the device are free."""
    stats = jax.local_devices()[0].memory_stats()
    if stats and "bytes_limit" in stats:
        return stats["bytes_limit"] - stats.get("bytes_in_use", 0)
    machine = psutil.virtual_memory().available
    return min(machine, *(limit - used for limit, used in _container()))


def _container() -> list[tuple[float, float]]:
    """Return each limit of a container, which may have less than its machine, and what it uses."""
    found = [(float("inf"), 0.0)]
    for limit, used in _GROUPS:
        for folder in _FOLDERS:
            with suppress(OSError, ValueError):  # not there, or "max"
                found.append((int((folder / limit).read_text()), int((folder / used).read_text())))
    return found
