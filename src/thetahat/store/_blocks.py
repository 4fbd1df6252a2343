"""Records as blocks of columns: one row of the table per chunk of epochs.

A block contains the logged columns one after the other, each as ``count`` little-endian float64
numbers. The first column is the axis, ``epoch`` or ``step``. A column missing in a block was not
logged there. Infinity is stored as NaN.
"""

from __future__ import annotations

import functools
import math
import sys
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from thetahat.core.errors import ConfigError
from thetahat.core.json import from_json, to_json

if TYPE_CHECKING:
    import numpy as np

AXES = ("epoch", "step")
_TOP = 7 if sys.byteorder == "little" else 0
"""The place of the byte of a number that holds its sign and most of its exponent."""
_PLUS, _MINUS = (array("d", [sign * math.inf]).tobytes()[_TOP : _TOP + 1] for sign in (1, -1))
"""That byte of infinity, which only NaN and numbers beyond 5e303 have too."""


@dataclass(frozen=True)
class Block:
    """Consecutive records with the same columns; ``columns[0]`` is the axis."""

    first: int
    last: int
    count: int
    columns: tuple[str, ...]
    data: bytes

    def values(self) -> array[float]:
        """Return all columns as float64 of shape (columns * count,), one after the other."""
        return _from_bytes(self.data)

    def column(self, name: str) -> array[float]:
        """Return a column as float64 of shape (count,)."""
        at = self.columns.index(name) * self.count * 8
        return _from_bytes(self.data[at : at + self.count * 8])

    def before(self, axis_value: int) -> Block | None:
        """Return the records whose axis is below ``axis_value``, or None if there are none."""
        keep = [i for i, value in enumerate(self.column(self.columns[0])) if value < axis_value]
        if not keep:
            return None
        return pack({c: [self.column(c)[i] for i in keep] for c in self.columns}, self.columns[0])


def pack(columns: Mapping[str, Sequence[float]], axis: str | None = None) -> Block:
    """Pack columns of equal length into a block.

    Args:    axis: the column that counts the records; by default ``epoch``, else ``step``.
    Raises:  ConfigError: no axis, no records, or columns of different lengths.
    """
    axis = axis or next((a for a in AXES if a in columns), None)
    if axis is None or axis not in columns:
        raise ConfigError(
            "records need a column 'epoch' or 'step' that counts them; got"
            f" {', '.join(columns) or 'none'}"
        )
    names = (axis, *(name for name in columns if name != axis))
    arrays = _to_arrays([columns[name] for name in names])
    count = len(arrays[0])
    if count == 0 or {*map(len, arrays)} != {count}:
        lengths = ", ".join(f"{name} has {len(a)}" for name, a in zip(names, arrays, strict=True))
        raise ConfigError(f"the columns of records must be equally long, and not empty; {lengths}")
    data = _joined(arrays)
    places = array("d", data[: 8 * count])
    return Block(int(min(places)), int(max(places)), count, names, _to_bytes(data))


@functools.cache
def names_json(columns: tuple[str, ...]) -> str:
    """Return the names of a block's columns as JSON."""
    return to_json(columns)


def read_block(row: Mapping[Any, Any]) -> Block:
    """Return a block from its row in the table."""
    names = tuple(from_json(row["columns"]))
    return Block(row["first"], row["last"], row["count"], names, bytes(row["data"]))


def last_values(block: Block) -> dict[str, float | None]:
    """Return the last record of a block, with None for values that are not finite."""
    last = block.values()[block.count - 1 :: block.count]
    return {name: _finite(value) for name, value in zip(block.columns, last, strict=True)}


def best_of(block: Block, column: str = "val_risk") -> tuple[float, int] | None:
    """Return the lowest finite value of ``column`` and its first place on the axis."""
    if column not in block.columns:
        return None
    values = block.column(column)
    best = min(values)  # of values after the first, NaN is never the lowest
    if best != best:
        finite = [value for value in values if value == value]
        if not finite:
            return None
        best = min(finite)
    return best, int(block.column(block.columns[0])[values.index(best)])


def join(blocks: Iterable[Block]) -> dict[str, np.ndarray]:
    """Join blocks into columns of shape (rows,), ordered by the axis, NaN for missing values.

    Of several values of one epoch or step the latest is used.
    """
    import numpy as np

    blocks = list(blocks)
    if not blocks:
        return {}
    axis = blocks[0].columns[0]
    parts = [np.frombuffer(b.data, "<f8").reshape(len(b.columns), b.count) for b in blocks]
    places = np.concatenate([part[0] for part in parts])
    rows, inverse = np.unique(places, return_inverse=True)
    names = list(dict.fromkeys(name for b in blocks for name in b.columns))
    joined = {name: np.full(len(rows), np.nan) for name in names}
    start = 0
    for b, part in zip(blocks, parts, strict=True):
        at = inverse[start : start + b.count]
        for name, values in zip(b.columns, part, strict=True):
            joined[name][at] = values
        start += b.count
    for whole in (axis, *AXES):
        if whole in joined and np.equal(joined[whole], np.floor(joined[whole])).all():
            joined[whole] = joined[whole].astype(np.int64)
    return joined


def _to_arrays(columns: Sequence[Sequence[float] | Any]) -> list[Any]:
    """Return columns as float64: arrays of NumPy where they are such, which is faster."""
    numpy = sys.modules.get("numpy")
    if numpy is None:
        return [array("d", values) for values in columns]
    return [
        numpy.asarray(values, dtype=numpy.float64).ravel()
        if hasattr(values, "__array__")
        else array("d", values)
        for values in columns
    ]


def _joined(arrays: Sequence[Any]) -> bytes:
    """Return columns as bytes, one after the other, with NaN for infinity."""
    data = b"".join([column.tobytes() for column in arrays])
    # Bytes are found in bytes faster than numbers in numbers.
    tops = data[_TOP::8]
    if _PLUS in tops or _MINUS in tops:
        return array("d", [math.nan if math.isinf(v) else v for v in array("d", data)]).tobytes()
    return data


def _to_bytes(data: bytes) -> bytes:
    if sys.byteorder == "big":
        values = array("d", data)
        values.byteswap()
        return values.tobytes()
    return data


def _from_bytes(data: bytes) -> array[float]:
    values = array("d", data)
    if sys.byteorder == "big":
        values.byteswap()
    return values


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
