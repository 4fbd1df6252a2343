"""``thetahat runs``: the runs of a store, filtered and sorted, as a table."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from thetahat.cli._tables import Screen, add_output, emit, note, read_screen
from thetahat.core.errors import StoreError, did_you_mean
from thetahat.report import Column, fit_width, table

if TYPE_CHECKING:
    from thetahat.store import RunRow, Store

_METRICS_FIRST = ("val_risk", "test_risk", "train_risk")
_MOST_METRICS = 6
_EXAMPLES = """\
examples:
  thetahat runs --sort val_risk --limit 10
  thetahat runs --where status=finished --where 'config.lr>=0.01'
  thetahat runs --columns name,lr,val_risk --format latex
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
        help="sort by a column; -COLUMN: highest first",
    )
    parser.add_argument("--limit", type=_count, metavar="N", help="at most N runs")
    parser.add_argument(
        "--columns", metavar="A,B,...", help="which columns, e.g. name,config.lr,val_risk,seconds"
    )
    # Lets ``--sort -val_risk`` through, which argparse would take for a flag.
    parser._negative_number_matcher = re.compile(r"-\w")
    parser.set_defaults(main=run)


def run(args: argparse.Namespace) -> int:
    """List runs; 0 also where there are none."""
    from thetahat.store import locate, open_store, read_condition

    conditions = [read_condition(text) for text in args.where]
    nowhere = args.store is None and "THETAHAT_STORE" not in os.environ
    if nowhere and not locate().is_file():
        note(f"no store here yet ({locate()}); a run makes one, or give one with --store")
        found: list[RunRow] = []
    else:
        with open_store(args.store, create=False) as store:
            found = store.runs(
                where=conditions, sort=args.sort, limit=args.limit, **_scope(store, args.id)
            )
        if not found and args.format == "table":
            note(f"no runs to list in {store.path}")
    asked = [c.strip() for c in args.columns.split(",")] if args.columns else None
    print_runs(found, args.format, asked, read_screen())
    return 0


def print_runs(
    found: Sequence[RunRow], format: str, asked: Sequence[str] | None, screen: Screen
) -> None:
    """Print runs in a format; without columns asked for, JSON is the full listing."""
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
    gone = fit_width(rows, columns, screen.width)[1] if format == "table" else []
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
        note(f"not shown for lack of space: {', '.join(c.head for c in gone)} (choose: --columns)")


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
    columns += [Column("epochs", priority=50), Column("seconds", priority=45, digits=3)]
    if any(run.contaminated for run in found):
        columns.append(Column("contaminated", "trust", priority=88))
    if any(run.reason for run in found):
        columns.append(Column("reason", priority=30, least=20))
    return columns


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
    known: dict[str, str] = {}
    for run in store.runs():
        for kind in ("project", "experiment", "cohort", "sweep_id"):
            value = getattr(run, kind)
            if value is not None:
                known[value] = kind
    if given not in known:
        raise StoreError(
            f"{given!r} is no sweep, cohort, experiment or project of {store.path}"
            f"{did_you_mean(given, list(known)[-20:])}"
        )
    return {known[given]: given}


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no count; give 1 or more")
    return int(text)
