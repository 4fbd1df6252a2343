"""Compiling what runs once: on a CPU, compiling it costs a thousand times what running it does."""

from __future__ import annotations

from typing import Any

import jax

_LITTLE = 2**20
"""Numbers up to which code that was hardly optimised still makes them in a fraction of a second."""
_LEAST = {"xla_backend_optimization_level": 0, "xla_cpu_use_fusion_emitters": False}
_LESS = {"xla_backend_optimization_level": 1}
"""A third, and two thirds, of the seconds that random draws else take to compile."""


def compile_quickly(lowered: Any, made: int) -> Any:
    """A lowered program that is called once, and makes ``made`` numbers, compiled."""
    options = (_LEAST, _LESS) if made <= _LITTLE else (_LESS,)
    for some in options if jax.default_backend() == "cpu" else ():
        try:
            return lowered.compile(compiler_options=some)
        except jax.errors.JaxRuntimeError as error:
            # A compiler of another version may not know an option; every other error is real.
            if "No such compile option" not in str(error):
                raise
    return lowered.compile()
