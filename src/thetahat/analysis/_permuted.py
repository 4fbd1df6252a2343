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
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import add, mul
from typing import TypeVar

_Counts = tuple[tuple[int, int], ...]
"""Bins, and how many numbers of a stratum are in each."""
_Powers = list[float]
_T = TypeVar("_T")
_S = TypeVar("_S")

_LEVEL = 0.95
_Z = 1.6448536
"""The quantile of a normal law at that level."""
_NONE = 1e-12
"""So small a share of the variance is rounding."""


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


def law_of(
    codes: Sequence[int],
    x: Sequence[float],
    sizes: Mapping[int, int],
    strata: Sequence[int] | None = None,
) -> Law:
    """Compute the law of what bins explain.

    Args:    codes: the bin of each number.   sizes: the numbers in each bin.
             strata: the stratum of each number; None for one.
    """
    # Strata with the same numbers of values in the same bins are one, with sums of powers.
    alike: dict[tuple[int, ...], _Powers] = {}
    for inside, numbers in [(codes, x)] if strata is None else by_stratum(strata, codes, x):
        powers = _powers(numbers)
        key = () if strata is None else tuple(sorted(inside))
        alike[key] = list(map(add, alike[key], powers)) if key in alike else powers
    mean = variance = most = 0.0
    covariances: dict[_Counts, float] = {}
    thirds, pairs = dict.fromkeys(sizes, 0.0), dict.fromkeys(sizes, 0.0)
    for key, (p2, p22, p4, third, third2, both) in alike.items():
        counts = Counter(key) if key else sizes
        m = len(key) or len(x)
        if m < 2:
            continue
        has = [(n, sizes[code]) for code, n in counts.items()]
        ways = m * (m - 1)
        here = sum(n * (m - n) / size for n, size in has) / ways
        mean, most = mean + here * p2, most + p2
        variance += _second(p22, p4, m, has) - here * here * p22
        for code, n in counts.items():
            thirds[code] += third * n
            pairs[code] += n * ((n - 1) * both - n * third2)
        if key:
            covariances[tuple(sorted(counts.items()))] = p2 / ways
            variance -= 2 * p22 * _trace(m, has) / ways**2
    variance += 2 * _trace_of_sum(covariances, sizes)
    cubes = sum((thirds[code] ** 2 + pairs[code]) / size**3 for code, size in sizes.items())
    return Law(mean, variance, most, 4 * _centred(sizes) * cubes)


def by_stratum(
    strata: Sequence[int], first: Sequence[_T], second: Sequence[_S]
) -> Collection[tuple[list[_T], list[_S]]]:
    """Split two columns by stratum."""
    found: dict[int, tuple[list[_T], list[_S]]] = {}
    for stratum, one, other in zip(strata, first, second, strict=True):
        part = found.get(stratum)
        if part is None:
            part = found[stratum] = [], []
        part[0].append(one)
        part[1].append(other)
    return found.values()


def _powers(x: Sequence[float]) -> _Powers:
    """Return p2, p2^2 and p4 (sums of powers) of a stratum's numbers, their third cumulant, its
    square, and the mean product of the cubes of two of them."""
    m, squares = len(x), list(map(mul, x, x))
    p2, p4 = sum(squares), sum(map(mul, squares, squares))
    if m < 3:
        return [p2, p2 * p2, p4, 0.0, 0.0, 0.0]
    cubes = list(map(mul, squares, x))
    p3, p6 = sum(cubes), sum(map(mul, cubes, cubes))
    third = m * p3 / ((m - 1) * (m - 2))
    return [p2, p2 * p2, p4, third, third * third, (p3 * p3 - p6) / (m * (m - 1))]


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


def _trace(m: int, has: Iterable[tuple[int, int]]) -> float:
    """Return tr(D C D C): C the covariance of a stratum's sums (p2 = m (m - 1)), D of 1 / size."""
    diagonal = outer = both = 0.0
    for n, size in has:
        diagonal += (n * (m - n) / size) ** 2
        outer += n * n / size
        both += (n * n / size) ** 2
    return diagonal + outer * outer - both


def _trace_of_sum(alike: Mapping[_Counts, float], sizes: Mapping[int, int]) -> float:
    """Return tr(D C D C) of the sum of all covariances; equal counts are one stratum."""
    covariance: defaultdict[tuple[int, int], float] = defaultdict(float)
    for counts, own in alike.items():
        m = sum(n for _, n in counts)
        for k, (code, n) in enumerate(counts):
            covariance[code, code] += own * n * (m - n)
            for other, n_other in counts[:k]:
                covariance[other, code] -= own * n * n_other
    return sum(
        (1 if a == b else 2) * value * value / (sizes[a] * sizes[b])
        for (a, b), value in covariance.items()
    )


def _beta_quantile(a: float, b: float) -> float:
    """Find the quantile by Paulson's approximation, then Newton's method in a bracket."""
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
        x -= step
        if abs(step) < 1e-9 * x or high - low < 1e-12:
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
