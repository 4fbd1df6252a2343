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
from thetahat.train.jax._plan import MemberPlan

if TYPE_CHECKING:
    from jaxtyping import Array, Int

WORTH = 12_000_000
"""Indices from which compiling pays: it takes half a second, and saves 40 ns an index."""

_LOCK = threading.Lock()
_made: Counter[tuple[int, str]] = Counter()
"""Indices that fits of this process have asked for, by the size of a part and the sampling."""


class Orders:
    """Orders of ``n`` epochs at a time.

    Args:    plan: of the observations.   most: epochs at a time, at most.
             places: of an epoch, at least as many as observations; the first ones are taken.
    """

    def __init__(self, plan: MemberPlan, most: int, places: int) -> None:
        self.seed, self.size, self.sampling = plan.order_seed, plan.n, plan.sampling
        self.most, self.places = most, places
        self.drawn = plan.random
        """Whether the order matters: a program of batches may get all observations as one."""
        self.compiles = True
        """Whether the compiled program makes them."""

    def begin(self, epochs: int) -> None:
        """Choose the way for a fit of so many epochs, and compile if that is it."""
        if not self.drawn:
            self.compiles = False
            return
        with _LOCK:
            key = self.size, self.sampling
            _made[key] += epochs * self.size
            much = _made[key] >= WORTH
        self.compiles = (
            much
            or jax.default_backend() != "cpu"
            or th_data.host_orders(self.seed, 0, 1, self.size, self.sampling) is None
        )
        if self.compiles:
            self(0, 0)

    def __call__(self, epoch: Any, n: Any) -> Any:
        """The orders of ``n`` epochs from ``epoch`` on: the first ``n`` rows of (most, places)."""
        if not self.compiles:
            made: Any = np.arange(self.size, dtype=np.int32)
            if self.drawn:
                made = th_data.host_orders(self.seed, epoch, n, self.size, self.sampling)
                assert made is not None, "asked in begin()"
            index = np.zeros((self.most, self.places), np.int32)
            index[:n, : self.size] = made
            return index
        rest = (self.size, self.most, self.places, self.sampling)
        return _compiled_orders(self.seed, np.int32(epoch), np.int32(n), *rest)


@partial(jax.jit, static_argnums=(3, 4, 5, 6))
def _compiled_orders(
    seed: Any, epoch: Any, n: Any, size: int, most: int, places: int, sampling: str
) -> Int[Array, "most places"]:
    """A program of its own, since it is the same for every task of this size: compiled once."""
    return jax.lax.fori_loop(
        0,
        n,
        lambda i, rows: rows.at[i, :size].set(th_data.order(seed, epoch + i, size, sampling)),
        jnp.zeros((most, places), jnp.int32),
    )
