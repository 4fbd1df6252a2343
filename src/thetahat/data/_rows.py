"""Rows of an array on disk, and operations on streamed and in-memory parts."""

from __future__ import annotations

import hashlib
import math
import mmap
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import jax
import numpy as np

BLOCK_VALUES = 1 << 19
"""Numbers per block of a pass over a part: 4 MB in double precision."""

RESIDENT_BYTES = 1 << 28
"""Limit of the resident pages of a memory map; beyond it they are released."""

_FAULT_BYTES = 1 << 16  # the kernel maps this much around one row


class Rows:
    """Rows of a source, read on access: a leaf of a part larger than memory.

        rows[i] = (source[index[i]] - shift) / scale,   after filling missing values

    Args:    source: an array or memory map, (S, ...).   index: (N,) integers.
             shift, scale, fill: (...) arrays or scalars; None for no change.
    >>> rows = Rows(np.arange(10.0), np.array([4, 2, 0]), shift=1.0, scale=2.0)
    >>> rows.shape, rows[1:]
    ((3,), array([ 0.5, -0.5]))
    """

    __slots__ = ("_resident", "fill", "index", "scale", "shift", "source")

    def __init__(
        self, source: Any, index: Any, shift: Any = None, scale: Any = None, fill: Any = None
    ) -> None:
        self.source, self.index = source, np.asarray(index)
        self.shift, self.scale, self.fill = shift, scale, fill
        self._resident = 0

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self.index), *self.source.shape[1:])

    @property
    def ndim(self) -> int:
        return self.source.ndim

    @property
    def dtype(self) -> np.dtype:
        return self.source.dtype if self.shift is None else np.dtype(np.float64)

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, rows: Any) -> np.ndarray:
        at = self.index[rows]
        return standardised(self._read(at), self.shift, self.scale, self.fill)

    def narrowed(self, rows: Any) -> Rows:
        """Select rows; they stay on disk."""
        return Rows(self.source, self.index[rows], self.shift, self.scale, self.fill)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if copy is False:
            raise ValueError("Rows are read from disk; they cannot be given without a copy")
        return self[:].astype(dtype or self.dtype, copy=False)

    def __repr__(self) -> str:
        return f"Rows(shape={self.shape}, dtype={self.dtype})"

    def _read(self, at: np.ndarray) -> np.ndarray:
        """Read source[at] and release pages of the memory map, which count as memory."""
        pages = getattr(self.source, "_mmap", None)
        fits = self.source.nbytes <= RESIDENT_BYTES
        if pages is None or fits or not at.size or not hasattr(mmap, "MADV_DONTNEED"):
            return np.asarray(self.source[at])
        row_bytes = self.source.nbytes // len(self.source)
        span = (int(at.max()) - int(at.min()) + 1) * row_bytes
        step = max(1, RESIDENT_BYTES // (row_bytes + _FAULT_BYTES))
        if at.ndim and len(at) > step and span > RESIDENT_BYTES:
            return np.concatenate([self._read(at[i : i + step]) for i in range(0, len(at), step)])
        touched = min(span, at.size * (row_bytes + _FAULT_BYTES))
        if self._resident + touched > RESIDENT_BYTES:
            pages.madvise(mmap.MADV_DONTNEED)
            self._resident = 0
        self._resident += touched
        return np.asarray(self.source[at])


def standardised(values: Any, shift: Any, scale: Any, fill: Any = None) -> Any:
    """Compute (values - shift) / scale after filling, alike on disk and in memory."""
    if shift is None:
        return values
    xp = (
        np
        if isinstance(values, np.ndarray) and isinstance(shift, (np.ndarray, float))
        else jax.numpy
    )
    if xp is np:
        values = values.astype(np.float64)
    if fill is not None:
        values = xp.where(xp.isnan(values), fill, values)
    if np.ndim(shift):
        # Of a single row, the columns alone.
        shape = (1,) * (np.ndim(values) - np.ndim(shift)) + np.shape(shift)
        shift, scale = xp.reshape(shift, shape), xp.reshape(scale, shape)
    return (values - shift) / scale


def is_streamed(part: Any) -> bool:
    """Return whether a part is on disk, so that batches are gathered one by one."""
    return any(isinstance(leaf, (Rows, np.memmap)) for leaf in jax.tree.leaves(part))


def gather(part: Any, rows: Any) -> Any:
    """Take the rows ``rows`` of every leaf; rows from disk become NumPy arrays.

    Args:    part: a pytree of (N, ...).   rows: indices, (n,), or a slice.
    Returns: a pytree of (n, ...).
    >>> gather((np.arange(4.0), np.arange(4)), np.array([3, 1]))
    (array([3., 1.]), array([3, 1]))
    """

    def take(leaf: Any) -> Any:
        values = leaf[rows]
        return np.array(values) if isinstance(values, np.memmap) else values

    return jax.tree.map(take, part)


def content_hash(part: Any) -> str:
    """Hash the shapes, dtypes and bytes of a part's leaves by SHA-256, as hexadecimal.

    Equal numbers in memory, on a device and on disk have one hash.

    Args:    part: a pytree of (N, ...).
    Returns: 64 hexadecimal digits.
    """
    digest = hashlib.sha256()
    for leaf in jax.tree.leaves(part):
        digest.update(_said(tuple(leaf.shape), leaf.dtype))
        if type(leaf) is np.ndarray and leaf.size <= BLOCK_VALUES:  # as those of many small nets
            digest.update(leaf.tobytes())
            continue
        for block in _blocks(leaf):
            digest.update(np.ascontiguousarray(block).tobytes())
    return digest.hexdigest()


@lru_cache(maxsize=256)
def _said(shape: tuple[int, ...], dtype: Any) -> bytes:
    return f"{tuple(shape)} {np.dtype(dtype).str}".encode()


def blocks(leaf: Any) -> Iterator[np.ndarray]:
    """Yield all rows of a leaf in order, in blocks of bounded size."""
    rows = max(1, BLOCK_VALUES // max(1, math.prod(leaf.shape[1:])))
    for start in range(0, len(leaf), rows):
        yield np.asarray(leaf[start : start + rows])


def _blocks(leaf: Any) -> Iterator[np.ndarray]:
    if not isinstance(leaf, (Rows, np.memmap)):
        leaf = np.asarray(leaf)
    if leaf.ndim == 0:
        yield np.asarray(leaf)
        return
    yield from blocks(leaf)
