"""Additive fits of scores on some parameters, and the residuals.

Each parameter adds a number for each of its values, or a piecewise linear function of its rank. In
each row only one or two of its functions differ from 0, so that the normal equations are sums over
cells; they are computed by pairs of parameters and cached for the next fit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from operator import mul, sub
from typing import Protocol

_SEGMENTS = 8
_ALIKE = 1e-9
"""A function of which so small a share is left beside others is one of them."""


class Factor(Protocol):
    """A parameter over settings: its bins, and its ranks where bins hold several numbers."""

    @property
    def codes(self) -> Sequence[int]: ...
    @property
    def bins(self) -> int: ...
    @property
    def places(self) -> Sequence[float] | None: ...


class Additive:
    """Fits of the same scores, of mean 0, on some of the same parameters."""

    def __init__(self, factors: Sequence[Factor], scores: Sequence[float]) -> None:
        self._factors, self._scores = factors, scores
        self._bases: dict[int, _Basis] = {}
        self._products: dict[tuple[int, int], list[list[float]]] = {}

    def left(self, chosen: Sequence[int]) -> list[float]:
        """Return the scores less their fit on the parameters ``chosen``; the mean is 0."""
        if not chosen:
            return list(self._scores)
        bases = [self._basis(k) for k in chosen]
        matrix, right = [[float(len(self._scores))]], [0.0]
        for i, basis in enumerate(bases):
            blocks = [self._product(k, chosen[i]) for k in chosen[: i + 1]]
            for row in range(basis.width):
                before = [value for block in blocks for value in block[row]]
                matrix.append([basis.sums[row], *before][: len(matrix) + 1])
            right += basis.with_scores
        weights = _solve(matrix, right)
        left, at = self._scores, 1
        for basis in bases:
            left = list(map(sub, left, basis.times(weights[at : at + basis.width])))
            at += basis.width
        mean = math.fsum(left) / len(left)
        return [value - mean for value in left]

    def _basis(self, k: int) -> _Basis:
        if k not in self._bases:
            self._bases[k] = _Basis(self._factors[k], self._scores)
        return self._bases[k]

    def _product(self, j: int, k: int) -> list[list[float]]:
        """Sum products over rows: columns of j, rows of k."""
        if (j, k) not in self._products:
            self._products[j, k] = self._basis(k).products(self._basis(j))
        return self._products[j, k]


class _Basis:
    """Functions of one parameter. In row i it is ``1 - second[i]`` at ``first[i]``, and
    ``second[i]`` at the place after it; what is at place 0 is left out, for all places sum to 1."""

    def __init__(self, factor: Factor, scores: Sequence[float]) -> None:
        n = len(scores)
        if factor.places is None:
            self.width = factor.bins - 1
            self.first, self.second = factor.codes, None
        else:
            segments = min(_SEGMENTS, max(2, n // 10))
            self.width = segments + 1
            at = [segments * place for place in factor.places]
            # Those that lack it (NaN) have a place of their own, the last one.
            self.first = [int(x) if x == x else segments + 1 for x in at]
            parts = map(sub, at, self.first)
            self.second = [part if part == part else 0.0 for part in parts]
        self.sums = self._summed([1.0] * n)
        self.with_scores = self._summed(scores)

    def _summed(self, values: Sequence[float]) -> list[float]:
        sums = [0.0] * (self.width + 2)
        if self.second is None:
            for k, value in zip(self.first, values, strict=True):
                sums[k] += value
        else:
            for k, share, value in zip(self.first, self.second, values, strict=True):
                part = share * value
                sums[k] += value - part
                sums[k + 1] += part
        return sums[1 : self.width + 1]

    def products(self, other: _Basis) -> list[list[float]]:
        """Sum products over rows: its functions (rows) times those of another (columns)."""
        across = other.width + 2
        cells = [0.0] * ((self.width + 2) * across)
        starts = [k * across + j for k, j in zip(self.first, other.first, strict=True)]
        none = [0.0] * len(starts)
        ours, theirs = self.second or none, other.second or none
        for at, a, b in zip(starts, ours, theirs, strict=True):
            both = a * b
            cells[at] += 1 - a - b + both
            cells[at + 1] += b - both
            cells[at + across] += a - both
            cells[at + across + 1] += both
        return [
            cells[k * across + 1 : k * across + 1 + other.width] for k in range(1, self.width + 1)
        ]

    def times(self, weights: Sequence[float]) -> list[float]:
        """Return its part of a fit in each row."""
        padded = [0.0, *weights, 0.0, 0.0]
        if self.second is None:
            return [padded[k] for k in self.first]
        steps = [b - a for a, b in zip(padded, [*padded[1:], 0.0], strict=True)]
        return [
            padded[k] + share * steps[k] for k, share in zip(self.first, self.second, strict=True)
        ]


def _solve(lower: list[list[float]], right: Sequence[float]) -> list[float]:
    """Solve by Cholesky's method from the lower half; 0 for columns that depend on earlier ones."""
    size = len(right)
    root: list[list[float]] = []
    middle: list[float] = []
    for i in range(size):
        row: list[float] = []
        for j in range(i):
            pivot = root[j][j]
            value = lower[i][j] - sum(map(mul, row, root[j][:j]))
            row.append(value / pivot if pivot else 0.0)
        diagonal = lower[i][i] - sum(value * value for value in row)
        row.append(math.sqrt(diagonal) if diagonal > _ALIKE * max(lower[i][i], 1e-300) else 0.0)
        root.append(row)
        value = right[i] - sum(map(mul, row, middle))
        middle.append(value / row[i] if row[i] else 0.0)
    found = [0.0] * size
    for i in reversed(range(size)):
        value = middle[i] - sum(root[k][i] * found[k] for k in range(i + 1, size))
        found[i] = value / root[i][i] if root[i][i] else 0.0
    return found
