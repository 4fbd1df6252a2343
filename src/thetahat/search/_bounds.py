"""Bounds and shapes of distributions: what is between them, and what can be drawn.

The only place in which they are checked: for a file, which says the line of each fault, and for a
space that is made of plain data.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

EXPONENTS = ("log_uniform", "q_log_uniform", "inv_log_uniform")
"""Their bounds are exponents of e."""
POSITIVE = ("log_uniform_values", "q_log_uniform_values", "inv_log_uniform_values")
_LARGEST_EXPONENT = 709
"""exp of more is no finite number."""
_FARTHEST = 8.5
"""No draw lies more standard deviations from the mean."""
_LONGEST = 60


@dataclass(frozen=True)
class BoundFault:
    """What is wrong with one number of a distribution.

    Args:    key: ``min``, say; empty for the parameter as a whole.
             by: who refuses it: W&B too ("all"), W&B at the top of a file only ("top"), or we.
    """

    key: str
    message: str
    by: Literal["all", "top", "us"] = "us"


def bound_faults(kind: str, given: Mapping[str, Any]) -> Iterator[BoundFault]:
    """What is wrong with ``min`` and ``max``, numbers both.

    >>> next(bound_faults("uniform", {"min": 5, "max": 2.0})).message
    'min 5 is above max 2.0; swap them: min: 2.0, max: 5'
    """
    low, high = given["min"], given["max"]
    if kind == "int_uniform":
        yield from (_not_whole(key, given[key]) for key in ("min", "max") if _broken(given[key]))
    if kind in POSITIVE and low <= 0:
        yield BoundFault(
            "min",
            f"min is {said(low)}, and the bounds of {kind} are values above 0; give one, such as"
            " min: 0.0001",
            "all",
        )
    for key in ("min", "max"):
        if not is_finite(given[key]):
            by = "top" if low >= high else "us"
            yield BoundFault(key, f"{key} is {said(given[key])}; give a finite number", by)
            return
    if low > high:
        a, b = said(high), said(low)
        message = f"min {b} is above max {a}; swap them: min: {a}, max: {b}"
        yield BoundFault("min", message, "top")
    elif low == high:
        one = said(low)
        message = f"min and max are both {one}; for one value write value: {one}"
        yield BoundFault("min", message, "top")
    elif kind in EXPONENTS:
        far = next((key for key in ("min", "max") if abs(given[key]) > _LARGEST_EXPONENT), None)
        if far is not None:
            yield BoundFault(
                far,
                f"the bounds of {kind} are exponents of e, and e^{said(given[far])} is no finite"
                f" number; for values write distribution: {kind}_values",
            )


def shape_faults(kind: str, given: Mapping[str, Any]) -> Iterator[BoundFault]:
    """What is wrong with ``q``, ``sigma``, ``a``, ``b`` and ``mu``, as far as they are given."""
    sound = True
    for key in ("q", "sigma", "a", "b"):
        value = given.get(key, 1)
        if value > 0 or value != value:
            continue
        sound = False
        fixed = "; a fixed value is written value: ..." if key == "sigma" and value == 0 else ""
        by = "all" if value < 0 or key == "q" else "us"
        yield BoundFault(key, f"{key} is {said(value)}, and must be above 0{fixed}", by)
    for key in ("q", "mu", "sigma", "a", "b"):
        if sound and not is_finite(given.get(key, 1)):
            sound = False
            yield BoundFault(key, f"{key} is {said(given[key])}; give a finite number")
    mu, sigma = given.get("mu", 0.0), given.get("sigma", 1.0)
    if sound and kind.endswith("log_normal") and mu + _FARTHEST * sigma > _LARGEST_EXPONENT:
        yield BoundFault(
            "",
            f"{kind} with mu {said(mu)} and sigma {said(sigma)} draws numbers that are not finite;"
            " both are on the scale of logarithms, so give smaller ones",
        )
    if sound and "q" in given and not math.isfinite(_largest(kind, given) / float(given["q"])):
        small = f"q is {said(given['q'])}, so small that values divided by it are not finite"
        yield BoundFault("q", f"{small}; give a larger one", "us")


def _largest(kind: str, given: Mapping[str, Any]) -> float:
    """A number that samples may reach, as far as it is given."""
    if kind.endswith("normal") and "log" not in kind:
        return abs(float(given.get("mu", 0.0))) + _FARTHEST * float(given.get("sigma", 1.0))
    bounds = () if kind.endswith("log_uniform") else ("min", "max")
    ends = [abs(float(given[key])) for key in bounds if key in given and is_finite(given[key])]
    return max(1.0, *ends) if ends else 1.0


def is_finite(value: Any) -> bool:
    """Whether a number is finite, and no whole number that is too large for a float."""
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def said(value: Any) -> str:
    """A number as one would write it, cut where it is long."""
    text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def _broken(bound: Any) -> bool:
    return not isinstance(bound, int) or isinstance(bound, bool)


def _not_whole(key: str, value: Any) -> BoundFault:
    if is_finite(value) and float(value).is_integer():
        fix = f"write {key}: {int(value)}"
    else:
        fix = "round it, or write distribution: uniform"
    message = f"{key} is {value}, and int_uniform needs whole numbers; {fix}"
    return BoundFault(key, message, "all")
