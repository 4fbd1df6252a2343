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
_INF = math.inf


@dataclass(frozen=True)
class Block:
    """Consecutive records with the same columns; ``columns[0]`` is the axis."""

    first: int
    last: int
    count: int
    columns: tuple[str, ...]
    data: bytes

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
    arrays = [_to_array(columns[name]) for name in names]
    count = len(arrays[0])
    if count == 0 or any(len(a) != count for a in arrays):
        lengths = ", ".join(f"{name} has {len(a)}" for name, a in zip(names, arrays, strict=True))
        raise ConfigError(f"the columns of records must be equally long, and not empty; {lengths}")
    return Block(
        first=int(min(arrays[0])),
        last=int(max(arrays[0])),
        count=count,
        columns=names,
        data=b"".join(_to_bytes(a) for a in arrays),
    )


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
    return {name: _finite(block.column(name)[-1]) for name in block.columns}


def best_of(block: Block, column: str = "val_risk") -> tuple[float, int] | None:
    """Return the lowest finite value of ``column`` and its first place on the axis."""
    if column not in block.columns:
        return None
    values = block.column(column)
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


def _to_array(values: Sequence[float] | Any) -> array[float]:
    numpy = sys.modules.get("numpy")
    if numpy is not None and hasattr(values, "__array__"):
        filled = array("d", numpy.asarray(values, dtype=numpy.float64).tobytes())
    else:
        filled = array("d", values)
    # Two comparisons in C that only infinity passes; NaN fails both.
    if _INF in filled or -_INF in filled:
        filled = array("d", [math.nan if math.isinf(v) else v for v in filled])
    return filled


def _to_bytes(values: array[float]) -> bytes:
    if sys.byteorder == "big":
        values = values[:]
        values.byteswap()
    return values.tobytes()


def _from_bytes(data: bytes) -> array[float]:
    values = array("d", data)
    if sys.byteorder == "big":
        values.byteswap()
    return values


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
