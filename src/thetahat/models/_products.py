"""Products of one observation with the kernel of a layer."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

FEW, SMALL = 4, 64
"""Inputs and numbers of a kernel up to which a product is the sum of its terms.

A CPU calls a library for a product of matrices, which takes 0.6 us whatever their size. Terms are
computed in the loop that adds the bias, and their gradient in that of the update. At a width of 64
the library is as fast."""


def product(x: Any, kernel: Any, large: Callable[[Any, Any], Any] = jnp.matmul) -> Any:
    """Return ``x @ kernel``, by ``large`` where it is not one observation by a small kernel.

    Args:    x: inputs (..., in).   kernel: (in, out).
    Returns: shape (..., out).
    """
    into, out = kernel.shape if kernel.ndim == 2 else (0, 0)
    if not 0 < into <= FEW or out == 1 or kernel.size > SMALL or x.size != into:
        return large(x, kernel)
    return _by_terms(x, kernel)


@partial(jax.jit, inline=True)
def _by_terms(x: Any, kernel: Any) -> Any:
    """The sum of the terms. JAX keeps its trace, which takes three times that of a product."""
    row = x.reshape(-1)  # gradients of (1, in) would be sums over three axes, which are slow
    total = row[0] * kernel[0]
    for k in range(1, len(kernel)):
        total = total + row[k] * kernel[k]
    return total.reshape(*x.shape[:-1], -1)
