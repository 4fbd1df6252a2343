"""``thetahat runs``: the runs of a store, filtered and sorted, or grouped, as a table."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from thetahat.analysis import best_first, by_experiment, group_by, group_runs
from thetahat.cli._parser import (
    add_format,
    add_store,
    add_switch,
    add_value,
    comma_list,
    whole_number,
)
from thetahat.cli.terminal._output import print_beside, print_table, read_screen
from thetahat.cli.terminal._run_table import (
    group_columns,
    group_row,
    metrics_of,
    note_bands,
    note_hidden,
    print_runs,
)
from thetahat.core.errors import ConfigError, StoreError, did_you_mean
from thetahat.core.garbage import uncollected
from thetahat.core.places import Server
from thetahat.format import Column, fit_width

if TYPE_CHECKING:
    from thetahat.analysis import Group
    from thetahat.store import GroupedRun, Grouping, RunRow, Store

_MOST = 2**62
"""More runs than any store has; a larger number would not fit into SQL."""
DESCRIPTION = "List the runs of a store, one a line; or groups of them, with medians and quantiles."
EXAMPLES = """\
examples:
  thetahat runs --sort val_risk --limit 10
  thetahat runs --where status=finished --where 'config.lr>=0.01'
  thetahat runs --columns name,lr,val_risk --format latex
  thetahat runs SWEEP --over seed --quantiles 0.05,0.95
  thetahat runs SWEEP --group-by width
"""


def add_flags(parser: Any) -> None:
    """Add the flags of ``runs``."""
    parser.add_argument(
        "id",
        nargs="?",
        metavar="ID",
        help="only runs of this sweep, cohort, experiment or project; a run; or: last (sweep)",
    )
    parser.add_argument(
        "--where",
        action="append",
        default=[],
        metavar="CONDITION",
        help="only runs with, e.g., status=finished, val_risk<0.1, config.lr>=0.01, name~otter"
        " (may be repeated)",
    )
    add_value(
        parser,
        "--sort COLUMN",
        "sort by a column; -COLUMN: highest first (default: the newest run first; groups by the"
        " metric)",
        default="-number",
    )
    add_value(
        parser, "--limit N", "at most N runs or groups: the first of the order", whole_number()
    )
    add_value(parser, "--columns A,B,...", "such as name,config.lr,val_risk,seconds", comma_list)
    add_value(
        parser,
        "--group-by A,B,...",
        "one line for each value of these columns: median, quantiles, failures",
        comma_list,
    )
    add_value(
        parser,
        "--over A,B,...",
        "group by all parameters but these: --over seed gives medians over seeds",
        comma_list,
    )
    add_value(
        parser, "--quantiles Q,...", "of the groups (default: 0.1,0.9)", _quantiles, (0.1, 0.9)
    )
    add_store(parser)
    add_switch(parser, "--raw", "of csv: keep text that a spreadsheet would run as a formula")
    add_format(parser)


@uncollected()
def run(args: argparse.Namespace) -> int:
    """List runs or groups; 0 also if there are none."""
    from thetahat.store import (
        changed_code,
        locate,
        open_store,
        read_condition,
        runs_to_group,
        standing_runs,
    )

    if args.group_by and args.over:
        raise ConfigError(
            "--group-by names the columns that tell groups apart, --over the parameters that do"
            " not; give one of the two"
        )
    grouped = args.group_by or args.over
    conditions = [read_condition(text) for text in args.where]
    found: Sequence[RunRow | GroupedRun] = []
    listed: list[RunRow] = []
    groups: list[Group] = []
    metric, changed = "val_risk", []
    first: Sequence[str] = ()
    place = locate(args.store)
    default = args.store is None and "THETAHAT_STORE" not in os.environ
    if default and not isinstance(place, Server) and not place.is_file():
        print_beside(f"no store here yet ({place}); a run makes one, or give one with --store")
    else:
        with open_store(args.store, create=False) as store:
            scope = scope_of_id(store, args.id)
            if grouped:
                columns, whole = args.group_by or (), bool(args.over)
                read = runs_to_group(store, columns, settings=whole, where=conditions, **scope)
                groups, metric = _grouped(store, read, args)
                found = read.runs
            else:
                most = None if args.limit is None else min(args.limit, _MOST)
                found = listed = standing_runs(
                    store, where=conditions, sort=args.sort, limit=most, **scope
                )
            sweeps = {run.sweep_id for run in found} - {None}
            if len(sweeps) == 1:
                first = _metrics_of_sweep(store, str(*sweeps))
            if args.format == "table" and len(sweeps) == 1:
                changed = changed_code(store, str(*sweeps))
        if not found and args.format == "table":
            print_beside(f"no runs to list in {store.path}")
    if grouped:
        _print_groups(groups, metric, args)
    else:
        print_runs(listed, args.format, args.columns, raw=args.raw, first=first)
    if changed and found:
        print_beside(f"{', '.join(changed)} changed between runs: not all are of one program")
    return 0


def _metrics_of_sweep(store: Store, sweep_id: str) -> list[str]:
    """Return the metric of a sweep's file, or its metrics; none if it has none."""
    from thetahat.analysis import read_file
    from thetahat.store import find_sweep

    file = read_file(find_sweep(store, sweep_id).spec)
    return [name for name, _ in file.objectives] or [n for n in (file.metric,) if n is not None]


def _grouped(store: Store, read: Grouping, args: argparse.Namespace) -> tuple[list[Group], str]:
    """Group runs, the best group first, by the metric of their sweep if they have one sweep."""
    from thetahat.analysis import SweepFile, is_seed, read_file, runs_planned, seeds_of
    from thetahat.store import find_sweep, shared_orders

    file, replicates, found = SweepFile(), 1, read.runs
    parameters = dict.fromkeys(read.parameters)
    seeds = list(filter(is_seed, parameters))
    sweeps = {run.sweep_id for run in found}
    one = next(iter(sweeps)) if len(sweeps) == 1 else None
    if one is not None:
        sweep = find_sweep(store, one)
        file = read_file(sweep.spec)
        seeds = seeds_of(sweep, parameters)
        replicates = runs_planned(sweep, parameters, args.over or ())
    averaged = set(args.over) if args.over else parameters.keys() - set(args.group_by)
    # Bands over anything but seeds say nothing of the order of batches.
    shared = shared_orders(store, one) if averaged.intersection(seeds) else frozenset()
    metric = file.metric or "val_risk"
    if args.over:
        made = group_runs(found, args.over, args.quantiles, metric=metric, shared=shared)
    else:
        made = group_by(read, args.quantiles, metric=metric, shared=shared)
        several = len(by_experiment(found))
        if several > 1 and "experiment" not in args.group_by:
            print_beside(
                f"the groups mix runs of {several} experiments; --group-by"
                f" {','.join(['experiment', *args.group_by])} separates them"
            )
    sign = -1 if file.goal == "maximize" else 1
    return best_first(made, metric, sign, replicates), metric


def _print_groups(groups: list[Group], metric: str, args: argparse.Namespace) -> None:
    """Print groups in the order that is asked for.

    Raises:  ConfigError: a column that the groups lack.
    """
    measured = metrics_of(groups, metric)
    first = measured[0] if measured else metric
    rows = [group_row(group, first) for group in groups]
    known = dict.fromkeys(key for row in rows for key in row)
    key, as_table = args.sort.removeprefix("-"), args.format == "table"
    key = f"{key}.median" if key in measured else key
    columns = group_columns(groups, first, whole=not as_table, by=args.group_by or ())
    if args.columns is not None:
        columns = [c for name in args.columns for c in _columns_of(name, measured, known)]
    asked = columns if args.columns is not None else []
    for name in [*(c.key for c in asked), *([key] if key != "number" else [])]:
        if rows and name not in known:
            raise ConfigError(f"the groups have no column {name!r}{did_you_mean(name, known)}")
    if key != "number":
        have = [i for i, row in enumerate(rows) if row.get(key) is not None]
        have.sort(key=lambda i: _order(rows[i][key]), reverse=args.sort.startswith("-"))
        place = [*have, *(i for i, row in enumerate(rows) if row.get(key) is None)]
        rows, groups = [rows[i] for i in place], [groups[i] for i in place]
    rows, groups = rows[: args.limit], groups[: args.limit]
    if args.format == "json" and args.columns is None:
        print_table([group.listing() for group in groups], format="json")
    elif rows or not as_table:
        print_table(rows, columns, args.format, raw=args.raw)
        if as_table and (gone := fit_width(rows, columns, read_screen().width)[1]):
            note_hidden(gone)
        if as_table:
            note_bands(groups)


def _columns_of(name: str, measured: Sequence[str], known: Iterable[str]) -> list[Column]:
    """Return the column of a name; a metric's name is its n, median and quantiles."""
    if name not in measured:
        return [Column(name)]
    keys = [key for key in known if key.startswith(f"{name}.")]
    return [Column(key, f"{name} {key.removeprefix(name)[1:]}") for key in keys]


def _order(value: Any) -> tuple[int, Any]:
    return (0, value) if isinstance(value, (int, float)) else (1, str(value))


def _quantiles(text: str) -> list[float]:
    try:
        found = [float(word) for word in comma_list(text)]
    except ValueError:
        found = [-1.0]
    if not all(0 <= q <= 1 for q in found):
        raise argparse.ArgumentTypeError(f"={text}: give numbers from 0 to 1, such as 0.1,0.9")
    return found


def scope_of_id(store: Store, given: str | None) -> dict[str, Any]:
    """Find what an ID names: a sweep, a cohort, an experiment, a project or a run."""
    if given is None:
        return {}
    from thetahat.store import find_sweep, known_scopes, list_sweeps, scope_of

    if (kind := scope_of(store, given)) is not None:
        return {kind: given}
    sweeps = list_sweeps(store)
    words = [word for sweep in sweeps for word in (sweep.id, sweep.name)]
    if given in words or (sweeps and (given == "last" or any(w.startswith(given) for w in words))):
        return {"sweep_id": find_sweep(store, given).id}
    try:
        found = store.run(given)
    except StoreError as error:
        if error.__cause__ is not None or "could be any of" in str(error):
            raise
    else:
        # Without a sweep, the last are those that were fitted together.
        if given == "last" and found.cohort is not None:
            return {"cohort": found.cohort}
        return {"ids": [found.id]}
    words += known_scopes(store)
    raise StoreError(
        f"the store {store.path} has no sweep, cohort, experiment, project or run {given!r}"
        f"{did_you_mean(given, words[-20:])}"
    )
