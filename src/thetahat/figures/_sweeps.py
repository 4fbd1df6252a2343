"""Figures of a sweep: its progress, its parameters, its seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from thetahat.figures._style import (
    BLUE,
    DIM,
    GRID,
    INK,
    MANY,
    ORANGE,
    SIZE,
    above,
    axes,
    label,
    says,
    scale,
    spans,
    styled,
    whole,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST_WORDS = 12
_LEVELS = 9
_LINES = 400
"""Parallel coordinates show so many runs at most: the best."""


@dataclass(frozen=True)
class Bar:
    """A parameter's importance, and the share that chance alone would give it."""

    name: str
    share: float
    floor: float | None = None
    correlation: float | None = None


@dataclass(frozen=True)
class Strip:
    """The values of one setting, one a seed."""

    name: str
    values: Sequence[float]
    low: float
    middle: float
    high: float
    says: str = ""
    """How many they are, such as "n=8"."""


def draw_progress(
    values: Sequence[float | None],
    *,
    metric: str,
    maximize: bool = False,
    steps: Sequence[tuple[int, float]] | None = None,
) -> Figure:
    """Draw the metric of each run in the order they were made, with the best so far.

    Args:    values: None where a run gave no number: it takes its place, and no dot.
             steps: places, from 1, and the best median of a setting from there on; None where
             settings are not replicated.
    Raises:  MissingExtra: matplotlib is not installed.
    """
    with styled():
        figure, ax = axes()
        xs = [k for k, v in enumerate(values, 1) if v is not None and math.isfinite(v)]
        if not xs:
            says(ax, "no run has a number yet")
            return figure
        ys = [v for v in values if v is not None and math.isfinite(v)]
        caption = "best setting's median so far"
        if steps is None:
            steps, caption = _running(xs, ys, maximize=maximize), "best so far"
        _dots(ax, xs, ys, label="one run")
        if steps:
            at, bests = zip(*steps, strict=True)
            last = max(at[-1], len(values))
            ax.step([*at, last], [*bests, bests[-1]], where="post", color=ORANGE, label=caption)
        scale(ax.yaxis, ys)
        lost = sorted({*range(1, len(values) + 1)}.difference(xs))
        if lost:
            ax.plot(
                *(lost, [0.015] * len(lost), "|"),
                color=INK,
                ms=6,
                transform=ax.get_xaxis_transform(),
                label=f"no number ({len(lost)})",
            )
        ax.set_xlabel("run, in the order they were made")
        ax.set_ylabel(label(metric))
        ax.set_xlim(0.5 - 0.02 * len(values), len(values) + 0.5 + 0.02 * len(values))
        whole(ax.xaxis)
        above(ax)
        return figure


def _running(xs: Sequence[int], ys: Sequence[float], *, maximize: bool) -> list[tuple[int, float]]:
    """Return the best so far of single runs."""
    found: list[tuple[int, float]] = []
    for x, y in zip(xs, ys, strict=True):
        before = found[-1][1] if found else y
        found.append((x, max(before, y) if maximize else min(before, y)))
    return found


def draw_front(
    points: Sequence[Sequence[float]],
    front: Sequence[int],
    *,
    names: Sequence[str],
    goals: Sequence[str],
) -> Figure:
    """Draw two objectives against each other, with the points that no other improves on.

    Args:    points: the values of both objectives.   front: places of the best points, in order.
             goals: minimize or maximize, for each.
    Raises:  MissingExtra: matplotlib is not installed.
    """
    with styled():
        figure, ax = axes()
        if not points:
            says(ax, "no run has a number for every objective yet")
            return figure
        xs, ys = ([point[k] for point in points] for k in (0, 1))
        _dots(ax, xs, ys, label="one run")
        best = [points[i] for i in front]
        ax.plot([p[0] for p in best], [p[1] for p in best], "D", color=ORANGE, ms=5, zorder=3)
        corners = [best[0], *(c for a, b in pairwise(best) for c in ((b[0], a[1]), b))]
        ax.plot(*zip(*corners, strict=True), color=ORANGE, label="Pareto front", zorder=2)
        scale(ax.xaxis, xs)
        scale(ax.yaxis, ys)
        better = ["more" if goal == "maximize" else "less" for goal in goals]
        ax.set_xlabel(f"{label(names[0])} ({better[0]} is better)")
        ax.set_ylabel(f"{label(names[1])} ({better[1]} is better)")
        above(ax)
        return figure


def draw_slice(
    name: str,
    xs: Sequence[Any],
    ys: Sequence[float],
    *,
    metric: str,
    log: bool | None = None,
    best: int | None = None,
) -> Figure:
    """Draw the metric against one parameter; medians if it takes few values.

    Args:    log: whether the parameter was searched on a log scale; None where it is not known.
             best: place of the best run.
    Raises:  MissingExtra: matplotlib is not installed.
    """
    with styled():
        figure, ax = axes()
        if not ys:
            says(ax, "no run has a number yet")
            return figure
        numbers = all(isinstance(x, (int, float)) and not isinstance(x, bool) for x in xs)
        few = _few(xs)
        if few is not None or not numbers:
            words = few or sorted({str(x) for x in xs})[:_MOST_WORDS]
            place = {str(word): k for k, word in enumerate(words)}
            named = [str(x) for x in xs]
            inside = [i for i, word in enumerate(named) if word in place]
            at = [place[named[i]] + _jitter(i) for i in inside]
            _dots(ax, at, [ys[i] for i in inside])
            by_word: dict[str, list[float]] = {word: [] for word in place}
            for i in inside:
                by_word[named[i]].append(ys[i])
            counted = []
            for word, k in place.items():
                mine = sorted(by_word[word])
                counted.append(f"{label(word, 12)}\nn={len(mine)}")
                middle = (mine[(len(mine) - 1) // 2] + mine[len(mine) // 2]) / 2
                ax.plot([k - 0.3, k + 0.3], [middle, middle], color=ORANGE, lw=2, zorder=4)
            ax.plot([], [], color=ORANGE, lw=2, label="median")
            ax.set_xticks(range(len(place)), counted)
            ax.grid(visible=False, axis="x")
            if best is not None and str(xs[best]) in place:
                _ring(ax, place[str(xs[best])] + _jitter(best), ys[best])
        else:
            _dots(ax, xs, ys)
            scale(ax.xaxis, xs, log)
            if best is not None:
                _ring(ax, xs[best], ys[best])
        scale(ax.yaxis, ys)
        ax.set_xlabel(label(name))
        ax.set_ylabel(label(metric))
        if ax.get_legend_handles_labels()[0]:
            above(ax)
        return figure


def draw_importance(
    bars: Sequence[Bar], *, metric: str, over: str, sure: bool = True, most: int = 12
) -> Figure:
    """Draw how much of the settings' scores each parameter explains.

    The grey tick is what chance alone reaches in one case of twenty: a bar that ends before it
    means nothing.

    Args:    over: what they rest on, such as "80 settings".
             sure: whether points were drawn whatever the results were: else chance is approximate.
    Raises:  MissingExtra: matplotlib is not installed.
    """
    with styled():
        shown = list(reversed(bars[:most]))
        figure, ax = axes((SIZE[0], max(1.6, 0.75 + 0.3 * len(shown))))
        if not shown:
            says(ax, f"{over} with a number: too few to say, or all equal")
            return figure
        for k, bar in enumerate(shown):
            clear = bar.floor is None or bar.share > bar.floor
            ax.barh(k, bar.share, height=0.56, color=BLUE if clear else GRID, ec=BLUE, lw=0.8)
            if bar.floor is not None:
                ax.plot([bar.floor] * 2, [k - 0.38, k + 0.38], color=INK, lw=1.4)
            rho = bar.correlation
            caption = f"{bar.share:.0%}" + ("" if rho is None else f", rank corr. {rho:+.2f}")
            right = max(bar.share, bar.floor or 0)
            ax.text(right + 0.02, k, caption, va="center", fontsize=7.5, color=DIM)
        if any(bar.floor is not None for bar in shown):
            share = "95 %" if sure else "roughly: points were not drawn at random"
            ax.plot([], [], color=INK, lw=1.4, label=f"what chance reaches ({share})")
        else:
            ax.plot([], [], " ", label="no parameter exceeds what chance reaches")
        ax.set_yticks(range(len(shown)), [label(bar.name, 18) for bar in shown])
        ax.grid(visible=False, axis="y")
        ax.tick_params(axis="y", length=0)
        widest = max(max(bar.share, bar.floor or 0) for bar in shown)
        ax.set_xlim(0, max(widest * 1.75, 0.3))
        ax.set_ylim(-0.6, len(shown) - 0.4)
        ax.xaxis.set_major_formatter(lambda v, _: f"{v:.0%}" if v <= 1 else "")
        ax.set_xlabel(f"importance for {label(metric, 20)}, over {over}")
        above(ax)
        return figure


def draw_strips(strips: Sequence[Strip], *, metric: str, says_bar: str) -> Figure:
    """Draw each setting's values over its seeds, their median, and two quantiles.

    Raises:  MissingExtra: matplotlib is not installed.
    """
    with styled():
        shown = list(reversed(strips))
        figure, ax = axes((SIZE[0], max(1.6, 0.9 + 0.32 * len(shown))))
        values = [v for strip in shown for v in strip.values if math.isfinite(v)]
        if not values:
            says(ax, "no run has a number yet")
            return figure
        for k, strip in enumerate(shown):
            at = [k + 0.8 * _jitter(i) for i in range(len(strip.values))]
            _dots(ax, strip.values, at, size=9)
            ax.plot([strip.low, strip.high], [k, k], color=INK, lw=1.1, zorder=4)
            ax.plot([strip.middle], [k], "D", ms=5, mfc="white", mec=INK, mew=1.2, zorder=5)
            if strip.says:
                place = ax.get_yaxis_transform()
                caption = {"va": "center", "fontsize": 7, "color": DIM, "transform": place}
                ax.text(1.01, k, strip.says, **caption)
        ax.plot([], [], "D", ms=5, mfc="white", mec=INK, mew=1.2, label="median")
        ax.plot([], [], color=INK, lw=1.1, label=says_bar)
        scale(ax.xaxis, values)
        ax.set_yticks(range(len(shown)), [label(strip.name, 24) for strip in shown])
        ax.set_ylim(-0.6, len(shown) - 0.4)
        ax.grid(visible=False, axis="y")
        ax.tick_params(axis="y", length=0)
        ax.set_xlabel(label(metric))
        above(ax)
        return figure


def draw_parallel(
    names: Sequence[str],
    rows: Sequence[Sequence[Any]],
    *,
    logs: Sequence[bool | None],
    maximize: bool = False,
    what: str = "runs",
) -> Figure:
    """Draw parallel coordinates: a line for each run to its metric; the best tenth stand out.

    Args:    rows: by run, a value for each of ``names``; the last is the metric, finite.
             what: what the lines are, such as "settings".
    Raises:  MissingExtra: matplotlib is not installed.
    """
    with styled():
        figure, ax = axes((max(SIZE[0], 1.15 * len(names) + 0.9), 3.2))
        if not rows or len(names) < 2:
            says(ax, "no run has a number yet" if not rows else "no parameter varies")
            return figure
        order = sorted(range(len(rows)), key=lambda i: rows[i][-1], reverse=maximize)[:_LINES]
        scaled = [_heights([rows[i][j] for i in order], logs[j]) for j in range(len(names))]
        top = max(1, math.ceil(len(order) / 10))
        faint = 0.45 if len(order) < 60 else 0.18
        for place in range(len(order) - 1, -1, -1):
            good = place < top
            ys = [heights[place] for heights, _ in scaled]
            ax.plot(
                *(range(len(names)), ys),
                color=ORANGE if good else BLUE,
                alpha=0.9 if good else faint,
                lw=1.2 if good else 0.7,
                zorder=3 if good else 2,
                rasterized=len(order) * len(names) > MANY,
            )
        for j, (_, ticks) in enumerate(scaled):
            ax.axvline(j, color=DIM, lw=0.8)
            for height, word in ticks:
                ax.text(
                    *(j - 0.03, height, label(word, 10)),
                    ha="right",
                    va="center",
                    fontsize=7,
                    color=DIM,
                    zorder=6,
                    bbox={"fc": "white", "ec": "none", "pad": 0.4, "alpha": 0.75},
                )
        ax.set_xticks(range(len(names)), [label(name, 14) for name in names])
        ax.set_yticks([])
        ax.set_xlim(-0.45, len(names) - 0.9)
        ax.grid(visible=False)
        ax.spines[["left", "bottom"]].set_visible(False)
        ax.tick_params(axis="x", length=0)
        ax.set_title(f"orange: the best {top} of {len(rows)} {what}", color=DIM, fontsize=8)
        return figure


def draw_contour(
    names: tuple[str, str],
    xs: Sequence[float],
    ys: Sequence[float],
    values: Sequence[float],
    *,
    metric: str,
    logs: tuple[bool | None, bool | None] = (None, None),
) -> Figure:
    """Draw the metric over two numeric parameters: levels between the runs, and the runs.

    Raises:  MissingExtra: matplotlib is not installed.
    """
    with styled():
        figure, ax = axes((SIZE[0] + 0.5, 3.3))
        if len(values) < 4 or len(set(xs)) < 2 or len(set(ys)) < 2:
            says(ax, "too few runs differ in both")
            return figure
        from matplotlib.colors import LogNorm, Normalize

        log = spans(values)
        norm = (LogNorm if log else Normalize)(min(values), max(values))
        logx = scale(ax.xaxis, xs, logs[0])
        logy = scale(ax.yaxis, ys, logs[1])
        _levels(ax, [(xs, logx), (ys, logy)], values, norm)
        dots = ax.scatter(
            *(xs, ys),
            c=values,
            cmap="cividis",
            norm=norm,
            s=16,
            ec="white",
            lw=0.6,
            rasterized=len(values) > MANY,
        )
        bar = figure.colorbar(dots, ax=ax)
        bar.outline.set_visible(False)
        scale(bar.ax.yaxis, values, log)
        bar.set_label(label(metric))
        ax.set_xlabel(label(names[0]))
        ax.set_ylabel(label(names[1]))
        ax.grid(visible=False)
        return figure


def _levels(ax: Axes, places: Any, values: Sequence[float], norm: Any) -> None:
    """Fill levels between the runs, if they span an area."""
    from matplotlib.tri import Triangulation

    flat = [[math.log10(v) if log else v for v in column] for column, log in places]
    spread = [max(column) - min(column) for column in flat]
    unit = [
        [(v - min(column)) / wide for v in column]
        for column, wide in zip(flat, spread, strict=True)
    ]
    met: dict[tuple[float, float], list[float]] = {}
    for x, y, value in zip(*unit, values, strict=True):
        met.setdefault((x, y), []).append(value)
    points = sorted(met)
    try:
        triangles = Triangulation([p[0] for p in points], [p[1] for p in points])
    except (ValueError, RuntimeError):  # all on one line
        return
    middles = [sorted(met[p])[len(met[p]) // 2] for p in points]
    x, y = ([_back(p[k], flat[k], spread[k], places[k][1]) for p in points] for k in (0, 1))
    low, high = norm(min(middles)), norm(max(middles))
    levels = [float(norm.inverse(low + (high - low) * k / _LEVELS)) for k in range(_LEVELS + 1)]
    if high > low:
        ax.tricontourf(
            x,
            y,
            triangles.triangles,  # pyright: ignore[reportCallIssue]
            middles,
            levels=levels,
            norm=norm,
            cmap="cividis",
            zorder=0,
        )


def _back(unit: float, column: Sequence[float], wide: float, log: bool) -> float:
    value = min(column) + unit * wide
    return 10**value if log else value


def _heights(
    column: Sequence[Any], log: bool | None
) -> tuple[list[float], list[tuple[float, str]]]:
    """Place values on an axis from 0 to 1, with tick labels."""
    numbers = all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in column)
    few = _few(column)
    if not numbers or few is not None:
        words = few or sorted({str(v) for v in column})
        place = {str(w): (k + 0.5) / len(words) for k, w in enumerate(words)}
        step = max(1, len(words) // _MOST_WORDS)
        return [place[str(v)] for v in column], [(place[str(w)], str(w)) for w in words[::step]]
    low, high = min(column), max(column)
    log = low > 0 and (spans(column) if log is None else log)
    turn = math.log10 if log else float
    bottom, wide = turn(low), (turn(high) - turn(low)) or 1.0
    marks = [bottom + wide * part for part in (0, 0.25, 0.5, 0.75, 1)]
    caption = [(k / 4, f"{(10**m if log else m):.3g}") for k, m in enumerate(marks)]
    return [(turn(v) - bottom) / wide for v in column], caption


def _few(values: Sequence[Any]) -> list[Any] | None:
    """Return the distinct values in order if they are few, else None."""
    distinct = dict.fromkeys(values)
    if len(distinct) > 8 or (len(distinct) > 3 and len(distinct) * 2 > len(values)):
        return None
    numbers = all(isinstance(v, (int, float)) for v in distinct)
    return sorted(distinct) if numbers else sorted(distinct, key=str)


def _dots(ax: Axes, xs: Any, ys: Any, *, label: str | None = None, size: float = 13) -> None:
    import numpy as np

    n = len(xs)
    faint = 0.65 if n < 200 else 0.5 if n < MANY else 0.25
    small = size if n < 200 else 0.7 * size if n < MANY else 0.35 * size
    ax.scatter(
        *(np.asarray(xs), np.asarray(ys)),  # of lists matplotlib masks number by number
        s=small,
        color=BLUE,
        alpha=faint,
        lw=0,
        zorder=3,
        label=label,
        rasterized=n > MANY,
    )


def _ring(ax: Axes, x: float, y: float) -> None:
    ax.plot([x], [y], "o", ms=7, mfc="none", mec=ORANGE, mew=1.5, zorder=6, label="best run")


def _jitter(i: int) -> float:
    """Return a reproducible offset beside a value."""
    return ((i * 0.6180339887) % 1 - 0.5) * 0.4
