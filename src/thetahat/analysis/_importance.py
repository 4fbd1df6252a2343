"""Which parameters matter, and how certain that is: importance and rank correlation.

The unit is the setting, not the run: runs that differ in their seeds alone are one row, their
median. Only then are rows independent.

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
from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, chain, compress, pairwise
from operator import add, mul, ne, sub
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from thetahat.analysis._additive import Additive
from thetahat.analysis._groups import LEAST, number
from thetahat.analysis._permuted import (
    Powers,
    Strata,
    gather,
    in_strata,
    law_of,
    powers_of,
    strata_of,
    sums_of,
)

if TYPE_CHECKING:
    from thetahat.analysis._search_file import SweepFile
    from thetahat.store import SweepRow

_T = TypeVar("_T")

_LEAST_CORRELATED = 4
_BINS = 12
_MOST_OTHERS = 5
"""Other parameters whose effect is removed."""
_SURE = 4.0
"""Standard deviations above chance from which on another parameter's effect is removed."""
_WITHIN = 0.3
"""A grid: so large a share of the degrees of freedom lies within strata."""
_FEW = 64
"""Bins of a parameter whose effect can be removed."""
_WORDS = {str, type(None)}
_WHOLE = 1 << 53
"""Whole numbers below are floats, each another one."""
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


class Bins(NamedTuple):
    """Bins of the values of a parameter, from the least value."""

    codes: Sequence[int]
    """The bin of each value; to lack the parameter is the last value."""
    sizes: Sequence[int]
    """Settings in each bin."""
    ranks: Sequence[float] | None
    """Of each value, less the mean rank; NaN for the lack of one. None if some are words."""
    several: bool
    """Whether a bin holds several values."""


@dataclass(frozen=True)
class ParameterColumn:
    """A parameter over settings."""

    name: str
    known: int
    """Settings that have it."""
    has: Sequence[bool]
    level: Sequence[int]
    """The number of its value in each setting."""
    of_levels: Bins
    rest: tuple[Sequence[int], int] | None
    """In each setting a key of all other parameters: equal where all their values are; and how many
    there are at most. None where no two settings have equal ones."""

    @property
    def sizes(self) -> Sequence[int]:
        """Settings in each bin."""
        return self.of_levels.sizes

    @property
    def bins(self) -> int:
        """How many bins there are."""
        return len(self.of_levels.sizes)

    @property
    def codes(self) -> Sequence[int]:
        """Its bin in each setting; to lack it is a bin too."""
        return self._codes

    @property
    def places(self) -> Sequence[float] | None:
        """Ranks from 0 to 1 where a bin holds several numbers; NaN where a setting lacks it."""
        ranks = self.of_levels.ranks
        if ranks is None or not self.of_levels.several:
            return None
        places = [(rank + self.known / 2) / self.known for rank in ranks]
        return list(map(places.__getitem__, self.level))

    @cached_property
    def strata(self) -> Strata | None:
        """Settings that differ in this parameter alone."""
        return None if self.rest is None else strata_of(self.rest[0], self.level)

    def by_bin(self, values: Sequence[_T]) -> list[Sequence[_T]]:
        """Split values by bin."""
        ordered = gather(values, self._by_code)
        return [ordered[start:end] for start, end in self._bounds]

    @cached_property
    def _codes(self) -> Sequence[int]:
        return list(map(self.of_levels.codes.__getitem__, self.level))

    @cached_property
    def _by_code(self) -> Sequence[int]:
        return sorted(range(len(self.codes)), key=self.codes.__getitem__)

    @cached_property
    def _bounds(self) -> Sequence[tuple[int, int]]:
        return list(pairwise(accumulate(self.sizes, initial=0)))


@dataclass(frozen=True)
class RankTable:
    """The settings of a sweep, from the least value."""

    columns: Sequence[ParameterColumn]
    values: array[float]
    """The median of the metric over its runs."""
    ranks: Sequence[float]
    """Of the values."""

    @cached_property
    def centred(self) -> Sequence[float]:
        """Ranks less their mean."""
        middle = (len(self.ranks) + 1) / 2
        return [rank - middle for rank in self.ranks]


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

    if file.method == "bayes" and (sweep.plan.get("sampler") or "tpe") not in BLIND:
        return FOLLOWS
    if file.method == "grid" and file.stops and not sweep.plan.get("shuffle"):
        return IN_ORDER
    return ""


def rank_table(columns: Mapping[str, Sequence[Any]], values: Sequence[float]) -> RankTable:
    """Join the runs that are equal in all columns into one row."""
    found = list(map(_levels, columns.values()))
    levels, numbers = [level for level, _ in found], [known for _, known in found]
    many = [1 + max(level) for level in levels]
    mixed: Sequence[int] | None = None
    if len(values) in many:
        keys: Sequence[Any] = levels[many.index(len(values))]
    elif math.prod(many) < _WHOLE:
        keys = mixed = _mixed(levels, many)
    else:
        keys = list(zip(*levels, strict=True))
    runs, middle = _medians(keys, values)
    # Sorted, so that no sum depends on the order of the runs.
    order = list(range(len(runs)))
    if len({*middle}) < len(middle):
        order.sort(key=gather(keys, runs).__getitem__)
    order.sort(key=middle.__getitem__)
    rows = gather(runs, order)
    levels = [gather(level, rows) for level in levels]
    rests = _rests(levels, many, len(rows), mixed and gather(mixed, rows))
    # Columns with a distinct value in each setting have the same bins.
    kept: dict[tuple[int, ...], Bins] = {}
    made = [
        _column(name, column, known, rows, level, rest, kept)
        for (name, column), known, level, rest in zip(
            columns.items(), numbers, levels, rests, strict=True
        )
    ]
    medians = array("d", gather(middle, order))
    return RankTable(made, medians, _ranks(medians))


def ranks(values: Sequence[float]) -> list[float]:
    """Rank values from 1; equal ones get their mean rank."""
    order = sorted(range(len(values)), key=values.__getitem__)
    found = [0.0] * len(values)
    for i, rank in zip(order, _ranks(gather(values, order)), strict=True):
        found[i] = rank
    return found


def savage(ordered: Sequence[float]) -> list[float]:
    """Score values in order, the first best: the mean is 1, and equal ones share their scores."""
    scores = list(accumulate(map((1).__truediv__, range(len(ordered), 0, -1))))[::-1]
    for start, end in _ties(ordered):
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
    fits = Additive(columns, centred)
    others: list[int] | None = None
    shared: dict[tuple[int, ...], tuple[Sequence[float], Powers]] = {}
    for k in usable:
        column, has = columns[k], _has(columns, k)
        rows = None if has is None else _where(has)
        n = len(centred) if rows is None else len(rows)
        if n < LEAST:
            continue
        # The last bin is that of settings which lack the parameter.
        sizes = dict(enumerate(column.sizes if rows is None else column.sizes[:-1]))
        strata = _strata(column, rows, grid=True)
        if strata is not None:
            found[k] = _against(
                sizes, *in_strata(strata, _at(centred, rows), column.of_levels.codes), total
            )
            continue
        if others is None:
            others = _others(columns, usable, centred, fits)
        taken = tuple(j for j in others if j != k and not _same(columns[j], column))
        if taken not in shared:
            left = fits.left(taken)
            shared[taken] = left, powers_of(left, len(left))
        left, powers = shared[taken]
        if rows is None:
            sums = map(sum, column.by_bin(left))
        else:
            left = _at(left, rows)
            middle = math.fsum(left) / n
            left = [value - middle for value in left]
            powers = powers_of(left, n)
            sums = _sums(_at(column.codes, rows), left, len(sizes))
        found[k] = _against(sizes, [(sizes, powers)], dict(enumerate(sums)), total)
    return found


def correlated(
    table: RankTable, column: ParameterColumn
) -> tuple[float | None, float | None, float | None]:
    """Compute Spearman's correlation and its interval; None for words, or too few settings."""
    ranks_of = column.of_levels.ranks
    if ranks_of is None or column.known < _LEAST_CORRELATED:
        return None, None, None
    rows = None if column.known == len(column.has) else _where(column.has)
    level, y = _at(column.level, rows), table.centred
    if rows is not None:
        middle = (len(rows) + 1) / 2
        y = [rank - middle for rank in ranks(gather(table.values, rows))]
    x = list(map(ranks_of.__getitem__, level))
    both = math.sqrt(sum(map(mul, x, x)) * sum(map(mul, y, y)))
    if both <= 0:
        return None, None, None
    rho = max(-1.0, min(1.0, sum(map(mul, x, y)) / both))
    strata = _strata(column, rows)
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


def bins_of(counts: Sequence[int], lack: int = 0) -> Bins:
    """Make a bin of each number if they are few, else equally filled ones.

    Args:    counts: how often each number occurs, from the least.
             lack: settings without a number: a bin of their own.
    """
    have, many = sum(counts), len(counts)
    ends = accumulate(counts)
    ranks = [end - (count + have) / 2 for end, count in zip(ends, counts, strict=True)]
    codes, sizes = list(range(many)), list(counts)
    several = many > min(_BINS, (have + lack) / 2)
    if several:
        bins = min(_BINS, max(4, have // 10))
        # Half a place below 1, the last is in the last bin.
        wanted = [int((rank + have / 2) / have * bins) for rank in ranks]
        # Where many are equal, a bin may be empty.
        code = {bin: i for i, bin in enumerate(sorted({*wanted}))}
        codes = list(map(code.__getitem__, wanted))
        sizes = [0] * len(code)
        for i, count in zip(codes, counts, strict=True):
            sizes[i] += count
    if lack:
        codes.append(len(sizes))
        sizes.append(lack)
        ranks.append(math.nan)
    return Bins(codes, sizes, ranks, several)


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


def _mixed(levels: Sequence[Sequence[int]], many: Sequence[int]) -> list[int]:
    """Return one number for the levels of each row, as of digits."""
    keys, scale = [0] * len(levels[0]), 1
    for level, base in zip(levels, many, strict=True):
        keys = list(map(add, keys, map(scale.__mul__, level)))
        scale *= base
    return keys


def _medians(keys: Sequence[Any], values: Sequence[float]) -> tuple[Sequence[int], list[float]]:
    """Find the first run of each setting, whose keys are equal, and the median of its runs."""
    if len({*keys}) == len(keys):
        return range(len(values)), list(map(float, values))
    every: dict[Any, tuple[int, list[float]]] = {}
    for run, (key, value) in enumerate(zip(keys, values, strict=True)):
        if key not in every:
            every[key] = run, []
        every[key][1].append(float(value))
    return [run for run, _ in every.values()], [_median(mine) for _, mine in every.values()]


def _rests(
    levels: Sequence[Sequence[int]], many: Sequence[int], n: int, keys: Sequence[int] | None
) -> list[tuple[Sequence[int], int] | None]:
    """Return for each parameter keys of all others; None where no two settings have equal ones.

    Returns: also how many keys there are at most.
    """
    # A parameter with a distinct value in each setting leaves no two settings equal elsewhere.
    own = [base == n for base in many]
    if sum(own) > 1:
        return [None] * len(own)
    keys, scale, total = keys or _mixed(levels, many), 1, math.prod(many)
    found: list[tuple[Sequence[int], int] | None] = [None] * len(own)
    for k, (level, base) in enumerate(zip(levels, many, strict=True)):
        if sum(own) == own[k]:
            rest = list(map(sub, keys, map(scale.__mul__, level)))
            # So few combinations of values are a grid, and need no count.
            most = total // base
            distinct = most if _is_grid(most, n) else len({*rest})
            found[k] = (rest, distinct) if distinct < n else None
        scale *= base
    return found


def _levels(column: Sequence[Any]) -> tuple[list[int], Sequence[float] | None]:
    """Number each value among all values of a column: numbers, then words, then None.

    Returns: also its numbers, NaN where there is none; None where all values are numbers.
    """
    kinds, keys, numbers, ordered = {*map(type, column)}, column, None, list[Any]()
    if kinds <= _WORDS:
        numbers, ordered = [math.nan] * len(column), [*sorted({*column} - {None}), None]
    elif not _plain(column, kinds):
        numbers = [math.nan if x is None else x for x in map(number, column)]
        pairs = zip(column, numbers, strict=True)
        keys = [x if x == x else None if value is None else str(value) for value, x in pairs]
        words = sorted({key for key in keys if isinstance(key, str)})
        ordered = [*sorted({x for x in numbers if x == x}), *words, None]
        numbers = numbers if any(map(ne, numbers, numbers)) else None
    ordered = ordered or sorted({*column})
    place = dict(zip(ordered, range(len(ordered)), strict=True))
    return list(map(place.__getitem__, keys)), numbers


def _plain(column: Sequence[Any], kinds: set[type]) -> bool:
    """Tell whether values are numbers as they are."""
    if kinds == {float}:
        return all(map(math.isfinite, column))
    return kinds == {int} and min(column) > -_WHOLE and max(column) < _WHOLE


def _column(
    name: str,
    column: Sequence[Any],
    numbers: Sequence[float] | None,
    rows: Sequence[int],
    level: Sequence[int],
    rest: tuple[Sequence[int], int] | None,
    kept: dict[tuple[int, ...], Bins],
) -> ParameterColumn:
    n, lack, has = len(level), 0, [True] * len(level)
    if numbers is not None:
        column, numbers = gather(column, rows), gather(numbers, rows)
        lack, has = sum(map(ne, numbers, numbers)), [value is not None for value in column]
    known = sum(has)
    if known > n - lack:
        if not {*map(type, column)} <= _WORDS:
            words = [None if value is None else str(value) for value in column]
            place = {word: i for i, word in enumerate([*({*words} - {None}), None])}
            level = list(map(place.__getitem__, words))
        sizes = _counts(level)
        return ParameterColumn(
            name, known, has, level, Bins(range(len(sizes)), sizes, None, False), rest
        )
    counts = _counts(level)
    if lack:
        return ParameterColumn(name, known, has, level, bins_of(counts[:-1], lack), rest)
    if counts not in kept:
        kept[counts] = bins_of(counts)
    return ParameterColumn(name, known, has, level, kept[counts], rest)


def _counts(level: Sequence[int]) -> tuple[int, ...]:
    """Count the settings with each value."""
    many = 1 + max(level)
    if many == len(level):
        return (1,) * many
    counts = Counter(level)
    return tuple(map(counts.__getitem__, range(many)))


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
        if j != k and other.bins <= min(_BINS, n / 3):
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


def _strata(
    column: ParameterColumn, rows: Sequence[int] | None, *, grid: bool = False
) -> Strata | None:
    """Sort some settings by stratum; None where each is one, or where they form no grid."""
    if column.rest is None:
        return None
    rest, most = column.rest
    if rows is not None:
        rest = gather(rest, rows)
        most = len({*rest})
    if grid and not _is_grid(most, len(rest)):
        return None
    return column.strata if rows is None else strata_of(rest, gather(column.level, rows))


def _is_grid(strata: int, n: int) -> bool:
    """Tell whether permutations within strata suffice."""
    return n - strata >= _WITHIN * (n - 1)


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


def _at(values: Sequence[_T], rows: Sequence[int] | None) -> Sequence[_T]:
    return values if rows is None else gather(values, rows)


def _where(has: Sequence[bool]) -> list[int]:
    return [i for i, whether in enumerate(has) if whether]


def _ranks(ordered: Sequence[float]) -> list[float]:
    """Rank sorted values."""
    found = list(map(float, range(1, len(ordered) + 1)))
    for start, end in _ties(ordered):
        found[start:end] = [(start + 1 + end) / 2] * (end - start)
    return found


def _ties(ordered: Sequence[float]) -> list[tuple[int, int]]:
    """Find where runs of equal values start and end."""
    n, differs = len(ordered), list(map(ne, ordered, ordered[1:]))
    if all(differs):
        return []
    starts = chain((0,), compress(range(1, n), differs), (n,))
    return [(start, end) for start, end in pairwise(starts) if end > start + 1]


def _median(values: list[float]) -> float:
    n = len(values)
    if n == 1:
        return values[0]
    values.sort()
    return values[(n - 1) // 2] / 2 + values[n // 2] / 2
