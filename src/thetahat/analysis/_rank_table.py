"""The settings of a sweep as ranks: parameters as columns of bins, the metric as ranks.

The unit is the setting, not the run: runs that differ in their seeds alone are one row, their
median. Only then are rows independent.
"""

from __future__ import annotations

import math
from array import array
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, chain, compress, pairwise
from operator import add, ne, sub
from typing import Any, NamedTuple, TypeVar

from thetahat.analysis._groups import number
from thetahat.analysis._permuted import Strata, gather, strata_of

_T = TypeVar("_T")

BINS = 12
"""Bins of a parameter with many values, at most."""
_WITHIN = 0.3
"""A grid: so large a share of the degrees of freedom lies within strata."""
_WORDS = {str, type(None)}
_WHOLE = 1 << 53
"""Whole numbers below are floats, each another one."""


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


def bins_of(counts: Sequence[int], lack: int = 0) -> Bins:
    """Make a bin of each number if they are few, else equally filled ones.

    Args:    counts: how often each number occurs, from the least.
             lack: settings without a number: a bin of their own.
    """
    have, many = sum(counts), len(counts)
    ends = accumulate(counts)
    ranks = [end - (count + have) / 2 for end, count in zip(ends, counts, strict=True)]
    codes, sizes = list(range(many)), list(counts)
    several = many > min(BINS, (have + lack) / 2)
    if several:
        bins = min(BINS, max(4, have // 10))
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


def is_grid(strata: int, n: int) -> bool:
    """Tell whether permutations within strata suffice."""
    return n - strata >= _WITHIN * (n - 1)


def strata_among(
    column: ParameterColumn, rows: Sequence[int] | None, *, grid: bool = False
) -> Strata | None:
    """Sort some settings by stratum; None where each is one, or where they form no grid."""
    if column.rest is None:
        return None
    rest, most = column.rest
    if rows is not None:
        rest = gather(rest, rows)
        most = len({*rest})
    if grid and not is_grid(most, len(rest)):
        return None
    return column.strata if rows is None else strata_of(rest, gather(column.level, rows))


def rows_at(values: Sequence[_T], rows: Sequence[int] | None) -> Sequence[_T]:
    return values if rows is None else gather(values, rows)


def rows_with(has: Sequence[bool]) -> list[int]:
    return [i for i, whether in enumerate(has) if whether]


def ties(ordered: Sequence[float]) -> list[tuple[int, int]]:
    """Find where runs of equal values start and end."""
    n, differs = len(ordered), list(map(ne, ordered, ordered[1:]))
    if all(differs):
        return []
    starts = chain((0,), compress(range(1, n), differs), (n,))
    return [(start, end) for start, end in pairwise(starts) if end > start + 1]


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
            distinct = most if is_grid(most, n) else len({*rest})
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


def _ranks(ordered: Sequence[float]) -> list[float]:
    """Rank sorted values."""
    found = list(map(float, range(1, len(ordered) + 1)))
    for start, end in ties(ordered):
        found[start:end] = [(start + 1 + end) / 2] * (end - start)
    return found


def _median(values: list[float]) -> float:
    n = len(values)
    if n == 1:
        return values[0]
    values.sort()
    return values[(n - 1) // 2] / 2 + values[n // 2] / 2
