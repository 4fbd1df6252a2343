"""A column of the tables that runs leave behind: medians and bands over seeds, by setting."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from thetahat.figures._style import COLOURS, INK, SIZE, axes, label, says, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class TableCurve:
    """The quantiles of one setting, equally long; what is not finite is a gap."""

    name: str
    x: Sequence[float]
    low: Sequence[float]
    middle: Sequence[float]
    high: Sequence[float]
    exact: Sequence[float] = ()
    """A reference at the same places."""


def draw_tables(
    curves: Sequence[TableCurve],
    *,
    axis: str,
    value: str,
    says_band: str,
    exact: str = "",
    note: str = "",
) -> Figure:
    """Draw the median and the band of each setting over a column of their tables.

    Args:    exact: name of the curves' references, drawn dashed: once if they are equal.
             note: such as failed runs.
    Raises:  MissingExtra: matplotlib is not installed.
    """
    with styled():
        figure, ax = axes(SIZE)
        drawn = [c for c in curves if any(map(math.isfinite, c.middle))]
        if not drawn:
            says(ax, "no run has a number here")
            return figure
        for k, curve in enumerate(drawn):
            colour = COLOURS[k % len(COLOURS)]
            wide = any(h > low for low, h in zip(curve.low, curve.high, strict=True))
            if wide:
                said = says_band if len(drawn) == 1 else None
                ax.fill_between(
                    *(list(curve.x), list(curve.low), list(curve.high)),
                    color=colour,
                    alpha=0.2,
                    lw=0,
                    label=said,
                )
            name = label(curve.name or "median", 30)
            ax.plot(curve.x, curve.middle, color=colour, label=name)
        same = all((c.x, c.exact) == (drawn[0].x, drawn[0].exact) for c in drawn)
        for k, curve in enumerate(drawn[: 1 if same else None] if exact else []):
            colour = INK if same else COLOURS[k % len(COLOURS)]
            said = label(exact) if k == 0 else None
            dashes = (0, (4, 2))
            ax.plot(curve.x, curve.exact, color=colour, lw=1.0, ls=dashes, label=said, zorder=6)
        ax.set_xlabel(label(axis))
        ax.set_ylabel(label(value))
        ax.legend(loc="best")
        said = [] if len(drawn) == 1 else [f"bands: {says_band}"]
        if title := "; ".join([*said, *([note] if note else [])]):
            ax.set_title(label(title, 62), color=INK, fontsize=8)
        return figure
