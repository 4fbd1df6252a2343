"""Several panels in one figure, fit for a slide: lines with bands, points and heat maps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from thetahat.figures._style import (
    COLOURS,
    DIM,
    INK,
    figure_class,
    label,
    says,
    scale,
    styled,
    tick,
    whole,
)

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PANEL = (4.0, 2.9)
"""Inches of one panel: two of them fill a slide."""
_LOOKS = ("line", "points", "dashed", "faint")


@dataclass(frozen=True)
class Line:
    """A curve of a panel, equally long columns; what is not finite is a gap.

    Args:    low, high: of its band, or empty.
             look: "line", "points", "dashed" (a reference) or "faint" (one of many).
             colour: position in the palette; None takes the next one.
    """

    name: str
    x: Sequence[float] | np.ndarray
    y: Sequence[float] | np.ndarray
    low: Sequence[float] | np.ndarray = ()
    high: Sequence[float] | np.ndarray = ()
    look: str = "line"
    colour: int | None = None


@dataclass(frozen=True)
class Panel:
    """A panel of curves.

    Args:    log_x, log_y: None chooses a log scale where the values span more than a factor of 5.
             mark: values of x at which to draw a dotted vertical line, by the text beside it.
             limits: of y; None shows all.
    """

    title: str
    lines: Sequence[Line]
    x: str = ""
    y: str = ""
    log_x: bool | None = False
    log_y: bool | None = None
    mark: tuple[float, str] | None = None
    limits: tuple[float, float] | None = None
    whole_x: bool = False


@dataclass(frozen=True)
class Heat:
    """A panel of colours.

    Args:    values: a row for each of ``rows``, a column for each of ``columns``.
             log: whether colours follow the logarithm.
    """

    title: str
    values: Sequence[Sequence[float]]
    columns: Sequence[float]
    rows: Sequence[float]
    x: str = ""
    y: str = ""
    log: bool = True


def draw_panels(panels: Sequence[Panel | Heat], *, across: int = 2) -> Figure:
    """Draw panels side by side, ``across`` in each row.

    Raises:  MissingExtra: matplotlib is not installed.
    """

    with styled():
        across = min(across, len(panels))
        down = -(-len(panels) // across)
        size = (PANEL[0] * across, PANEL[1] * down)
        figure = figure_class()(figsize=size, layout="constrained")
        figure.get_layout_engine().set(w_pad=0.08, h_pad=0.08)
        for n, panel in enumerate(panels, 1):
            ax = figure.add_subplot(down, across, n)
            ax.set_title(label(panel.title, 60))
            ax.set_xlabel(label(panel.x, 44))
            ax.set_ylabel(label(panel.y, 44))
            if isinstance(panel, Heat):
                _heat(figure, ax, panel)
            else:
                _lines(ax, panel)
        return figure


def _lines(ax: Axes, panel: Panel) -> None:
    values = [v for line in panel.lines for v in (*line.y, *line.low, *line.high)]
    if not any(map(math.isfinite, values)):
        says(ax, "no finite number")
        return
    places = [float(v) for line in panel.lines for v in line.x]
    palette = 0
    for line in panel.lines:
        if line.look not in _LOOKS:
            raise ValueError(f"no look {line.look!r}; give one of {', '.join(_LOOKS)}")
        taken = palette if line.colour is None else line.colour
        palette += line.colour is None and line.look in ("line", "points")
        colour = INK if line.look == "dashed" else COLOURS[taken % len(COLOURS)]
        if len(line.low):
            ax.fill_between(
                list(line.x), list(line.low), list(line.high), color=colour, alpha=0.18, lw=0
            )
        ax.plot(list(line.x), list(line.y), **_look(line, colour))
    if panel.mark is not None:
        ax.axvline(panel.mark[0], color=DIM, lw=0.8, ls=(0, (2, 2)), zorder=1)
        ax.text(
            *(panel.mark[0], 0.98, f" {panel.mark[1]}"),
            transform=ax.get_xaxis_transform(),
            va="top",
            color=DIM,
            fontsize=7.5,
        )
    if panel.log_x is None or panel.log_x:
        scale(ax.xaxis, places, panel.log_x)
    elif panel.whole_x:
        whole(ax.xaxis)
    scale(ax.yaxis, [float(v) for v in values], panel.log_y)
    if panel.limits is not None:
        ax.set_ylim(*panel.limits)
    if sum(bool(line.name) for line in panel.lines) > 1:
        ax.legend(loc="best", fontsize=7.5)


def _look(line: Line, colour: str) -> dict[str, Any]:
    name = label(line.name, 34) if line.name else None
    if line.look == "points":
        return {"color": colour, "ls": "", "marker": "o", "ms": 3.2, "alpha": 0.8, "label": name}
    if line.look == "dashed":
        return {"color": colour, "lw": 1.0, "ls": (0, (4, 2)), "label": name, "zorder": 6}
    if line.look == "faint":
        return {"color": colour, "lw": 0.8, "alpha": 0.35, "label": name}
    return {"color": colour, "label": name, "marker": "o" if len(line.y) < 12 else None, "ms": 3.5}


def _heat(figure: Figure, ax: Axes, panel: Heat) -> None:
    from matplotlib.colors import LogNorm

    found = [float(v) for row in panel.values for v in row if math.isfinite(v) and v > 0]
    norm = LogNorm(min(found), max(found)) if panel.log and found else None
    ax.grid(False)
    image = ax.pcolormesh(
        list(panel.columns),
        list(panel.rows),
        [list(row) for row in panel.values],
        cmap="cividis",
        norm=norm,
        shading="nearest",
        rasterized=True,
    )
    bar = figure.colorbar(image, ax=ax, pad=0.02)
    bar.outline.set_visible(False)
    if norm is not None:
        from matplotlib.ticker import LogLocator, NullLocator

        bar.ax.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0), numticks=7))
        bar.ax.yaxis.set_minor_locator(NullLocator())
    bar.ax.yaxis.set_major_formatter(tick)
    whole(ax.xaxis)
    whole(ax.yaxis)
