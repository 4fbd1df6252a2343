"""The output of ``thetahat fit``: how the fits ended, and how well they fit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thetahat.cli.commands._fit_table import in_units
from thetahat.cli.terminal._output import print_table, read_screen, wrap
from thetahat.core.run import Status
from thetahat.core.shell import store_flag
from thetahat.train import Bag

if TYPE_CHECKING:
    from thetahat.cli._session import FitSettings
    from thetahat.data import Table
    from thetahat.format import Column
    from thetahat.train import Result

_QUANTILES = (("10 %", 0.1), ("median", 0.5), ("90 %", 0.9))
_WELL = (Status.FINISHED, Status.STOPPED)
_FAILED = (Status.FAILED, Status.DIVERGED, Status.REJECTED, Status.UNMOVED)


def report(
    results: Sequence[Result], names: Sequence[str], table: Table, setting: FitSettings, format: str
) -> None:
    """Print how the fits ended, and the table of how well they fit."""
    from thetahat.cli.terminal._run_summary import print_ends, print_run
    from thetahat.format import word

    first = results[0]
    if format == "table" and not setting.quiet:
        print(_describe_data(first, table))
    if isinstance(first, Bag):
        _print_members(first, names, setting, format)
    elif len(results) == 1 and format == "table":
        print_run(first, names[0], setting)
    else:
        print_ends(results, names, setting, "fits")
    if setting.quiet:
        return
    rows, columns, said = goodness_rows(results, table)
    if format == "table":
        print()
    print_table(rows, columns, format)
    if format != "table":
        return
    said = _describe_seeds(results) if len(results) > 1 else said
    _print_below([said, _unit(first), _scores(table)])
    if len(names) > 1 and setting.tracked:
        where = store_flag(setting.store)
        if first.status is Status.INTERRUPTED:
            return  # how to go on is said, and a bag that was cut is no run
        if isinstance(first, Bag) and len(names) > len(first.members):
            *nets, name = map(word, names)
            print(
                f"the run {name} is the average, and {nets[0]} to {nets[-1]} are its members;"
                f" look at it: thetahat show {name}{where}"
            )
            return
        first_to_last = f"{word(names[0])} to {word(names[-1])}"
        print(f"{len(names)} runs, {first_to_last}; look at them: thetahat runs{where}")


def _print_below(lines: Sequence[str]) -> None:
    """Print what a reader must know of the table."""
    if said := "\n".join(filter(None, lines)):
        width = read_screen().width
        print(f"\n{said if width is None else wrap(said, width)}")


def _scores(table: Table) -> str:
    """Explain why a net has more parameters than a logit of the same form."""
    k = len(table.classes or ())
    if k < 3:
        return ""
    return (
        f"a net has a score for each of {k} classes; a logit counts {k - 1}, as only their"
        " differences matter"
    )


def _unit(result: Result) -> str:
    unit = result.risk_unit
    return "" if unit is None or unit.one == 1 else str(unit)


def _describe_data(first: Result, table: Table) -> str:
    """Name the table, the target, and the sizes of the parts."""
    from thetahat.cli.commands._fit_classes import describe_classes
    from thetahat.format import word

    sizes = {n: len(getattr(first.data, n)) for n in ("train", "val", "test") if has(first, n)}
    parts = [f"{size:,} {name}" for name, size in sizes.items()]
    if isinstance(first, Bag) and (held := first.members[0].data.val) is not None:
        parts.insert(1, f"of which each member holds out {len(held):,}")
    file, d = Path(str(first.config["table"])).name, first.data.train.x.shape[1]
    wide = f"{d} column{'s' * (d > 1)}"
    what = table.target if table.classes is None else describe_classes(table)
    left = (
        f"; {n:,} of weight 0 {'is' if n == 1 else 'are'} left out"
        if (n := table.unweighted)
        else ""
    )
    idle = len(table) - sum(sizes.values())
    unused = f"; {idle:,} {'is' if idle == 1 else 'are'} in no part" if idle else ""
    return (
        f"{word(file)}: {word(what)} on {wide}, {len(table):,} rows"
        f" ({', '.join(parts)}){unused}{left}"
    )


def _print_members(bag: Bag, names: Sequence[str], setting: FitSettings, format: str) -> None:
    """Print how the members of a bag ended: in a line, and those that went wrong on their own."""
    from thetahat.cli.terminal._fit_progress import span
    from thetahat.cli.terminal._run_summary import print_ends
    from thetahat.format import short

    print_ends(bag.members, names, setting, "members")
    if setting.quiet or format != "table":
        return
    best = [m.best_epoch for m in bag.members if _finite(m)]
    at = f"; best epochs {min(best):,} to {max(best):,}" if best and bag.best_by else ""
    outside = f"; out-of-bag risk {short(bag.risk['val'])}" if "val" in bag.risk else ""
    spent = {part: span(bag.seconds.get(part, 0.0)) for part in ("run", "compile")}
    print(
        f"{len(best)} of {len(bag.members)} members averaged, {bag.epochs:,} epochs{at}{outside}"
        f"  ({spent['run']} training, {spent['compile']} compiling)"
    )


def goodness_rows(
    results: Sequence[Result], table: Table
) -> tuple[list[dict[str, Any]], list[Column], str]:
    """Make a row for the fit, or three quantiles over seeds, and one for each other estimator.

    Returns: the rows, their columns, and whose test risk is lowest.
    """
    from thetahat.cli.commands import _fit_contest as contest

    first = results[0]
    several = len(results) > 1
    if table.encoder.targets:
        return _of_several_targets(results, table)
    label = str(first.config["model"])
    if isinstance(first, Bag):
        label = f"{len(first.members)} × {label}"
    kept = ended_well(results) if several else [r for r in results if _finite(r)]
    nets = not several and first.config["model"] == "net" and bool(kept)
    found = contest.entries(first, table, label, all_peers=nets)
    found, said = contest.verdict(found, first.data) if nets else (found, "")
    rows = [{"model": entry.name, **entry.columns} for entry in found]
    if several or not kept:
        own = [contest.own_columns(r, table) for r in kept]
        rows[:1] = _aggregates(label, results, own) if several else []
    return rows, _columns(first, table, several, rows), said


def _of_several_targets(
    results: Sequence[Result], table: Table
) -> tuple[list[dict[str, Any]], list[Column], str]:
    """Make a row for each target and the fit, or three quantiles over seeds, and for OLS."""
    from thetahat.cli.commands import _fit_targets as targets
    from thetahat.format import Column

    label, several = str(results[0].config["model"]), len(results) > 1
    kept = ended_well(results) if several else [r for r in results if _finite(r)]
    rows = []
    for k, target in enumerate(table.encoder.targets):
        own = [targets.own_columns(r, table, k) for r in kept]
        made = [{"model": label, **columns} for columns in own]
        made = _aggregates(label, results, own) if several else made
        line = targets.linear(results[0].data, k)
        rows += [{"target": target, **row} for row in (*made, line)]
    keys = {key for row in rows for key in row}
    columns = [Column("target", priority=9), Column("model", priority=9)]
    columns += [Column(name) for name in ("n", "failed", "unfinished") if name in keys]
    columns += [Column("params"), Column("epochs")]
    parts = [part for part in ("val", "test") if f"{part}_mse" in keys] or ["train"]
    columns += [Column(f"{part}_mse", f"{part} MSE", priority=2) for part in parts]
    return rows, columns + [Column(f"{p}_r2", f"{p} R²", priority=3) for p in parts], ""


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


def _columns(
    first: Result, table: Table, several: bool, rows: Sequence[dict[str, Any]]
) -> list[Column]:
    from thetahat.format import Column

    unit, parts = table.target, [n for n in ("val", "test") if has(first, n)] or ["train"]
    columns = [Column("model", priority=9)]
    if several:
        columns += [Column("n", priority=8), Column("failed", priority=8)]
    if any("unfinished" in row for row in rows):
        columns.append(Column("unfinished", priority=8))
    columns += [Column("params"), Column("epochs")]
    if table.classes is not None:
        columns += [Column(f"{p}_risk", f"{p} log loss", priority=1) for p in parts]
        columns += [Column(f"{p}_accuracy", f"{p} accuracy", priority=2) for p in parts]
    else:
        columns += [Column(f"{p}_risk", priority=1) for p in parts]
        keys = {key for row in rows for key in row}
        fitted = [p for p in parts if f"{p}_mse" in keys]
        columns += [Column(f"{p}_mse", f"{p} MSE ({unit}²)", priority=2) for p in fitted]
        columns += [Column(f"{p}_r2", f"{p} R²", priority=3) for p in fitted]
    if any("gap" in row for row in rows):
        columns += [Column("gap", "above net", priority=4), Column("gap_se", "± se", priority=4)]
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
    numbers = results[0].classes is None and in_units(str(results[0].config["loss"]))
    each = "" if not numbers else "; each R² is that of the MSE beside it"
    return f"quantiles over {over}: {varies}{each}"


def _quantile(rows: Sequence[dict[str, Any]], at: float) -> dict[str, Any]:
    """Compute a quantile over the seeds, by column; R^2 and accuracy fall when risk rises."""
    from thetahat.analysis import quantile

    found: dict[str, Any] = {}
    for key in rows[0]:
        level = 1 - at if key.endswith(("_r2", "_accuracy")) else at
        value = quantile([row[key] for row in rows], level)
        found[key] = round(value) if key in ("params", "epochs") else value
    return found
