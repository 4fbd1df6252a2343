"""A space as an optimiser sees it: numbers in [0, 1] through their CDF, integers, and choices."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

from thetahat.search._distributions import Categorical, Distribution, IntUniform, holds, same
from thetahat.search._space import Space

_INSIDE = 2.0**-53
"""The least probability that is used: at 0 and 1 themselves a normal is infinite."""

_TAIL = 1 / 2000
"""The least one an optimiser proposes of a distribution without bounds: 3.3 standard deviations.

Optimisers like to try the ends of [0, 1], and the ends of a normal are no values to try.
"""


@dataclass(frozen=True)
class Axis:
    """One searched parameter. ``choices`` is how many values it has, None for any number.

    Choices of a ``ranked`` axis are integers in their order, those of another have none.
    """

    distribution: Distribution
    choices: int | None
    ranked: bool

    def encode(self, value: Any) -> float:
        """The choice's place, from 0; or the value's probability."""
        if isinstance(self.distribution, Categorical):
            return self.distribution.places[same(value)]
        if isinstance(self.distribution, IntUniform):
            return int(value) - self.distribution.min
        return min(max(self.distribution.cdf(value), 0.0), 1.0)

    def decode(self, code: float) -> Any:
        """The value with this code."""
        if isinstance(self.distribution, Categorical):
            return self.distribution.distinct[int(code)]
        if isinstance(self.distribution, IntUniform):
            return self.distribution.min + int(code)
        return self.proposed(code)

    def proposed(self, u: float) -> Any:
        """The value at a probability, which may be 0 or 1, kept out of endless tails."""
        endless = math.inf in map(abs, self.distribution.support or ())
        edge = _TAIL if endless else _INSIDE
        return self.distribution.ppf(min(max(u, edge), 1 - edge))

    def at(self, u: float) -> Any:
        """The value at a probability, which may be 0 or 1."""
        return self.distribution.ppf(min(max(u, _INSIDE), 1 - _INSIDE))

    def probability(self, code: float) -> float:
        """A code's place in [0, 1]: for a choice the middle of its share."""
        return code if self.choices is None else (code + 0.5) / self.choices


@dataclass(frozen=True)
class Coding:
    """The axes of a space's searched parameters, in their order."""

    axes: tuple[Axis, ...]

    def encode(self, space: Space, config: Mapping[str, Any]) -> list[float] | None:
        """A config's codes; None where it lies outside the space, which teaches nothing of it."""
        try:
            values = space.values(config)
        except KeyError:
            return None
        inside = all(holds(a.distribution, v) for a, v in zip(self.axes, values, strict=True))
        if not inside:
            return None
        return [a.encode(v) for a, v in zip(self.axes, values, strict=True)]

    def decode(self, codes: Sequence[float]) -> list[Any]:
        """The values of the searched parameters."""
        return [a.decode(c) for a, c in zip(self.axes, codes, strict=True)]


_CACHE: WeakKeyDictionary[Space, Coding] = WeakKeyDictionary()


def coding(space: Space) -> Coding:
    """A space's coding; the same object for the same space."""
    if space not in _CACHE:
        _CACHE[space] = Coding(tuple(_axis(d.distribution) for d in space.searched))
    return _CACHE[space]


def _axis(distribution: Distribution) -> Axis:
    if isinstance(distribution, Categorical):
        return Axis(distribution, len(distribution.distinct), ranked=False)
    if isinstance(distribution, IntUniform):
        return Axis(distribution, distribution.max - distribution.min + 1, ranked=True)
    return Axis(distribution, None, ranked=True)
