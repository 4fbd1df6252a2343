"""The distributions of a sweep file, each with its quantiles, its CDF and, where finite, its grid.

Quantiles and CDFs are plain Python on one number at a time: that is all a search needs, and no
library has to be loaded for it. The names, bounds and roundings are those of W&B's sweep files.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import NormalDist
from typing import Any, Protocol, overload

from thetahat.core.errors import ConfigError

_OFF_STEP = 1e-6
"""How far, in steps, a value may be from a multiple of q: some digits are lost in writing it."""


class Distribution(Protocol):
    """One parameter's values and their probabilities."""

    @property
    def kind(self) -> str:
        """Its name in a sweep file."""
        ...

    @property
    def discrete(self) -> bool:
        """Whether two draws can be equal."""
        ...

    def ppf(self, u: float) -> Any:
        """The value at probability ``u``, in [0, 1]."""
        ...

    def cdf(self, x: Any) -> float:
        """The probability of values up to ``x``; of ``values``, up to its place in the list."""
        ...

    @property
    def support(self) -> tuple[float, float] | None:
        """The least and the greatest value; None where values have no order."""
        ...

    def grid(self) -> Sequence[Any]:
        """Every value in the order of a grid.

        Raises:  ConfigError: there are endlessly many, or they have probabilities.
        """
        ...


def _no_grid(kind: str) -> ConfigError:
    return ConfigError(
        f"a grid needs a finite list of values, and {kind} has none; give values: [...], two"
        " integers as min and max, or q_uniform, or use method: random"
    )


@dataclass(frozen=True)
class Constant:
    """``value``: the same in every config; no part of the search."""

    value: Any
    kind = "constant"
    discrete = True
    support = None

    def ppf(self, u: float) -> Any:
        """The value at a share u of the probability, in [0, 1)."""
        return self.value

    def cdf(self, x: Any) -> float:
        """The share of the probability up to a value."""
        return 0.0

    def grid(self) -> Sequence[Any]:
        """The values of a grid, in their order."""
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
        """Its name in a sweep file."""
        return "categorical" if self.probabilities is None else "categorical_w_probabilities"

    @cached_property
    def places(self) -> dict[Hashable, int]:
        """Where each different value stands."""
        return {same(v): i for i, v in enumerate(self.distinct)}

    @cached_property
    def distinct(self) -> tuple[Any, ...]:
        """The different values; 3 and 3.0 are one, and the later of them is the one that stays."""
        return tuple({same(v): v for v in self.values}.values())

    @cached_property
    def _steps(self) -> tuple[float, ...]:
        total, steps = 0.0, []
        for p in self.probabilities or ():
            total += p
            steps.append(total)
        return tuple(steps)

    def ppf(self, u: float) -> Any:
        """The value at a share u of the probability, in [0, 1)."""
        if self.probabilities is None:
            return self.values[_place(u, len(self.values))]
        for value, step in zip(self.values, self._steps, strict=True):
            if u < step:
                return value
        return [v for v, p in zip(self.values, self.probabilities, strict=True) if p > 0][-1]

    def cdf(self, x: Any) -> float:
        """The share of the probability up to a value."""
        place = next(i for i, v in enumerate(self.values) if same(v) == same(x))
        return (place + 1) / len(self.values) if self.probabilities is None else self._steps[place]

    def grid(self) -> Sequence[Any]:
        """The values of a grid, in their order."""
        if self.probabilities is not None:
            raise ConfigError(
                "a grid runs every value once, so probabilities mean nothing in it; leave them"
                " out, or use method: random"
            )
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
class Uniform:
    """Any number from ``min`` to ``max``."""

    min: float
    max: float
    kind = "uniform"
    discrete = False

    @property
    def support(self) -> tuple[float, float]:
        return (self.min, self.max)

    def ppf(self, u: float) -> float:
        return min(max(u * (self.max - self.min) + self.min, self.min), self.max)

    def cdf(self, x: float) -> float:
        return min(max((x - self.min) / (self.max - self.min), 0.0), 1.0)

    def grid(self) -> Sequence[Any]:
        raise _no_grid(self.kind)


@dataclass(frozen=True)
class LogUniform:
    """e to a uniform power from ``low`` to ``high``, kept inside ``support``."""

    low: float
    high: float
    support: tuple[float, float]
    kind: str = "log_uniform_values"
    discrete = False

    def ppf(self, u: float) -> float:
        return _within(math.exp(u * (self.high - self.low) + self.low), u, self.support)

    def cdf(self, x: float) -> float:
        return Uniform(self.low, self.high).cdf(math.log(x)) if x > 0 else 0.0

    def grid(self) -> Sequence[Any]:
        raise _no_grid(self.kind)


@dataclass(frozen=True)
class InvLogUniform:
    """One over e to a uniform power from ``low`` to ``high``, kept inside ``support``."""

    low: float
    high: float
    support: tuple[float, float]
    kind: str = "inv_log_uniform_values"
    discrete = False

    def ppf(self, u: float) -> float:
        return _within(math.exp(-((1 - u) * (self.high - self.low) + self.low)), u, self.support)

    def cdf(self, x: float) -> float:
        return 1 - Uniform(self.low, self.high).cdf(-math.log(x)) if x > 0 else 0.0

    def grid(self) -> Sequence[Any]:
        raise _no_grid(self.kind)


@dataclass(frozen=True)
class Normal:
    """Normal, with mean ``mu`` and standard deviation ``sigma``."""

    mu: float = 0.0
    sigma: float = 1.0
    kind = "normal"
    discrete = False
    support = (-math.inf, math.inf)

    def ppf(self, u: float) -> float:
        if u <= 0 or u >= 1:
            return -math.inf if u <= 0 else math.inf
        return NormalDist(self.mu, self.sigma).inv_cdf(u)

    def cdf(self, x: float) -> float:
        # erfc keeps its digits in the lower tail, where 1 + erf loses them all.
        return 0.5 * math.erfc((self.mu - x) / (self.sigma * math.sqrt(2)))

    def grid(self) -> Sequence[Any]:
        raise _no_grid(self.kind)


@dataclass(frozen=True)
class LogNormal:
    """e to a normal power, of mean ``mu`` and standard deviation ``sigma``."""

    mu: float = 0.0
    sigma: float = 1.0
    kind = "log_normal"
    discrete = False
    support = (0.0, math.inf)

    def ppf(self, u: float) -> float:
        return math.exp(Normal(self.mu, self.sigma).ppf(u))

    def cdf(self, x: float) -> float:
        return Normal(self.mu, self.sigma).cdf(math.log(x)) if x > 0 else 0.0

    def grid(self) -> Sequence[Any]:
        raise _no_grid(self.kind)


@dataclass(frozen=True)
class Beta:
    """The beta distribution on [0, 1]."""

    a: float = 1.0
    b: float = 1.0
    kind = "beta"
    discrete = False
    support = (0.0, 1.0)

    def ppf(self, u: float) -> float:
        from scipy.special import betaincinv

        return float(betaincinv(self.a, self.b, u))

    def cdf(self, x: float) -> float:
        from scipy.special import betainc

        return float(betainc(self.a, self.b, min(max(x, 0.0), 1.0)))

    def grid(self) -> Sequence[Any]:
        raise _no_grid(self.kind)


@dataclass(frozen=True)
class Quantised:
    """``round(r / q) * q`` of another distribution's values r: it may go beyond their bounds.

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
            raise _no_grid(self.kind)
        return Steps(self.of.min, self.of.max, self.q)


@dataclass(frozen=True)
class Steps(Sequence[Any]):
    """From ``start`` in steps of ``step``, ``stop`` excluded, as ``numpy.arange`` counts them."""

    start: float
    stop: float
    step: float

    def count_steps(self) -> int:
        """How many values; ``len`` of the same, for any number of them."""
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
    """Whether a value is one that the distribution can give.

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
    """What two values share when they are the same point: 3 and 3.0, but not 1 and True.

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
    """``x``, kept to the ends from which exp(log(x)) differs in its last digit."""
    if u <= 0 or u >= 1:
        return ends[u >= 1]
    return min(max(x, ends[0]), ends[1])


def _place(u: float, n: int) -> int:
    """Which of ``n`` equally likely places the probability ``u`` falls into, from 0.

    A probability on the border k / n belongs to place k - 1, as in a quantile function; the
    comparison is made with the CDF itself, so that rounding cannot put it one place off.
    """
    place = min(max(math.ceil(u * n) - 1, 0), n - 1)
    return place - 1 if place > 0 and place / n >= u else place
