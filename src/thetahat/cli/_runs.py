"""``thetahat runs``: the runs of a store, filtered and sorted, as a table."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from thetahat.analysis import Group, group_runs
from thetahat.cli._tables import Screen, add_output, emit, note, read_screen
from thetahat.core.errors import ConfigError, StoreError, did_you_mean
from thetahat.report import Column, fit_width, table

if TYPE_CHECKING:
    from thetahat.store import RunRow, Store

_METRICS_FIRST = ("val_risk", "test_risk", "train_risk")
_MOST_METRICS = 6
_OF_GROUPS = ("runs", "failed", "unfinished", "trust")
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
    from thetahat.store import locate, open_store, read_condition, standing

    conditions = [read_condition(text) for text in args.where]
    over = [name.strip() for name in (args.group_by or "").split(",") if name.strip()]
    nowhere = args.store is None and "THETAHAT_STORE" not in os.environ
    if nowhere and not locate().is_file():
        note(f"no store here yet ({locate()}); a run makes one, or give one with --store")
        found: list[RunRow] = []
        metric = ("val_risk", 1)
    else:
        with open_store(args.store, create=False) as store:
            found = store.runs(
                where=conditions,
                sort="number" if over else args.sort,
                limit=None if over else args.limit,
                **_scope(store, args.id),
            )
            found = [r for r in standing(store, found) if all(c.holds(r) for c in conditions)]
            metric = _metric_of(store, found) if over else ("val_risk", 1)
        if not found and args.format == "table":
            note(f"no runs to list in {store.path}")
    asked = [c.strip() for c in args.columns.split(",")] if args.columns else None
    if over:
        print_groups(found, over, args, asked, *metric)
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
) -> None:
    """Print runs setting by setting, the best first where no other order is asked for.

    Args:    metric, sign: what is best; 1 where less is better, else -1.
    Raises:  ConfigError: a parameter, column or quantile that is none.
    """
    groups = best_first(group_runs(found, over, _quantiles(args.quantiles)), metric, sign)
    rows = [_group_row(group) for group in groups]
    key = args.sort.removeprefix("-")
    columns = group_columns(groups) if asked is None else [Column(name) for name in asked]
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


def print_settings(groups: Sequence[Group], metric: str, screen: Screen) -> None:
    """Print settings as a table, what is known of one metric in each."""
    columns = [
        c
        for c in group_columns(groups)
        if "." not in c.key
        or c.key.rpartition(".")[0] == metric
        or c.key.removeprefix("config.") in groups[0].config
    ]
    rows = [_group_row(group) for group in groups]
    look = {"width": screen.width, "colour": screen.colour, "ascii_only": screen.ascii_only}
    emit(table(rows, columns, "table", **look))


def best_first(groups: Sequence[Group], metric: str, sign: int) -> list[Group]:
    """Settings by the median of a metric; those without it keep their order, at the end."""

    def place(group: Group) -> tuple[bool, float]:
        numbers = group.metrics.get(metric)
        return (True, 0.0) if numbers is None else (False, sign * numbers["median"])

    return sorted(groups, key=place)


def _metric_of(store: Store, found: Sequence[RunRow]) -> tuple[str, int]:
    """What decides which of these runs is best: their sweep's metric, if they have one sweep."""
    from thetahat.analysis import SweepFile, read_file
    from thetahat.store import find_sweep

    sweeps = {run.sweep_id for run in found}
    one = next(iter(sweeps)) if len(sweeps) == 1 else None
    file = SweepFile() if one is None else read_file(find_sweep(store, one).text)
    return file.metric or "val_risk", -1 if file.goal == "maximize" else 1


def _tell_gone(gone: Sequence[Column]) -> None:
    note(f"no room for {', '.join(c.head for c in gone)}; --columns chooses")


def group_columns(groups: Sequence[Group]) -> list[Column]:
    """What tells the settings apart, then their metrics; the first metric is the dearest."""
    settings = dict.fromkeys(name for group in groups for name in group.config)
    # The config of a run is not whole before it has begun: what it lacks tells nothing apart.
    whole = [g for g in groups if g.runs > g.unfinished]
    varying = [
        n
        for n in settings
        if _any_differs(g.config.get(n) for g in whole)
        or _any_differs(g.config[n] for g in groups if n in g.config)
    ]
    columns = [Column(_key(name), priority=90, digits=6) for name in varying]
    columns += [Column("runs", priority=80), Column("failed", priority=79)]
    if any(group.unfinished for group in groups):
        columns.append(Column("unfinished", priority=60))
    metrics = _ordered(name for group in groups for name in group.metrics)
    for i, name in enumerate(metrics[:_MOST_METRICS]):
        numbers = next(g.metrics[name] for g in groups if name in g.metrics)
        for number in numbers:
            if number != "n":
                columns.append(Column(f"{name}.{number}", f"{name} {number}", priority=75 - 9 * i))
    if any(group.contaminated for group in groups):
        columns.append(Column("trust", priority=88))
    return columns


def _group_row(group: Group) -> dict[str, Any]:
    row: dict[str, Any] = {_key(name): value for name, value in group.config.items()}
    row |= {"runs": group.runs, "failed": group.failed, "unfinished": group.unfinished}
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
