"""How much each parameter explains of how good settings are, and how much chance would explain.

Settings are scored by their rank, the best most: a_i = 1/i + 1/(i+1) + ... + 1/n (Savage's scores),
averaged where the metric is equal. A parameter explains the sum of squares between its bins.

The effects of other parameters are taken out first, so that they do not count as noise. In a
grid, scores are centred within the settings that differ in this parameter alone, and permuted
within them: that is exact whatever the metric depends on. Elsewhere the residuals of an additive
fit on those other parameters that matter are permuted; the fit never sees the parameter itself, so
that this is exact too where the parameter was drawn independently of all others.
"""

from __future__ import annotations

import math
from array import array
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from operator import mul
from typing import Any, TypeVar

from thetahat.analysis._additive import Additive
from thetahat.analysis._number import LEAST, number
from thetahat.analysis._permuted import law_of

_T = TypeVar("_T")

_LEAST_CORRELATED = 4
_BINS = 12
_MOST_OTHERS = 5
"""Other parameters whose effect is taken out."""
_SURE = 4.0
"""Standard deviations above chance from which on another parameter's effect is taken out."""
_WITHIN = 0.3
"""A grid: so large a share of the degrees of freedom lies within strata."""
_FEW = 64
"""Bins of a parameter whose effect can be taken out."""
_DIGITS = 10
"""Of shares: what lies beyond is rounding."""


@dataclass(frozen=True)
class Column:
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
    rest: Sequence[int]
    """In each setting a key of all other parameters: equal where all their values are."""

    @property
    def bins(self) -> int:
        """How many bins there are."""
        return len(self.sizes)


@dataclass(frozen=True)
class Table:
    """The settings of a sweep, from the least value."""

    columns: Sequence[Column]
    values: array[float]
    """The median of the metric over its runs."""


@dataclass(frozen=True)
class Explained:
    """What a parameter explains of the scores, as a share of their sum of squares."""

    excess: float
    """Beyond what chance explains on average."""
    mark: float
    """The excess that an irrelevant parameter exceeds in one case of twenty."""


def settings_of(columns: Mapping[str, Sequence[Any]], values: Sequence[float]) -> Table:
    """One row for the runs that are equal in all columns."""
    numbers = {name: _numbers(column) for name, column in columns.items()}
    levels, scales, rows, scale = [], [], [0] * len(values), 1
    for name, column in columns.items():
        level, many = _levels(column, numbers[name])
        rows = [row + scale * at for row, at in zip(rows, level, strict=True)]
        levels.append(level)
        scales.append(scale)
        scale *= many
    # The first run of each setting stands for it.
    first = dict(zip(reversed(rows), range(len(rows) - 1, -1, -1), strict=True))
    if len(first) == len(rows):
        middle = dict(zip(rows, map(float, values), strict=True))
    else:
        every: defaultdict[int, list[float]] = defaultdict(list)
        for row, value in zip(rows, values, strict=True):
            every[row].append(float(value))
        middle = {row: _median(mine) for row, mine in every.items()}
    # An order that rests on what settings are: no sum depends on that of the runs.
    order = sorted((value, row) for row, value in middle.items())
    kept = [first[row] for _, row in order]
    made = []
    for (name, column), level, scale in zip(columns.items(), levels, scales, strict=True):
        rest = [row - scale * level[i] for (_, row), i in zip(order, kept, strict=True)]
        made.append(
            _column(name, [column[i] for i in kept], [numbers[name][i] for i in kept], rest)
        )
    return Table(made, array("d", [value for value, _ in order]))


def ranks(values: Sequence[float]) -> list[float]:
    """Ranks from 1, the mean of them where values are equal."""
    order = sorted(range(len(values)), key=values.__getitem__)
    found = [0.0] * len(values)
    for start, end in _ties(list(map(values.__getitem__, order))):
        if end == start + 1:
            found[order[start]] = end
        else:
            for i in order[start:end]:
                found[i] = (start + 1 + end) / 2
    return found


def savage(places: Sequence[float]) -> array[float]:
    """The scores of ranks (from 1, means where equal), the mean 1 and the most for the best."""
    n = len(places)
    each = list(accumulate(1 / i for i in range(n, 0, -1)))[::-1]
    order = sorted(range(n), key=places.__getitem__)
    scores = array("d", bytes(8 * n))
    for start, end in _ties(list(map(places.__getitem__, order))):
        score = each[start] if end == start + 1 else sum(each[start:end]) / (end - start)
        for i in order[start:end]:
            scores[i] = score
    return scores


def explained(table: Table, sign: int) -> list[Explained | None]:
    """What each parameter explains; None where the metric, or the parameter, does not vary."""
    columns = table.columns
    scores = savage(ranks([sign * value for value in table.values]))
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
        codes, rest = _at(column.codes, rows), _at(column.rest, rows)
        if len(codes) < LEAST:
            continue
        strata = strata_of(rest)
        if strata is not None:
            left = _at(centred, rows)
            left = [value - m for value, m in zip(left, _means(strata, left), strict=True)]
        else:
            if others is None:
                others = _others(columns, usable, centred, fits)
            chosen = others
            if k in others:
                chosen = _others(columns, [j for j in usable if j != k], centred, fits)
            taken = tuple(j for j in chosen if not _same(columns[j], column))
            if taken not in shared:
                shared[taken] = fits.left(taken)
            left = _at(shared[taken], rows)
            if rows is not None:
                middle = math.fsum(left) / len(left)
                left = [value - middle for value in left]
        found[k] = _against(codes, left, strata, total)
    return found


def correlated(table: Table, column: Column) -> tuple[float | None, float | None, float | None]:
    """Spearman's correlation with the metric and its interval; None for words, or too few."""
    if not column.numeric or column.known < _LEAST_CORRELATED:
        return None, None, None
    rows = None if all(column.has) else [i for i, has in enumerate(column.has) if has]
    x = _centred_ranks(_at(column.numbers, rows))
    y = _centred_ranks(_at(table.values, rows))
    both = math.sqrt(math.fsum(map(mul, x, x)) * math.fsum(map(mul, y, y)))
    if both <= 0:
        return None, None, None
    rho = max(-1.0, min(1.0, math.fsum(map(mul, x, y)) / both))
    low, high = interval(rho, len(x), spread(_at(column.rest, rows), x, y)) or (None, None)
    return rho, low, high


def interval(rho: float, n: int, spread: float = 1.0) -> tuple[float, float] | None:
    """The 95 per cent interval of a rank correlation; None for fewer than ten pairs.

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
    """A code per setting: its value among few, else its place among equally filled bins.

    Returns: codes, how many, and the ranks from 0 to 1 where bins hold several numbers.
    """
    n = len(column)
    known = [value for value in numbers if value == value]
    if any(x != x and value is not None for x, value in zip(numbers, column, strict=True)):
        words = [None if value is None else str(value) for value in column]
        code: dict[Any, int] = {key: i for i, key in enumerate(dict.fromkeys(words))}
        return array("q", map(code.__getitem__, words)), len(code), None
    distinct = sorted({*known})
    missing = int(len(known) < n)
    if len(distinct) <= min(_BINS, n / 2):
        code = {value: i for i, value in enumerate(distinct)}
        return array("q", [code.get(x, len(code)) for x in numbers]), len(code) + missing, None
    have = len(known)
    bins = min(_BINS, max(4, have // 10))
    shares = ((rank - 0.5) / have for rank in ranks(known))
    places = array("d", [next(shares) if x == x else math.nan for x in numbers])
    wanted = [min(bins - 1, int(x * bins)) if x == x else bins for x in places]
    # Where many are equal, a bin may be empty.
    code = {bin: i for i, bin in enumerate(sorted({*wanted}))}
    return array("q", map(code.__getitem__, wanted)), len(code), places


def strata_of(rest: Sequence[int]) -> list[int] | None:
    """The stratum of each setting, those whose other parameters are equal; None if no grid."""
    n, number_of = len(rest), {key: i for i, key in enumerate(dict.fromkeys(rest))}
    if n - len(number_of) < _WITHIN * (n - 1):
        return None
    return list(map(number_of.__getitem__, rest))


def spread(strata: Sequence[int], x: Sequence[float], y: Sequence[float]) -> float:
    """The standard deviation of a correlation under no effect, in units of 1 / sqrt(n - 1).

    It is 1 for independent pairs. Strata are settings that differ in this parameter alone. Of its
    L values a stratum has all (in a grid: what else moves the metric then cancels), or some by lot:

        var(x'y) = sum_s SSx_s SSy_s / (m_s - 1) + m_s^2 mean(y_s)^2 S^2 (1 / m_s - 1 / L)
    """
    n, parts = len(x), defaultdict[int, list[tuple[float, float]]](list)
    for stratum, pair in zip(strata, zip(x, y, strict=True), strict=True):
        parts[stratum].append(pair)
    if len(parts) == n:
        return 1.0
    levels, xx = len({*x}), math.fsum(map(mul, x, x))
    summed = 0.0
    for pairs in parts.values():
        m = len(pairs)
        mine, metric = [a for a, _ in pairs], [b for _, b in pairs]
        of_x, of_y = sum(mine) / m, sum(metric) / m
        if m > 1:
            squares = sum((a - of_x) ** 2 for a in mine), sum((b - of_y) ** 2 for b in metric)
            summed += squares[0] * squares[1] / (m - 1)
        # Divided by n - 1: the ranks of all strata are drawn together, so that their sum is known.
        by_lot = max(1 / m - 1 / levels, 0.0) * levels / (levels - 1)
        summed += (m * of_y) ** 2 * by_lot * xx / (n - 1)
    return min(1.0, math.sqrt((n - 1) * summed / (xx * math.fsum(map(mul, y, y)))))


def _numbers(column: Sequence[Any]) -> list[float]:
    """The numbers of a column; NaN where there is none."""
    if {*map(type, column)} == {float} and all(map(math.isfinite, column)):
        return list(column)
    told = map(number, column)
    return [math.nan if value is None else value for value in told]


def _levels(column: Sequence[Any], numbers: Sequence[float]) -> tuple[list[int], int]:
    """Each value's place among all values of a column, and how many there are."""
    keys: Sequence[Any] = numbers
    distinct: list[Any] = sorted({x for x in numbers if x == x})
    if any(x != x for x in numbers):
        pairs = zip(column, numbers, strict=True)
        keys = [x if x == x else None if value is None else str(value) for value, x in pairs]
        distinct += sorted({key for key in keys if isinstance(key, str)})
        distinct.append(None)
    place = {key: i for i, key in enumerate(distinct)}
    return list(map(place.__getitem__, keys)), len(place)


def _column(
    name: str, column: Sequence[Any], numbers: Sequence[float], rest: Sequence[int]
) -> Column:
    has = [value is not None for value in column]
    numeric = all(x == x or not there for x, there in zip(numbers, has, strict=True))
    codes, bins, places = bins_of(column, numbers)
    counts = Counter(codes)
    sizes = [counts[code] for code in range(bins)]
    where = None if places is None else places.tolist()
    return Column(name, numbers, sum(has), has, numeric, codes.tolist(), sizes, where, rest)


def _has(columns: Sequence[Column], k: int) -> Sequence[bool] | None:
    """The settings among which a parameter is compared; None for all of them.

    That is all of them, where lacking it is a choice like others. Where another parameter decides
    who has it (beta, of one optimizer alone), it is those that have it: the rest is its doing.
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


def _same(one: Column, other: Column) -> bool:
    """Whether two parameters move together so much that one cannot be told from the other."""
    n, bins = len(one.codes), other.bins
    pairs = Counter(bins * a + b for a, b in zip(one.codes, other.codes, strict=True))
    squares = (
        both * both / (one.sizes[pair // bins] * other.sizes[pair % bins])
        for pair, both in pairs.items()
    )
    return n * math.fsum(squares) - n > 0.5 * n * (min(one.bins, bins) - 1)


def _against(
    codes: Sequence[int], left: Sequence[float], strata: Sequence[int] | None, total: float
) -> Explained:
    sums, sizes = _sums(codes, left, max(codes) + 1), Counter(codes)
    seen = math.fsum(sums[code] ** 2 / size for code, size in sizes.items())
    law = law_of(codes, left, strata)
    seen, mean, mark = (round(x / total, _DIGITS) for x in (seen, law.mean, law.reached()))
    return Explained(seen - mean, mark - mean)


def _others(
    columns: Sequence[Column], usable: Sequence[int], centred: Sequence[float], fits: Additive
) -> list[int]:
    """Parameters that matter beyond doubt, found one after the other."""
    n, chosen, left = len(centred), list[int](), centred
    few = [k for k in usable if columns[k].bins <= min(_FEW, n / 3)]
    least = 1e-9 * math.fsum(map(mul, centred, centred))
    while len(chosen) < _MOST_OTHERS:
        best, most = None, _SURE
        sum_left = math.fsum(map(mul, left, left))
        if sum_left < least:
            break
        for k in few:
            if k not in chosen:
                above = _above_chance(columns[k], left, sum_left)
                best, most = (k, above) if above > most else (best, most)
        if best is None:
            break
        chosen.append(best)
        left = fits.left(chosen)
    return chosen


def _above_chance(column: Column, left: Sequence[float], total: float) -> float:
    n, bins = len(left), column.bins
    sums = _sums(column.codes, left, bins)
    share = sum(map(_squared_over, sums, column.sizes)) / total
    spread = math.sqrt(2 * (bins - 1) * (n - bins) / ((n - 1) ** 2 * (n + 1)))
    return (share - (bins - 1) / (n - 1)) / spread


def _squared_over(value: float, size: int) -> float:
    return value * value / size


def _sums(codes: Sequence[int], values: Sequence[float], bins: int) -> list[float]:
    """Sums of values by code."""
    sums = [0.0] * bins
    for code, value in zip(codes, values, strict=True):
        sums[code] += value
    return sums


def _means(codes: Sequence[int], values: Sequence[float]) -> list[float]:
    """In each row the mean of the values of its code."""
    bins = max(codes) + 1
    sizes = Counter(codes)
    means = [total / (sizes[k] or 1) for k, total in enumerate(_sums(codes, values, bins))]
    return [means[code] for code in codes]


def _centred_ranks(values: Sequence[float]) -> list[float]:
    middle = (len(values) + 1) / 2
    return [rank - middle for rank in ranks(values)]


def _at(values: Sequence[_T], rows: Sequence[int] | None) -> Sequence[_T]:
    return values if rows is None else [values[i] for i in rows]


def _ties(ordered: Sequence[float]) -> list[tuple[int, int]]:
    """Where runs of equal values begin and end."""
    starts = [i for i, (a, b) in enumerate(pairwise(ordered), 1) if a != b]
    return list(pairwise([0, *starts, len(ordered)])) if ordered else []


def _median(values: list[float]) -> float:
    values.sort()
    n = len(values)
    return values[(n - 1) // 2] / 2 + values[n // 2] / 2
