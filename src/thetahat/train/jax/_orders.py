"""The orders of a cohort's epochs: by NumPy, or for much work by a compiled program.

Both give the same bits, so that the choice changes no result. It is made before a fit begins, from
numbers of indices and not from a clock: a fit that is run again takes the same way.
"""

from __future__ import annotations

import threading
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from thetahat import data as th_data

if TYPE_CHECKING:
    from jaxtyping import Array, Int

WORTH = 12_000_000
"""Indices from which compiling pays: it takes half a second, and saves 40 ns an index."""

_LOCK = threading.Lock()
_made: Counter[tuple[int, str]] = Counter()
"""Indices that fits of this process have asked for, by the size of a part and the sampling."""


class Orders:
    """Orders of ``n`` epochs at a time.

    Args:    seed, size, sampling: of the orders.   most: epochs at a time, at most.
    """

    def __init__(self, seed: Any, size: int, sampling: str, most: int) -> None:
        self.seed, self.size, self.sampling, self.most = seed, size, sampling, most
        self.compiles = True
        """Whether the compiled program makes them."""

    def begin(self, epochs: int) -> None:
        """Choose the way for a fit of so many epochs, and compile if that is it."""
        with _LOCK:
            key = self.size, self.sampling
            _made[key] += epochs * self.size
            much = _made[key] >= WORTH
        self.compiles = (
            much
            or jax.default_backend() != "cpu"
            or not th_data.on_host(self.seed, self.sampling)
        )
        if self.compiles:
            self(0, 0)

    def __call__(self, epoch: Any, n: Any) -> Any:
        """The orders of ``n`` epochs from ``epoch`` on: the first ``n`` rows of (most, size)."""
        if not self.compiles:
            made = th_data.host_orders(self.seed, epoch, n, self.size, self.sampling)
            assert made is not None, "asked in begin()"
            index = np.zeros((self.most, self.size), np.int32)
            index[:n] = made
            return index
        rest = (self.size, self.most, self.sampling)
        return _compiled_orders(self.seed, np.int32(epoch), np.int32(n), *rest)


@partial(jax.jit, static_argnums=(3, 4, 5))
def _compiled_orders(
    seed: Any, epoch: Any, n: Any, size: int, most: int, sampling: str
) -> Int[Array, "most N"]:
    """A program of its own, since it is the same for every task of this size: compiled once."""
    return jax.lax.fori_loop(
        0,
        n,
        lambda i, rows: rows.at[i].set(th_data.order(seed, epoch + i, size, sampling)),
        jnp.zeros((most, size), jnp.int32),
    )
