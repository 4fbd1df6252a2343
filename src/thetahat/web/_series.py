"""The records of a run as columns for a chart, and the last lines that it printed."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from thetahat.store import Block, Store, blocks_after

MOST = 4000
LOGS = ("stdout.log", "stderr.log")
_TAIL = 64 * 1024
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\))")
"""What a terminal obeys: colours, titles."""


def curves(store: Store, run_id: str, after: int, most: int) -> dict[str, Any]:
    """Read a run's records after a block as columns, thinned where they are many."""
    blocks, last = blocks_after(store, run_id, after)
    return {"last": last, **columns_of(blocks, most)}


def columns_of(blocks: Sequence[Block], most: int = MOST) -> dict[str, Any]:
    """Return ``axis``, ``rows`` and ``columns`` of equal length, None where not finite.

    Of several rows of one epoch the last wins. More than ``most`` rows are thinned: every bucket
    keeps the rows with the lowest and the highest value of some column, so that no peak is lost.
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
    kept = _thinned(columns, axis, len(ordered), most)
    return {
        "axis": axis,
        "rows": len(ordered),
        "columns": {name: [_finite(values[i]) for i in kept] for name, values in columns.items()},
    }


def _thinned(columns: dict[str, list[float]], axis: str, n: int, most: int) -> Sequence[int]:
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


def tails(folder: Path, provenance: Mapping[str, Any]) -> dict[str, str]:
    """Read the end of each log of a run; none where it has none.

    Args:    folder: of the store; a log whose resolved path lies outside it is not read.
    """
    logs = provenance.get("logs")
    if not isinstance(logs, str) or not logs:
        return {}
    inside = folder.resolve()
    found = {}
    for name in LOGS:
        try:
            path = (inside / logs / name).resolve()
            # The folder of all logs may be a link, to a larger disk.
            homes = (inside, (inside / "logs").resolve())
            if any(map(path.is_relative_to, homes)) and path.is_file():
                found[name] = _ESCAPES.sub("", _tail(path))
        except (OSError, ValueError):
            continue
    return found


def _tail(path: Path) -> str:
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - _TAIL))
        text = file.read(_TAIL).decode("utf-8", "replace")
    if size > _TAIL:
        text = f"… {size - _TAIL:,} bytes before this\n" + text.partition("\n")[2]
    return text
