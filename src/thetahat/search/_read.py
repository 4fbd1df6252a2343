"""From one entry of a file's ``parameters`` section to its distribution, or to what is wrong in it.

Which distribution is meant where none is named follows W&B: ``value`` is a constant, ``values`` a
list, two integers as min and max are integers, any other two numbers are real.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from thetahat.core.errors import ConfigError, did_you_mean
from thetahat.search._bounds import BoundFault, bound_faults, is_finite, shape_faults
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
    _check_numbers(given)
    if "min" in required:
        _refuse(bound_faults(kind, given))
    _refuse(shape_faults(kind, given))
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
    return IntUniform(int(given["min"]), int(given["max"]))


def _uniform(given: Given) -> Uniform:
    return Uniform(given["min"], given["max"])


def _log_exponents(given: Given) -> LogUniform:
    low, high = given["min"], given["max"]
    return LogUniform(low, high, (math.exp(low), math.exp(high)), "log_uniform")


def _log_values(given: Given) -> LogUniform:
    low, high = given["min"], given["max"]
    return LogUniform(math.log(low), math.log(high), (float(low), float(high)))


def _inv_exponents(given: Given) -> Distribution:
    low, high = given["min"], given["max"]
    return InvLogUniform(low, high, (math.exp(-high), math.exp(-low)), "inv_log_uniform")


def _inv_values(given: Given) -> Distribution:
    low, high = given["min"], given["max"]
    return InvLogUniform(-math.log(high), -math.log(low), (float(low), float(high)))


def _normal(given: Given) -> Normal:
    return Normal(float(given.get("mu", 0.0)), float(given.get("sigma", 1.0)))


def _log_normal(given: Given) -> LogNormal:
    return LogNormal(float(given.get("mu", 0.0)), float(given.get("sigma", 1.0)))


def _beta(given: Given) -> Beta:
    return Beta(float(given.get("a", 1.0)), float(given.get("b", 1.0)))


def _quantised(make: Callable[[Given], Any]) -> Callable[[Given], Distribution]:
    return lambda given: Quantised(make(given), given.get("q", 1.0))


def _check_numbers(given: Given) -> None:
    for key in ("min", "max", "q", "mu", "sigma", "a", "b"):
        value = given.get(key, 0)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise ConfigError(f"{key} is {value!r}; give a finite number")


def _refuse(faults: Iterable[BoundFault]) -> None:
    for fault in faults:
        raise ConfigError(fault.message)


def _number(value: Any) -> bool:
    return not isinstance(value, bool) and isinstance(value, (int, float)) and is_finite(value)


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
