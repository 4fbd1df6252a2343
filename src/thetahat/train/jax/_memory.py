"""Memory of the device: what a task needs at least, what a program needs, and errors in words."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import jax

from thetahat.core import ConfigError
from thetahat.train import _memory as host
from thetahat.train.jax._staging import Staged

_SMALL = 1 << 28
"""Bytes that any machine holds on which this library loads."""


def device_memory() -> tuple[float, float]:
    """Bytes that are free, and bytes in all; the host's where the device has none of its own."""
    stats = jax.local_devices()[0].memory_stats()
    if stats and "bytes_limit" in stats:
        return stats["bytes_limit"] - stats.get("bytes_in_use", 0), stats["bytes_limit"]
    return host.free_memory(), host.total_memory()


def total_memory() -> float:
    """Bytes of memory in all, free or not."""
    stats = jax.local_devices()[0].memory_stats() or {}
    return stats.get("bytes_limit") or host.total_memory()


def check_possible(staged: Staged) -> None:
    """Refuse a task of which one member needs more memory than the machine has.

    Nothing is compiled yet: a compiler that runs out of memory may end the whole process.

    Raises:  ConfigError.
    """
    sizes = [math.prod(a.shape) * a.dtype.itemsize for a in staged.closed.out_avals]
    n_state = len(sizes) - len(staged.owned)
    # A state is held twice: before and after an update.
    state, made = 2 * sum(sizes[:n_state]), sum(sizes[n_state:])
    if state + made < _SMALL:
        return
    total = total_memory()
    if state + made > total:
        what, fix = "model", "make it smaller: a smaller width, say, or fewer layers"
        if made > state:
            what, fix = "data", "make fewer observations"
        raise ConfigError(
            f"the {what} of this fit cannot be held in memory: it takes {_in_words(state + made)}"
            f" at least, and there are {_in_words(total)}; {fix}"
        )


@contextmanager
def memory_errors() -> Iterator[None]:
    """Turn the compiler's error into ours when memory runs out.

    Raises:  ConfigError.
    """
    try:
        yield
    except jax.errors.JaxRuntimeError as error:
        if not str(error).startswith("RESOURCE_EXHAUSTED"):
            raise
        needed = str(error).partition(": ")[2].partition("\n")[0]
        free, total = map(_in_words, device_memory())
        raise ConfigError(
            f"memory ran out: {free} of {total} are free, and more was needed"
            f" ({needed.rstrip('.')}); a smaller model, a smaller batch_size or fewer observations"
            " need less"
        ) from error


def _in_words(n: float) -> str:
    """Bytes in words: ``36 TB``."""
    for unit in ("bytes", "KB", "MB", "GB", "TB", "PB"):
        if n < 1000 or unit == "PB":
            break
        n /= 1000
    return f"{n:.3g} {unit}" if n < 1e6 else f"{n:.0e} {unit}"
