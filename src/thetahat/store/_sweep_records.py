"""All records of a sweep's runs at once: columns over all runs, read in one query."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from thetahat.core.errors import ConfigError, did_you_mean
from thetahat.core.json import from_json
from thetahat.store._blocks import AXES, Block, join
from thetahat.store._schema import records, runs
from thetahat.store._store import Store

if TYPE_CHECKING:
    import numpy as np


def sweep_records(
    store: Store, sweep_id: str, columns: Sequence[str] | None = None
) -> tuple[list[str], np.ndarray, dict[str, np.ndarray]]:
    """Read the records of all runs of a sweep.

    Args:    columns: only these of the logged columns.
    Returns: the runs' names in the order of their numbers; of each row the place of its run; and
             the columns, NaN where a run did not log one. Rows are sorted by run, then by epoch.
    Raises:  ConfigError: a column that no run logged; the nearest is offered.
    """
    import numpy as np

    mine = runs.c.sweep_id == sweep_id
    columns_of = ("id", "run_id", "first", "last", "count", "columns", "data")
    query = select(*(records.c[name] for name in columns_of))
    query = query.where(records.c.run_id.in_(select(runs.c.id).where(mine)))
    listed = select(runs.c.id, runs.c.name).where(mine).order_by(runs.c.number)
    with store.reading() as connection:
        names = connection.execute(listed).all()
        rows_found: list[Any] = list(connection.execute(query))
    places = {run_id: k for k, (run_id, _) in enumerate(names)}
    # Sorted here: a database would copy all data to do it.
    rows_found.sort(key=lambda row: (places[row[1]], row[0]))
    known = {text: tuple(from_json(text)) for text in dict.fromkeys(r[5] for r in rows_found)}
    found = [(places[r[1]], Block(r[2], r[3], r[4], known[r[5]], r[6])) for r in rows_found]
    logged = dict.fromkeys(name for each in known.values() for name in each)
    axis = next((name for name in AXES if name in logged), AXES[0])
    for name in columns or ():
        if name not in logged:
            raise ConfigError(f"no run logged {name!r}{did_you_mean(name, logged)}")
    wanted = [n for n in logged if columns is None or n in columns or n == axis]
    parts, at = _in_order(found, axis)
    counts = np.array([len(next(iter(part.values()))) for part in parts], np.int64)
    rows, ends = int(counts.sum()), np.cumsum(counts)
    joined = {name: np.full(rows, np.nan) for name in wanted}
    for part, end, count in zip(parts, ends.tolist(), counts.tolist(), strict=True):
        for name in wanted:
            if name in part:
                joined[name][end - count : end] = part[name]
    for name in AXES:
        if name in joined and np.equal(joined[name], np.floor(joined[name])).all():
            joined[name] = joined[name].astype(np.int64)
    return [name for _, name in names], np.repeat(np.array(at, np.int64), counts), joined


def _in_order(
    found: Sequence[tuple[int, Block]], axis: str
) -> tuple[list[dict[str, np.ndarray]], list[int]]:
    """Columns of each block, and the place of its run; the blocks of a run that overlap or have
    another axis are joined first."""
    import numpy as np

    parts: list[dict[str, np.ndarray]] = []
    at: list[int] = []
    k = 0
    while k < len(found):
        place, end = found[k][0], k
        while end < len(found) and found[end][0] == place:
            end += 1
        blocks = [block for _, block in found[k:end]]
        k = end
        plain = all(b.columns[0] == axis for b in blocks)
        if plain and all(a.last < b.first for a, b in pairwise(blocks)):
            for block in blocks:
                data = np.frombuffer(block.data, "<f8").reshape(len(block.columns), block.count)
                parts.append(dict(zip(block.columns, data, strict=True)))
                at.append(place)
        else:
            parts.append(join(blocks))
            at.append(place)
    return parts, at
