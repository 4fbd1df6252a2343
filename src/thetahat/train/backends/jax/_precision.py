"""float64 on request: the precision of a Task holds for the whole of its fit, and only there."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from thetahat.data import Rows

ON_DISK = (Rows, np.memmap)
"""Leaves that are read batch by batch."""


def precision(dtype: str) -> AbstractContextManager[Any]:
    """A context in which new arrays have the Task's precision."""
    return jax.enable_x64(dtype == "float64")


def cast(tree: Any, dtype: str) -> Any:
    """Floating leaves in the Task's dtype; integers, booleans and keys as they are."""
    return jax.tree.map(lambda leaf: cast_leaf(leaf, dtype), tree)


def cast_leaf(leaf: Any, dtype: str) -> Any:
    """One leaf, as ``cast``. NumPy stays NumPy, so that nothing is copied to a device twice; what
    is streamed stays on disk, and is cast batch by batch."""
    if isinstance(leaf, ON_DISK):
        return leaf
    if isinstance(leaf, (np.ndarray, np.generic, float, int, bool, list)):
        array = np.asarray(leaf)
        return array.astype(dtype) if array.dtype.kind == "f" else array
    if jnp.issubdtype(leaf.dtype, jnp.floating):
        return leaf.astype(dtype)
    return leaf
