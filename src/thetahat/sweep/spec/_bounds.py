"""Faults of bounds and shapes, with the lines in which they stand; the rules are the search's."""

from __future__ import annotations

from collections.abc import Iterable

from thetahat.core.yaml_tree import YamlNode
from thetahat.search import BoundFault, bound_faults, shape_faults
from thetahat.sweep.spec._diagnostics import Findings


def check_bounds(at: YamlNode, kind: str, findings: Findings, top: bool) -> bool:
    """``min`` and ``max``, both numbers already; True for distributions without."""
    return "min" not in at.inside or _sound(at, bound_faults(kind, at.value), findings, top)


def check_shape(at: YamlNode, kind: str, findings: Findings) -> bool:
    """``q``, ``sigma``, ``a``, ``b`` and ``mu``, numbers already."""
    return _sound(at, shape_faults(kind, at.value), findings, True)


def _sound(at: YamlNode, faults: Iterable[BoundFault], findings: Findings, top: bool) -> bool:
    sound = True
    for fault in faults:
        # W&B compares bounds only at the top, not inside nested parameters.
        theirs = fault.by == "all" or (fault.by == "top" and top)
        say = findings.both if theirs else findings.ours
        say(at.inside[fault.key] if fault.key else at, fault.message)
        sound = False
    return sound
