"""Order of the observations in an epoch, and batches for a training loop of your own."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from thetahat.core.arguments import arguments_named
from thetahat.core.errors import DataError, check_choice
from thetahat.core.task import SAMPLINGS
from thetahat.data._containers import as_part, leaves_by_name, n_observations, register
from thetahat.data._permutation import permutation
from thetahat.data._row_order import check_order
from thetahat.data._rows import Rows, gather
from thetahat.data.keys import SHUFFLE, role_key


@arguments_named
@dataclass(frozen=True, eq=False)
class Shuffle:
    """Shuffled sampling with its own seed: ``th.Task(..., sampling=th.Shuffle(seed=seed))``.

    By default the members of a cohort share one order of the observations, which is fastest. With
    its own seed (which may be traced) each member has its own order.

    Args:    seed: an int, a traced integer, or None for the seed of the Task.
    """

    seed: Any = None


register(Shuffle, ("seed",))


def order(seed: Any, epoch: Any, n: int, sampling: str = "shuffle") -> jax.Array:
    """Draw the order of n observations in epoch ``epoch``.

    Args:    seed: an int or a traced integer; members of a cohort share it (0) by default.
             epoch: 0, 1, ... (may be traced).   n: a Python integer.
             sampling: "shuffle" (each once), "replacement" (n draws), "sequential" or "full".
    Returns: int32, shape (n,).
    Raises:  ConfigError: an unknown sampling.
    >>> order(0, 0, 4, "sequential").tolist()
    [0, 1, 2, 3]
    """
    check_choice("sampling", sampling, SAMPLINGS)
    if sampling in ("sequential", "full"):
        return jnp.arange(n, dtype=jnp.int32)
    key = jax.random.fold_in(role_key(seed, SHUFFLE), epoch)
    if sampling == "shuffle":
        return permutation(key, n)
    return jax.random.randint(key, (n,), 0, n, dtype=jnp.int32)


@arguments_named
class Batches:
    """Batches of a part, as NumPy, in the order of the engine.

    Every ``iter`` is a new epoch; the loader is never exhausted. The last batch may be
    shorter: weigh it by its length.

    Args:    part: a pytree of (N, ...), in memory or streamed.
             batch_size: observations per batch, at most N; None is all.
             sampling: "shuffle", "replacement", "sequential" or "full".   seed: of the order.
    Raises:  DataError: a batch larger than N.   ConfigError: an unknown sampling.
    >>> batches = Batches((np.arange(5.0), np.arange(5.0)), batch_size=2, sampling="sequential")
    >>> [len(y) for x, y in batches], [len(y) for x, y in batches]
    ([2, 2, 1], [2, 2, 1])
    """

    def __init__(
        self, part: Any, batch_size: int | None, sampling: str = "shuffle", seed: Any = 0
    ) -> None:
        check_order(leaves_by_name("part", part))
        part = as_part(part)
        n = n_observations(part)
        check_choice("sampling", sampling, SAMPLINGS)
        if batch_size is None or sampling == "full":
            batch_size = n
        if not 1 <= batch_size <= n:
            raise DataError(
                f"batch_size={batch_size} with {n} observations; give 1 to {n}, or None"
            )
        self.part = jax.tree.map(_on_host, part)
        self.n, self.batch_size, self.sampling, self.seed = n, batch_size, sampling, seed
        self._next = 0

    def __len__(self) -> int:
        """Count the batches of an epoch."""
        return math.ceil(self.n / self.batch_size)

    def __iter__(self) -> Iterator[Any]:
        epoch, self._next = self._next, self._next + 1
        return self.epoch(epoch)

    def epoch(self, epoch: int) -> Iterator[Any]:
        """Yield the batches of one epoch (0, 1, ...), independent of earlier iterations."""
        rows = np.asarray(order(self.seed, epoch, self.n, self.sampling))
        for start in range(0, self.n, self.batch_size):
            yield gather(self.part, rows[start : start + self.batch_size])


def _on_host(leaf: Any) -> Any:
    return leaf if isinstance(leaf, (np.ndarray, Rows)) else np.asarray(leaf)
