"""The figures of a report, their captions, and their small-cell suppression."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import combinations
from typing import TYPE_CHECKING, Any

from thetahat import figures
from thetahat.analysis import (
    BAND_LEAST,
    Study,
    curve_band,
    flat_config,
    number,
    pareto_front,
    plain,
)
from thetahat.format._numbers import word
from thetahat.report._document import Picture

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from thetahat.store import RunRow, Store

MOST_SLICES = 6
_MOST_PAIRS = 3
"""Pairs of objectives that are drawn."""
MOST_STRIPS = 12
MOST_CURVES = 6
_BAND = 5
"""Runs of a setting from which on they are drawn as a band."""
_MOST_SEEDS = 60
"""Runs whose records are read for a band."""


def sweep_pictures(store: Store, study: Study) -> list[Picture]:
    """List the figures of a sweep, most informative first; none if no run has a number."""
    if not study.counted:
        return []
    metric = word(study.axis)
    made = front_pictures(study)
    made += [
        _single(
            study,
            *("progress", "Progress"),
            f"{metric} of every run in the order they were made, and the best"
            + (f" setting by its {study.word} so far." if study.replicated else " so far."),
            lambda: progress(study),
        )
    ]
    made.append(_curves(store, study))
    measured = [e for e in study.effects if e.importance is not None]
    # One parameter alone has the whole share, whatever it does.
    if len(measured) > 1 and not study.rule.hides(len(study.counted)):
        made.append(
            Picture(
                *("importance", "What matters"),
                f"How much of the ranks of {_settings(study)} each parameter explains beyond"
                " chance, the best weighing most. A bar that ends before the tick could be chance."
                + (study.caution and f" {study.caution}"),
                lambda: importance(study),
            )
        )
    if study.replicated:
        shown = [s for s in study.settings if len(s.values) > 1]
        caption = f"Every seed's {metric}, by setting, from the best; n beside each."
        if len(shown) > MOST_STRIPS:
            caption += f" The {MOST_STRIPS} best of {len(shown)} settings."
        made.append(_single(study, "seeds", "Seeds", caption, lambda: seeds(study)))
    for effect in study.effects[:MOST_SLICES]:
        made.append(
            _single(
                study,
                *(f"slice-{effect.name}", f"{metric} by {word(effect.name)}"),
                f"{metric} of every run against {word(effect.name)}.",
                partial(slice_of, study, effect.name),
            )
        )
    return made


def front_pictures(study: Study) -> list[Picture]:
    """List the figure of each pair of objectives; none where the sweep has only one."""
    front = study.front
    if front is None:
        return []
    made = []
    pairs = list(combinations(range(len(front.objectives)), 2))[:_MOST_PAIRS]
    for i, j in pairs:
        names = [word(front.objectives[k][0]) for k in (i, j)]
        what = f"setting's {study.word}" if study.replicated else "run"
        caption = f"{names[0]} and {names[1]} of every {what}, and those that no other improves on"
        caption += " in both." if len(front.objectives) == 2 else " in these two."
        name = "front" if len(pairs) == 1 else f"front-{i + 1}-{j + 1}"
        draw = partial(_front, study, i, j)
        made.append(_single(study, name, "Pareto front", caption, draw))
    return made


def _front(study: Study, i: int, j: int) -> Figure:
    front = study.front
    assert front is not None
    chosen = [front.objectives[k] for k in (i, j)]
    points = [(values[i], values[j]) for _, values in front.points]
    signs = [-1 if goal == "maximize" else 1 for _, goal in chosen]
    return figures.draw_front(
        points,
        pareto_front(points, signs),
        names=[name for name, _ in chosen],
        goals=[goal for _, goal in chosen],
    )


def _single(
    study: Study, name: str, title: str, caption: str, draw: Callable[[], Figure]
) -> Picture:
    """Make a figure that shows single runs; small-cell suppression leaves it out."""
    if study.rule.on:
        return Picture(
            name, title, f"it would show single runs (--min-cell {study.rule.least})", None
        )
    return Picture(name, title, caption, draw)


def progress(study: Study) -> Figure:
    """Draw the metric by run order, with the best so far."""
    counted = {run.id for run in study.counted}
    over = [run for run in study.runs if run.status.over]
    values = [study.value(run) if run.id in counted else None for run in over]
    return figures.draw_progress(
        values, metric=study.axis, maximize=study.maximize, steps=_steps(study, over)
    )


def _steps(study: Study, over: Sequence[RunRow]) -> list[tuple[int, float]] | None:
    """List the best settings so far by place among the ended runs; None without replicates."""
    if not study.replicated:
        return None
    place = {run.id: k for k, run in enumerate(over, 1)}
    ends = sorted(
        (max(place.get(run.id, 0) for run in setting.runs), setting.center)
        for setting in study.settings
        if setting.center is not None and study.settled(setting)
    )
    steps: list[tuple[int, float]] = []
    for at, value in ends:
        if not steps or study.sign * value < study.sign * steps[-1][1]:
            steps.append((at, value))
    return steps


def importance(study: Study) -> Figure:
    """Draw how much each parameter matters, beside the share that chance would reach."""
    # If nothing matters, chance may reach more than all importances together.
    bars = [
        figures.Bar(
            e.name, e.importance, None if e.floor is None else min(e.floor, 1), e.correlation
        )
        for e in study.effects
        if e.importance is not None
    ]
    return figures.draw_importance(
        bars, metric=study.axis, over=_settings(study), sure=not study.caution
    )


def _settings(study: Study) -> str:
    """Say on how many settings importance rests."""
    if study.effects:
        n = study.effects[0].settings
        return f"{n:,} setting{'s' * (n != 1)}"
    n = len(study.counted)
    # The count would reveal how few runs do not count.
    return "the runs" if study.rule.hides_count(len(study.runs) - n) else f"{n:,} runs"


def slice_of(study: Study, name: str) -> Figure:
    """Draw the metric against one parameter."""
    column = study.column(name)
    have = [i for i, value in enumerate(column) if value is not None]
    ys = [study.values[i] for i in have]
    first = min if study.sign > 0 else max
    best = first(range(len(ys)), key=ys.__getitem__) if ys else None
    # With replicates the luckiest run need not be of the best setting.
    best = None if study.replicated else best
    return figures.draw_slice(
        *(name, [column[i] for i in have], ys),
        metric=study.axis,
        log=study.log(name),
        best=best,
    )


def seeds(study: Study) -> Figure:
    """Draw every seed's number, by setting."""
    shown = [s for s in study.settings if s.values and not s.hidden][:MOST_STRIPS]
    strips = []
    for setting in shown:
        spread = setting.spread
        assert spread is not None
        lost = len(setting.runs) - spread.n
        n = f"n={spread.n}" + (f", {lost} without" if lost else "")
        name = setting.name or "all runs"
        strips.append(
            figures.Strip(name, setting.values, spread.low, spread.center, spread.high, n)
        )
    kinds = dict.fromkeys(setting.spread.says for setting in shown if setting.spread is not None)
    return figures.draw_strips(strips, metric=study.axis, says_bar=" or, of few, ".join(kinds))


def parallel(study: Study) -> Figure:
    """Draw every run, or every replicated setting, as a line to its metric."""
    names = [effect.name for effect in study.effects]
    rows = [
        [*(plain(config.get(name)) for name in names), value]
        for config, value in study.units
        if all(config.get(name) is not None for name in names)
    ]
    logs = [*(study.log(name) for name in names), None]
    axis = f"{study.axis} {study.word}" if study.replicated else study.axis
    what = "settings" if study.replicated else "runs"
    return figures.draw_parallel(
        [*names, axis], rows, logs=logs, maximize=study.maximize, what=what
    )


def contour(study: Study, x: str, y: str) -> Figure:
    """Draw the metric over two numeric parameters."""
    units = study.units
    if x in study.seeds or y in study.seeds:
        units = [(flat_config(run.config), study.value(run)) for run in study.counted]
    have = [
        (float(config[x]), float(config[y]), value)
        for config, value in units
        if number(config.get(x)) is not None and number(config.get(y)) is not None
    ]
    return figures.draw_contour(
        (x, y),
        [at for at, _, _ in have],
        [at for _, at, _ in have],
        [value for _, _, value in have],
        metric=study.axis,
        logs=(study.log(x), study.log(y)),
    )


def _curves(store: Store, study: Study) -> Picture:
    """Draw the best setting's seeds as a band if there are many, else the best runs singly."""
    best = study.best
    runs = best.runs if best is not None else []
    values = len(best.values) if best is not None else 0
    if study.rule.on or values >= _BAND:
        title = "Training, over the seeds of the best setting"
        if study.rule.on and values < study.rule.least:
            return _single(study, "curves", title, "", lambda: band(store, study, []))
        least = max(BAND_LEAST, study.rule.least)
        return Picture(
            *("curves", title),
            f"Median and quantiles by epoch, where at least {least} runs, and half of those that"
            " began, have a number; n says of how many, and where that changes.",
            lambda: band(store, study, runs),
        )
    few = study.leading_runs[:MOST_CURVES]
    if study.replicated:
        few = best.from_the_middle(study.metric)[:MOST_CURVES] if best is not None else few
        which = "the best setting's runs" if len(few) > 1 else "the best setting's run"
    else:
        which = f"the {len(few)} best runs" if len(few) > 1 else "the best run"
    return Picture(
        *("curves", "Training of " + which),
        f"The validation risk (or the first number recorded) of {which} by epoch; rings mark best"
        " epochs.",
        lambda: curves(store, few),
    )


def curves(store: Store, runs: Sequence[RunRow]) -> Figure:
    """Draw the recorded curves of a few runs."""
    read = [(run, *curve_of(store, run)) for run in runs]
    drawn = [
        figures.Curve(word(run.name), xs, ys, _mark(run, metric, xs, ys))
        for run, metric, _, xs, ys in read
        if xs
    ]
    named = next(((metric, axis) for _, metric, axis, xs, _ in read if xs), ("val_risk", "epoch"))
    return figures.draw_curves(drawn, metric=named[0], axis=named[1])


def band(store: Store, study: Study, runs: Sequence[RunRow]) -> Figure:
    """Draw the median and two quantiles over runs that ended well, by epoch."""
    drawn, named = [], ("val_risk", "epoch")
    for run in runs[:_MOST_SEEDS]:
        if not run.status.well:
            continue
        metric, axis, xs, ys = curve_of(store, run)
        named = (metric, axis) if xs else named
        drawn.append(dict(zip(xs, ys, strict=True)))
    least, began = max(BAND_LEAST, study.rule.least), len(runs[:_MOST_SEEDS])
    made = curve_band(drawn, began=began, least=least, quantiles=study.quantiles)
    low, high = study.quantiles[0], study.quantiles[-1]
    return figures.draw_band(
        *(made.x, made.low, made.middle, made.high),
        says_band=f"{100 * low:g} to {100 * high:g} % of {began} runs",
        # The number of runs missing at an epoch may be a small cell.
        counts=[] if study.rule.on else made.changes(),
        axis=named[1],
        metric=named[0],
    )


def curve_of(store: Store, run: RunRow) -> tuple[str, str, list[float], list[float]]:
    """Read (metric, axis, places, values) of a run's most informative curve."""
    columns: dict[str, Any] = store.history(run.id)
    axis = next((name for name in ("epoch", "step") if name in columns), None)
    names = [name for name in columns if name not in ("epoch", "step", "learning_rate", "seconds")]
    first = [name for name in ("val_risk", "train_risk") if name in names]
    metric = next(iter([*first, *names]), None)
    if axis is None or metric is None:
        return ("", "epoch", [], [])
    return (metric, axis, columns[axis].tolist(), columns[metric].tolist())


def _mark(
    run: RunRow, metric: str, xs: Sequence[float], ys: Sequence[float]
) -> tuple[float, float] | None:
    if metric != "val_risk" or run.best_epoch is None or run.best_epoch not in xs:
        return None
    return (float(run.best_epoch), float(ys[list(xs).index(run.best_epoch)]))
