"""Records as columns for a chart: later rows of one epoch win, and very long curves are thinned."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from thetahat.store import Block

MOST = 4000


def columns_of(blocks: Sequence[Block], most: int = MOST) -> dict[str, Any]:
    """``axis``, ``columns`` of equal length with None where nothing finite was logged, ``rows``.

    More than ``most`` rows are thinned: of every bucket the rows with the lowest and the highest
    value of some column are kept, so that no peak is lost.
    """
    if not blocks:
        return {"axis": None, "columns": {}, "rows": 0}
    axis = blocks[0].columns[0]
    names = list(dict.fromkeys(name for block in blocks for name in block.columns))
    rows: dict[float, dict[str, float]] = {}
    for block in blocks:
        places = block.column(block.columns[0])
        parts = {name: block.column(name) for name in block.columns}
        for i, place in enumerate(places):
            row = rows.setdefault(place, {})
            for name, values in parts.items():
                row[name] = values[i]
    ordered = [rows[place] for place in sorted(rows)]
    columns = {name: [row.get(name, math.nan) for row in ordered] for name in names}
    kept = _kept(columns, axis, len(ordered), most)
    return {
        "axis": axis,
        "rows": len(ordered),
        "columns": {name: [_finite(values[i]) for i in kept] for name, values in columns.items()},
    }


def _kept(columns: dict[str, list[float]], axis: str, n: int, most: int) -> Sequence[int]:
    if n <= most:
        return range(n)
    drawn = [name for name in columns if name != axis][:8]
    buckets = max(1, most // (2 * max(1, len(drawn))))
    kept = {0, n - 1}
    for k in range(buckets):
        start, end = k * n // buckets, (k + 1) * n // buckets
        for name in drawn:
            values = columns[name]
            inside = [i for i in range(start, end) if math.isfinite(values[i])]
            if inside:
                kept.add(min(inside, key=values.__getitem__))
                kept.add(max(inside, key=values.__getitem__))
    return sorted(kept)


def _finite(value: float) -> float | int | None:
    if not math.isfinite(value):
        return None
    return int(value) if value == int(value) and abs(value) < 1e15 else value
