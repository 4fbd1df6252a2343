"""``thetahat runs``: the runs of a store, filtered and sorted, as a table."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from thetahat.analysis import Group, best_first, group_runs
from thetahat.cli._tables import Screen, add_output, emit, note, read_screen
from thetahat.core.errors import ConfigError, StoreError, did_you_mean
from thetahat.report import Column, fit_width, table

if TYPE_CHECKING:
    from thetahat.store import RunRow, Store

_METRICS_FIRST = ("val_risk", "test_risk", "train_risk")
_MOST_METRICS = 6
_OF_GROUPS = ("runs", "n", "failed", "unfinished", "trust", "shared_order")
_SHARED = "seeds share the order of batches, so their bands are too narrow"
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


def print_runs(
    found: Sequence[RunRow],
    format: str,
    asked: Sequence[str] | None,
    screen: Screen,
    *,
    tell: bool = True,
) -> None:
    """Print runs in a format; without columns asked for, JSON is the full listing.

    Args:    tell: say which columns found no room, and how to choose others.
    """
    from thetahat.store import check_columns, value_of

    if asked is not None:
        check_columns(asked, found)
        columns = [Column(name) for name in asked]
    else:
        columns = default_columns(found, everything=format == "csv")
    if format == "json" and asked is None:
        emit(table([run.listing() for run in found], format="json"))
        return
    if not found and format == "table":
        return
    rows = [{c.key: value_of(run, c.key) for c in columns} for run in found]
    if format == "table":
        for row in rows:
            if "contaminated" in row:
                row["contaminated"] = "contaminated" if row["contaminated"] else ""
    gone = fit_width(rows, columns, screen.width)[1] if tell and format == "table" else []
    emit(
        table(
            rows,
            columns,
            format,
            width=screen.width,
            colour=screen.colour,
            ascii_only=screen.ascii_only,
        )
    )
    if gone:
        _tell_gone(gone)


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
    names = _metrics_of(groups, metric)
    first = names[0] if names else metric
    rows = [_group_row(group, first) for group in groups]
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
        _tell_gone(gone)
    if args.format == "table":
        _tell_shared(groups)


def print_settings(groups: Sequence[Group], metric: str, screen: Screen) -> None:
    """Print settings as a table, what is known of one metric in each."""
    columns = [
        c
        for c in group_columns(groups, metric)
        if "." not in c.key
        or c.key.rpartition(".")[0] == metric
        or c.key.removeprefix("config.") in groups[0].config
    ]
    rows = [_group_row(group, metric) for group in groups]
    look = {"width": screen.width, "colour": screen.colour, "ascii_only": screen.ascii_only}
    emit(table(rows, columns, "table", **look))
    _tell_shared(groups)


def _tell_shared(groups: Sequence[Group]) -> None:
    """What a band does not hold, once."""
    if any(group.shared_order for group in groups):
        note(_SHARED)


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


def _tell_gone(gone: Sequence[Column]) -> None:
    note(f"no room for {', '.join(c.head for c in gone)}; --columns chooses")


def group_columns(
    groups: Sequence[Group], first: str | None = None, *, whole: bool = False
) -> list[Column]:
    """What tells the settings apart, how many runs there are, then their metrics; the first metric
    is the dearest.

    Args:    first: the metric that comes first, and whose n is told.
             whole: also the counts that are 0 everywhere: for files, which have no footnotes.
    """
    settings = dict.fromkeys(name for group in groups for name in group.config)
    # The config of a run is not whole before it has begun: what it lacks tells nothing apart.
    begun = [g for g in groups if g.runs > g.unfinished]
    varying = [
        n
        for n in settings
        if _any_differs(g.config.get(n) for g in begun)
        or _any_differs(g.config[n] for g in groups if n in g.config)
    ]
    columns = [Column(_key(name), priority=90, digits=6) for name in varying]
    columns += [
        Column("runs", priority=80),
        Column("n", priority=79),
        Column("failed", priority=79),
    ]
    if whole or any(group.unfinished for group in groups):
        columns.append(Column("unfinished", priority=78))
    metrics = _metrics_of(groups, first)
    for i, name in enumerate(metrics[:_MOST_METRICS]):
        numbers = next(g.metrics[name] for g in groups if name in g.metrics)
        same = all(_n(g, name) == _n(g, metrics[0]) for g in groups)
        for number in numbers:
            # Where a metric rests on other runs than the first one, it says on how many.
            if number != "n" or not same:
                columns.append(Column(f"{name}.{number}", f"{name} {number}", priority=75 - 9 * i))
    if whole and any(group.shared_order for group in groups):
        columns.append(Column("shared_order", "shared order"))
    if any(group.contaminated for group in groups):
        columns.append(Column("trust", priority=88))
    return columns


def _metrics_of(groups: Sequence[Group], first: str | None) -> list[str]:
    names = _ordered(name for group in groups for name in group.metrics)
    return sorted(names, key=lambda name: name != first)


def _n(group: Group, metric: str) -> int:
    return int(group.metrics.get(metric, {}).get("n", 0))


def _group_row(group: Group, first: str) -> dict[str, Any]:
    row: dict[str, Any] = {_key(name): value for name, value in group.config.items()}
    row |= {"runs": group.runs, "n": _n(group, first)}
    row |= {"failed": group.failed, "unfinished": group.unfinished}
    row["shared_order"] = "yes" if group.shared_order else ""
    for name, numbers in group.metrics.items():
        row |= {f"{name}.{number}": value for number, value in numbers.items()}
    row["trust"] = "contaminated" if group.contaminated else ""
    return row


def _key(parameter: str) -> str:
    """A parameter's column among those of groups, which have names of their own."""
    return f"config.{parameter}" if parameter in _OF_GROUPS else parameter


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


def default_columns(found: Sequence[RunRow], *, everything: bool = False) -> list[Column]:
    """The columns that tell the listed runs apart, and how dear each is on a narrow screen."""
    metrics = _ordered(key for run in found for key in run.metrics)
    config = list(dict.fromkeys(key for run in found for key in run.config))
    if everything:
        own = ("id", "name", "experiment", "project", "status", "reason", "epochs", "seconds")
        last = ("n_params", "best_val_risk", "best_epoch", "attempt", "contaminated", "created")
        inner = [f"config.{k}" for k in config] + [f"metrics.{k}" for k in metrics]
        return [Column(key) for key in (*own, *inner, *last)]
    varying = [key for key in config if _differs(found, key)]
    columns = [
        Column("name", priority=100, least=40),
        Column("status", priority=90),
    ]
    if _any_differs(run.experiment for run in found):
        columns.append(Column("experiment", priority=40))
    columns += [Column(f"config.{k}", k, priority=78, digits=6) for k in varying]
    columns += [
        Column(f"metrics.{key}", key, priority=(85 if _common(found, key) else 25) - 5 * i)
        for i, key in enumerate(metrics[:_MOST_METRICS])
    ]
    # A parameter that says of every run what the run says itself is enough.
    if "epochs" not in varying or any(run.config.get("epochs") != run.epochs for run in found):
        columns.append(Column("epochs", priority=50))
    columns.append(Column("seconds", priority=45, digits=3))
    if any(run.contaminated for run in found):
        columns.append(Column("contaminated", "trust", priority=88))
    if any(run.reason for run in found):
        columns.append(Column("reason", priority=30, least=20))
    return told_apart(columns)


def told_apart(columns: Sequence[Column]) -> list[Column]:
    """Columns of one title by their whole names: ``config.epochs`` beside the run's ``epochs``."""
    heads = [column.head for column in columns]
    return [replace(c, title=c.key) if heads.count(c.head) > 1 else c for c in columns]


def _ordered(keys: Iterable[str]) -> list[str]:
    seen = dict.fromkeys(keys)
    first = [key for key in _METRICS_FIRST if key in seen]
    return first + [key for key in seen if key not in first]


def _common(found: Sequence[RunRow], key: str) -> bool:
    return 2 * sum(key in run.metrics for run in found) >= len(found)


def _differs(found: Sequence[RunRow], key: str) -> bool:
    return len(found) == 1 or _any_differs(run.config[key] for run in found if key in run.config)


def _any_differs(values: Iterable[Any]) -> bool:
    return len({str(value) for value in values}) > 1


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
