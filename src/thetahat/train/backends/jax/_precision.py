"""float64 on request: the precision of a Task holds for the whole of its fit, and only there."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from thetahat.core.errors import DataError
from thetahat.data import Rows

ON_DISK = (Rows, np.memmap)
"""Leaves that are read batch by batch."""
_HOPELESS = 1e150
"""Beyond it squares overflow double precision too."""


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
        with np.errstate(over="ignore"):  # refuse_overflow has its say, in the Task's own dtype
            return array.astype(dtype) if array.dtype.kind == "f" else array
    if jnp.issubdtype(leaf.dtype, jnp.floating):
        return leaf.astype(dtype)
    return leaf


def refuse_overflow(data: Any, dtype: str) -> None:
    """See that finite observations are finite in the Task's dtype too.

    Raises:  DataError: some are not; it says which array, or which column of a table.
    """
    for path, leaf in jax.tree_util.tree_flatten_with_path(data)[0]:
        if isinstance(leaf, ON_DISK) or not isinstance(leaf, (np.ndarray, np.generic, float)):
            continue
        array = np.asarray(leaf)
        if array.dtype.kind != "f" or array.dtype.itemsize <= np.dtype(dtype).itemsize:
            continue
        limit = np.finfo(dtype).max
        # What is not finite was refused before. No copy is made of what may be large.
        if array.size and (array.max() > limit or array.min() < -limit):
            size = np.abs(array)
            wider = ", or give dtype='float64' (--dtype float64)" if size.max() < _HOPELESS else ""
            raise DataError(
                f"{_said(data, jax.tree_util.keystr(path), size)}, which overflows single"
                f" precision; rescale it{wider}"
            )


def _said(data: Any, where: str, size: np.ndarray) -> str:
    """Where numbers are too large, and how large: ``.transform`` holds those of a table."""
    top = f"{size.max():.3g}"
    if not where.startswith(".transform."):
        return f"data{where} reaches {top}"
    which, number = where.removeprefix(".transform.").split("_")
    what = {"mean": "mean", "std": "standard deviation", "fill": "imputed value"}[number]
    encoder = data.transform.encoder
    if which == "y":
        return f"target {encoder.target!r} has the {what} {top}"
    return f"column {encoder.names[int(size.argmax())]!r} has the {what} {top}"
