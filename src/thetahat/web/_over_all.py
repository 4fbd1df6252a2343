"""Numbers over all runs of a sweep, which its page asks for first; read ahead of the request."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from thetahat.core.garbage import uncollected
from thetahat.core.run import Status
from thetahat.store import (
    Store,
    SweepRow,
    dead_agents,
    failure_reasons,
    has_more_runs,
    metric_series,
    run_columns,
    runs_stand,
)
from thetahat.web._remembered import Remembered, sign_of
from thetahat.web._source import Source

if TYPE_CHECKING:
    from thetahat.analysis import SweepFile

WHOLE = 20_000
"""Runs up to which a page reads all of them."""
DRAWN = 4000
"""Runs of a larger sweep that its charts draw."""


@Remembered
def over_all(store: Store, sweep: SweepRow, metric: str, sign: int) -> dict[str, Any]:
    """Return numbers over all runs of a sweep, and the runs that its charts must not leave out."""
    return _numbers(store, sweep, metric, sign, metric_series(store, sweep.id, metric)[1])


def stand_of(source: Source, sweep: SweepRow, metric: str, goal: str) -> list[Any]:
    """Return how the runs of a sweep stand.

    Of a large sweep the numbers over all runs are known then too: to read its runs twice would take
    half as long again.

    Raises:  StoreError: as ``Source.store``.
    """

    def read(store: Store, sweep_id: str) -> list[Any]:
        if not has_more_runs(store, sweep_id, WHOLE):
            return runs_stand(store, sweep_id)
        with uncollected():
            stand, rows = metric_series(store, sweep_id, metric)
            found = _numbers(store, sweep, metric, sign_of(goal), rows)
        over_all.know(store, sweep, metric, goal, stand, found)
        return stand

    return source.stand(sweep.id, read)


def _numbers(
    store: Store, sweep: SweepRow, metric: str, sign: int, series: Sequence[Any]
) -> dict[str, Any]:
    rows = sorted(series, key=itemgetter(0))
    from thetahat.analysis import join_reasons, number

    well = {str(status) for status in Status if status.well}
    lost = {str(status) for status in Status if status.failed}
    known, unknown = [], []
    for row in rows:
        finite = (type(row[4]) is float and math.isfinite(row[4])) or number(row[4]) is not None
        (known if finite else unknown).append(row)
    ended = [row for row in known if row[2] in well]
    by_time = sorted(ended, key=lambda row: row[3] or "")
    steps = {"run": _steps(ended, sign), "time": _steps(by_time, sign)}
    best = steps["run"][-1][4] if ended else None
    needed = [row[1] for found in steps.values() for row in found]
    chosen = random.Random(0).sample(rows, min(DRAWN, len(rows)))
    return {
        "metric": metric,
        "goal": "maximize" if sign < 0 else "minimize",
        "of": len(rows),
        "first": rows[0][0] if rows else 1,
        "without": sum(row[2] not in lost for row in unknown),
        "tied": sum(row[4] == best for row in ended),
        "running": {
            "run": [(row[0], row[4]) for row in steps["run"]],
            "time": [(row[3], row[4]) for row in steps["time"]],
        },
        "reasons": join_reasons(failure_reasons(store, sweep.id)),
        "needed": list(dict.fromkeys(needed)),
        "lot": [row[1] for row in chosen],
    }


def _steps(ended: Sequence[Any], sign: int) -> list[Any]:
    """Return the rows that were the best so far."""
    best, found = math.inf, []
    for row in ended:
        if sign * row[4] < best:
            best = sign * row[4]
            found.append(row)
    return found


def counts_of(stand: Sequence[Any]) -> dict[str, int]:
    """Return how many runs have each status, of how the runs of a sweep stand."""
    return {row[0]: row[2] for row in stand}


def n_drawn(counted: Mapping[str, int], sample: int = 0) -> int | None:
    """Return how many runs of a sweep its page draws; None for all."""
    n = sum(counted.values())
    if sample:
        return sample if sample < n else None
    return DRAWN if n > WHOLE else None


def ranked_by(file: SweepFile) -> tuple[str, str]:
    """Return the metric that a page shows first, and its goal."""
    return file.metric or "val_risk", file.goal


def runs_of(source: Source, sweep: SweepRow) -> str:
    """Return all runs of a sweep as columns of JSON, cached until the store changes."""
    # The death of an agent does not change the store.
    key = " ".join([sweep.id, *sorted(dead_agents(source.store()))])
    return source.cached(key, lambda store: run_columns(store, sweep_id=sweep.id))


def read_ahead(source: Source, sweep: SweepRow) -> None:
    """Compute what the page of a sweep will ask for."""
    from thetahat.analysis import read_file

    metric, goal = ranked_by(read_file(sweep.spec))
    stand = stand_of(source, sweep, metric, goal)
    if n_drawn(counts_of(stand)) is None:
        runs_of(source, sweep)
    else:
        over_all(source.store(), sweep, metric, goal, stand)
