"""The output of ``thetahat fit``: how the fits ended, and how well they fit."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thetahat.cli.terminal._output import emit, read_screen, store_flag
from thetahat.core.run import Status

if TYPE_CHECKING:
    from thetahat.cli._session import FitSettings
    from thetahat.cli.commands._fit_table import Fitted
    from thetahat.data import Table
    from thetahat.format import Column
    from thetahat.train import Result

_QUANTILES = (("10 %", 0.1), ("median", 0.5), ("90 %", 0.9))
_WELL = (Status.FINISHED, Status.STOPPED)
_FAILED = (Status.FAILED, Status.DIVERGED, Status.UNMOVED)


def report(
    results: Sequence[Result], names: Sequence[str], table: Table, setting: FitSettings, format: str
) -> None:
    """Print how the fits ended, and the table of how well they fit."""
    from thetahat.cli.commands._fit_classes import describe_classes
    from thetahat.cli.terminal._run_summary import print_end, print_run
    from thetahat.format import table as as_table, word

    first = results[0]
    if format == "table" and not setting.quiet:
        sizes = {n: len(getattr(first.data, n)) for n in ("train", "val", "test") if has(first, n)}
        parts = ", ".join(f"{size:,} {name}" for name, size in sizes.items())
        file, d = Path(str(first.config["table"])).name, first.data.train.x.shape[1]
        wide = f"{d} column{'s' * (d > 1)}"
        what = table.target if table.classes is None else describe_classes(table)
        print(f"{word(file)}: {word(what)} on {wide}, {len(table):,} rows ({parts})")
    if len(results) == 1 and format == "table":
        print_run(first, names[0], setting)
    else:
        for result, name in zip(results, names, strict=True):
            print_end(result, name, setting)
    if setting.quiet:
        return
    rows, columns = goodness_rows(results, table)
    screen = read_screen()
    if format == "table":
        print()
    emit(as_table(rows, columns, format, **screen.look), painted=format == "table")
    if format == "table" and len(results) > 1:
        print(f"\n{_describe_seeds(results)}")
        if setting.tracked:
            where = store_flag(setting.store)
            first_to_last = f"{word(names[0])} to {word(names[-1])}"
            print(f"{len(results)} runs, {first_to_last}; look at them: thetahat runs{where}")


def goodness_rows(
    results: Sequence[Result], table: Table
) -> tuple[list[dict[str, Any]], list[Column]]:
    """Make a row for the fit, or three quantiles over seeds, and one for each linear model."""
    from thetahat.cli.commands import _fit_table as fits
    from thetahat.cli.commands._fit_baselines import baselines

    first = results[0]
    seed, several = int(first.config["split_seed"]), len(results) > 1
    label = str(first.config["model"])
    kept = ended_well(results) if several else [r for r in results if _finite(r)]
    found = [
        {
            "params": r.n_params,
            "epochs": r.epochs,
            **_fit_columns(r.risk, fits.net_goodness(r, table, seed)),
        }
        for r in kept
    ]
    rows = [{"model": label, **row} for row in found]
    if several:
        rows = _aggregates(label, results, found)
    for line in baselines(first.data, str(first.config["loss"]), float(first.config["tau"])):
        columns = _fit_columns(line.risk, line.fitted)
        rows.append({"model": line.name, "params": line.rank, **columns})
    return rows, _columns(first, table, several, any("unfinished" in row for row in rows))


def ended_well(results: Sequence[Result]) -> list[Result]:
    """Select results that finished or were stopped by a rule, with a finite risk."""
    return [r for r in results if r.status in _WELL and _finite(r)]


def has(result: Result, part: str) -> bool:
    """Tell whether the data of a result have a part."""
    return getattr(result.data, part) is not None


def _finite(result: Result) -> bool:
    return math.isfinite(result.risk.get("train", math.nan))


def _aggregates(
    label: str, results: Sequence[Result], found: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Make rows of quantiles over the seeds that ended well, with the counts of all seeds."""
    counts: dict[str, Any] = {"n": len(found), "failed": sum(r.status in _FAILED for r in results)}
    if unfinished := len(results) - len(found) - counts["failed"]:
        counts["unfinished"] = unfinished
    if not found:
        return [{"model": label, **counts}]
    return [{"model": f"{label}, {q}", **counts, **_quantile(found, at)} for q, at in _QUANTILES]


def _columns(first: Result, table: Table, several: bool, unfinished: bool) -> list[Column]:
    from thetahat.format import Column

    unit, parts = table.target, [n for n in ("val", "test") if has(first, n)] or ["train"]
    columns = [Column("model", priority=9)]
    if several:
        columns += [Column("n", priority=8), Column("failed", priority=8)]
    if unfinished:
        columns.append(Column("unfinished", priority=8))
    columns += [Column("params"), Column("epochs")]
    if table.classes is not None:
        columns += [Column(f"{p}_risk", f"{p} log loss", priority=1) for p in parts]
        return columns + [Column(f"{p}_accuracy", f"{p} accuracy", priority=2) for p in parts]
    columns += [Column(f"{p}_risk", priority=1) for p in parts]
    columns += [Column(f"{p}_mse", f"{p} MSE ({unit}²)", priority=2) for p in parts]
    columns += [Column(f"{p}_r2", f"{p} R²", priority=3) for p in parts]
    return columns


def _describe_seeds(results: Sequence[Result]) -> str:
    """Say in a line what the quantiles are over."""
    n, every = len(ended_well(results)), len(results)
    bad = [(word, sum(r.status == word for r in results)) for word in (*_FAILED, "interrupted")]
    lost = ", ".join(f"{count} {word}" for word, count in bad if count)
    batches = "" if results[0].config["batch_size"] is None else " and orders of batches"
    varies = f"first parameters{batches}; the split is one"
    if not n:
        return f"no quantiles: none of {every} seeds ended well ({lost})"
    over = f"{every} seeds" if n == every else f"the {n} of {every} seeds that ended well ({lost})"
    each = "" if results[0].classes is not None else "; each R² is that of the MSE beside it"
    return f"quantiles over {over}: {varies}{each}"


def _fit_columns(risk: Mapping[str, float], fitted: Fitted) -> dict[str, float]:
    return {
        **{f"{part}_risk": value for part, value in risk.items()},
        **{f"{part}_mse": value for part, value in fitted.mse.items()},
        **{f"{part}_r2": value for part, value in fitted.r2.items()},
        **{f"{part}_accuracy": value for part, value in fitted.accuracy.items()},
    }


def _quantile(rows: Sequence[dict[str, Any]], at: float) -> dict[str, Any]:
    """Compute a quantile over the seeds, by column; R^2 and accuracy fall when risk rises."""
    from thetahat.analysis import quantile

    found: dict[str, Any] = {}
    for key in rows[0]:
        level = 1 - at if key.endswith(("_r2", "_accuracy")) else at
        value = quantile([row[key] for row in rows], level)
        found[key] = round(value) if key in ("params", "epochs") else value
    return found
