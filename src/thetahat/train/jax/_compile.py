"""Compile on a CPU without the passes that cost seconds and gain nothing here.

Measured on nets of width 1 to 256: without fusion emitters a training loop compiles in 60 % of the
time, and a step takes 0.93 to 1.17 times what it does with them, by no rule (most at width 128 in
batches of 16, least in batches of 32). The last digits differ, so that a choice by the number of
epochs would break a promise: 15 epochs and 25 more are 40, bit for bit.
"""

from __future__ import annotations

import hashlib
import os
import re
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import jax

from thetahat.data import jax_setting

try:
    import fcntl
except ImportError:  # Windows: every process compiles for itself
    fcntl = None

PATIENCE_S = 120.0
"""Seconds after which a process compiles a program although another is compiling it."""


class Busy(Exception):
    """Another process compiles the same program now."""


_LOOP = {"xla_cpu_use_fusion_emitters": False}
# What runs once, on little, need not be fast: random draws compile in 60 % of the time. (Level 0
# takes 30 %, and gives other last bits than drawing the same outside of a program.)
_QUICK = _LOOP | {"xla_backend_optimization_level": 1}
# A risk's matrix products come from a library at any level.
_READ = _LOOP | {"xla_backend_optimization_level": 0}
# Loops without functions such as tanh of whole arrays run as fast at level 1, which compiles in two
# thirds of the time; with them the vectors of higher levels count. The operations alone decide:
# n epochs must be k and n - k resumed, and a member in mode "exact" the same fit alone.
# A number for each of a few members, as their learning rates, is no such array.
_CURVED = re.compile(
    r"\b(?:stablehlo|chlo)\.(?:tanh?|exp|log|power|sine|cosine|erf|atan|cbrt|asin|acos|sinh|cosh|"
    r"lgamma|digamma)[^\n]*: .*tensor<(?!(?:\d|[1-5]\d|6[0-4])x[a-z])\d"
)
_FEW_DRAWN, _FEW_READ = 1 << 25, 1 << 22
"""Numbers of a whole cohort up to which these pay, measured at 1 to 4,096 members of width 16."""

_ONE_THREAD = {"xla_cpu_parallel_codegen_split_count": 1}
"""Where one thread has the process, a program that is cut for many costs a seventh more."""
_LEVEL = "xla_backend_optimization_level"
"""Who names this level in XLA_FLAGS has it for all programs: those of our levels would differ in
last bits from what is computed outside of them."""


class _Compilations(threading.local):
    """Programs that this thread has compiled and not read from JAX's cache."""

    n = 0


_compilations = _Compilations()


def _count(event: str, **_: Any) -> None:
    if event == "/jax/compilation_cache/cache_misses":
        _compilations.n += 1


jax.monitoring.register_event_listener(_count)


def compilations() -> int:
    """Return how many programs this thread has compiled and written to JAX's cache.

    One that was read from the cache cannot be serialised again: its functions are not found then.
    """
    return _compilations.n


def compile_loop(lowered: Any) -> Any:
    """A lowered program that runs for long, compiled."""
    return _compile(lowered, _LOOP if _CURVED.search(lowered.as_text()) else _QUICK)


def compile_draw(lowered: Any, numbers: int, *, patient: bool = True) -> Any:
    """A lowered program that draws once, compiled.

    Args:    numbers: how many it draws for all members; of many, its speed counts too.
             patient: whether to wait for a process that is compiling it now.
    Raises:  Busy: another process is, and we are not.
    """
    return _compile(lowered, _QUICK if numbers <= _FEW_DRAWN else _LOOP, patient)


def compile_read(lowered: Any, numbers: int) -> Any:
    """A lowered program that looks once at the data, compiled.

    Args:    numbers: how many it reads for all members that are computed at once; of many, its
             speed counts too. The level moves last bits: one by one, it is that of one alone.
    """
    return _compile(lowered, read_options(numbers))


def read_options(numbers: int) -> Mapping[str, Any]:
    """The options by which ``compile_read`` compiles."""
    return _READ if numbers <= _FEW_READ else _LOOP


def _compile(lowered: Any, options: Mapping[str, Any], patient: bool = True) -> Any:
    flags = os.environ.get("XLA_FLAGS", "")
    if jax.default_backend() != "cpu":
        options = {}
    elif "xla_cpu_multi_thread_eigen=false" in flags:
        options = {**options, **_ONE_THREAD}
    if f"--{_LEVEL}=" in flags:
        options = {name: value for name, value in options.items() if name != _LEVEL}
    try:
        with _while_others_wait(lowered, options, patient):
            return lowered.compile(compiler_options=dict(options))
    except jax.errors.JaxRuntimeError as error:
        # A compiler of another version may not know an option; every other error is real.
        if "No such compile option" not in str(error):
            raise
        return lowered.compile()


@contextmanager
def _while_others_wait(lowered: Any, options: Mapping[str, Any], patient: bool) -> Iterator[None]:
    """Of processes that want the same program now, one compiles it; the others take it from the
    cache. Workers that begin together would else each compile all that they begin with."""
    folder = jax_setting("jax_compilation_cache_dir")
    if not folder or fcntl is None:
        yield
        return
    name = hashlib.sha256(f"{sorted(options.items())}{lowered.as_text()}".encode()).hexdigest()
    path = Path(folder) / f"{name}.compiling"
    try:
        file = path.open("wb")
    except OSError:  # a cache that can only be read
        yield
        return
    with file:
        until = time.monotonic() + PATIENCE_S
        while not _locked(file) and time.monotonic() < until:
            if not patient:
                raise Busy
            time.sleep(0.02)
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def _locked(file: IO[bytes]) -> bool:
    """Lock the file, until it is closed or its process ends; False if another has locked it."""
    assert fcntl is not None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
