"""Rows of frames and arrays: in one order, and without masked values that are read as numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from thetahat.core.errors import DataError


def check_order(given: Mapping[str, Any]) -> None:
    """Refuse frames and Series of pandas that have the same row labels in another order.

    Rows are taken by position. Labels that differ otherwise, as after ``reset_index`` of one of
    them, say nothing.

    Args:    given: by name, also inside of mappings and tuples; what pandas did not make counts for
             nothing.
    Raises:  DataError.
    """
    found = (pair for name, value in given.items() for pair in _inside(name, value))
    indexed = {name: value.index for name, value in found}
    if len(indexed) < 2:
        return
    (first, index), *others = indexed.items()
    for name, other in others:
        if len(other) != len(index) or index.equals(other):
            continue
        try:
            same = index.sort_values().equals(other.sort_values())
        except TypeError:  # labels of several types
            continue
        if same:
            at = next(i for i in range(len(index)) if index[i] != other[i])
            raise DataError(
                f"the rows of {name} are in another order than those of {first}: row {at} has the"
                f" labels {other[at]} and {index[at]}. Put one in the order of the other, such"
                f" as {name} = {name}.loc[{first}.index], or give values, such as"
                f" {name}.to_numpy()"
            )


def _inside(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """What pandas made in a value, with its name."""
    if _of_pandas(value):
        yield name, value
    elif isinstance(value, Mapping):
        for key, one in value.items():
            yield from _inside(f"{name}[{key!r}]" if name else str(key), one)
    elif isinstance(value, tuple):
        for k, one in enumerate(value):
            yield from _inside(f"{name}[{k}]", one)


def _of_pandas(value: Any) -> bool:
    return type(value).__module__.split(".")[0] == "pandas" and hasattr(value, "iloc")


def refuse_sparse(values: Any) -> None:
    """Refuse a sparse matrix of SciPy, or a sparse tensor of PyTorch.

    Raises:  DataError.
    """
    kind, library = type(values), type(values).__module__.split(".")[0]
    if library in ("scipy", "sparse") and hasattr(values, "nnz") and hasattr(values, "shape"):
        fix = "toarray()" if hasattr(values, "toarray") else "todense()"
    elif library == "torch" and "sparse" in str(getattr(values, "layout", "")):
        fix = "to_dense()"
    else:
        return
    raise DataError(
        f"a {kind.__name__} of shape {tuple(values.shape)} is sparse; give a dense array, .{fix}"
    )


def unmasked(values: Any) -> np.ndarray:
    """Return an array; masked values of NumPy become missing ones, NaN.

    Raises:  DataError: a sparse matrix.
    """
    refuse_sparse(values)
    if not isinstance(values, np.ma.MaskedArray) or not np.ma.is_masked(values):
        return np.asarray(values)
    if values.dtype.kind in "biuf":
        return np.ma.filled(values.astype(np.float64), np.nan)
    found = values.data.astype(object)
    found[np.ma.getmaskarray(values)] = None
    return found
