"""``thetahat runs``: the runs of a store, filtered and sorted, as a table."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from thetahat.analysis import best_first, group_runs
from thetahat.cli.terminal._output import add_output, emit, note, read_screen
from thetahat.cli.terminal._run_table import (
    group_columns,
    group_row,
    metrics_of,
    print_runs,
    tell_gone,
    tell_shared,
)
from thetahat.core.errors import ConfigError, StoreError, did_you_mean
from thetahat.format import Column, fit_width, table

if TYPE_CHECKING:
    from thetahat.store import RunRow, Store

_EXAMPLES = """\
examples:
  thetahat runs --sort val_risk --limit 10
  thetahat runs --where status=finished --where 'config.lr>=0.01'
  thetahat runs --columns name,lr,val_risk --format latex
  thetahat runs SWEEP --group-by seed --quantiles 0.05,0.95
"""


def add_parser(subparsers: Any) -> None:
    """Add ``runs`` to the command line."""
    parser = subparsers.add_parser(
        "runs",
        help="list runs",
        description="List the runs of a store.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "id", nargs="?", metavar="ID", help="only runs of this sweep, cohort, experiment or project"
    )
    add_output(parser)
    parser.add_argument(
        "--where",
        action="append",
        default=[],
        metavar="CONDITION",
        help="only runs with, e.g., status=finished, val_risk<0.1, config.lr>=0.01, name~otter"
        " (may be repeated)",
    )
    parser.add_argument(
        "--sort",
        default="number",
        metavar="COLUMN",
        help="sort by a column; -COLUMN: highest first (groups: the best first)",
    )
    parser.add_argument("--limit", type=_count, metavar="N", help="at most N runs")
    parser.add_argument(
        "--columns", metavar="A,B,...", help="which columns, e.g. name,config.lr,val_risk,seconds"
    )
    parser.add_argument(
        "--group-by",
        metavar="A,B,...",
        help="setting by setting, these (seed) averaged out: median, quantiles, failures",
    )
    parser.add_argument(
        "--quantiles", metavar="Q,...", default="0.1,0.9", help="of the groups (default: 0.1,0.9)"
    )
    # Lets ``--sort -val_risk`` through, which argparse would take for a flag.
    parser._negative_number_matcher = re.compile(r"-\w")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """List runs; 0 also where there are none."""
    from thetahat.store import locate, open_store, read_condition, shared_orders, standing_runs

    conditions = [read_condition(text) for text in args.where]
    over = [name.strip() for name in (args.group_by or "").split(",") if name.strip()]
    nowhere = args.store is None and "THETAHAT_STORE" not in os.environ
    if nowhere and not locate().is_file():
        note(f"no store here yet ({locate()}); a run makes one, or give one with --store")
        found: list[RunRow] = []
        judged, shared = ("val_risk", 1, 1), frozenset[str]()
    else:
        with open_store(args.store, create=False) as store:
            found = standing_runs(
                store,
                where=conditions,
                sort="number" if over else args.sort,
                limit=None if over else args.limit,
                **_scope(store, args.id),
            )
            judged = _judged_by(store, found, over) if over else ("val_risk", 1, 1)
            shared = shared_orders(store) if over else frozenset[str]()
        if not found and args.format == "table":
            note(f"no runs to list in {store.path}")
    asked = [c.strip() for c in args.columns.split(",")] if args.columns else None
    if over:
        print_groups(found, over, args, asked, *judged, shared)
        return 0
    print_runs(found, args.format, asked, read_screen())
    return 0


def print_groups(
    found: Sequence[RunRow],
    over: Sequence[str],
    args: argparse.Namespace,
    asked: Sequence[str] | None,
    metric: str,
    sign: int,
    replicates: int,
    shared: frozenset[str] = frozenset(),
) -> None:
    """Print runs setting by setting, the best first where no other order is asked for.

    Args:    metric, sign: what is best; 1 where less is better, else -1.
             replicates: runs that each setting is to have.
             shared: ids of runs that share the order of their minibatches.
    Raises:  ConfigError: a parameter, column or quantile that is none.
    """
    quantiles = _quantiles(args.quantiles)
    made = group_runs(found, over, quantiles, metric=metric, shared=shared)
    groups = best_first(made, metric, sign, replicates)
    names = metrics_of(groups, metric)
    first = names[0] if names else metric
    rows = [group_row(group, first) for group in groups]
    key = args.sort.removeprefix("-")
    whole = args.format != "table"
    columns = group_columns(groups, first, whole=whole) if asked is None else [*map(Column, asked)]
    known = dict.fromkeys(key for row in rows for key in row)
    for name in [*(asked or ()), *([key] if key != "number" else [])]:
        if rows and name not in known:
            raise ConfigError(f"the groups have no column {name!r}{did_you_mean(name, known)}")
    if key != "number":
        place = sorted(range(len(rows)), key=lambda i: _order(rows[i].get(key)))
        if args.sort.startswith("-"):
            have = [i for i in place if rows[i].get(key) is not None]
            place = [*reversed(have), *(i for i in place if rows[i].get(key) is None)]
        rows, groups = [rows[i] for i in place], [groups[i] for i in place]
    rows, groups = rows[: args.limit], groups[: args.limit]
    if args.format == "json" and asked is None:
        emit(table([group.listing() for group in groups], format="json"))
        return
    if not rows and args.format == "table":
        return
    screen = read_screen()
    look = {"width": screen.width, "colour": screen.colour, "ascii_only": screen.ascii_only}
    emit(table(rows, columns, args.format, **look))
    gone = fit_width(rows, columns, screen.width)[1] if args.format == "table" else []
    if gone:
        tell_gone(gone)
    if args.format == "table":
        tell_shared(groups)


def _judged_by(store: Store, found: Sequence[RunRow], over: Sequence[str]) -> tuple[str, int, int]:
    """What decides which setting of these runs is best: their sweep's metric, its sign and its
    replicates, if they have one sweep. Replicates count where all seeds are averaged out."""
    from thetahat.analysis import SweepFile, flat_config, read_file, runs_planned
    from thetahat.store import find_sweep

    sweeps = {run.sweep_id for run in found}
    one = next(iter(sweeps)) if len(sweeps) == 1 else None
    file, replicates = SweepFile(), 1
    if one is not None:
        sweep = find_sweep(store, one)
        file = read_file(sweep.spec)
        names = dict.fromkeys(name for run in found for name in flat_config(run.setting))
        replicates = runs_planned(sweep, names, over)
    return file.metric or "val_risk", -1 if file.goal == "maximize" else 1, replicates


def _order(value: Any) -> tuple[int, Any]:
    if value is None:
        return (2, "")
    return (0, value) if isinstance(value, (int, float)) else (1, str(value))


def _quantiles(text: str) -> list[float]:
    try:
        return [float(word) for word in text.split(",") if word.strip()]
    except ValueError:
        raise ConfigError(
            f"--quantiles={text}: give numbers from 0 to 1, such as 0.1,0.9"
        ) from None


def _scope(store: Store, given: str | None) -> dict[str, str]:
    """What ``runs ID`` means: a sweep, a cohort, an experiment or a project."""
    if given is None:
        return {}
    from thetahat.store import find_sweep, list_sweeps

    known: dict[str, str] = {}
    for run in store.runs():
        for kind in ("project", "experiment", "cohort", "sweep_id"):
            value = getattr(run, kind)
            if value is not None:
                known[value] = kind
    if given in known:
        return {known[given]: given}
    sweeps = list_sweeps(store)
    words = [word for sweep in sweeps for word in (sweep.id, sweep.name)]
    if given in words or (sweeps and (given == "last" or any(w.startswith(given) for w in words))):
        return {"sweep_id": find_sweep(store, given).id}
    words += [word for word, kind in known.items() if kind in ("experiment", "project")]
    raise StoreError(
        f"{given!r} is no sweep, cohort, experiment or project of {store.path}"
        f"{did_you_mean(given, words[-20:])}"
    )


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no count; give 1 or more")
    return min(int(text), 2**62)  # more than any store counts
