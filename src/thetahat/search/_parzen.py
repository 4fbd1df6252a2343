"""A tree-structured Parzen estimator: what Optuna's TPESampler computes, without Optuna.

It models all parameters together (``multivariate=True``) and keeps away from trials in flight
(``constant_liar=True``). The same seed gives the same proposals as Optuna's, up to the newest
``NEWEST`` trials; of a longer history only these and the best are seen. So an ask takes some
milliseconds, however long the history.

Every density is a mixture of one kernel for each trial and a wide one. A kernel of a number is a
normal distribution, cut at the bounds; its middle lies between them, so that the distribution
function is exact enough without logarithms. A kernel of a choice has most weight on the trial's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np

from thetahat.search._space import Space

CANDIDATES = 24
BEST = 25
"""Trials that count as good, at most."""
NEWEST = 500
"""Other trials that are seen, at most. More would hardly matter: the oldest weigh least."""
_SHARE = 0.1
_LIKE_NEW = 25
"""Trials that have the full weight; older ones weigh less."""


@dataclass(frozen=True)
class _Axis:
    """A parameter as the estimator sees it."""

    choices: int | None
    ordered: bool

    @property
    def bounds(self) -> tuple[float, float]:
        """The bounds of the kernels: those of an integer end half a step beyond."""
        return (0.0, 1.0) if self.choices is None else (-0.5, self.choices - 0.5)


class ParzenStudy:
    """A history that proposes points.

    Args:    codes: of trials with a value and in flight, as ``trial_arrays`` gives them.
             losses: to be minimised; nan in flight.
    """

    def __init__(self, space: Space, codes: np.ndarray, losses: np.ndarray) -> None:
        self._space = space
        self._varied = [
            i for i, d in enumerate(space.searched) if d.choices is None or d.choices > 1
        ]
        searched = [space.searched[i] for i in self._varied]
        self._axes = [_Axis(d.choices, d.ranked) for d in searched]
        self._codes, self._losses = codes, losses
        self._running: list[list[float]] = []

    @property
    def finished(self) -> int:
        """The number of trials with a value."""
        return int(np.count_nonzero(~np.isnan(self._losses)))

    def ask(self, seed: int) -> list[Any]:
        """Propose values of the searched parameters."""
        code = [0.0] * len(self._space.searched)
        if self._axes:
            good, rest = self._split()
            below, above = _Density(self._axes, good), _Density(self._axes, rest)
            points = below.draw(np.random.RandomState(seed), CANDIDATES)
            best = points[np.argmax(below.log_density(points) - above.log_density(points))]
            for i, value in zip(self._varied, best.tolist(), strict=True):
                code[i] = value
        return [d.decode(c) for d, c in zip(self._space.searched, code, strict=True)]

    def add_running(self, values: Sequence[Any]) -> None:
        """Add a trial in flight."""
        self._running.append(
            [d.encode(v) for d, v in zip(self._space.searched, values, strict=True)]
        )

    def _split(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the codes of the best trials, and of the newest others, each in their order."""
        n = min(math.ceil(_SHARE * self.finished), BEST)
        # A nan comes last, so that no trial in flight is among the best.
        limit = np.partition(self._losses, n - 1)[n - 1]
        close = np.flatnonzero(self._losses <= limit)
        best = np.sort(close[np.argsort(self._losses[close], kind="stable")[:n]])
        newest = np.arange(max(0, len(self._losses) - NEWEST - n), len(self._losses))
        others = self._codes[newest[~np.isin(newest, best)]]
        if self._running:
            others = np.vstack([others, self._running])
        return self._codes[best][:, self._varied], others[-NEWEST:, self._varied]


class _Density:
    """A mixture of a kernel for each trial, shape (n, axes), and a wide one."""

    def __init__(self, axes: Sequence[_Axis], codes: np.ndarray) -> None:
        n = len(codes)
        ramp = np.linspace(1.0 / n, 1.0, num=n - _LIKE_NEW) if n > _LIKE_NEW else np.empty(0)
        weights = np.concatenate([ramp, np.ones(min(n, _LIKE_NEW) + 1)])
        self.weights = weights / weights.sum()
        self.axes = axes
        self.kernels = [
            _shares(codes[:, i], axis.choices or 1)
            if not axis.ordered
            else _normals(codes[:, i], *axis.bounds)
            for i, axis in enumerate(axes)
        ]

    def draw(self, rng: np.random.RandomState, size: int) -> np.ndarray:
        """Draw points, shape (size, axes), with Optuna's random numbers."""
        chosen = rng.choice(len(self.weights), p=self.weights, size=size)
        points = np.empty((size, len(self.axes)))
        numbers = [i for i, axis in enumerate(self.axes) if axis.ordered]
        for i, axis in enumerate(self.axes):
            if not axis.ordered:
                heights = np.cumsum(self.kernels[i][chosen], axis=1)
                heights[:, -1] = 1.0
                points[:, i] = np.sum(heights < rng.rand(size)[:, None], axis=1)
        uniform = rng.uniform(size=(len(numbers), size)) if numbers else np.empty((0, 0))
        for u, i in zip(uniform, numbers, strict=True):
            middle, width = self.kernels[i][:, chosen]
            low, high = self.axes[i].bounds
            least, most = _below((low - middle) / width), _below((high - middle) / width)
            places = (least + u * (most - least)).tolist()
            drawn = middle + width * np.array([_inverse(p) for p in places])
            choices = self.axes[i].choices
            points[:, i] = (
                np.clip(drawn, low, high)
                if choices is None
                else np.clip(np.round(drawn), 0, choices - 1)
            )
        return points

    def log_density(self, points: np.ndarray) -> np.ndarray:
        """Return the logarithm of the density at each point."""
        whole = np.log(self.weights)[None, :]
        with np.errstate(divide="ignore"):  # far from a kernel; the wide one is never far
            for x, axis, kernel in zip(points.T, self.axes, self.kernels, strict=True):
                if not axis.ordered:
                    whole = whole + np.log(kernel[:, x.astype(int)]).T
                else:
                    whole = whole + _log_normal(x, axis, kernel)
        top = whole.max(axis=1, keepdims=True)
        return np.log(np.exp(whole - top).sum(axis=1)) + top[:, 0]


def _shares(codes: np.ndarray, choices: int) -> np.ndarray:
    """Return the kernels of a choice, shape (n + 1, choices)."""
    n = len(codes) + 1
    if n == 1:
        return np.full((1, choices), 1.0 / choices)
    shares = np.full((n, choices), 1.0 / n)
    shares[np.arange(n - 1), codes.astype(int)] += 1.0
    return shares / shares.sum(axis=1, keepdims=True)


def _normals(codes: np.ndarray, low: float, high: float) -> np.ndarray:
    """Return middle and width of the kernels of a number, shape (2, n + 1).

    A width is the distance to the farther neighbour.
    """
    n, whole = len(codes), high - low
    order = np.argsort(codes)
    gaps = np.diff(np.concatenate([[low], codes[order], [high]]))
    if n > 1:  # the bounds are no neighbours
        gaps[0], gaps[-1] = gaps[1], gaps[-2]
    widths = np.empty(n)
    widths[order] = np.maximum(gaps[:-1], gaps[1:])
    widths = np.clip(widths, whole / min(100.0, n + 2.0), whole)
    return np.array([np.append(codes, 0.5 * (low + high)), np.append(widths, whole)])


def _log_normal(x: np.ndarray, axis: _Axis, kernel: np.ndarray) -> np.ndarray:
    """Return the logarithms of the kernels of a number at points, shape (points, n + 1)."""
    low, high = axis.bounds
    if axis.choices is None:
        middle, width = kernel
        z = (x[:, None] - middle) / width
        inside = _below((high - middle) / width) - _below((low - middle) / width)
        return -0.5 * z * z - np.log(math.sqrt(2 * math.pi) * width * inside)
    # Integers have few kernels and few points that differ.
    pairs, places = np.unique(kernel[0] + 1j * kernel[1], return_inverse=True)
    middle, width = np.real(pairs), np.imag(pairs)
    inside = _below((high - middle) / width) - _below((low - middle) / width)
    values, rows = np.unique(x, return_inverse=True)
    edges = np.union1d(values - 0.5, values + 0.5)
    under = _below((edges[:, None] - middle) / width)
    left, right = np.searchsorted(edges, values - 0.5), np.searchsorted(edges, values + 0.5)
    return np.log((under[right] - under[left]) / inside)[np.ix_(rows, places)]


def _below(z: np.ndarray) -> np.ndarray:
    """Return the standard normal distribution function."""
    flat = (z * math.sqrt(0.5)).ravel().tolist()
    return (0.5 + 0.5 * np.array(list(map(math.erf, flat)))).reshape(z.shape)


def _inverse(p: float) -> float:
    return _STANDARD.inv_cdf(min(max(p, 1e-300), 1.0 - 1e-16))


_STANDARD = NormalDist()
