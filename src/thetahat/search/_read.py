"""From one entry of a file's ``parameters`` section to its distribution, or to what is wrong in it.

Which distribution is meant where none is named follows W&B: ``value`` is a constant, ``values`` a
list, two integers as min and max are integers, any other two numbers are real.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from thetahat.core.errors import ConfigError, did_you_mean
from thetahat.search._distributions import (
    Beta,
    Categorical,
    Constant,
    Distribution,
    IntUniform,
    InvLogUniform,
    LogNormal,
    LogUniform,
    Normal,
    Quantised,
    Uniform,
)

Given = Mapping[str, Any]


def read_distribution(given: Given) -> Distribution:
    """The distribution that one parameter of a sweep file describes.

    >>> read_distribution({"min": 1, "max": 100})
    IntUniform(min=1, max=100)
    >>> read_distribution({"min": 1, "max": 100.0}).kind
    'uniform'

    Raises:  ConfigError: unknown or missing keys, values of the wrong kind, min not below max.
    """
    kind = _kind(given)
    required, optional, make = _KINDS[kind]
    known = (*required, *optional, "distribution")
    for key in given:
        if key not in known:
            takes = ", ".join((*required, *optional))
            raise ConfigError(f"{kind} has no key {key!r}; it takes {takes}")
    for key in required:
        if key not in given:
            raise ConfigError(f"{kind} needs {key}; give it {' and '.join(required)}")
    return make(given)


def _kind(given: Given) -> str:
    named = given.get("distribution")
    if named is not None:
        if not isinstance(named, str) or named not in _KINDS:
            hint = did_you_mean(str(named), _KINDS)
            raise ConfigError(f"there is no distribution {named!r}{hint}")
        return named
    if "value" in given:
        return "constant"
    if "values" in given:
        return "categorical_w_probabilities" if "probabilities" in given else "categorical"
    if "min" in given and "max" in given:
        if "q" in given:
            raise ConfigError(
                "q needs a distribution that is rounded to it; write distribution: q_uniform"
            )
        whole = _whole(given["min"]) and _whole(given["max"])
        return "int_uniform" if whole else "uniform"
    for key, other in (("min", "max"), ("max", "min")):
        if key in given:
            raise ConfigError(f"{key} alone is no range; give {other} too")
    if {"mu", "sigma"} & set(given):
        raise ConfigError("mu and sigma need distribution: normal, or another of that family")
    if {"a", "b"} & set(given):
        raise ConfigError("a and b need distribution: beta, or q_beta")
    came = ", ".join(map(repr, given)) if given else "nothing"
    raise ConfigError(
        f"a parameter is not described by {came}; give value, values, min and max, or distribution"
    )


def _constant(given: Given) -> Distribution:
    return Constant(given["value"])


def _categorical(given: Given) -> Distribution:
    return Categorical(_values(given))


def _weighted(given: Given) -> Distribution:
    values, weights = _values(given), given["probabilities"]
    if not isinstance(weights, (list, tuple)):
        raise ConfigError(f"probabilities is {weights!r}; give a list, one number for each value")
    if len(values) != len(weights):
        raise ConfigError(
            f"{len(values)} values but {len(weights)} probabilities; give one for each value"
        )
    for w in weights:
        if not _number(w) or w < 0:
            raise ConfigError(f"the probability {w!r} is no number of at least 0")
    if abs(sum(weights) - 1) > 1e-5 + 1e-8:
        raise ConfigError(f"the probabilities sum to {sum(weights):g}; they must sum to 1")
    return Categorical(values, tuple(float(w) for w in weights))


def _values(given: Given) -> tuple[Any, ...]:
    values = given["values"]
    if not isinstance(values, (list, tuple)):
        raise ConfigError(f"values is {values!r}; give a list, or a single value as value: ...")
    if not values:
        raise ConfigError("values is an empty list; give at least one value")
    return tuple(values)


def _int_uniform(given: Given) -> Distribution:
    for key in ("min", "max"):
        if not _whole(given[key]):
            raise ConfigError(
                f"int_uniform needs integers, and {key} is {given[key]!r};"
                " write it without a point, or use distribution: uniform"
            )
    low, high = _bounds(given)
    return IntUniform(int(low), int(high))


def _uniform(given: Given) -> Uniform:
    return Uniform(*_bounds(given))


def _log_exponents(given: Given) -> LogUniform:
    low, high = _bounds(given)
    return LogUniform(low, high, (_exp(low, "min"), _exp(high, "max")), "log_uniform")


def _log_values(given: Given) -> LogUniform:
    low, high = _positive_bounds(given)
    return LogUniform(math.log(low), math.log(high), (float(low), float(high)))


def _inv_exponents(given: Given) -> Distribution:
    low, high = _bounds(given)
    return InvLogUniform(low, high, (_exp(-high, "max"), _exp(-low, "min")), "inv_log_uniform")


def _inv_values(given: Given) -> Distribution:
    low, high = _positive_bounds(given)
    return InvLogUniform(-math.log(high), -math.log(low), (float(low), float(high)))


def _normal(given: Given) -> Normal:
    return Normal(_scale(given, "mu", 0.0), _scale(given, "sigma", 1.0, positive=True))


def _log_normal(given: Given) -> LogNormal:
    return LogNormal(_scale(given, "mu", 0.0), _scale(given, "sigma", 1.0, positive=True))


def _beta(given: Given) -> Beta:
    return Beta(*(_scale(given, key, 1.0, positive=True) for key in ("a", "b")))


def _quantised(make: Callable[[Given], Any]) -> Callable[[Given], Distribution]:
    def read(given: Given) -> Distribution:
        q = given.get("q", 1.0)
        if not _number(q) or q <= 0:
            raise ConfigError(f"q is {q!r}; give a number above 0, the step to round to")
        return Quantised(make(given), q)

    return read


def _bounds(given: Given) -> tuple[float, float]:
    for key in ("min", "max"):
        if not _number(given[key]):
            raise ConfigError(f"{key} is {given[key]!r}; give a finite number")
    low, high = given["min"], given["max"]
    if low >= high:
        mend = "give value: for a constant" if low == high else "exchange them"
        raise ConfigError(f"min {low} is not less than max {high}; {mend}")
    return low, high


def _positive_bounds(given: Given) -> tuple[float, float]:
    low, high = _bounds(given)
    if low <= 0:
        raise ConfigError(
            f"min is {low}, and a logarithm needs min above 0; the bounds are values here, not"
            " exponents"
        )
    return low, high


def _scale(given: Given, key: str, default: float, *, positive: bool = False) -> float:
    value = given.get(key, default)
    if not _number(value):
        raise ConfigError(f"{key} is {value!r}; give a finite number")
    if positive and value <= 0:
        raise ConfigError(f"{key} is {value}; give a number above 0")
    return float(value)


def _exp(exponent: float, key: str) -> float:
    try:
        return math.exp(exponent)
    except OverflowError as error:
        raise ConfigError(
            f"{key} is {abs(exponent):g}, an exponent of e that no float can hold; for bounds that"
            " are values use log_uniform_values"
        ) from error


def _number(value: Any) -> bool:
    return not isinstance(value, bool) and isinstance(value, (int, float)) and math.isfinite(value)


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


_RANGE = ("min", "max")
_KINDS: dict[str, tuple[tuple[str, ...], tuple[str, ...], Callable[[Given], Distribution]]] = {
    "constant": (("value",), (), _constant),
    "categorical": (("values",), (), _categorical),
    "categorical_w_probabilities": (("values", "probabilities"), (), _weighted),
    "int_uniform": (_RANGE, (), _int_uniform),
    "uniform": (_RANGE, (), _uniform),
    "q_uniform": (_RANGE, ("q",), _quantised(_uniform)),
    "log_uniform": (_RANGE, (), _log_exponents),
    "log_uniform_values": (_RANGE, (), _log_values),
    "q_log_uniform": (_RANGE, ("q",), _quantised(_log_exponents)),
    "q_log_uniform_values": (_RANGE, ("q",), _quantised(_log_values)),
    "inv_log_uniform": (_RANGE, (), _inv_exponents),
    "inv_log_uniform_values": (_RANGE, (), _inv_values),
    "normal": ((), ("mu", "sigma"), _normal),
    "q_normal": ((), ("mu", "sigma", "q"), _quantised(_normal)),
    "log_normal": ((), ("mu", "sigma"), _log_normal),
    "q_log_normal": ((), ("mu", "sigma", "q"), _quantised(_log_normal)),
    "beta": ((), ("a", "b"), _beta),
    "q_beta": ((), ("a", "b", "q"), _quantised(_beta)),
}

DISTRIBUTIONS = tuple(_KINDS)
"""The names that ``distribution:`` may carry."""
