"""The figures of a report: which there are, what they say, and what small cells leave of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from thetahat import figures
from thetahat.analysis import Study, number, quantile
from thetahat.report._document import Picture
from thetahat.report._numbers import word

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from thetahat.store import RunRow, Store

MOST_SLICES = 6
MOST_STRIPS = 12
MOST_CURVES = 6
_BAND, _BAND_LEAST = 5, 2
"""Runs of a setting from which on they are a band, and runs that a point of it needs."""
_MOST_SEEDS = 60
"""Runs whose records are read for a band."""


def sweep_pictures(store: Store, study: Study) -> list[Picture]:
    """The figures of a sweep, most telling first; none where no run has a number."""
    if not study.counted:
        return []
    metric = word(study.axis)
    made = [
        _single(
            study,
            *("progress", "Progress"),
            f"{metric} of every run in the order they were made, and the best so far.",
            lambda: progress(study),
        )
    ]
    made.append(_curves(store, study))
    told = [e for e in study.effects if e.importance is not None]
    # The shares of one parameter alone are all of it, whatever it does.
    if len(told) > 1 and not study.rule.hides(len(study.counted)):
        made.append(
            Picture(
                *("importance", "What matters"),
                f"How much of the ranks of {_settings(study)} each parameter explains beyond"
                " chance, the best weighing most. A bar that ends before the tick could be chance.",
                lambda: importance(study),
            )
        )
    if study.replicated:
        shown = [s for s in study.settings if len(s.values) > 1]
        caption = f"Every seed's {metric}, by setting, from the best."
        if len(shown) > MOST_STRIPS:
            caption += f" The {MOST_STRIPS} best of {len(shown)} settings."
        made.append(_single(study, "seeds", "Seeds", caption, lambda: seeds(study)))
    for name in slice_names(study)[:MOST_SLICES]:
        made.append(
            _single(
                study,
                *(f"slice-{name}", f"{metric} by {word(name)}"),
                f"{metric} of every run against {word(name)}.",
                _slicer(study, name),
            )
        )
    return made


def _n(study: Study) -> str:
    """How many runs count, where saying so does not give away how many do not."""
    n = len(study.counted)
    few = study.rule.hides_count(len(study.runs) - n)
    return "the runs" if few else f"{n:,} runs"


def _single(
    study: Study, name: str, title: str, caption: str, draw: Callable[[], Figure]
) -> Picture:
    """A figure with a dot or a line for a single run: small cells leave nothing of it."""
    if study.rule.on:
        return Picture(
            name, title, f"it would show single runs (--min-cell {study.rule.least})", None
        )
    return Picture(name, title, caption, draw)


def progress(study: Study) -> Figure:
    """The metric by run order, with the best so far."""
    counted = {run.id for run in study.counted}
    over = [run for run in study.runs if run.status.over]
    values = [study.value(run) if run.id in counted else None for run in over]
    return figures.draw_progress(values, metric=study.axis, maximize=study.maximize)


def importance(study: Study) -> Figure:
    """How much each parameter matters, beside what chance would reach."""
    bars = [
        figures.Bar(effect.name, effect.importance, _at_most_all(effect.floor), effect.correlation)
        for effect in study.effects
        if effect.importance is not None
    ]
    return figures.draw_importance(bars, metric=study.axis, over=_settings(study))


def _settings(study: Study) -> str:
    """What importance rests on."""
    if not study.effects:
        return _n(study)
    n = study.effects[0].settings
    return f"{n:,} setting{'s' * (n != 1)}"


def _at_most_all(floor: float | None) -> float | None:
    """What chance reaches, as a share: where nothing matters it may be more than everything."""
    return None if floor is None else min(floor, 1.0)


def slice_names(study: Study) -> list[str]:
    """Parameters worth a slice, the most important first."""
    return [effect.name for effect in study.effects]


def slice_of(study: Study, name: str) -> Figure:
    """The metric against one parameter."""
    column = study.column(name)
    have = [i for i, value in enumerate(column) if value is not None]
    ys = [study.value(study.counted[i]) for i in have]
    best = min(range(len(ys)), key=lambda i: study.sign * ys[i]) if ys else None
    return figures.draw_slice(
        *(name, [column[i] for i in have], ys),
        metric=study.axis,
        log=study.log(name),
        best=best,
    )


def _slicer(study: Study, name: str) -> Callable[[], Figure]:
    return lambda: slice_of(study, name)


def seeds(study: Study) -> Figure:
    """Every seed's number, setting by setting."""
    low, high = study.quantiles[0], study.quantiles[-1]
    strips = [
        figures.Strip(
            setting.name or "all runs",
            setting.values,
            quantile(setting.values, low),
            quantile(setting.values, 0.5),
            quantile(setting.values, high),
        )
        for setting in study.settings
        if setting.values and not setting.hidden
    ]
    bar = f"{100 * low:g} to {100 * high:g} %"
    return figures.draw_strips(strips[:MOST_STRIPS], metric=study.axis, says_bar=bar)


def parallel(study: Study) -> Figure:
    """Every run as a line across its parameters, to its metric."""
    names = [effect.name for effect in study.effects]
    columns = [study.column(name) for name in names]
    values = [study.value(run) for run in study.counted]
    rows = [
        [*(column[i] for column in columns), value]
        for i, value in enumerate(values)
        if all(column[i] is not None for column in columns)
    ]
    logs = [*(study.log(name) for name in names), None]
    return figures.draw_parallel([*names, study.axis], rows, logs=logs, maximize=study.maximize)


def contour(study: Study, x: str, y: str) -> Figure:
    """The metric over two numeric parameters."""
    xs, ys = study.column(x), study.column(y)
    values = [study.value(run) for run in study.counted]
    have = [
        i for i in range(len(values)) if number(xs[i]) is not None and number(ys[i]) is not None
    ]
    return figures.draw_contour(
        (x, y),
        [float(xs[i]) for i in have],
        [float(ys[i]) for i in have],
        [values[i] for i in have],
        metric=study.axis,
        logs=(study.log(x), study.log(y)),
    )


def _curves(store: Store, study: Study) -> Picture:
    """The best setting's seeds as a band where they are many, else the best runs one by one."""
    best = study.best
    runs = best.runs if best is not None else []
    values = len(best.values) if best is not None else 0
    if study.rule.on or values >= _BAND:
        title = "Training, over the seeds of the best setting"
        if study.rule.on and values < study.rule.least:
            return _single(study, "curves", title, "", lambda: band(store, study, []))
        least = max(_BAND_LEAST, study.rule.least)
        return Picture(
            *("curves", title),
            f"Median and quantiles by epoch, where at least {least} runs have a number.",
            lambda: band(store, study, runs),
        )
    few = study.best_runs[:MOST_CURVES]
    which = f"the {len(few)} best runs" if len(few) > 1 else "the best run"
    return Picture(
        *("curves", "Training of " + which),
        f"The validation risk (or the first number recorded) of {which} by epoch; rings mark best"
        " epochs.",
        lambda: curves(store, few),
    )


def curves(store: Store, runs: Sequence[RunRow]) -> Figure:
    """The recorded curves of a few runs."""
    read = [(run, *curve_of(store, run)) for run in runs]
    drawn = [
        figures.Curve(word(run.name), xs, ys, _mark(run, metric, xs, ys))
        for run, metric, _, xs, ys in read
        if xs
    ]
    named = next(((metric, axis) for _, metric, axis, xs, _ in read if xs), ("val_risk", "epoch"))
    return figures.draw_curves(drawn, metric=named[0], axis=named[1])


def band(store: Store, study: Study, runs: Sequence[RunRow]) -> Figure:
    """The median and two quantiles over runs, epoch by epoch."""
    at: dict[float, list[float]] = {}
    named = ("val_risk", "epoch")
    for run in runs[:_MOST_SEEDS]:
        metric, axis, xs, ys = curve_of(store, run)
        named = (metric, axis) if xs else named
        for x, y in zip(xs, ys, strict=True):
            if number(y) is not None:
                at.setdefault(x, []).append(y)
    enough = {x: at[x] for x in sorted(at) if len(at[x]) >= max(_BAND_LEAST, study.rule.least)}
    low, high = study.quantiles[0], study.quantiles[-1]
    lines = [[quantile(ys, q) for ys in enough.values()] for q in (low, 0.5, high)]
    said = f"{100 * low:g} to {100 * high:g} % of {len(runs[:_MOST_SEEDS])} runs"
    return figures.draw_band(list(enough), *lines, says_band=said, metric=named[0], axis=named[1])


def curve_of(store: Store, run: RunRow) -> tuple[str, str, list[float], list[float]]:
    """(metric, axis, places, values) of the curve that tells most of a run."""
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
