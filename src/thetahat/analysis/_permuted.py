"""The law of what permutations of numbers explain, in closed form: no permutation is drawn.

The numbers x lie in bins, and in strata, in each of which their sum is 0. Permuted within strata,
what the bins explain is

    T = sum_b S_b^2 / n_b,    S_b the sum of the n_b numbers in bin b

Its mean and its variance are exact. Its law is taken to be the beta law on [0, x'x] that has both,
as it is for normal numbers in one stratum, moved by the third cumulant of the products x_i x_j.

Sources: Pitman (1938), Significance Tests which may be Applied to Samples from any Populations III;
         Cornish & Fisher (1938), Moments and Cumulants in the Specification of Distributions.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, compress, pairwise
from operator import add, itemgetter, mul, ne, sub
from typing import NamedTuple, TypeVar

Powers = tuple[float, ...]
"""Sums of powers of the numbers of a stratum, or of strata that are alike."""
_T = TypeVar("_T")

_LEVEL = 0.95
_Z = 1.6448536
"""The quantile of a normal law at that level."""
_NONE = 1e-12
"""So small a share of the variance is rounding."""


class Strata(NamedTuple):
    """Rows by stratum. Strata with rows of the same kinds follow each other."""

    rows: Sequence[int]
    groups: Sequence[tuple[tuple[int, ...], int]]
    """The kinds of a stratum's rows, in order, and how many strata have them."""

    @property
    def number(self) -> int:
        """How many strata there are."""
        return sum(times for _, times in self.groups)


@dataclass(frozen=True)
class Law:
    """The law of what the bins explain."""

    mean: float
    variance: float
    most: float
    """The sum of squares of the numbers."""
    lopsided: float = 0.0
    """What skewed numbers add to the third cumulant, beyond that of a beta law."""

    def reached(self) -> float:
        """Return the value that one case of twenty exceeds."""
        if self.variance <= _NONE * self.most**2:
            return self.mean
        share = self.mean / self.most
        both = share * (1 - share) * self.most**2 / self.variance - 1
        if both <= 0:
            return self.most
        found = self.most * _beta_quantile(share * both, (1 - share) * both)
        # The first step of Cornish and Fisher's expansion.
        return min(self.most, found + (_Z * _Z - 1) / 6 * self.lopsided / self.variance)


def strata_of(keys: Sequence[int], kinds: Sequence[int]) -> Strata:
    """Sort rows by stratum.

    Args:    keys: of each row, equal in a stratum.   kinds: of each row, from 0.
    """
    n, many = len(keys), 1 + max(kinds)
    both = list(map(add, map(many.__mul__, keys), kinds))
    rows = sorted(range(n), key=both.__getitem__)
    keys, kinds = gather(keys, rows), gather(kinds, rows)
    starts = compress(range(1, n), map(ne, keys, keys[1:]))
    groups: defaultdict[tuple[int, ...], list[int]] = defaultdict(list)
    for start, end in pairwise((0, *starts, n)):
        groups[tuple(kinds[start:end])].append(start)
    if len(groups) > 1:
        parts = (rows[i : i + len(group)] for group, starts in groups.items() for i in starts)
        rows = list(chain.from_iterable(parts))
    return Strata(rows, [(group, len(starts)) for group, starts in groups.items()])


def gather(values: Sequence[_T], rows: Sequence[int]) -> Sequence[_T]:
    """Return the values in some rows."""
    return itemgetter(*rows)(values) if len(rows) > 1 else [values[i] for i in rows]


def sums_of(values: Sequence[float], m: int) -> list[float]:
    """Sum each m values that follow each other."""
    return list(map(sum, zip(*[iter(values)] * m, strict=True)))


def law_of(parts: Iterable[tuple[Mapping[int, int], Powers]], sizes: Mapping[int, int]) -> Law:
    """Compute the law of what bins explain.

    Args:    parts: by ``in_strata``; or the sizes and the powers of all numbers.
             sizes: the numbers in each bin.
    """
    mean = variance = most = 0.0
    covariances: list[tuple[Mapping[int, int], float]] = []
    thirds, pairs = dict.fromkeys(sizes, 0.0), dict.fromkeys(sizes, 0.0)
    for counts, (p2, p22, p4, third, third2, both) in parts:
        m = sum(counts.values())
        has = [(n, sizes[code]) for code, n in counts.items()]
        ways = m * (m - 1)
        if m == len(has):
            shares = [1 / size for _, size in has]
            one, square = sum(shares), sum(map(mul, shares, shares))
            here = one / m
            second = square * p4 / m + (p22 - p4) / ways * (one * one - square)
            for code in counts:
                thirds[code] += third
                pairs[code] -= third2
        else:
            here = sum(n * (m - n) / size for n, size in has) / ways
            second = _second(p22, p4, m, has)
            for code, n in counts.items():
                thirds[code] += third * n
                pairs[code] += n * ((n - 1) * both - n * third2)
        mean, most = mean + here * p2, most + p2
        variance += second - here * here * p22
        if counts is not sizes:
            covariances.append((counts, p2 / ways))
            variance -= 2 * p22 * _trace(counts, counts, sizes) / ways**2
    variance += 2 * _trace_of_sum(covariances, sizes)
    cubes = sum((thirds[code] ** 2 + pairs[code]) / size**3 for code, size in sizes.items())
    return Law(mean, variance, most, 4 * _centred(sizes) * cubes)


def in_strata(
    strata: Strata, x: Sequence[float], codes: Sequence[int]
) -> tuple[list[tuple[Mapping[int, int], Powers]], Mapping[int, float]]:
    """Centre numbers in each stratum.

    Args:    codes: the bin of each kind of rows.
    Returns: by strata whose numbers lie in the same bins, how many of a stratum are in each, and
             powers; and the sum of the numbers in each bin.
    """
    ordered, at = gather(x, strata.rows), 0
    found: dict[tuple[int, ...], Powers] = {}
    sums: defaultdict[int, float] = defaultdict(float)
    for kinds, times in strata.groups:
        m = len(kinds)
        numbers = ordered[at : at + m * times]
        at += m * times
        if m < 2:
            continue
        means = [total / m for total in sums_of(numbers, m)]
        numbers = list(map(sub, numbers, chain.from_iterable(zip(*[means] * m, strict=True))))
        key = tuple(map(codes.__getitem__, kinds))
        for i, code in enumerate(key):
            sums[code] += sum(numbers[i::m])
        powers = powers_of(numbers, m)
        found[key] = tuple(map(add, found[key], powers)) if key in found else powers
    return [(Counter(key), powers) for key, powers in found.items()], sums


def powers_of(x: Sequence[float], m: int) -> Powers:
    """Sum powers of numbers over strata of m that follow each other.

    Returns: sums of p2, p2^2 and p4 (sums of powers in a stratum), of the third cumulant and its
             square, and of the mean product of the cubes of two numbers.
    """
    squares = list(map(mul, x, x))
    cubes = list(map(mul, squares, x))
    p2, p3 = sums_of(squares, m), sums_of(cubes, m)
    sums = sum(p2), sum(map(mul, p2, p2)), sum(map(mul, squares, squares))
    if m < 3:
        return *sums, 0.0, 0.0, 0.0
    p33, p6 = sum(map(mul, p3, p3)), sum(map(mul, cubes, cubes))
    third = m / ((m - 1) * (m - 2))
    return *sums, third * sum(p3), third * third * p33, (p33 - p6) / (m * (m - 1))


def _centred(sizes: Mapping[int, int]) -> float:
    """Return the share of the sum of 1 / size^3 over pairs in a bin that is left less 1 / n."""
    n = sum(sizes.values())
    shares = [size / n for size in sizes.values()]
    whole = sum(1 / share for share in shares)
    left = sum((1 - share) ** 3 / share + share**2 for share in shares) - 1
    return max(0.0, left / whole)


def _second(p22: float, p4: float, m: int, has: Iterable[tuple[int, int]]) -> float:
    """Return the mean square of what a stratum's own sums explain.

    Args:    p22, p4: of its m numbers, the square of the sum of squares, and the sum of fourth
             powers; or sums of both over strata that are alike.
             has: how many of them are in a bin, and the size of that bin over all strata.
    """
    pairs = m * (m - 1)
    e22, e31 = (p22 - p4) / pairs, -p4 / pairs
    e211 = (2 * p4 - p22) / (pairs * (m - 2)) if m > 2 else 0.0
    e1111 = (3 * p22 - 6 * p4) / (pairs * (m - 2) * (m - 3)) if m > 3 else 0.0
    own = u = w = uu = uw = ww = 0.0
    for n, size in has:
        twos = n * (n - 1)
        fourth = n * p4 / m + twos * (3 * e22 + 4 * e31)
        own += (fourth + twos * (n - 2) * (6 * e211 + (n - 3) * e1111)) / size**2
        one, two = n / size, twos / size
        u, w, uu, uw, ww = u + one, w + two, uu + one * one, uw + one * two, ww + two * two
    return own + e22 * (u * u - uu) + 2 * e211 * (u * w - uw) + e1111 * (w * w - ww)


def _trace(one: Mapping[int, int], other: Mapping[int, int], sizes: Mapping[int, int]) -> float:
    """Return tr(D C D C'): C, C' the covariances of the sums of two strata, D of 1 / size.

    Args:    one, other: their numbers in each bin; p2 = m (m - 1) in both.
    """
    m, m_other = sum(one.values()), sum(other.values())
    if m == len(one) and m_other == len(other):
        shares = [1 / sizes[code] for code in one.keys() & other.keys()]
        return ((m - 1) * (m_other - 1) - 1) * sum(map(mul, shares, shares)) + sum(shares) ** 2
    diagonal = outer = both = 0.0
    for code, n in one.items():
        if n_other := other.get(code, 0):
            part = n * n_other / sizes[code]
            diagonal += part * (m - n) * (m_other - n_other) / sizes[code]
            outer, both = outer + part, both + part * part
    return diagonal + outer * outer - both


def _trace_of_sum(
    strata: Sequence[tuple[Mapping[int, int], float]], sizes: Mapping[int, int]
) -> float:
    """Return tr(D C D C) of the sum of all covariances: over pairs of strata, or of bins."""
    if all(sum(counts.values()) == len(counts) for counts, _ in strata):
        return _trace_of_single(strata, sizes)
    widths = [len(counts) for counts, _ in strata]
    if len(strata) * sum(widths) <= sum(width * width for width in widths):
        found = 0.0
        for k, (counts, own) in enumerate(strata):
            found += own * own * _trace(counts, counts, sizes)
            for other, of_other in strata[:k]:
                found += 2 * own * of_other * _trace(counts, other, sizes)
        return found
    covariance: defaultdict[tuple[int, int], float] = defaultdict(float)
    for counts, own in strata:
        ordered = sorted(counts.items())
        m = sum(counts.values())
        for k, (code, n) in enumerate(ordered):
            covariance[code, code] += own * n * (m - n)
            for other, n_other in ordered[:k]:
                covariance[other, code] -= own * n * n_other
    return sum(
        (1 if a == b else 2) * value * value / (sizes[a] * sizes[b])
        for (a, b), value in covariance.items()
    )


def _trace_of_single(
    strata: Sequence[tuple[Mapping[int, int], float]], sizes: Mapping[int, int]
) -> float:
    """Return the same where no stratum has two numbers in a bin.

    The bins that two strata share are counted by size, in one bit for each bin.
    """
    by_size: defaultdict[int, list[int]] = defaultdict(list)
    for code, size in sizes.items():
        by_size[size].append(code)
    bins, at, slices = list(chain.from_iterable(by_size.values())), 0, []
    for size, codes in by_size.items():
        slices.append((at, at + len(codes), 1 / size))
        at += len(codes)
    rows = []
    for counts, own in strata:
        has = bytes(map(counts.__contains__, bins))
        bits = [(int.from_bytes(has[a:b], "little"), share) for a, b, share in slices]
        rows.append((len(counts) - 1, own, bits))
    found = 0.0
    for k, (m, own, bits) in enumerate(rows):
        for j, (m_other, of_other, others) in enumerate(rows[: k + 1]):
            one = square = 0.0
            for (mask, share), (other, _) in zip(bits, others, strict=True):
                both = share * (mask & other).bit_count()
                one, square = one + both, square + both * share
            trace = (m * m_other - 1) * square + one * one
            found += (1 if j == k else 2) * own * of_other * trace
    return found


def _beta_quantile(a: float, b: float) -> float:
    """Find the quantile by Paulson's approximation, then Halley's method in a bracket."""
    low, high, x = 0.0, 1.0, a / (a + b)
    p, q = 1 - 1 / (9 * a), 1 - 1 / (9 * b)
    square = q * q - _Z * _Z / (9 * b)
    root = p * p * q * q - square * (p * p - _Z * _Z / (9 * a))
    if square > 0 and root > 0:
        f = ((p * q + math.sqrt(root)) / square) ** 3
        x = a * f / (a * f + b) if f > 0 else x
    scale = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    for _ in range(60):
        if not low < x < high:
            x = (low + high) / 2
        height = math.exp(scale + a * math.log(x) + b * math.log1p(-x))
        above = _below(a, b, x, height) - _LEVEL
        low, high = (low, x) if above > 0 else (x, high)
        step = above * x * (1 - x) / height if height > 0 else 1.0
        step /= max(0.5, 1 - step * ((a - 1) / x - (b - 1) / (1 - x)) / 2)
        x -= step
        # Its order is three.
        if abs(step) < 1e-5 * min(x, 1 - x) or high - low < 1e-12:
            break
    return x


def _below(a: float, b: float, x: float, height: float) -> float:
    """Return the share of a beta law below x, by Lentz's method for its continued fraction.

    Args:    height: x^a (1 - x)^b / B(a, b).
    """
    if x > (a + 1) / (a + b + 2):
        return 1 - _below(b, a, 1 - x, height)
    tiny = 1e-300
    c, d = 1.0, 1 / ((1 - (a + b) * x / (a + 1)) or tiny)
    found = d
    for m in range(1, 10_000):
        for factor in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d, c = 1 / ((1 + factor * d) or tiny), (1 + factor / c) or tiny
            found *= c * d
        if abs(c * d - 1) < 1e-12:
            break
    return height * found / a
