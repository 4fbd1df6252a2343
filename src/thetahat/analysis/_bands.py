"""Many curves as one band: quantiles along the axis, where enough runs have a number."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from thetahat.analysis._groups import QUANTILES, quantile

BAND_LEAST = 3
"""Runs that a point of a band needs at least, beside half of the runs that began."""


@dataclass(frozen=True)
class Band:
    """The median of several curves and two quantiles, place by place, with how many they rest on.

    Where runs end early, the others are not a sample of all: the band ends.
    """

    x: Sequence[float]
    low: Sequence[float]
    middle: Sequence[float]
    high: Sequence[float]
    n: Sequence[int]
    began: int
    """How many runs there are, including those without a number."""
    least: int
    """Runs that a point needs at least."""

    def changes(self) -> list[tuple[float, int]]:
        """List the places where n changes, each with n from there on.

        >>> Band([1, 2, 3], [], [], [], [5, 5, 4], 5, 3).changes()
        [(1, 5), (3, 4)]
        """
        found: list[tuple[float, int]] = []
        for x, n in zip(self.x, self.n, strict=True):
            if not found or found[-1][1] != n:
                found.append((x, n))
        return found


def curve_band(
    curves: Sequence[Mapping[float, float | None]],
    *,
    began: int | None = None,
    least: int = BAND_LEAST,
    quantiles: Sequence[float] = QUANTILES,
) -> Band:
    """Compute the band of some curves.

    Args:    curves: by run, its values by place; values that are not finite are left out.
             began: runs that there are; by default those of the curves.
             least: values that a point needs, beside half of the runs that began.
    """
    began = len(curves) if began is None else began
    needed = max(least, math.ceil(began / 2))
    at: dict[float, list[float]] = {}
    for curve in curves:
        for x, y in curve.items():
            if y is not None and math.isfinite(y):
                at.setdefault(x, []).append(y)
    kept = [(x, sorted(at[x])) for x in sorted(at) if len(at[x]) >= needed]
    low, middle, high = (
        [quantile(ys, q) for _, ys in kept] for q in (min(quantiles), 0.5, max(quantiles))
    )
    ns = [len(ys) for _, ys in kept]
    return Band([x for x, _ in kept], low, middle, high, ns, began, needed)
