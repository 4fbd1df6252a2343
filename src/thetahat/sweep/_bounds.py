"""Bounds and shapes of distributions: what is between them, and what can be drawn."""

from __future__ import annotations

from thetahat.core.yaml_tree import At
from thetahat.sweep._keys import BOUNDS, EXPONENTS, POSITIVE, is_finite, written
from thetahat.sweep._problems import Findings

_LARGEST_EXPONENT = 709
"""exp of more is no finite number."""
_FARTHEST = 8.5
"""No draw lies more standard deviations from the mean."""


def check_bounds(at: At, kind: str, findings: Findings, top: bool) -> bool:
    """``min`` and ``max``, both numbers already; True for distributions without."""
    if "min" not in at.inside:
        return True
    low, high = (at.inside[key] for key in BOUNDS)
    sound = True
    if kind == "int_uniform":
        for bound in (low, high):
            sound &= _whole_bound(bound, findings)
    if kind in POSITIVE and low.value <= 0:
        findings.both(
            low,
            f"min is {written(low.value)}, and the bounds of {kind} are values above 0; give one,"
            " such as min: 0.0001",
        )
        sound = False
    # W&B compares these only at the top, not inside nested parameters.
    say = findings.both if top else findings.ours
    for bound in (low, high):
        if not is_finite(bound):
            name = bound.key.rpartition(".")[2]
            say = say if low.value >= high.value else findings.ours
            say(bound, f"{name} is {bound.value}; give a finite number")
            return False
    if low.value > high.value:
        a, b = written(high.value), written(low.value)
        say(low, f"min {b} is above max {a}; swap them: min: {a}, max: {b}")
        return False
    if low.value == high.value:
        one = written(low.value)
        say(low, f"min and max are both {one}; for one value write value: {one}")
        return False
    return sound and _exponents(low, high, kind, findings)


def _whole_bound(bound: At, findings: Findings) -> bool:
    if bound.kind == "int":
        return True
    name = bound.key.rpartition(".")[2]
    value = bound.value
    if is_finite(bound) and float(value).is_integer():
        mend = f"write {name}: {int(value)}"
    else:
        mend = "round it, or write distribution: uniform"
    findings.both(bound, f"{name} is {value}, and int_uniform needs whole numbers; {mend}")
    return False


def _exponents(low: At, high: At, kind: str, findings: Findings) -> bool:
    if kind not in EXPONENTS:
        return True
    for bound in (low, high):
        if abs(bound.value) > _LARGEST_EXPONENT:
            findings.ours(
                bound,
                f"the bounds of {kind} are exponents of e, and e^{written(bound.value)} is no"
                f" finite number; for values write distribution: {kind}_values",
            )
            return False
    return True


def check_shape(at: At, kind: str, findings: Findings) -> bool:
    """``q``, ``sigma``, ``a``, ``b`` and ``mu``, numbers already."""
    sound = True
    for key in ("q", "sigma", "a", "b"):
        child = at.inside.get(key)
        if child is None:
            continue
        if child.value < 0 or (key == "q" and child.value == 0):
            findings.both(child, f"{key} is {written(child.value)}, and must be above 0")
            sound = False
        elif child.value == 0:
            mend = "; a fixed value is written value: ..." if key == "sigma" else ""
            findings.ours(child, f"{key} is 0, and must be above 0{mend}")
            sound = False
    for key in ("q", "mu", "sigma", "a", "b"):
        child = at.inside.get(key)
        if sound and child is not None and not is_finite(child):
            findings.ours(child, f"{key} is {child.value}; give a finite number")
            sound = False
    return sound and _log_normal(at, kind, findings)


def _log_normal(at: At, kind: str, findings: Findings) -> bool:
    if not kind.endswith("log_normal"):
        return True
    mu, sigma = (
        at.inside[key].value if key in at.inside else default
        for key, default in (("mu", 0.0), ("sigma", 1.0))
    )
    if mu + _FARTHEST * sigma <= _LARGEST_EXPONENT:
        return True
    findings.ours(
        at,
        f"{kind} with mu {written(mu)} and sigma {written(sigma)} draws numbers that are not"
        " finite; both are on the scale of logarithms, so give smaller ones",
    )
    return False
