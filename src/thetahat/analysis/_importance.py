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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from operator import add, eq, mul, sub
from typing import TYPE_CHECKING, Any, TypeVar

from thetahat.analysis._additive import Additive
from thetahat.analysis._groups import LEAST, number
from thetahat.analysis._permuted import by_stratum, law_of

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
_WHOLE = 1 << 1000
"""Whole numbers below are floats."""
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
class ParameterColumn:
    """A parameter over settings."""

    name: str
    numbers: Sequence[float]
    """NaN where it is none."""
    known: int
    """Settings that have it."""
    has: Sequence[bool]
    numeric: bool
    """Whether all of those have a number."""
    codes: Sequence[int]
    """Its bin in each setting; to lack it is a bin too."""
    sizes: Sequence[int]
    """Settings in each bin."""
    places: Sequence[float] | None
    """Ranks from 0 to 1 where a bin holds several numbers; NaN where a setting lacks it."""
    rest: Sequence[int] | None
    """In each setting a key of all other parameters: equal where all their values are. None where
    no two settings have equal ones."""

    @property
    def bins(self) -> int:
        """How many bins there are."""
        return len(self.sizes)


@dataclass(frozen=True)
class RankTable:
    """The settings of a sweep, from the least value."""

    columns: Sequence[ParameterColumn]
    values: array[float]
    """The median of the metric over its runs."""
    ranks: Sequence[float]
    """Of the values."""


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
    table = settings_of({name: columns[name] for name in sorted(columns)}, values)
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


def settings_of(columns: Mapping[str, Sequence[Any]], values: Sequence[float]) -> RankTable:
    """Join the runs that are equal in all columns into one row."""
    numbers = [_numbers(column) for column in columns.values()]
    levels, scales, many, rows = [], [1], [], [0] * len(values)
    for column, known in zip(columns.values(), numbers, strict=True):
        level, n = _levels(column, known)
        rows = list(map(add, rows, map(scales[-1].__mul__, level)))
        levels.append(level)
        many.append(n)
        scales.append(scales[-1] * n)
    runs, middle = _medians(rows, values)
    # Sorted, so that no sum depends on the order of the runs.
    order = sorted(zip(middle, map(rows.__getitem__, runs), runs, strict=True))
    keys, kept = [row for _, row, _ in order], [run for _, _, run in order]
    # A parameter with a distinct value in each setting leaves no two settings equal elsewhere.
    own = [n == len(kept) for n in many]
    made = []
    for k, (name, column) in enumerate(columns.items()):
        rest = None
        if sum(own) == own[k]:
            level = map(levels[k].__getitem__, kept)
            rest = list(map(sub, keys, map(scales[k].__mul__, level)))
        of_each = list(map(column.__getitem__, kept))
        made.append(_column(name, of_each, list(map(numbers[k].__getitem__, kept)), rest))
    medians = array("d", [value for value, _, _ in order])
    return RankTable(made, medians, ranks(medians))


def ranks(values: Sequence[float]) -> list[float]:
    """Rank values from 1; equal ones get their mean rank."""
    order = sorted(range(len(values)), key=values.__getitem__)
    found = [0.0] * len(values)
    for place, i in enumerate(order, 1):
        found[i] = float(place)
    for start, end in _ties(list(map(values.__getitem__, order))):
        for i in order[start:end]:
            found[i] = (start + 1 + end) / 2
    return found


def savage(places: Sequence[float]) -> array[float]:
    """Score ranks (from 1, means where equal): the mean is 1 and the best score highest."""
    n = len(places)
    each = list(accumulate(1 / i for i in range(n, 0, -1)))[::-1]
    order = sorted(range(n), key=places.__getitem__)
    scores = array("d", bytes(8 * n))
    for i, score in zip(order, each, strict=True):
        scores[i] = score
    for start, end in _ties(list(map(places.__getitem__, order))):
        score = sum(each[start:end]) / (end - start)
        for i in order[start:end]:
            scores[i] = score
    return scores


def explained(table: RankTable, sign: int) -> list[Explained | None]:
    """Measure what each parameter explains; None if the metric or the parameter does not vary."""
    columns = table.columns
    last = len(table.ranks) + 1
    scores = savage(table.ranks if sign > 0 else [last - rank for rank in table.ranks])
    mean = math.fsum(scores) / len(scores)
    centred = [score - mean for score in scores]
    total = math.fsum(map(mul, centred, centred))
    usable = [k for k, column in enumerate(columns) if column.bins > 1]
    found: list[Explained | None] = [None] * len(columns)
    if total < 1e-9 or not usable:
        return found
    fits = Additive(columns, centred)
    others: list[int] | None = None
    shared: dict[tuple[int, ...], list[float]] = {}
    for k in usable:
        column, has = columns[k], _has(columns, k)
        rows = None if has is None else [i for i, whether in enumerate(has) if whether]
        codes = _at(column.codes, rows)
        rest = None if column.rest is None else _at(column.rest, rows)
        if len(codes) < LEAST:
            continue
        strata = None if rest is None else strata_of(rest)
        if strata is not None:
            left = _at(centred, rows)
            left = [value - m for value, m in zip(left, _means(strata, left), strict=True)]
        else:
            if others is None:
                others = _others(columns, usable, centred, fits)
            taken = tuple(j for j in others if j != k and not _same(columns[j], column))
            if taken not in shared:
                shared[taken] = fits.left(taken)
            left = _at(shared[taken], rows)
            if rows is not None:
                middle = math.fsum(left) / len(left)
                left = [value - middle for value in left]
        found[k] = _against(codes, left, strata, total)
    return found


def correlated(
    table: RankTable, column: ParameterColumn
) -> tuple[float | None, float | None, float | None]:
    """Compute Spearman's correlation and its interval; None for words, or too few settings."""
    if not column.numeric or column.known < _LEAST_CORRELATED:
        return None, None, None
    rows = None
    if column.known < len(column.has):
        rows = [i for i, has in enumerate(column.has) if has]
    # A linear function of ranks has the same correlation.
    middle = (column.known + 1) / 2
    y = [
        rank - middle for rank in (table.ranks if rows is None else ranks(_at(table.values, rows)))
    ]
    if column.places is None:
        x = [rank - middle for rank in ranks(_at(column.numbers, rows))]
    else:
        x = [place - 0.5 for place in _at(column.places, rows)]
    both = math.sqrt(math.fsum(map(mul, x, x)) * math.fsum(map(mul, y, y)))
    if both <= 0:
        return None, None, None
    rho = max(-1.0, min(1.0, math.fsum(map(mul, x, y)) / both))
    wide = 1.0 if column.rest is None else spread(_at(column.rest, rows), x, y)
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


def bins_of(
    column: Sequence[Any], numbers: Sequence[float]
) -> tuple[array[int], int, array[float] | None]:
    """Code each setting: by its value if there are few, else by its equally filled bin.

    Returns: codes, how many, and the ranks from 0 to 1 where bins hold several numbers.
    """
    n = len(column)
    known = [value for value in numbers if value == value]
    have = len(known)
    lack = have < n
    if lack and any(x != x and value is not None for x, value in zip(numbers, column, strict=True)):
        words = [None if value is None else str(value) for value in column]
        code: dict[Any, int] = {key: i for i, key in enumerate(dict.fromkeys(words))}
        return array("q", map(code.__getitem__, words)), len(code), None
    distinct = {*known}
    if len(distinct) <= min(_BINS, n / 2):
        code = {value: i for i, value in enumerate(sorted(distinct))}
        if lack:
            return array("q", [code.get(x, len(code)) for x in numbers]), len(code) + 1, None
        return array("q", map(code.__getitem__, numbers)), len(code), None
    bins = min(_BINS, max(4, have // 10))
    places = array("d", [(rank - 0.5) / have for rank in ranks(known)])
    if lack:
        each = iter(places)
        places = array("d", [next(each) if x == x else math.nan for x in numbers])
    # Half a place below 1, the last is in the last bin.
    wanted = [int(x * bins) if x == x else bins for x in places]
    # Where many are equal, a bin may be empty.
    code = {bin: i for i, bin in enumerate(sorted({*wanted}))}
    return array("q", map(code.__getitem__, wanted)), len(code), places


def strata_of(rest: Sequence[int]) -> list[int] | None:
    """Number settings whose other parameters are equal; None if they form no grid."""
    n, number_of = len(rest), {key: i for i, key in enumerate(dict.fromkeys(rest))}
    if n - len(number_of) < _WITHIN * (n - 1):
        return None
    return list(map(number_of.__getitem__, rest))


def spread(strata: Sequence[int], x: Sequence[float], y: Sequence[float]) -> float:
    """Compute the standard deviation of a correlation under no effect, times sqrt(n - 1).

    It is 1 for independent pairs. Strata are settings that differ in this parameter alone. Of its
    L values a stratum has all (in a grid: what else moves the metric then cancels), or some by lot:

        var(x'y) = sum_s SSx_s SSy_s / (m_s - 1) + m_s^2 mean(y_s)^2 S^2 (1 / m_s - 1 / L)
    """
    n = len(x)
    if len({*strata}) == n:
        return 1.0
    levels, xx = len({*x}), math.fsum(map(mul, x, x))
    summed = 0.0
    for mine, metric in by_stratum(strata, x, y):
        m, of_x, of_y = len(mine), sum(mine), sum(metric)
        if m > 1:
            squares = sum(map(mul, mine, mine)) - of_x**2 / m
            summed += squares * (sum(map(mul, metric, metric)) - of_y**2 / m) / (m - 1)
        # Divided by n - 1: the ranks of all strata are drawn together, so that their sum is known.
        by_lot = max(1 / m - 1 / levels, 0.0) * levels / (levels - 1)
        summed += of_y**2 * by_lot * xx / (n - 1)
    return min(1.0, math.sqrt((n - 1) * summed / (xx * math.fsum(map(mul, y, y)))))


def _medians(rows: Sequence[int], values: Sequence[float]) -> tuple[Sequence[int], list[float]]:
    """Find the first run of each setting, and the median of its runs."""
    if len({*rows}) == len(rows):
        return range(len(rows)), list(map(float, values))
    every: dict[int, tuple[int, list[float]]] = {}
    for run, (row, value) in enumerate(zip(rows, values, strict=True)):
        if row not in every:
            every[row] = run, []
        every[row][1].append(float(value))
    return [run for run, _ in every.values()], [_median(mine) for _, mine in every.values()]


def _numbers(column: Sequence[Any]) -> Sequence[float]:
    """Convert a column to numbers; NaN for other values."""
    kinds = {*map(type, column)}
    if kinds == {float} and all(map(math.isfinite, column)):
        return column
    if kinds == {int} and max(map(abs, column)) < _WHOLE:
        return list(map(float, column))
    finite = map(number, column)
    return [math.nan if value is None else value for value in finite]


def _levels(column: Sequence[Any], numbers: Sequence[float]) -> tuple[list[int], int]:
    """Number each value among all values of a column, and count those."""
    keys: Sequence[Any] = numbers
    distinct: list[Any] = sorted({x for x in numbers if x == x})
    if any(map(math.isnan, numbers)):
        pairs = zip(column, numbers, strict=True)
        keys = [x if x == x else None if value is None else str(value) for value, x in pairs]
        distinct += sorted({key for key in keys if isinstance(key, str)})
        distinct.append(None)
    place = {key: i for i, key in enumerate(distinct)}
    # None counts as a value only if some run lacks the parameter.
    return list(map(place.__getitem__, keys)), len({*keys})


def _column(
    name: str, column: Sequence[Any], numbers: Sequence[float], rest: Sequence[int] | None
) -> ParameterColumn:
    has = [value is not None for value in column]
    known = sum(has)
    codes, bins, places = bins_of(column, numbers)
    of_each = codes.tolist()
    counts = Counter(of_each)
    return ParameterColumn(
        name=name,
        numbers=numbers,
        known=known,
        has=has,
        numeric=known == len(numbers) - sum(map(math.isnan, numbers)),
        codes=of_each,
        sizes=[counts[code] for code in range(bins)],
        places=None if places is None else places.tolist(),
        rest=rest,
    )


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
            have = Counter(code for code, has in zip(other.codes, column.has, strict=True) if has)
            if all(size == other.sizes[code] for code, size in have.items()):
                return column.has
    return None


def _same(one: ParameterColumn, other: ParameterColumn) -> bool:
    """Tell whether two parameters move together too much to be finite apart."""
    n = len(one.codes)
    pairs = Counter(zip(one.codes, other.codes, strict=True))
    squares = (both * both / (one.sizes[a] * other.sizes[b]) for (a, b), both in pairs.items())
    return n * math.fsum(squares) - n > 0.5 * n * (min(one.bins, other.bins) - 1)


def _against(
    codes: Sequence[int], left: Sequence[float], strata: Sequence[int] | None, total: float
) -> Explained:
    sizes = Counter(codes)
    sums = _sums(codes, left, max(sizes) + 1)
    seen = math.fsum(sums[code] ** 2 / size for code, size in sizes.items())
    law = law_of(codes, left, sizes, strata)
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
    sums = _sums(column.codes, left, bins)
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


def _means(codes: Sequence[int], values: Sequence[float]) -> list[float]:
    """Return in each row the mean of the values of its code."""
    bins = max(codes) + 1
    sizes = Counter(codes)
    means = [total / (sizes[k] or 1) for k, total in enumerate(_sums(codes, values, bins))]
    return [means[code] for code in codes]


def _at(values: Sequence[_T], rows: Sequence[int] | None) -> Sequence[_T]:
    return values if rows is None else [values[i] for i in rows]


def _ties(ordered: Sequence[float]) -> list[tuple[int, int]]:
    """Find where runs of equal values start and end."""
    starts = [i for i, same in enumerate(map(eq, ordered, ordered[1:])) if same]
    found: list[tuple[int, int]] = []
    for i in starts:
        if found and found[-1][1] == i + 1:
            found[-1] = found[-1][0], i + 2
        else:
            found.append((i, i + 2))
    return found


def _median(values: list[float]) -> float:
    values.sort()
    n = len(values)
    return values[(n - 1) // 2] / 2 + values[n // 2] / 2
