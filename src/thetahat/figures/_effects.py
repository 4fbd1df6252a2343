"""Figures of an estimated effect: its repetitions, and the overlap of two groups."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist
from typing import TYPE_CHECKING

from thetahat.figures._style import BLUE, COLOURS, DIM, above, axes, label, scale, styled, whole

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw_estimates(
    thetas: Sequence[float],
    errors: Sequence[float],
    median: tuple[float, float, float],
    level: float,
) -> Figure:
    """Draw an estimate and its interval for each repetition, over those of their median.

    Args:    median: theta, and the ends of its interval.
    """
    wide = NormalDist().inv_cdf((1 + level) / 2)
    with styled():
        figure, ax = axes()
        ax.axhspan(median[1], median[2], color=BLUE, alpha=0.12, linewidth=0)
        ax.axhline(median[0], color=BLUE, linewidth=1)
        at = range(len(thetas))
        ax.errorbar(at, thetas, [wide * e for e in errors], fmt="o", color=COLOURS[0], ms=3.5, lw=1)
        if min(median[1], *thetas) < 0 < max(median[2], *thetas):
            ax.axhline(0, color=DIM, linewidth=0.7)
        scale(ax.yaxis, list(median), log=False)
        whole(ax.xaxis)
        ax.set_xlabel("repetition")
        ax.set_ylabel("theta")
    return figure


def draw_overlap(edges: Sequence[float], counts: Sequence[Sequence[float]], what: str) -> Figure:
    """Draw how many rows of either group have which predicted probability.

    Args:    edges: of the bins.   counts: of the groups 0 and 1, by bin.
    """
    with styled():
        figure, ax = axes()
        for value, (colour, own) in enumerate(zip(COLOURS, counts, strict=False)):
            name = f"{label(what)} = {value}"
            ax.stairs(own, edges, color=colour, fill=True, alpha=0.25, linewidth=0)
            ax.stairs(own, edges, color=colour, label=name, linewidth=1.2)
        ax.set_xlim(0, 1)
        ax.set_xlabel(f"predicted probability of {label(what)} = 1")
        ax.set_ylabel("rows")
        above(ax)
    return figure
