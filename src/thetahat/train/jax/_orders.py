"""The orders of a cohort's epochs: by NumPy, or for much work by a compiled program.

Both give the same bits, so that the choice changes no result. It is made before a fit begins, from
numbers of indices and not from a clock: a fit that is run again takes the same way.
"""

from __future__ import annotations

import threading
from collections import Counter
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr, jaxpr_as_fun

from thetahat import data as th_data

if TYPE_CHECKING:
    from jaxtyping import Array, Int

WORTH = 12_000_000
"""Indices from which compiling pays: it takes half a second, and saves 40 ns an index."""


def made_inside(indices: int) -> bool:
    """Return whether members with orders of their own make them within their epochs.

    That compiles for 0.5 to 1 s longer. Then no orders of a whole chunk go through memory: for
    1,000 epochs of 64 members, fits of P3 and P4 take a tenth to a fifth less.
    """
    return indices >= WORTH


_LOCK = threading.Lock()
_made: Counter[tuple[Any, ...]] = Counter()
"""Indices that fits of this process have asked for, by the members, the size and the sampling."""


class Orders:
    """Orders of ``n`` epochs at a time.

    Args:    seed: of the order that all members share; or (C,), of each member's own.
             size, sampling: of the orders.   most: epochs at a time, at most.
             places: of an epoch, by default ``size``; the first ones are taken.
             drawn: whether the order matters: a program of batches may get all rows as one.
    """

    def __init__(
        self,
        seed: Any,
        size: int,
        sampling: str,
        most: int,
        places: int | None = None,
        *,
        drawn: bool = True,
    ) -> None:
        self.seed, self.size, self.sampling, self.most = seed, size, sampling, most
        self.places, self.drawn = size if places is None else places, drawn
        self.compiles = True
        """Whether the compiled program makes them."""

    def begin(self, epochs: int) -> None:
        """Choose the way for a fit of so many epochs, and compile if that is it."""
        if not self.drawn:
            self.compiles = False
            return
        with _LOCK:
            key = (*np.shape(self.seed), self.size, self.sampling)
            _made[key] += epochs * self.size * np.size(self.seed)
            much = _made[key] >= WORTH
        self.compiles = (
            much
            or jax.default_backend() != "cpu"
            or not th_data.orders_on_host(self.seed, self.sampling)
        )
        if self.compiles:
            self(0, 0)

    def __call__(self, epoch: Any, n: Any) -> Any:
        """The orders of ``n`` epochs from ``epoch`` on: the first ``n`` of (most, places), or of
        (C, most, places)."""
        if not self.compiles:
            made: Any = np.arange(self.size, dtype=np.int32)
            if self.drawn:
                few = not np.ndim(self.seed) and n * self.size <= _FEW
                orders = _kept_orders if few else th_data.host_orders
                made = orders(self.seed, epoch, n, self.size, self.sampling)
                assert made is not None, "asked in begin()"
            own = np.shape(self.seed) if self.drawn else ()
            index = np.zeros((*own, self.most, self.places), np.int32)
            index[..., :n, : self.size] = made
            return index
        epoch, n = np.int32(epoch), np.int32(n)
        if np.ndim(self.seed):
            return _compiled_own_orders(self.seed, epoch, n, self.size, self.most, self.sampling)
        rest = (self.size, self.most, self.places, self.sampling)
        return _compiled_orders(self.seed, epoch, n, *rest)


_FEW = 1 << 18
"""Indices of a chunk that are kept for other fits of the same size and seed, as of a search."""
_kept_orders = lru_cache(maxsize=16)(th_data.host_orders)


def own_seeds(order: ClosedJaxpr, own: Any, shared: Any, size: int) -> np.ndarray:
    """The seeds (C,) of the members' own orders, at traced parameters."""
    seed = jaxpr_as_fun(order)

    def of(own: Any) -> Any:
        return seed(*jax.tree.leaves((own, shared)))[0]

    found = jax.vmap(of, axis_size=size)(own) if own else of(own)
    return np.broadcast_to(np.asarray(found), (size,))


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


@partial(jax.jit, static_argnums=(3, 4, 5))
def _compiled_own_orders(
    seeds: Any, epoch: Any, n: Any, size: int, most: int, sampling: str
) -> Int[Array, "C most N"]:
    """As ``_compiled_orders``, of each member."""

    def made(i: Any, rows: Any) -> Any:
        each = jax.vmap(lambda seed: th_data.order(seed, epoch + i, size, sampling))(seeds)
        return rows.at[:, i].set(each)

    start = jnp.zeros((len(seeds), most, size), jnp.int32)
    return jax.lax.fori_loop(0, n, made, start)
