"""A space coded for optimisers: numbers in [0, 1] through their CDF, integers, and choices."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

from thetahat.search._distributions import Categorical, Distribution, IntUniform, holds, same
from thetahat.search._space import Space

_INSIDE = 2.0**-53
"""The least probability in use: at 0 and 1 a normal is infinite."""

_TAIL = 1 / 2000
"""The least probability that an optimiser proposes where bounds lack: 3.3 standard deviations.

Optimisers often try the ends of [0, 1], and the ends of a normal are too far out.
"""


@dataclass(frozen=True)
class Axis:
    """One searched parameter. ``choices`` is the number of its values, None for any number.

    The values of a ``ranked`` axis have an order.
    """

    distribution: Distribution
    choices: int | None
    ranked: bool

    def encode(self, value: Any) -> float:
        """Return the choice's place, from 0; or the value's probability."""
        if isinstance(self.distribution, Categorical):
            return self.distribution.places[same(value)]
        if isinstance(self.distribution, IntUniform):
            return int(value) - self.distribution.min
        return min(max(self.distribution.cdf(value), 0.0), 1.0)

    def decode(self, code: float) -> Any:
        """Return the value with this code."""
        if isinstance(self.distribution, Categorical):
            return self.distribution.distinct[int(code)]
        if isinstance(self.distribution, IntUniform):
            return self.distribution.min + int(code)
        return self.proposed(code)

    def proposed(self, u: float) -> Any:
        """Return the value at a probability, 0 and 1 included, outside endless tails."""
        endless = math.inf in map(abs, self.distribution.support or ())
        edge = _TAIL if endless else _INSIDE
        return self.distribution.ppf(min(max(u, edge), 1 - edge))

    def at(self, u: float) -> Any:
        """Return the value at a probability, 0 and 1 included."""
        return self.distribution.ppf(min(max(u, _INSIDE), 1 - _INSIDE))

    def probability(self, code: float) -> float:
        """Return a code's place in [0, 1]: for a choice the middle of its share."""
        return code if self.choices is None else (code + 0.5) / self.choices


@dataclass(frozen=True)
class Coding:
    """The axes of a space's searched parameters, in their order."""

    axes: tuple[Axis, ...]

    def encode(self, space: Space, config: Mapping[str, Any]) -> list[float] | None:
        """Return a config's codes; None where it lies outside the space."""
        try:
            values = space.values(config)
        except KeyError:
            return None
        if not all(holds(a.distribution, v) for a, v in zip(self.axes, values, strict=True)):
            return None
        return [a.encode(v) for a, v in zip(self.axes, values, strict=True)]

    def decode(self, codes: Sequence[float]) -> list[Any]:
        """Return the values of the searched parameters."""
        return [a.decode(c) for a, c in zip(self.axes, codes, strict=True)]


_CACHE: WeakKeyDictionary[Space, Coding] = WeakKeyDictionary()


def coding(space: Space) -> Coding:
    """Return a space's coding; the same object for the same space."""
    if space not in _CACHE:
        _CACHE[space] = Coding(tuple(_axis(d.distribution) for d in space.searched))
    return _CACHE[space]


def _axis(distribution: Distribution) -> Axis:
    if isinstance(distribution, Categorical):
        return Axis(distribution, len(distribution.distinct), ranked=False)
    if isinstance(distribution, IntUniform):
        return Axis(distribution, distribution.max - distribution.min + 1, ranked=True)
    return Axis(distribution, None, ranked=True)
