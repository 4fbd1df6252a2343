"""Held-out rows of a bag: its members train on different rows of one table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from thetahat.core.errors import DataError
from thetahat.data._containers import Data, is_concrete, n_observations
from thetahat.data._rows import is_streamed


def rotated(data: Data, member: Any, of: int) -> Data:
    """Return the data of one member of a bag, which holds out other rows than the next member.

    The rows of train and val form a ring. Member k begins a share k / of further round it: the
    first rows are its train part, the last its val part. Member 0 has ``data`` itself; sizes, test
    part and standardisation are the same for all members.

    Args:    data: with its train part in memory.   member: k, an int or a traced integer.
             of: members of the bag.
    Returns: Data; its arrays are traced if ``member`` is.
    Raises:  DataError: data on disk.
    >>> data = Data((np.arange(8.0),), val=(np.arange(8.0, 10.0),))
    >>> [[int(v) for v in rotated(data, k, 5).val[0]] for k in range(5)]
    [[8, 9], [0, 1], [2, 3], [4, 5], [6, 7]]
    """
    if any(is_streamed(part) for part in (data.train, data.val) if part is not None):
        raise DataError("a bag needs its data in memory; read the table with read_table")
    n_train = n_observations(data.train)
    n_val = 0 if data.val is None else n_observations(data.val)
    n = n_train + n_val
    begin = member * n // of % n
    ring = jax.tree.map(_twice, joined(data))

    def taken(first: Any, rows: int) -> Any:
        # Rows are never negative: what JAX makes of such takes longer to trace than all else here.
        how = {"allow_negative_indices": False}
        return jax.tree.map(lambda leaf: lax.dynamic_slice_in_dim(leaf, first, rows, **how), ring)

    return data.changed(
        train=taken(begin, n_train),
        val=taken(begin + n_train, n_val) if n_val else None,
        rows=rotated_rows(data, int(member), of) if is_concrete(member) else None,
    )


def _twice(leaf: Any) -> Any:
    """Return a leaf (N, ...) and the same again: from any row of the first on, N rows of a ring."""
    xp = np if isinstance(leaf, np.ndarray) else jnp
    return jnp.asarray(xp.concatenate([leaf, leaf]))


def rotated_rows(data: Data, member: int, of: int) -> dict[str, np.ndarray] | None:
    """Return the rows of each part of ``rotated(data, member, of)``; None if unknown."""
    if not data.rows:
        return None
    n_train, rows = n_observations(data.train), ring_rows(data.rows)
    around = np.roll(rows["train"], -(member * len(rows["train"]) // of))
    own = {**data.rows, "train": around[:n_train]}
    return own | ({"val": around[n_train:]} if "val" in own else {})


def ring_rows(rows: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Return the rows of a bag's parts: those of train and val, in this order, and of test."""
    ring = [np.asarray(rows[name]) for name in ("train", "val") if name in rows]
    others = {name: np.asarray(at) for name, at in rows.items() if name not in ("train", "val")}
    return {"train": np.concatenate(ring), **others}


def held_out(data: Data, of: int) -> np.ndarray:
    """Tell which rows of train and val, in this order, each member of a bag holds out: (of, n)."""
    n_train = n_observations(data.train)
    n = n_train + (0 if data.val is None else n_observations(data.val))
    held = np.zeros((of, n), bool)
    for k in range(of):
        held[k, (np.arange(n_train, n) + k * n // of) % n] = True
    return held


def joined(data: Data) -> Any:
    """Return the rows of train, then those of val."""
    if data.val is None:
        return data.train
    return jax.tree.map(
        lambda a, b: np.concatenate([np.asarray(a), np.asarray(b)]), data.train, data.val
    )
