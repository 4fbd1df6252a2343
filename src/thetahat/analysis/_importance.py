"""Which parameters matter, and how certain that is: their importance.

Settings are scored by their rank, the best most: a_i = 1/i + 1/(i+1) + ... + 1/n (Savage's scores),
averaged where the metric is equal. A parameter explains the sum of squares between its bins. Its
importance is that sum less what chance explains on average, so that many values are no advantage.
The mark, below which an importance means nothing, is what chance reaches in one case of twenty.

The effects of other parameters are removed first, so that they do not count as noise. In a grid,
scores are centred within the settings that differ in this parameter alone, and permuted within
them: that is exact whatever the metric depends on. Elsewhere the residuals of an additive fit on
the other parameters that matter are permuted. The fit never sees the parameter itself, so that
this is exact too if the parameter was drawn independently of all others.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from operator import mul
from typing import TYPE_CHECKING, Any

from thetahat.analysis._additive import Additive
from thetahat.analysis._correlation import correlated
from thetahat.analysis._groups import LEAST
from thetahat.analysis._permuted import (
    Powers,
    in_strata,
    law_of,
    powers_of,
)
from thetahat.analysis._rank_table import (
    BINS,
    ParameterColumn,
    RankTable,
    rank_table,
    rows_at,
    rows_with,
    strata_among,
    ties,
)

if TYPE_CHECKING:
    from thetahat.analysis._search_file import SweepFile
    from thetahat.store import SweepRow

_MOST_OTHERS = 5
"""Other parameters whose effect is removed."""
_SURE = 4.0
"""Standard deviations above chance from which on another parameter's effect is removed."""
_FEW = 64
"""Bins of a parameter whose effect can be removed."""
_DIGITS = 10
"""Of shares: what lies beyond is rounding."""
_SO = "no interval of it is given, and what chance reaches is approximate."
FOLLOWS = (
    "The search chose its points by earlier results, so a rank correlation may be another"
    f" parameter's: {_SO}"
)
IN_ORDER = (
    "Hyperband compared the first points of this grid with fewer runs than the last, so a rank"
    f" correlation may come from their order (--shuffle avoids that): {_SO}"
)


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


@dataclass(frozen=True)
class Explained:
    """What a parameter explains of the scores, as a share of their sum of squares."""

    excess: float
    """Beyond what chance explains on average."""
    mark: float
    """The excess that an irrelevant parameter exceeds in one case of twenty."""


def effects(
    columns: Mapping[str, Sequence[Any]], values: Sequence[float], sign: int, *, blind: bool = True
) -> list[Effect]:
    """Estimate the effect of each parameter, the most important first.

    Runs that are equal in all columns are one setting. The order of runs and of columns changes
    nothing.

    Args:
        columns: by parameter, its value in each run; None where a run lacks it. Without seeds.
        values: the metric of each run, finite.   sign: 1 where less is better, else -1.
        blind: whether the points were drawn whatever the results were; else no interval holds.
    """
    if not columns or not values:
        return []
    table = rank_table({name: columns[name] for name in sorted(columns)}, values)
    n = len(table.values)
    found = explained(table, sign) if n >= LEAST else [None] * len(columns)
    measured = [one for one in found if one is not None]
    clear = any(one.excess > one.mark for one in measured)
    total = sum(max(0.0, one.excess) for one in measured) if clear else 1.0
    made = []
    for column, one in zip(table.columns, found, strict=True):
        share = floor = None
        if one is not None:
            share = max(0.0, one.excess) / total if clear else 0.0
            floor = one.mark / total if clear else None
        rho, low, high = correlated(table, column)
        if not blind:
            low = high = None
        made.append(Effect(column.name, column.known, n, share, floor, rho, low, high))
    return sorted(made, key=lambda e: (-(e.importance or 0.0), e.name))


def caution(sweep: SweepRow, file: SweepFile) -> str:
    """Say in a sentence why intervals of a sweep do not hold; empty if they do.

    Intervals rest on points drawn independently of results: points that follow results move
    parameters together, so that one has the correlation of another. Hyperband does no harm to
    points in random order: an irrelevant parameter then does not decide which runs it stops.
    """
    from thetahat.search import BLIND

    learns = file.method in ("bayes", "custom")
    if learns and (sweep.plan.get("sampler") or "tpe") not in BLIND:
        return FOLLOWS
    if file.method == "grid" and file.stops and not sweep.plan.get("shuffle"):
        return IN_ORDER
    return ""


def savage(ordered: Sequence[float]) -> list[float]:
    """Score values in order, the first best: the mean is 1, and equal ones share their scores."""
    scores = list(accumulate(map((1).__truediv__, range(len(ordered), 0, -1))))[::-1]
    for start, end in ties(ordered):
        scores[start:end] = [sum(scores[start:end]) / (end - start)] * (end - start)
    return scores


def explained(table: RankTable, sign: int) -> list[Explained | None]:
    """Measure what each parameter explains; None if the metric or the parameter does not vary."""
    columns = table.columns
    scores = savage(table.values) if sign > 0 else savage(table.values[::-1])[::-1]
    mean = math.fsum(scores) / len(scores)
    centred = [score - mean for score in scores]
    total = math.fsum(map(mul, centred, centred))
    usable = [k for k, column in enumerate(columns) if column.bins > 1]
    found: list[Explained | None] = [None] * len(columns)
    if total < 1e-9 or not usable:
        return found
    residuals = _Residuals(columns, usable, centred)
    for k in usable:
        column, has = columns[k], _has(columns, k)
        rows = None if has is None else rows_with(has)
        n = len(centred) if rows is None else len(rows)
        if n < LEAST:
            continue
        # The last bin is that of settings which lack the parameter.
        sizes = dict(enumerate(column.sizes if rows is None else column.sizes[:-1]))
        strata = strata_among(column, rows, grid=True)
        if strata is not None:
            parts, sums = in_strata(strata, rows_at(centred, rows), column.of_levels.codes)
        else:
            left, powers = residuals.without(k)
            if rows is None:
                binned = map(sum, column.by_bin(left))
            else:
                left = rows_at(left, rows)
                middle = math.fsum(left) / n
                left = [value - middle for value in left]
                powers = powers_of(left, n)
                binned = _sums(rows_at(column.codes, rows), left, len(sizes))
            parts, sums = [(sizes, powers)], dict(enumerate(binned))
        found[k] = _against(sizes, parts, sums, total)
    return found


class _Residuals:
    """The scores less an additive fit on those parameters that clearly matter."""

    def __init__(
        self, columns: Sequence[ParameterColumn], usable: Sequence[int], centred: Sequence[float]
    ) -> None:
        self._columns, self._usable, self._centred = columns, usable, centred
        self._fits = Additive(columns, centred)
        self._kept: dict[tuple[int, ...], tuple[Sequence[float], Powers]] = {}

    @cached_property
    def _matter(self) -> list[int]:
        return _others(self._columns, self._usable, self._centred, self._fits)

    def without(self, k: int) -> tuple[Sequence[float], Powers]:
        """Residuals of a fit that does not see parameter ``k``, and their sums of powers."""
        columns = self._columns
        taken = tuple(j for j in self._matter if j != k and not _same(columns[j], columns[k]))
        if taken not in self._kept:
            left = self._fits.left(taken)
            self._kept[taken] = left, powers_of(left, len(left))
        return self._kept[taken]


def _has(columns: Sequence[ParameterColumn], k: int) -> Sequence[bool] | None:
    """Find the settings among which a parameter is compared; None for all of them.

    If another parameter decides which settings have it (beta, of one optimizer alone), only those
    are compared. Otherwise to lack it is a choice like others.
    """
    column = columns[k]
    n = len(column.codes)
    if column.known == n:
        return None
    for j, other in enumerate(columns):
        if j != k and other.bins <= min(BINS, n / 3):
            have = map(sum, other.by_bin(column.has))
            if all(some in (0, size) for some, size in zip(have, other.sizes, strict=True)):
                return column.has
    return None


def _same(one: ParameterColumn, other: ParameterColumn) -> bool:
    """Tell whether two parameters move together too much to be finite apart."""
    n, codes = len(one.codes), range(one.bins)
    squares = list[float]()
    for part, size in zip(other.by_bin(one.codes), other.sizes, strict=True):
        # The bins are few, so that their codes are bytes.
        if len(part) > one.bins:
            both = zip(codes, map(bytes(part).count, codes), strict=True)
        else:
            both = Counter(part).items()
        squares += [k * k / (size * one.sizes[code]) for code, k in both]
    return n * math.fsum(squares) - n > 0.5 * n * (min(one.bins, other.bins) - 1)


def _against(
    sizes: Mapping[int, int],
    parts: Iterable[tuple[Mapping[int, int], Powers]],
    sums: Mapping[int, float],
    total: float,
) -> Explained:
    seen = math.fsum(sums[code] ** 2 / size for code, size in sizes.items())
    law = law_of(parts, sizes)
    seen, mean, mark = (round(x / total, _DIGITS) for x in (seen, law.mean, law.reached()))
    return Explained(seen - mean, mark - mean)


def _others(
    columns: Sequence[ParameterColumn],
    usable: Sequence[int],
    centred: Sequence[float],
    fits: Additive,
) -> list[int]:
    """Find the parameters that clearly matter, one after the other."""
    n, chosen, left = len(centred), list[int](), centred
    few = [k for k in usable if columns[k].bins <= min(_FEW, n / 3)]
    least = 1e-9 * math.fsum(map(mul, centred, centred))
    while len(chosen) < _MOST_OTHERS:
        sum_left = math.fsum(map(mul, left, left))
        if sum_left < least:
            break
        above = {k: _above_chance(columns[k], left, sum_left) for k in few if k not in chosen}
        best = max(above, key=above.__getitem__, default=None)
        if best is None or above[best] <= _SURE:
            break
        chosen.append(best)
        left = fits.left(chosen)
    return chosen


def _above_chance(column: ParameterColumn, left: Sequence[float], total: float) -> float:
    n, bins = len(left), column.bins
    sums = map(sum, column.by_bin(left))
    share = sum(map(_squared_over, sums, column.sizes)) / total
    spread = math.sqrt(2 * (bins - 1) * (n - bins) / ((n - 1) ** 2 * (n + 1)))
    return (share - (bins - 1) / (n - 1)) / spread


def _squared_over(value: float, size: int) -> float:
    return value * value / size


def _sums(codes: Sequence[int], values: Sequence[float], bins: int) -> list[float]:
    """Sum values by code."""
    sums = [0.0] * bins
    for code, value in zip(codes, values, strict=True):
        sums[code] += value
    return sums
