"""The measured cells as Markdown: risks with standard errors, mean ranks, and pairs with ours."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.tables.cells import FOLDS, Cell
from benchmarks.tables.data import LARGEST, TABLES
from benchmarks.tables.estimators import ESTIMATORS, OURS

Value = Callable[[Cell], float]
Fold = tuple[int, int]
"""Repeat and fold."""
By = Mapping[tuple[str, str], Mapping[Fold, Cell]]
"""Cells by table and estimator, then by repeat and fold."""


@dataclass(frozen=True)
class Measure:
    """A number of a cell.

    Args:    value: the smaller the better.   shown: of a mean value, and the variance of y.
    """

    title: str
    value: Value
    shown: Callable[[float, float], float]


R2 = Measure("R²", lambda cell: cell.risk, lambda value, variance: 1 - value / variance)
LOG_LOSS = Measure("log loss", lambda cell: cell.risk, lambda value, _: value)
ACCURACY = Measure("accuracy", lambda cell: 1 - (cell.accuracy or 0.0), lambda value, _: 1 - value)


def lines(cells: Iterable[Cell]) -> list[str]:
    """Write all tables of the report."""
    by = _grouped(cells)
    names = [n for n in ESTIMATORS if any(n == name for _, name in by)]
    names.sort(key=lambda n: (n != OURS, list(ESTIMATORS).index(n)))
    titles = [t for t in TABLES if (t, OURS) in by]
    if not titles:
        return [f"No table was measured with {OURS} yet."]
    numbers = [t for t in titles if not _classes(by, t)]
    classes = [t for t in titles if _classes(by, t)]
    found = [
        f"{FOLDS}-fold cross-validation; of the folds that all estimators of a row have so far,"
        " each number is the mean, and the best is bold. ± is the standard error of its"
        f" difference to {OURS}, paired over the folds and corrected for the overlap of their"
        f" training parts (Nadeau & Bengio 2003). Longer tables are sampled to {LARGEST:,} rows,"
        " the same for all. With one fold there is no standard error, and a rank says little.",
    ]
    for measure, rows in ((R2, numbers), (LOG_LOSS, classes), (ACCURACY, classes)):
        found += ["", *_levels(by, rows, names, measure)] if rows else []
    found += ["", *_mean_ranks(by, titles, names)]
    return [*found, "", *_pairs(by, names), "", _costs(by, names)]


def _grouped(cells: Iterable[Cell]) -> By:
    by: dict[tuple[str, str], dict[Fold, Cell]] = {}
    for cell in cells:
        by.setdefault((cell.table, cell.estimator), {})[cell.repeat, cell.fold] = cell
    return by


def _any(by: By, table: str) -> Cell:
    return next(iter(by[table, OURS].values()))


def _classes(by: By, table: str) -> bool:
    return _any(by, table).variance is None


def shared(by: By, table: str, names: Sequence[str]) -> list[Fold]:
    """List repeats and folds of a table that all these estimators have."""
    return sorted(set.intersection(*(set(by.get((table, name), {})) for name in names)))


def mean(by: By, table: str, name: str, at: Sequence[Fold], value: Value) -> float:
    """Average over folds, each with the weight of its test rows."""
    cells = [by[table, name][k] for k in at]
    return float(np.average([value(c) for c in cells], weights=[c.test for c in cells]))


def corrected_error(gaps: Sequence[float], train: float, test: float) -> float:
    """Compute the standard error of a mean over J folds whose training parts overlap.

        se^2 = (1 / J + test / train) var(gaps)

    Source:  Nadeau & Bengio (2003), "Inference for the generalization error".
    """
    if len(gaps) < 2:
        return math.nan
    return math.sqrt((1 / len(gaps) + test / train) * float(np.var(gaps, ddof=1)))


def gap(by: By, table: str, name: str, at: Sequence[Fold], value: Value) -> tuple[float, float]:
    """Compute how far the mean of an estimator is above ours, and its standard error."""
    ours, theirs = by[table, OURS], by[table, name]
    gaps = [value(theirs[k]) - value(ours[k]) for k in at]
    train, test = (float(np.mean([getattr(ours[k], p) for k in at])) for p in ("train", "test"))
    between = mean(by, table, name, at, value) - mean(by, table, OURS, at, value)
    return between, corrected_error(gaps, train, test)


def _levels(by: By, titles: Sequence[str], names: Sequence[str], measure: Measure) -> list[str]:
    rows = [f"| {measure.title} | rows | folds | " + " | ".join(names) + " |"]
    rows.append("|---" * (len(names) + 3) + "|")
    for title in titles:
        there = [n for n in names if (title, n) in by]
        at = shared(by, title, there)
        means = {n: mean(by, title, n, at, measure.value) for n in there}
        variance = _any(by, title).variance or 1.0
        told = dict.fromkeys(names, "")
        for name, value in means.items():
            text = f"{measure.shown(value, variance):.3f}"
            text = f"**{text}**" if value == min(means.values()) else text
            error = gap(by, title, name, at, measure.value)[1] / variance
            told[name] = text if name == OURS or math.isnan(error) else f"{text} ± {error:.3f}"
        size = _any(by, title).train + _any(by, title).test
        rows.append(f"| {title} | {size:,} | {len(at)} | {' | '.join(told.values())} |")
    return rows


def ranks(by: By, titles: Sequence[str], names: Sequence[str], *, accuracy: bool) -> np.ndarray:
    """Rank estimators on each table, 1 the best, ties shared: (tables, estimators)."""
    found = []
    for title in titles:
        value = (ACCURACY if accuracy and _classes(by, title) else R2).value
        at = shared(by, title, names)
        means = np.array([mean(by, title, n, at, value) for n in names])
        below, equal = means[None] < means[:, None], means[None] == means[:, None]
        found.append(below.sum(1) + (equal.sum(1) + 1) / 2)
    return np.array(found)


def _mean_ranks(by: By, titles: Sequence[str], names: Sequence[str]) -> list[str]:
    """Rank all estimators where all were measured; and on all tables those that have all."""
    every = [n for n in names if all((t, n) in by for t in titles)]
    whole = [t for t in titles if all((t, n) in by for n in names)]
    chosen = {len(n): (t, n) for t, n in ((titles, every), (whole, list(names))) if t}
    rows = ["| mean rank | tables | " + " | ".join(names) + " |", "|---" * (len(names) + 2) + "|"]
    for tables, those in chosen.values():
        ours = those.index(OURS)
        labels = {"R² or log loss": False}
        if any(_classes(by, t) for t in tables):
            labels["R² or accuracy"] = True
        for label, accuracy in labels.items():
            found = ranks(by, tables, those, accuracy=accuracy)
            gaps = found - found[:, [ours]]
            errors = gaps.std(0, ddof=1) / math.sqrt(len(gaps)) if len(gaps) > 1 else 0 * gaps[0]
            told = dict.fromkeys(names, "")
            for k, name in enumerate(those):
                told[name] = f"{found[:, k].mean():.2f}"
                told[name] += f" ± {errors[k]:.2f}" if errors[k] else ""
            rows.append(f"| {label} | {len(tables)} | {' | '.join(told.values())} |")
    said = f"± is the standard error of the difference to {OURS}, paired over the tables."
    return [*rows, "", said]


def _pairs(by: By, names: Sequence[str]) -> list[str]:
    """Say on which tables our risk is lower, and by how much, over all folds that the two share."""
    rows = [
        f"| {OURS} and | folds of a table | better on | of these by 2 ± or more | worse on | risk"
        " lower by (median) |",
        "|---" * 6 + "|",
    ]
    for name in names:
        there = {t: shared(by, t, [OURS, name]) for t in TABLES}
        there = {t: at for t, at in there.items() if at}
        if name == OURS or not there:
            continue
        gaps = {t: gap(by, t, name, at, R2.value) for t, at in there.items()}
        folds = sorted({len(at) for at in there.values()})
        span = " to ".join(map(str, dict.fromkeys((folds[0], folds[-1]))))
        far = sum(g >= 2 * error for g, error in gaps.values())
        worse = [f"**{t}**" if g <= -2 * e else t for t, (g, e) in gaps.items() if g < 0]
        better = f"{sum(g > 0 for g, _ in gaps.values())} of {len(gaps)} tables"
        part = float(
            np.median([g / mean(by, t, name, there[t], R2.value) for t, (g, _) in gaps.items()])
        )
        told = [name, span, better, far, ", ".join(worse) or "none", f"{100 * part:.1f} %"]
        rows.append(f"| {' | '.join(map(str, told))} |")
    said = (
        "In this table, bold is worse by 2 ± or more. The risk is the mean squared error or the log"
        " loss."
    )
    return [*rows, "", said]


def _costs(by: By, names: Sequence[str]) -> str:
    costs = {}
    for name in names:
        each = [c.cpu_s for (_, n), at in by.items() if n == name for c in at.values()]
        if known := [cost for cost in each if cost is not None]:
            costs[name] = float(np.median(known))
    told = ", ".join(f"{name} {cost:.1f}" for name, cost in costs.items())
    return f"CPU seconds of one fit and its predictions, median over the cells: {told}."
