"""What all permutations of some numbers would explain, in closed form: none is drawn.

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
from operator import mul

_Counts = tuple[tuple[int, int], ...]
"""Bins, and how many numbers of a stratum are in each."""

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
        """What is exceeded in one case of twenty."""
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
    """The law of what bins explain.

    Args:    codes: the bin of each number.   sizes: the numbers in each bin.
             strata: the stratum of each number; None for one.
    """
    parts = [(codes, x)] if strata is None else _parts(codes, x, strata)
    mean = variance = most = 0.0
    alike: defaultdict[_Counts, float] = defaultdict(float)
    thirds, pairs = dict.fromkeys(sizes, 0.0), dict.fromkeys(sizes, 0.0)
    for inside, numbers in parts:
        squares = list(map(mul, numbers, numbers))
        p2, m = sum(squares), len(squares)
        if m < 2 or p2 <= 0:
            continue
        counts = sizes if strata is None else Counter(inside)
        has = [(n, sizes[code]) for code, n in counts.items()]
        own = p2 / (m * (m - 1))
        here = own * sum(n * (m - n) / size for n, size in has)
        mean, most = mean + here, most + p2
        variance += _second(p2, sum(map(mul, squares, squares)), m, has) - here**2
        third, both = _thirds(numbers, squares)
        for code, n in counts.items():
            thirds[code] += third * n
            pairs[code] += n * ((n - 1) * both - n * third**2)
        if strata is not None:
            alike[tuple(sorted(counts.items()))] += own
            variance -= 2 * own**2 * _trace(m, has)
    cubes = sum((thirds[code] ** 2 + pairs[code]) / size**3 for code, size in sizes.items())
    variance += 2 * _trace_of_sum(alike, sizes)
    return Law(mean, variance, most, 4 * _centred(sizes) * cubes)


def _parts(
    codes: Sequence[int], x: Sequence[float], strata: Sequence[int]
) -> Collection[tuple[list[int], list[float]]]:
    """Bins and numbers of each stratum."""
    found: dict[int, tuple[list[int], list[float]]] = {}
    for stratum, code, number in zip(strata, codes, x, strict=True):
        part = found.get(stratum)
        if part is None:
            part = found[stratum] = [], []
        part[0].append(code)
        part[1].append(number)
    return found.values()


def _thirds(numbers: Sequence[float], squares: Sequence[float]) -> tuple[float, float]:
    """The third cumulant of a stratum's numbers; the mean product of cubes of two of them."""
    m = len(numbers)
    if m < 3:
        return 0.0, 0.0
    cubes = list(map(mul, squares, numbers))
    p3, p6 = sum(cubes), sum(map(mul, cubes, cubes))
    return m * p3 / ((m - 1) * (m - 2)), (p3 * p3 - p6) / (m * (m - 1))


def _centred(sizes: Mapping[int, int]) -> float:
    """How much of the sum of 1 / size^3 over pairs in a bin is left once 1 / n is taken off."""
    n = sum(sizes.values())
    shares = [size / n for size in sizes.values()]
    whole = sum(1 / share for share in shares)
    left = sum((1 - share) ** 3 / share + share**2 for share in shares) - 1
    return max(0.0, left / whole)


def _second(p2: float, p4: float, m: int, has: Iterable[tuple[int, int]]) -> float:
    """The mean of the square of what a stratum's own sums explain.

    Args:    p2, p4: sums of powers of its m numbers.
             has: how many of them are in a bin, and the size of that bin over all strata.
    """
    pairs = m * (m - 1)
    e22, e31 = (p2 * p2 - p4) / pairs, -p4 / pairs
    e211 = (2 * p4 - p2 * p2) / (pairs * (m - 2)) if m > 2 else 0.0
    e1111 = (3 * p2 * p2 - 6 * p4) / (pairs * (m - 2) * (m - 3)) if m > 3 else 0.0
    own = u = w = uu = uw = ww = 0.0
    for n, size in has:
        twos = n * (n - 1)
        fourth = n * p4 / m + twos * (3 * e22 + 4 * e31)
        own += (fourth + twos * (n - 2) * (6 * e211 + (n - 3) * e1111)) / size**2
        one, two = n / size, twos / size
        u, w, uu, uw, ww = u + one, w + two, uu + one * one, uw + one * two, ww + two * two
    return own + e22 * (u * u - uu) + 2 * e211 * (u * w - uw) + e1111 * (w * w - ww)


def _trace(m: int, has: Iterable[tuple[int, int]]) -> float:
    """tr(D C D C): C the covariance of a stratum's sums (p2 / m / (m - 1) = 1), D of 1 / size."""
    diagonal = outer = both = 0.0
    for n, size in has:
        diagonal += (n * (m - n) / size) ** 2
        outer += n * n / size
        both += (n * n / size) ** 2
    return diagonal + outer * outer - both


def _trace_of_sum(alike: Mapping[_Counts, float], sizes: Mapping[int, int]) -> float:
    """tr(D C D C) of the sum of all strata's covariances; strata with the same counts are one."""
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
    """The quantile at the level: Paulson's approximation, then Newton's method in a bracket."""
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
    """The share of a beta law below x: its continued fraction, by Lentz's method.

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
