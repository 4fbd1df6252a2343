"""Training curves: of one fit, of several runs, and of many seeds as a band."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from thetahat.figures._style import (
    BLUE,
    COLOURS,
    DIM,
    INK,
    ORANGE,
    SIZE,
    axes,
    label,
    says,
    scale,
    spans,
    styled,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_DASHES = ("-", "--", "-.", ":")
_MOST_COUNTS = 6


@dataclass(frozen=True)
class Curve:
    """One run's numbers over its epochs, equally long; what is not finite is a gap."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    mark: tuple[float, float] | None = None
    """A point to mark: the best epoch and its value."""


def draw_fit(
    columns: Mapping[str, Sequence[float]],
    *,
    best_epoch: int = 0,
    best_by: str = "val_risk",
    ending: str = "",
    log: bool | None = None,
) -> Figure:
    """Draw train and validation risk of one fit, its best epoch, and why it ended.

    Args:    columns: ``epoch`` and risks, equally long.   best_epoch: 0 for none.
             best_by: the column that chose it, drawn too where it is none of the risks.
             ending: such as "finished: all epochs done".
             log: the scale of the risks; by default where they span more than a factor of 5.
    Raises:  MissingExtra: matplotlib is not installed.
    """
    with styled():
        figure, ax = axes()
        epochs = list(columns.get("epoch", columns.get("step", ())))
        axis = "epoch" if "epoch" in columns else "step"
        drawn = {
            name: list(columns[name]) for name in ("train_risk", "val_risk") if name in columns
        }
        if best_by in columns and best_by not in drawn:
            drawn[best_by] = list(columns[best_by])
        if not drawn:
            drawn = {k: list(v) for k, v in columns.items() if k not in ("epoch", "step")}
        drawn = dict(list(drawn.items())[:4])
        values = [v for ys in drawn.values() for v in ys if math.isfinite(v)]
        if not values:
            says(ax, "no finite number was recorded")
            return figure
        for k, (name, ys) in enumerate(drawn.items()):
            colour = {"train_risk": BLUE, "val_risk": ORANGE}.get(name, COLOURS[k])
            dash = _DASHES[k] if len(drawn) > 1 else "-"
            marker = "o" if len(ys) == 1 else None
            ax.plot(epochs, ys, dash, color=colour, label=label(name), marker=marker, ms=4)
        best_of = drawn.get(best_by, drawn.get("val_risk", drawn.get("train_risk")))
        by = "" if best_by in ("", "val_risk") else f" {label(best_by)}"
        if best_of is not None and best_epoch in epochs:
            at = best_of[epochs.index(best_epoch)]
            if math.isfinite(at):
                ax.axvline(best_epoch, color=DIM, lw=0.8, ls=(0, (2, 2)), zorder=1)
                ax.plot([best_epoch], [at], "o", ms=5.5, mfc="white", mec=INK, mew=1.2, zorder=5)
                ring = f"best{by}: epoch {best_epoch}"
                ax.plot([], [], "o", ms=5.5, mfc="white", mec=INK, label=ring)
        scale(ax.yaxis, values, log if log is None or log else False)
        ax.set_xlabel(axis)
        ax.set_ylabel("risk" if "train_risk" in drawn or "val_risk" in drawn else "")
        ax.legend(loc="best")
        if ending:
            ax.set_title(label(ending, 62), color=DIM, fontsize=8)
        return figure


def draw_curves(
    curves: Sequence[Curve], *, axis: str = "epoch", metric: str = "val_risk"
) -> Figure:
    """Draw the curves of a few runs, the best epoch of each marked.

    Raises:  MissingExtra: matplotlib is not installed.
    """
    with styled():
        figure, ax = axes()
        values = [v for curve in curves for v in curve.y if math.isfinite(v)]
        if not values:
            says(ax, "no finite number was recorded")
            return figure
        for k, curve in enumerate(curves):
            colour, dash = COLOURS[k % len(COLOURS)], _DASHES[(k // len(COLOURS)) % len(_DASHES)]
            marker = "o" if len(curve.y) == 1 else None
            ax.plot(
                *(curve.x, curve.y, dash),
                color=colour,
                label=label(curve.name, 22),
                marker=marker,
                lw=1.9 if k == 0 else 1.1,
                ms=4,
                zorder=10 - min(k, 7),
            )
            if curve.mark is not None and all(map(math.isfinite, curve.mark)):
                ax.plot(*([v] for v in curve.mark), "o", ms=4.5, mfc="white", mec=colour, zorder=12)
        scale(ax.yaxis, values)
        ax.set_xlabel(axis)
        ax.set_ylabel(label(metric))
        ax.legend(loc="upper right", ncols=1 if len(curves) < 5 else 2)
        return figure


def draw_band(
    x: Sequence[float],
    low: Sequence[float],
    middle: Sequence[float],
    high: Sequence[float],
    *,
    says_band: str,
    counts: Sequence[tuple[float, int]] = (),
    axis: str = "epoch",
    metric: str = "val_risk",
) -> Figure:
    """Draw the median of many runs over their epochs, within a band of two quantiles.

    Args:    counts: places from which on the band rests on so many runs.
    Raises:  MissingExtra: matplotlib is not installed.
    """
    with styled():
        figure, ax = axes(SIZE)
        values = [v for v in (*low, *middle, *high) if math.isfinite(v)]
        if not values:
            says(ax, "too few runs have a number for a band")
            return figure
        ax.fill_between(
            list(x), list(low), list(high), color=BLUE, alpha=0.2, lw=0, label=says_band
        )
        ax.plot(x, middle, color=BLUE, label="median")
        scale(ax.yaxis, values, spans(values))
        ax.set_xlabel(axis)
        ax.set_ylabel(label(metric))
        _count_runs(ax, counts)
        ax.legend(loc="upper right")
        return figure


def _count_runs(ax: Axes, counts: Sequence[tuple[float, int]]) -> None:
    """Write how many runs a band rests on where that changes; if often, at some places."""
    every = max(1, -(-(len(counts) - 1) // (_MOST_COUNTS - 1)))
    shown = [one for i, one in enumerate(counts) if i % every == 0 or i == len(counts) - 1]
    for i, (x, n) in enumerate(shown):
        if i:
            ax.axvline(x, color=DIM, lw=0.6, ls=(0, (2, 3)), zorder=1)
        style = {"fontsize": 7, "color": DIM, "transform": ax.get_xaxis_transform()}
        ax.text(x, 0.02, f" n={n}", va="bottom", **style)
