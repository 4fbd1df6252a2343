"""Whether runs have the metric that their sweep watches, in the direction of its goal."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from thetahat.core.errors import did_you_mean
from thetahat.search import Metric


@dataclass(frozen=True)
class Unfit:
    """Why a sweep cannot go on with its metric, and what to do."""

    reason: str
    mend: str


def turned(metric: Metric, directions: Mapping[str, Any]) -> Unfit | None:
    """A metric that is better in the other direction than the goal says; None where it is not.

    Args:    directions: "min" or "max" of the columns of runs, where it is known.
    """
    right = {"max": "maximize", "min": "minimize"}.get(directions.get(metric.name, ""))
    if right is None or right == metric.goal:
        return None
    better = "larger" if right == "maximize" else "smaller"
    return Unfit(
        f"{metric.name} is better the {better} it is, and the sweep's goal is {metric.goal}",
        f"write goal: {right} in the file",
    )


def missing(metric: Metric, logged: Collection[str]) -> Unfit:
    """A metric that no run logs."""
    known = sorted(set(logged) - {"epoch", "step", "seconds"})
    said = f"they log {', '.join(known)}" if known else "they log nothing"
    hint = did_you_mean(metric.name, known)
    hint = hint if hint.startswith("; did") else ""
    return Unfit(
        f"no run logs the metric {metric.name!r}: {said}{hint}", "mend metric.name in the file"
    )
