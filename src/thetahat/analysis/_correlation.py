"""Spearman's rank correlation of a parameter with the metric, and its interval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from operator import mul

from thetahat.analysis._groups import LEAST
from thetahat.analysis._permuted import Strata, gather, sums_of
from thetahat.analysis._rank_table import (
    ParameterColumn,
    RankTable,
    ranks,
    rows_at,
    rows_with,
    strata_among,
)

_LEAST_CORRELATED = 4
"""Settings without which there is no correlation."""


def correlated(
    table: RankTable, column: ParameterColumn
) -> tuple[float | None, float | None, float | None]:
    """Compute Spearman's correlation and its interval; None for words, or too few settings."""
    ranks_of = column.of_levels.ranks
    if ranks_of is None or column.known < _LEAST_CORRELATED:
        return None, None, None
    rows = None if column.known == len(column.has) else rows_with(column.has)
    level, y = rows_at(column.level, rows), table.centred
    if rows is not None:
        middle = (len(rows) + 1) / 2
        y = [rank - middle for rank in ranks(gather(table.values, rows))]
    x = list(map(ranks_of.__getitem__, level))
    both = math.sqrt(sum(map(mul, x, x)) * sum(map(mul, y, y)))
    if both <= 0:
        return None, None, None
    rho = max(-1.0, min(1.0, sum(map(mul, x, y)) / both))
    strata = strata_among(column, rows)
    wide = 1.0 if strata is None else spread(strata, ranks_of, y)
    low, high = interval(rho, len(x), wide) or (None, None)
    return rho, low, high


def interval(rho: float, n: int, spread: float = 1.0) -> tuple[float, float] | None:
    """Compute the 95 per cent interval of a rank correlation; None for fewer than ten pairs.

        tanh(atanh(rho) -+ 1.96 s sqrt((1 + rho^2 / 2) / (n - 1 - 2 s^2)))

    At s = 1 that is Bonett and Wright's; it covers in 93 to 97 per cent of samples of independent
    pairs, where their copula is near a normal one.

    Args:    spread: s, from 0 to 1.
    Source:  Bonett & Wright (2000).
    """
    if n < LEAST:
        return None
    # Half a step below 1: the perfect correlation of a sample is not that of its population.
    most = 1 - 6 / (n**3 - n)
    z = math.atanh(max(-most, min(most, rho)))
    wide = 1.959964 * spread * math.sqrt((1 + rho * rho / 2) / (n - 1 - 2 * spread**2))
    return min(rho, math.tanh(z - wide)), max(rho, math.tanh(z + wide))


def spread(strata: Strata, x: Sequence[float], y: Sequence[float]) -> float:
    """Compute the standard deviation of a correlation under no effect, times sqrt(n - 1).

    It is 1 for independent pairs. Strata are settings that differ in this parameter alone. Of its
    L values a stratum has all (in a grid: what else moves the metric then cancels), or some by lot:

        var(x'y) = sum_s SSx_s SSy_s / (m_s - 1) + m_s^2 mean(y_s)^2 S^2 (1 / m_s - 1 / L)

    Args:    x: of each level.   y: of each setting.
    """
    n = len(y)
    if strata.number == n:
        return 1.0
    ordered, at = gather(y, strata.rows), 0
    levels = len({level for kinds, _ in strata.groups for level in kinds})
    xx = within = by_lot = 0.0
    for kinds, times in strata.groups:
        m, mine = len(kinds), [x[level] for level in kinds]
        metric = ordered[at : at + m * times]
        at += m * times
        squares, totals = sum(map(mul, mine, mine)), sums_of(metric, m)
        of_totals = sum(map(mul, totals, totals))
        xx += times * squares
        if m > 1:
            of_metric = sum(map(mul, metric, metric)) - of_totals / m
            within += (squares - sum(mine) ** 2 / m) * of_metric / (m - 1)
        by_lot += of_totals * max(1 / m - 1 / levels, 0.0) * levels / (levels - 1)
    # Divided by n - 1: the ranks of all strata are drawn together, so that their sum is known.
    summed = within + by_lot * xx / (n - 1)
    return min(1.0, math.sqrt((n - 1) * summed / (xx * sum(map(mul, y, y)))))
