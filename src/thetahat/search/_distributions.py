"""The distributions of a sweep file, each with its quantiles, its CDF and, where finite, its grid.

Quantiles and CDFs are plain Python on one number at a time, so that a search loads no library. The
names, bounds and roundings are those of W&B's sweep files.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from statistics import NormalDist
from typing import Any, Protocol, overload

from thetahat.core.errors import ConfigError

_OFF_STEP = 1e-6
"""The largest distance, in steps, from a multiple of q: writing a value loses some digits."""


class Distribution(Protocol):
    """One parameter's values and their probabilities."""

    @property
    def kind(self) -> str:
        """The distribution's name in a sweep file."""
        """Its name in a sweep file."""
        ...

    @property
    def discrete(self) -> bool:
        """Whether two draws can be equal."""
        ...

    @property
    def support(self) -> tuple[float, float] | None:
        """The least and the greatest value; None where values have no order."""
        ...

    def ppf(self, u: float) -> Any:
        """Return the value at probability ``u``, in [0, 1]."""
        ...

    def cdf(self, x: Any) -> float:
        """Return the probability of values up to ``x``; of ``values``, up to its place."""
        ...

    def grid(self) -> Sequence[Any]:
        """List every value in the order of a grid.

        Raises:  ConfigError: the values are endless, or have probabilities.
        """
        ...


def no_grid(kind: str) -> str:
    """Say why a grid cannot have a distribution."""
    if kind == "categorical_w_probabilities":
        return "a grid runs every value once, so probabilities mean nothing; remove them"
    return (
        f"a grid cannot run all values of {kind}; give values: [...], whole numbers as min and"
        " max, or distribution: q_uniform with a step q; or write method: random"
    )


class _Continuous:
    """What distributions of any real number share."""

    kind: str
    discrete = False

    def grid(self) -> Sequence[Any]:
        """Raise ConfigError: the values are endless."""
        raise ConfigError(no_grid(self.kind))


@dataclass(frozen=True)
class Constant:
    """``value``: the same in every config; no part of the search."""

    value: Any
    kind = "constant"
    discrete = True
    support = None

    def ppf(self, u: float) -> Any:
        """Return the value at probability u, in [0, 1]."""
        return self.value

    def cdf(self, x: Any) -> float:
        """Return the probability of x and of the values before it; 0 for a constant."""
        return 0.0

    def grid(self) -> Sequence[Any]:
        """Return the different values, in order."""
        return (self.value,)


@dataclass(frozen=True)
class Categorical:
    """``values``, equally likely or with ``probabilities``; any may be a list or a mapping."""

    values: tuple[Any, ...]
    probabilities: tuple[float, ...] | None = None
    discrete = True
    support = None

    @property
    def kind(self) -> str:
        """The distribution's name in a sweep file."""
        return "categorical" if self.probabilities is None else "categorical_w_probabilities"

    @cached_property
    def places(self) -> dict[Hashable, int]:
        """The place of each different value."""
        return {same(v): i for i, v in enumerate(self.distinct)}

    @cached_property
    def distinct(self) -> tuple[Any, ...]:
        """The different values; 3 and 3.0 are one, of which the later stays."""
        return tuple({same(v): v for v in self.values}.values())

    @cached_property
    def likely(self) -> tuple[Any, ...]:
        """The different values with a probability above 0."""
        if self.probabilities is None:
            return self.distinct
        drawn = {same(v) for v, p in zip(self.values, self.probabilities, strict=True) if p > 0}
        return tuple(v for v in self.distinct if same(v) in drawn)

    @cached_property
    def _steps(self) -> tuple[float, ...]:
        return tuple(accumulate(self.probabilities or (), initial=0.0))[1:]

    def ppf(self, u: float) -> Any:
        """Return the value at probability u, in [0, 1]."""
        if self.probabilities is None:
            return self.values[_place(u, len(self.values))]
        for value, step in zip(self.values, self._steps, strict=True):
            if u < step:
                return value
        return [v for v, p in zip(self.values, self.probabilities, strict=True) if p > 0][-1]

    def cdf(self, x: Any) -> float:
        """Return the probability of x and of the values before it; 0 for a constant."""
        place = next(i for i, v in enumerate(self.values) if same(v) == same(x))
        return (place + 1) / len(self.values) if self.probabilities is None else self._steps[place]

    def grid(self) -> Sequence[Any]:
        """Return the different values, in order."""
        if self.probabilities is not None:
            raise ConfigError(no_grid(self.kind))
        return self.distinct


@dataclass(frozen=True)
class IntUniform:
    """The integers from ``min`` to ``max``, both included."""

    min: int
    max: int
    kind = "int_uniform"
    discrete = True

    @property
    def support(self) -> tuple[float, float]:
        return (self.min, self.max)

    def ppf(self, u: float) -> int:
        return self.min + _place(u, self.max - self.min + 1)

    def cdf(self, x: float) -> float:
        n = self.max - self.min + 1
        return min(max((math.floor(x) - self.min + 1) / n, 0.0), 1.0)

    def grid(self) -> Sequence[Any]:
        return range(self.min, self.max + 1)


@dataclass(frozen=True)
class Uniform(_Continuous):
    """Any number from ``min`` to ``max``."""

    min: float
    max: float
    kind = "uniform"

    @property
    def support(self) -> tuple[float, float]:
        return (self.min, self.max)

    def ppf(self, u: float) -> float:
        return min(max(u * (self.max - self.min) + self.min, self.min), self.max)

    def cdf(self, x: float) -> float:
        return min(max((x - self.min) / (self.max - self.min), 0.0), 1.0)


@dataclass(frozen=True)
class LogUniform(_Continuous):
    """e to a uniform power from ``low`` to ``high``, kept inside ``support``."""

    low: float
    high: float
    support: tuple[float, float]
    kind: str = "log_uniform_values"

    def ppf(self, u: float) -> float:
        return _within(math.exp(u * (self.high - self.low) + self.low), u, self.support)

    def cdf(self, x: float) -> float:
        return Uniform(self.low, self.high).cdf(math.log(x)) if x > 0 else 0.0


@dataclass(frozen=True)
class InvLogUniform(_Continuous):
    """One over e to a uniform power from ``low`` to ``high``, kept inside ``support``."""

    low: float
    high: float
    support: tuple[float, float]
    kind: str = "inv_log_uniform_values"

    def ppf(self, u: float) -> float:
        return _within(math.exp(-((1 - u) * (self.high - self.low) + self.low)), u, self.support)

    def cdf(self, x: float) -> float:
        return 1 - Uniform(self.low, self.high).cdf(-math.log(x)) if x > 0 else 0.0


@dataclass(frozen=True)
class Normal(_Continuous):
    """Normal, with mean ``mu`` and standard deviation ``sigma``."""

    mu: float = 0.0
    sigma: float = 1.0
    kind = "normal"
    support = (-math.inf, math.inf)

    def ppf(self, u: float) -> float:
        if u <= 0 or u >= 1:
            return -math.inf if u <= 0 else math.inf
        return NormalDist(self.mu, self.sigma).inv_cdf(u)

    def cdf(self, x: float) -> float:
        # erfc keeps its digits in the lower tail, where 1 + erf loses them all.
        return 0.5 * math.erfc((self.mu - x) / (self.sigma * math.sqrt(2)))


@dataclass(frozen=True)
class LogNormal(_Continuous):
    """e to a normal power, of mean ``mu`` and standard deviation ``sigma``."""

    mu: float = 0.0
    sigma: float = 1.0
    kind = "log_normal"
    support = (0.0, math.inf)

    def ppf(self, u: float) -> float:
        return math.exp(Normal(self.mu, self.sigma).ppf(u))

    def cdf(self, x: float) -> float:
        return Normal(self.mu, self.sigma).cdf(math.log(x)) if x > 0 else 0.0


@dataclass(frozen=True)
class Beta(_Continuous):
    """The beta distribution on [0, 1]."""

    a: float = 1.0
    b: float = 1.0
    kind = "beta"
    support = (0.0, 1.0)

    def ppf(self, u: float) -> float:
        from scipy.special import betaincinv

        return float(betaincinv(self.a, self.b, u))

    def cdf(self, x: float) -> float:
        from scipy.special import betainc

        return float(betainc(self.a, self.b, min(max(x, 0.0), 1.0)))


@dataclass(frozen=True)
class Quantised:
    """``round(r / q) * q`` of another distribution's values r, which may exceed their bounds.

    An integer ``q`` gives integers, any other gives floats.
    """

    of: Uniform | LogUniform | Normal | LogNormal | Beta
    q: float = 1.0
    discrete = True

    @property
    def kind(self) -> str:
        return f"q_{self.of.kind}"

    @property
    def support(self) -> tuple[float, float]:
        low, high = self.of.support
        return (self._rounded(low), self._rounded(high))

    def ppf(self, u: float) -> float:
        return self._rounded(self.of.ppf(u))

    def _rounded(self, value: float) -> float:
        steps = value / self.q
        if not math.isfinite(steps):
            return steps
        return round(steps) * self.q if isinstance(self.q, int) else float(round(steps)) * self.q

    def cdf(self, x: float) -> float:
        return self.of.cdf(x)

    def grid(self) -> Sequence[Any]:
        if not isinstance(self.of, Uniform):
            raise ConfigError(no_grid(self.kind))
        return Steps(self.of.min, self.of.max, self.q)


@dataclass(frozen=True)
class Steps(Sequence[Any]):
    """From ``start`` in steps of ``step``, ``stop`` excluded, as ``numpy.arange`` counts them."""

    start: float
    stop: float
    step: float

    def count_steps(self) -> int:
        """Count the values; ``len`` fails for very many."""
        return math.ceil((self.stop - self.start) / self.step)

    def __len__(self) -> int:
        return self.count_steps()

    @overload
    def __getitem__(self, i: int) -> float: ...
    @overload
    def __getitem__(self, i: slice) -> Sequence[float]: ...
    def __getitem__(self, i: int | slice) -> float | Sequence[float]:
        if isinstance(i, slice):
            return [self[k] for k in range(*i.indices(len(self)))]
        n = self.count_steps()
        i = i + n if i < 0 else i
        if not 0 <= i < n:
            raise IndexError(i)
        # arange adds the rounded first step again and again, not the step itself.
        second = self.start + self.step
        value = second if i == 1 else self.start + i * (second - self.start)
        exact = all(isinstance(v, int) for v in (self.start, self.stop, self.step))
        return value if exact else float(value)


def holds(distribution: Distribution, value: Any) -> bool:
    """Check whether the distribution can give a value.

    >>> holds(IntUniform(1, 3), 2.0), holds(IntUniform(1, 3), 2.5), holds(Constant("a"), "b")
    (True, False, False)
    """
    if isinstance(distribution, Constant):
        return same(value) == same(distribution.value)
    if isinstance(distribution, Categorical):
        return same(value) in distribution.places
    assert distribution.support is not None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return False
    low, high = distribution.support
    if isinstance(distribution, IntUniform) and value != int(value):
        return False
    if isinstance(distribution, Quantised):
        steps = value / distribution.q
        if abs(steps - round(steps)) > _OFF_STEP:
            return False
    return low <= value <= high


def same(value: Any) -> Hashable:
    """Return a key that equal values share: 3 and 3.0, but not 1 and True.

    >>> same(3) == same(3.0), same(1) == same(True), same("1") == same(1)
    (True, False, False)
    """
    kind = type(value)
    if kind is int or kind is str:
        return value
    if kind is float:
        return value if value == value else ("float", "nan")
    return _frozen(value)


def _frozen(value: Any) -> Hashable:
    if isinstance(value, dict):
        pairs = [(str(k), type(k).__name__, _frozen(v)) for k, v in value.items()]
        return ("dict", tuple(sorted(pairs, key=lambda p: p[:2])))
    if isinstance(value, (list, tuple)):
        return ("list", tuple(_frozen(v) for v in value))
    return (type(value).__name__, repr(value))


def _within(x: float, u: float, ends: tuple[float, float]) -> float:
    """Return ``x``, kept inside the ends: exp(log(x)) differs in its last digit."""
    if u <= 0 or u >= 1:
        return ends[u >= 1]
    return min(max(x, ends[0]), ends[1])


def _place(u: float, n: int) -> int:
    """Return the place, from 0, of the probability ``u`` among ``n`` equally likely places.

    A probability on the border k / n belongs to place k - 1, as in a quantile function; comparing
    with the CDF itself keeps rounding from moving it one place.
    """
    place = min(max(math.ceil(u * n) - 1, 0), n - 1)
    return place - 1 if place > 0 and place / n >= u else place
