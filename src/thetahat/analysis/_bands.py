"""Many curves as one band: quantiles along the axis, where enough runs are left to speak of any."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from thetahat.analysis._groups import QUANTILES, quantile

BAND_LEAST = 3
"""A point of a band rests on so many runs at least, and on half of the runs that began."""


@dataclass(frozen=True)
class Band:
    """The median of several curves and two quantiles, place by place, with how many they rest on.

    Where runs end early, those that are left are no sample of all: the band ends.
    """

    x: Sequence[float]
    low: Sequence[float]
    middle: Sequence[float]
    high: Sequence[float]
    n: Sequence[int]
    began: int
    """How many runs there are, also those that gave no number."""
    least: int
    """So many a point rests on at least."""

    def changes(self) -> list[tuple[float, int]]:
        """Where n changes: places, and n from there on.

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
    """The band of some curves.

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
