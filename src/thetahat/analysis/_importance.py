"""Which parameters matter, and how far to believe it: importance and rank correlation.

The unit is the setting, not the run: runs that differ in their seeds alone are one row, their
median. So many rows are independent; replicates would make luck look like knowledge.

The importance of a parameter is how much of the settings' scores it explains (an analysis of
variance of ranks, in which the best weigh most), less what chance explains on average: a
parameter with many values gains nothing by them. Permutations tell what chance reaches in one
case of twenty: the mark below which an importance means nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from thetahat.analysis import _chance
from thetahat.analysis._number import LEAST


@dataclass(frozen=True)
class Effect:
    """What is known of one parameter's effect on the metric."""

    name: str
    n: int
    """Settings that have the parameter."""
    settings: int
    """Settings in all: those with a number."""
    importance: float | None
    """Its share: the importances of a sweep sum to 1; all are 0 where none clears its mark. None
    where nothing can be said: fewer than ten settings, or a metric that does not vary."""
    floor: float | None
    """The share that an irrelevant parameter exceeds in one sweep of twenty; None where no
    parameter does."""
    correlation: float | None
    """Spearman's, of the parameter with the metric; None for words."""
    low: float | None
    high: float | None
    """The 95 per cent interval of the correlation; None for fewer than ten settings, and where
    points were not drawn blind."""


def effects(
    columns: Mapping[str, Sequence[Any]], values: Sequence[float], sign: int, *, blind: bool = True
) -> list[Effect]:
    """The effect of each parameter, the most important first.

    Runs that are equal in all columns are one setting. The order of runs and of columns changes
    nothing.

    Args:
        columns: by parameter, its value in each run; None where a run lacks it. Without seeds.
        values: the metric of each run, finite.   sign: 1 where less is better, else -1.
        blind: whether the points were drawn whatever the results were; else no interval holds.
    """
    if not columns or not values:
        return []
    table = _chance.settings_of({name: columns[name] for name in sorted(columns)}, values)
    n = len(table.values)
    found = _chance.explained(table, sign) if n >= LEAST else [None] * len(columns)
    told = [one for one in found if one is not None]
    clear = any(one.excess > one.mark for one in told)
    total = sum(max(0.0, one.excess) for one in told) if clear else 1.0
    made = []
    for column, one in zip(table.columns, found, strict=True):
        share = floor = None
        if one is not None:
            share = max(0.0, one.excess) / total if clear else 0.0
            floor = one.mark / total if clear else None
        rho, low, high = _chance.correlated(table, column)
        if not blind:
            low = high = None
        made.append(Effect(column.name, column.known, n, share, floor, rho, low, high))
    return sorted(made, key=lambda e: (-(e.importance or 0.0), e.name))
