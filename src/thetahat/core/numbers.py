"""Checks of single numbers: the one place that decides what a number is.

A boolean is not a number. A value that JAX traces has no size yet: ``number`` lets it pass, and
``whole`` raises JAX's own error, which tells the engine that Python must know the value.
"""

from __future__ import annotations

import numbers
import operator
from collections.abc import Callable
from typing import Any

from thetahat.core.errors import ConfigError, InputError


def is_number(value: Any) -> bool:
    """Return whether a value is a real number and not NaN.

    >>> [is_number(value) for value in (1, 0.5, True, "1", float("nan"))]
    [True, True, False, False, False]
    """
    if type(value) is float or type(value) is int:  # as most are; a class with a registry is slow
        return value == value
    return isinstance(value, numbers.Real) and not isinstance(value, bool) and value == value


def is_traced(value: Any) -> bool:
    """Return whether JAX traces a value; JAX is not imported."""
    return any(cls.__name__ == "Tracer" for cls in type(value).__mro__)


def whole(
    name: str,
    value: Any,
    least: int = 1,
    *,
    of: str = "",
    error: type[InputError] = ConfigError,
) -> int:
    """Return a whole number as an int.

    Args:    of: the function or class that ``value`` was given to, for the message.
    Raises:  error: another type, or below ``least``.
    >>> whole("epochs", 3)
    3
    """
    found = None
    if not isinstance(value, bool):
        try:
            found = operator.index(value)
        except TypeError:
            if is_traced(value):
                raise
    if found is None or found < least:
        raise error(f"{_given(name, value, of)}; give an integer of at least {least}")
    return found


def number(
    name: str, value: Any, allowed: Callable[[float], bool], fix: str, *, of: str = ""
) -> None:
    """Refuse a number outside its range; a traced one passes.

    Args:    value: a number, or an array of shape ().   allowed: whether it is in the range.
             fix: what the message says to give.   of: as for ``whole``.
    Raises:  ConfigError: not a number, or not allowed.
    >>> number("delta", 0.5, lambda v: v > 0, "a delta above 0", of="huber")
    """
    if is_traced(value):
        return
    scalar = is_number(value) or getattr(value, "shape", None) == ()
    if not scalar or not allowed(float(value)):
        raise ConfigError(f"{_given(name, value, of)}; give {fix}")


def _given(name: str, value: Any, of: str) -> str:
    return f"{of}({name}={value!r:.80})" if of else f"{name}={value!r:.80}"
