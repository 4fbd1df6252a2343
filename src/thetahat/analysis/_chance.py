"""How much each parameter explains of how good settings are, and how much chance would explain.

Settings are scored by their rank, the best most: a_i = 1/i + 1/(i+1) + ... + 1/n (Savage's scores),
averaged where the metric is equal. A parameter explains the sum of squares between its bins.

The effects of other parameters are taken out first, so that they do not count as noise. In a
grid, scores are centred within the settings that differ in this parameter alone, and permuted
within them: that is exact whatever the metric depends on. Elsewhere the residuals of an additive
fit on those other parameters that matter are permuted; the fit never sees the parameter itself, so
that this is exact too where the parameter was drawn independently of all others.

This module loads NumPy: import it where it is used.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from thetahat.analysis._number import LEAST, number

_LEAST_CORRELATED = 4
_BINS = 12
_LEVEL = 0.05
_DRAWS = (199, 999)
"""Permutations: the least, and the most."""
_WORK = 1.2e9
"""Multiplications and additions of all permutations: some seconds."""
_ENTRIES = 2e6
_MOST_OTHERS = 5
"""Other parameters whose effect is taken out."""
_SURE = 4.0
"""Standard deviations above chance from which on another parameter's effect is taken out."""
_WITHIN = 0.3
"""A grid: so large a share of the degrees of freedom lies within strata."""
_SEGMENTS = 8
_FEW = 64
"""Bins up to which sums are a product of matrices."""

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Keys = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class Column:
    """A parameter over settings."""

    name: str
    numbers: Floats
    """NaN where it is none."""
    has: npt.NDArray[np.bool_]
    """Whether a setting has it."""
    numeric: bool
    """Whether all of those have a number."""
    codes: Ints
    """Its bin in each setting; to lack it is a bin too."""
    bins: int
    places: Floats | None
    """Ranks from 0 to 1 where a bin holds several numbers; NaN where a setting lacks it."""
    keys: Keys
    """Equal where its values are equal."""

    @property
    def known(self) -> int:
        """Settings that have it."""
        return int(self.has.sum())


@dataclass(frozen=True)
class Table:
    """The settings of a sweep, in an order that rests on what they are."""

    columns: Sequence[Column]
    rows: Keys
    """A key of each setting: the sum of those of its values."""
    values: Floats
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
    cells = {name: _cells(name, column) for name, column in columns.items()}
    rows = np.add.reduce([keys for _, keys in cells.values()])
    _, first, setting = np.unique(rows, return_index=True, return_inverse=True)
    by_setting = np.lexsort((np.asarray(values, float), setting))
    ends = np.cumsum(np.bincount(setting))
    starts = np.r_[0, ends[:-1]]
    metric = np.asarray(values, float)[by_setting]
    middle = metric[(starts + ends - 1) // 2] / 2 + metric[(starts + ends) // 2] / 2
    order = np.lexsort((rows[first], middle))
    kept = first[order]
    made = [
        _column(name, [columns[name][i] for i in kept], numbers[kept], keys[kept])
        for name, (numbers, keys) in cells.items()
    ]
    return Table(made, rows[kept], middle[order])


def ranks(values: Floats) -> Floats:
    """Ranks from 1, the mean of them where values are equal."""
    order = np.argsort(values, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(values[order]) != 0])
    sizes = np.diff(np.r_[starts, len(values)])
    found = np.empty(len(values))
    found[order] = np.repeat(starts + (sizes + 1) / 2, sizes)
    return found


def savage(places: Floats) -> Floats:
    """The scores of ranks (from 1, means where equal), the mean 1 and the most for the best."""
    n = len(places)
    each = np.cumsum(1 / np.arange(n, 0, -1))[::-1]
    order = np.argsort(places, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(places[order]) != 0])
    sizes = np.diff(np.r_[starts, n])
    scores = np.empty(n)
    scores[order] = np.repeat(np.add.reduceat(each, starts) / sizes, sizes)
    return scores


def explained(table: Table, sign: int, seed: int) -> list[Explained | None]:
    """What each parameter explains; None where the metric, or the parameter, does not vary."""
    columns, n = table.columns, len(table.values)
    scores = savage(ranks(sign * table.values))
    centred = scores - scores.mean()
    total = float(centred @ centred)
    usable = [k for k, column in enumerate(columns) if column.bins > 1]
    found: list[Explained | None] = [None] * len(columns)
    if total < 1e-9 or not usable:
        return found
    whole = n * sum(columns[k].bins for k in usable)
    draws = int(np.clip(min(_ENTRIES / n, _WORK / whole), *_DRAWS))
    rng = np.random.default_rng(seed)
    others = _others(columns, usable, centred)
    shared: dict[tuple[int, ...], tuple[Floats, Floats]] = {}
    for k in usable:
        has = _has(columns, k)
        if has.sum() < LEAST:
            continue
        strata = strata_of((table.rows - columns[k].keys)[has])
        if strata is not None:
            left = centred[has] - _means(strata, centred[has])
            permuted = _permuted_within(strata, left, draws, rng)
        else:
            chosen = others
            if k in others:
                chosen = _others(columns, [j for j in usable if j != k], centred)
            rest = tuple(j for j in chosen if not _same(columns[j], columns[k]))
            if not has.all():
                left = _residual(columns, rest, centred)[has]
                left, permuted = left - left.mean(), _permuted(left - left.mean(), draws, rng)
            else:
                if rest not in shared:
                    left = _residual(columns, rest, centred)
                    shared[rest] = left, _permuted(left, draws, rng)
                left, permuted = shared[rest]
        found[k] = _against(columns[k].codes[has], left, permuted, total)
    return found


def correlated(table: Table, column: Column) -> tuple[float | None, float | None, float | None]:
    """Spearman's correlation with the metric and its interval; None for words, or too few."""
    if not column.numeric or column.known < _LEAST_CORRELATED:
        return None, None, None
    has = ~np.isnan(column.numbers)
    x, y = ranks(column.numbers[has]), ranks(table.values[has])
    x, y = x - x.mean(), y - y.mean()
    both = float(np.sqrt((x @ x) * (y @ y)))
    if both <= 0:
        return None, None, None
    rho = max(-1.0, min(1.0, float(x @ y) / both))
    _, strata = np.unique((table.rows - column.keys)[has], return_inverse=True)
    low, high = interval(rho, len(x), spread(strata, x, y)) or (None, None)
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


def bins_of(column: Sequence[Any], numbers: Floats) -> tuple[Ints, int, Floats | None]:
    """A code per setting: its value among few, else its place among equally filled bins.

    Returns: codes, how many, and the ranks from 0 to 1 where bins hold several numbers.
    """
    n, lacks = len(column), np.isnan(numbers)
    if any(column[i] is not None for i in np.flatnonzero(lacks).tolist()):
        words = [None if value is None else str(value) for value in column]
        code = {key: i for i, key in enumerate(dict.fromkeys(words))}
        return np.array([code[key] for key in words], np.int64), len(code), None
    distinct = np.unique(numbers[~lacks])
    missing = int(lacks.any())
    if len(distinct) <= min(_BINS, n / 2):
        codes = np.where(lacks, len(distinct), np.searchsorted(distinct, numbers))
        return codes.astype(np.int64), len(distinct) + missing, None
    have = n - int(lacks.sum())
    bins = min(_BINS, max(4, have // 10))
    places = np.full(n, np.nan)
    places[~lacks] = (ranks(numbers[~lacks]) - 0.5) / have
    codes = np.where(lacks, bins, np.minimum(bins - 1, np.nan_to_num(places) * bins)).astype(
        np.int64
    )
    # Where many are equal, a bin may be empty.
    used, codes = np.unique(codes, return_inverse=True)
    return codes.astype(np.int64), len(used), places


def strata_of(rest: Keys) -> Ints | None:
    """The stratum of each setting, those whose other parameters are equal; None if no grid."""
    first, strata = np.unique(rest, return_inverse=True)
    n = len(rest)
    return strata.astype(np.int64) if n - len(first) >= _WITHIN * (n - 1) else None


def spread(strata: Ints, x: Floats, y: Floats) -> float:
    """The standard deviation of a correlation under no effect, in units of 1 / sqrt(n - 1).

    It is 1 for independent pairs. Strata are settings that differ in this parameter alone. Of its
    L values a stratum has all (in a grid: what else moves the metric then cancels), or some by lot:

        var(x'y) = sum_s SSx_s SSy_s / (m_s - 1) + m_s^2 mean(y_s)^2 S^2 (1 / m_s - 1 / L)
    """
    n, levels = len(x), len(np.unique(x))
    sizes, middle = np.bincount(strata), np.bincount(strata, y)
    a, b = x - _means(strata, x), y - _means(strata, y)
    within = np.bincount(strata, a * a) * np.bincount(strata, b * b) / np.maximum(sizes - 1, 1)
    # Divided by n - 1: the ranks of all strata are drawn together, so that their sum is known.
    chosen = middle**2 * np.maximum(1 / sizes - 1 / levels, 0) * levels / (levels - 1)
    chosen = chosen * (x @ x) / (n - 1)
    return min(1.0, math.sqrt((n - 1) * float((within + chosen).sum() / ((x @ x) * (y @ y)))))


def _cells(name: str, column: Sequence[Any]) -> tuple[Floats, Keys]:
    """The numbers of a column (NaN where there is none), and keys that tell its values apart."""
    known: dict[str | None, int] = {}
    told = [number(value) for value in column]
    numbers = np.array([np.nan if value is None else value for value in told]) + 0.0
    keys = numbers.view(np.uint64).copy()
    for i, value in enumerate(told):
        if value is None:
            word = None if column[i] is None else str(column[i])
            if word not in known:
                known[word] = _digest(f"{name}={word!r}")
            keys[i] = known[word]
    return numbers, _mix(keys ^ np.uint64(_digest(repr(name))))


def _column(name: str, column: Sequence[Any], numbers: Floats, keys: Keys) -> Column:
    has = np.array([value is not None for value in column])
    numeric = bool((has == ~np.isnan(numbers)).all())
    codes, bins, places = bins_of(column, numbers)
    return Column(name, numbers, has, numeric, codes, bins, places, keys)


def _has(columns: Sequence[Column], k: int) -> npt.NDArray[np.bool_]:
    """The settings among which a parameter is compared.

    That is all of them, where lacking it is a choice like others. Where another parameter decides
    who has it (beta, of one optimizer alone), it is those that have it: the rest is its doing.
    """
    column = columns[k]
    every = np.full(len(column.codes), True)
    if column.known == len(every):
        return every
    for j, other in enumerate(columns):
        if j != k and other.bins <= min(_BINS, len(every) / 3):
            share = _means(other.codes, column.has.astype(float))
            if ((share == 0) | (share == 1)).all():
                return column.has
    return every


def _same(one: Column, other: Column) -> bool:
    """Whether two parameters move together so much that one cannot be told from the other."""
    n = len(one.codes)
    sizes = np.bincount(one.codes)[:, None] * np.bincount(other.codes) / n
    both = np.bincount(one.codes * other.bins + other.codes, minlength=sizes.size)
    chi2 = float((both.reshape(sizes.shape) ** 2 / sizes).sum()) - n
    return chi2 > 0.5 * n * (min(one.bins, other.bins) - 1)


def _against(codes: Ints, left: Floats, permuted: Floats, total: float) -> Explained:
    _, codes = np.unique(codes, return_inverse=True)
    drawn = np.round(_between(codes, permuted) / total, 10)
    seen = float(np.round(_between(codes, left[None]) / total, 10)[0])
    mean = float(drawn.mean())
    return Explained(seen - mean, _mark(drawn) - mean)


def _mark(drawn: Floats) -> float:
    """What must be exceeded at the 5 per cent level, equal draws counted half (mid-p).

    Halfway between two values that were drawn: what clears it is seen to clear it.
    """
    values, counts = np.unique(drawn, return_counts=True)
    above = np.cumsum(counts[::-1])[::-1] - counts
    clears = (above + 0.5 * (counts + 1)) / (len(drawn) + 1) <= _LEVEL
    if not clears.any():
        return float(values[-1]) + 1e-9
    at = int(np.argmax(clears))
    return float(values[max(at - 1, 0)] + values[at]) / 2 - 1e-9 * (at == 0)


def _between(codes: Ints, rows: Floats) -> Floats:
    """The sum of squares between bins of each row; rows have mean 0."""
    sizes = np.bincount(codes)
    if len(sizes) <= _FEW:
        sums = rows @ (codes[:, None] == np.arange(len(sizes))).astype(float)
    else:
        order = np.argsort(codes, kind="stable")
        sums = np.add.reduceat(rows[:, order], np.cumsum(sizes) - sizes, axis=1)
    return (sums * sums / sizes).sum(1)


def _others(columns: Sequence[Column], usable: Sequence[int], centred: Floats) -> list[int]:
    """Parameters that matter beyond doubt, found one after the other."""
    n, chosen, left = len(centred), list[int](), centred
    few = [k for k in usable if columns[k].bins <= min(_FEW, n / 3)]
    while len(chosen) < _MOST_OTHERS:
        best, most = None, _SURE
        sum_left = float(left @ left)
        if sum_left < 1e-9 * float(centred @ centred):
            break
        for k in few:
            if k not in chosen:
                above = _above_chance(columns[k], left, sum_left)
                best, most = (k, above) if above > most else (best, most)
        if best is None:
            break
        chosen.append(best)
        left = _residual(columns, chosen, centred)
    return chosen


def _above_chance(column: Column, left: Floats, total: float) -> float:
    n, bins = len(left), column.bins
    sums = np.bincount(column.codes, left, bins)
    share = float((sums * sums / np.bincount(column.codes, minlength=bins)).sum()) / total
    spread = np.sqrt(2 * (bins - 1) * (n - bins) / ((n - 1) ** 2 * (n + 1)))
    return (share - (bins - 1) / (n - 1)) / float(spread)


def _residual(columns: Sequence[Column], others: Sequence[int], centred: Floats) -> Floats:
    if not others:
        return centred
    basis = np.hstack([_basis(columns[k]) for k in others])
    basis = basis - basis.mean(0)
    fitted = basis @ np.linalg.lstsq(basis, centred, rcond=1e-9)[0]
    left = centred - fitted
    return left - left.mean()


def _basis(column: Column) -> Floats:
    """A column a bin, or a piecewise linear function of the rank."""
    if column.places is None:
        return (column.codes[:, None] == np.arange(1, column.bins)).astype(float)
    n = len(column.codes)
    lacks = np.isnan(column.places)
    places = np.where(lacks, 0.5, column.places)
    knots = np.linspace(0, 1, min(_SEGMENTS, max(2, n // 10)) + 1)[:-1]
    hinges = np.maximum(places[:, None] - knots, 0)
    return np.hstack([hinges, lacks[:, None].astype(float)])


def _permuted(left: Floats, draws: int, rng: np.random.Generator) -> Floats:
    return rng.permuted(np.broadcast_to(left, (draws, len(left))), axis=1)


def _permuted_within(strata: Ints, left: Floats, draws: int, rng: np.random.Generator) -> Floats:
    made = np.zeros((draws, len(left)))
    sizes = np.bincount(strata)
    order = np.argsort(strata, kind="stable")
    for size in np.unique(sizes[sizes > 1]):
        places = order[sizes[strata[order]] == size]
        blocks = np.broadcast_to(left[places], (draws, len(places))).reshape(-1, size)
        made[:, places] = rng.permuted(blocks, axis=1).reshape(draws, -1)
    return made


def _means(strata: Ints, values: Floats) -> Floats:
    return (np.bincount(strata, values) / np.bincount(strata))[strata]


def _digest(word: str) -> int:
    return int.from_bytes(hashlib.blake2b(word.encode(), digest_size=8).digest(), "little")


def _mix(keys: Keys) -> Keys:
    """Keys whose sums tell rows apart (the finaliser of SplitMix64)."""
    keys = (keys ^ (keys >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    keys = (keys ^ (keys >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return keys ^ (keys >> np.uint64(31))
