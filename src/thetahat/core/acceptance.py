"""Acceptance of a solution: what a Task's checks measure at the best state, and their verdict.

The measures are a table of the run, ``accept``: one row per number, with its bounds.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from thetahat.core.errors import ConfigError

ACCEPT = "accept"
"""The name of the table of checks; no table of a Task may have it."""


@dataclass(frozen=True)
class Measure:
    """One number of a check.

    Args:    name: what it is, for readers.   value: shape ().
             low, high: it must lie in [low, high].   below: it must be less than this.
             solution: the name of a solution, if the value is the distance to it.
    """

    name: str
    value: Any
    low: Any = -math.inf
    high: Any = math.inf
    below: Any = math.inf
    solution: str = ""


def checked_accept(given: Any) -> tuple[Any, ...]:
    """Return the checks of a Task: those of ``th.accept``, and functions ``f(h) -> bool``.

    Raises:  ConfigError: something else.
    """
    checks = tuple(given) if isinstance(given, (list, tuple)) else () if given is None else (given,)
    for check in checks:
        if isinstance(check, type) or not callable(check):
            raise ConfigError(
                f"accept={check!r:.80} is not a check; give th.accept.residual(points,"
                " below=1e-3), th.accept.inside(simulate, bounds), or a function f(h) -> bool"
            )
    return checks


def failed_checks(table: Mapping[str, Any]) -> str:
    """Say which checks of a table ``accept`` fail; nothing if all hold. A NaN fails."""
    columns = (table[name] for name in ("check", "value", "low", "high", "below", "accepted"))
    said = [
        _failure(str(name), float(value), float(low), float(high), float(below))
        for name, value, low, high, below, accepted in zip(*columns, strict=True)
        if not accepted
    ]
    return "; ".join(said)


def _failure(name: str, value: float, low: float, high: float, below: float) -> str:
    if low == high == 1 and value == 0:
        return f"{name} is False"
    head = f"{name} is {value:.4g}"
    if math.isnan(value):
        return head
    if value < low:
        return f"{head}, which is less than {low:.4g}"
    if value > high:
        return f"{head}, which is more than {high:.4g}"
    return f"{head}, which is not below {below:.4g}"


ACCEPTED = "; accepted"
"""The end of the reason of a run that passed its checks."""
FOUND = "; found "
"""What stands before the name of the solution that a run found, in the reason of the run."""


def nearest_solution(table: Mapping[str, Any]) -> str:
    """Return the name of the nearest known solution, by a table ``accept``; empty if none is."""
    named = [
        (float(value), str(name))
        for name, value in zip(table.get("solution", ()), table["value"], strict=False)
        if name
    ]
    return min(named)[1] if named else ""


def accepted_reason(reason: str, table: Mapping[str, Any]) -> str:
    """Return the reason of a run that passed its checks, with the solution that it found."""
    found = nearest_solution(table)
    return reason + (FOUND + found if found else "") + ACCEPTED


def solutions_found(reasons: Mapping[str, int]) -> dict[str, int]:
    """Count the solutions that accepted runs found, the most frequent first.

    Args:    reasons: of runs that ended well, and how many have each.
    """
    found: Counter[str] = Counter()
    for reason, n in reasons.items():
        before, there, name = reason.removesuffix(ACCEPTED).rpartition(FOUND)
        if there and before and reason.endswith(ACCEPTED):
            found[name] += n
    return dict(sorted(found.items(), key=lambda one: (-one[1], one[0])))


def solution_words(found: Mapping[str, int]) -> str:
    """Say how many runs found each solution: " (53 low, 47 high)"; nothing if none is named."""
    said = ", ".join(f"{n:,} {name}" for name, n in found.items())
    return f" ({said})" if said else ""


def accepted_words(runs: Iterable[Any]) -> str:
    """Say how many of the runs that are over were accepted; nothing if none was checked.

    Runs that failed or were cut short keep their place in the denominator. The solutions that were
    found are counted, if they have names.

    Args:    runs: with ``status`` and ``reason``.
    """
    over = [run for run in runs if run.status.over]
    reasons = Counter(run.reason or "" for run in over if run.status.well)
    accepted = sum(n for reason, n in reasons.items() if reason.endswith(ACCEPTED))
    checked = accepted or any(run.status == "rejected" for run in over)
    found = solution_words(solutions_found(reasons))
    return f"{accepted:,} of {len(over):,} accepted{found}" if checked else ""
