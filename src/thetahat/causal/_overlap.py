"""Overlap: whether both groups have rows at the same predicted probabilities."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from thetahat.format import sparkline

BINS = 20
EDGES = (0.01, 0.05, 0.1)
"""Distances from 0 and 1 within which rows are counted."""


@dataclass(frozen=True, repr=False, eq=False)
class Overlap:
    """Predicted probabilities by group: the mean of the repetitions.

    Args:    edges: (bins + 1,).   counts: rows of the groups 0 and 1 in each bin, (2, bins).
             low, high: least and greatest probability of each group, (2,).
             outside: by distance e, the share of rows below e or above 1 - e.
    """

    edges: np.ndarray
    counts: np.ndarray
    low: np.ndarray
    high: np.ndarray
    outside: dict[float, float]

    @classmethod
    def of(cls, predictions: np.ndarray, target: np.ndarray) -> Overlap:
        """Count predicted probabilities (n, repetitions) by the target (n,), 0 or 1."""
        edges = np.linspace(0, 1, BINS + 1)
        groups = [predictions[target == value] for value in (0, 1)]
        repetitions = predictions.shape[1]
        counts = np.stack([np.histogram(g, edges)[0] / repetitions for g in groups])
        outside = {e: float(((predictions < e) | (predictions > 1 - e)).mean()) for e in EDGES}
        low, high = (np.array([f(g) for g in groups]) for f in (np.min, np.max))
        return cls(edges, counts, low, high, outside)

    def lines(self) -> list[str]:
        """The histogram of each group from 0 to 1, in a line each."""
        found = []
        for value in (0, 1):
            own = self.counts[value] / self.counts[value].max()
            bars = sparkline(np.where(own > 0, own, np.nan).tolist(), BINS, span=(0, 1))
            found.append(
                f"{value}  0 |{bars}| 1   {self.low[value]:.3f} to {self.high[value]:.3f},"
                f" {self.counts[value].sum():.0f} rows"
            )
        return found

    def __repr__(self) -> str:
        shares = ", ".join(f"{share:.1%} within {e:g}" for e, share in self.outside.items())
        return "\n".join([*self.lines(), f"rows near 0 or 1: {shares}"])
