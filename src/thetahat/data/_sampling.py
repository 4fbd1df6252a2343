"""The order of observations in an epoch, and batches for those who write their own loop."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from thetahat.core.errors import ConfigError, DataError, did_you_mean
from thetahat.data._containers import as_part, n_observations, register
from thetahat.data._permutation import permutation
from thetahat.data._rows import Rows, gather
from thetahat.data.keys import SHUFFLE, role_key

SAMPLINGS = ("shuffle", "replacement", "sequential", "full")


@dataclass(frozen=True, eq=False)
class Shuffle:
    """Shuffled sampling with an order of its own: ``th.Task(..., sampling=th.Shuffle(seed=seed))``.

    Members of a cohort share one order of the observations, which costs least. With a seed of its
    own (that may be traced) each member has its own order.

    Args:    seed: an int, a traced integer, or None for the seed of the Task.
    """

    seed: Any = None


register(Shuffle, ("seed",))


def order(seed: Any, epoch: Any, n: int, sampling: str = "shuffle") -> jax.Array:
    """The order in which epoch ``epoch`` visits n observations.

    Args:    seed: an int or a traced integer; members of a cohort share it (0) by default.
             epoch: 0, 1, ... (may be traced).   n: a Python integer.
             sampling: "shuffle" (each once), "replacement" (n draws), "sequential" or "full".
    Returns: int32, shape (n,).
    Raises:  ConfigError: an unknown sampling.
    >>> order(0, 0, 4, "sequential").tolist()
    [0, 1, 2, 3]
    """
    if sampling not in SAMPLINGS:
        hint = did_you_mean(str(sampling), SAMPLINGS)
        raise ConfigError(f"sampling={sampling!r} is none of ours{hint}")
    if sampling in ("sequential", "full"):
        return jnp.arange(n, dtype=jnp.int32)
    key = jax.random.fold_in(role_key(seed, SHUFFLE), epoch)
    if sampling == "shuffle":
        return permutation(key, n)
    return jax.random.randint(key, (n,), 0, n, dtype=jnp.int32)


class Batches:
    """Batches of a part, as NumPy, in the order in which the engine takes them.

    Every ``iter`` is a new epoch; the loader is never exhausted. The last batch is as short as N
    makes it: weigh it by its length.

    Args:    part: a pytree of (N, ...), in memory or streamed.
             batch_size: observations a batch, at most N; None is all of them.
             sampling: "shuffle", "replacement", "sequential" or "full".   seed: of the order.
    Raises:  DataError: a batch larger than N.   ConfigError: an unknown sampling.
    >>> batches = Batches((np.arange(5.0), np.arange(5.0)), batch_size=2, sampling="sequential")
    >>> [len(y) for x, y in batches], [len(y) for x, y in batches]
    ([2, 2, 1], [2, 2, 1])
    """

    def __init__(
        self, part: Any, batch_size: int | None, sampling: str = "shuffle", seed: Any = 0
    ) -> None:
        part = as_part(part)
        n = n_observations(part)
        if sampling not in SAMPLINGS:
            hint = did_you_mean(str(sampling), SAMPLINGS)
            raise ConfigError(f"sampling={sampling!r} is none of ours{hint}")
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
        """Batches in an epoch."""
        return math.ceil(self.n / self.batch_size)

    def __iter__(self) -> Iterator[Any]:
        epoch, self._next = self._next, self._next + 1
        return self.epoch(epoch)

    def epoch(self, epoch: int) -> Iterator[Any]:
        """The batches of one epoch (0, 1, ...), whatever was iterated before."""
        rows = np.asarray(order(self.seed, epoch, self.n, self.sampling))
        for start in range(0, self.n, self.batch_size):
            yield gather(self.part, rows[start : start + self.batch_size])


def _on_host(leaf: Any) -> Any:
    return leaf if isinstance(leaf, (np.ndarray, Rows)) else np.asarray(leaf)
