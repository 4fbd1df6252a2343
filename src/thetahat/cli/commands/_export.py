"""``thetahat export``: runs or histories as CSV or Parquet, or runs as files of W&B."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from thetahat.cli._parser import add_store, add_switch, add_value
from thetahat.cli.terminal._output import many_runs, say
from thetahat.core.errors import ConfigError

DESCRIPTION = (
    "Write runs as a table: a line for each run (or, with --history, for each record), in a file"
    " that ends in .csv or .parquet. Or write them as offline runs of W&B into a folder."
)
EXAMPLES = """\
examples:
  thetahat export runs.csv                      all runs: configs, metrics, labels
  thetahat export last curves.parquet --history the records of the last sweep
  thetahat export SWEEP wandb/ --to wandb       then: wandb sync wandb/offline-run-*
"""


def add_flags(parser: Any) -> None:
    """Add the arguments of ``export``."""
    parser.add_argument(
        "id",
        nargs="?",
        metavar="ID",
        help="only runs of this sweep, cohort, experiment or project; a run; or: last (sweep)",
    )
    parser.add_argument("path", metavar="PATH", help="the file, or the folder of --to wandb")
    parser.add_argument(
        "--where",
        action="append",
        default=[],
        metavar="CONDITION",
        help="only runs with, e.g., status=finished or 'tags~ensemble' (may be repeated)",
    )
    add_switch(parser, "--history", "a line for each record, not for each run")
    add_value(parser, "--to TOOL", "wandb: offline runs, which the real package reads")
    add_store(parser)


def run(args: argparse.Namespace) -> int:
    """Export runs."""
    from thetahat.cli.commands._runs import scope_of_id
    from thetahat.store import open_store, read_condition

    if args.to not in (None, "wandb"):
        raise ConfigError(f"--to={args.to}: give wandb, or leave it out for CSV and Parquet")
    if args.to is None and Path(args.path).suffix not in (".csv", ".parquet"):
        raise ConfigError(f"{args.path}: end the name in .csv or .parquet, or give --to wandb")
    if args.to is not None and args.history:
        raise ConfigError("--history goes with CSV and Parquet; files of W&B have all records")
    conditions = [read_condition(text) for text in args.where]
    with open_store(args.store, create=False) as store:
        runs = store.runs(where=conditions, **scope_of_id(store, args.id))
        if not runs:
            raise ConfigError(f"no run of {store.path} is chosen; see thetahat runs")
        if args.to == "wandb":
            from thetahat.wandb._export import export_runs

            others = export_runs(store, runs, Path(args.path))
            say(f"{many_runs(len(runs))} in {args.path}; wandb sync sends them, if you wish")
            if others:
                say(f"{many_runs(others)} had the id of a later one, and got another: ID-STOREID")
            return 0
        from thetahat.store._runs_table import history_columns, run_columns_of, write_columns

        made = history_columns(store, runs) if args.history else run_columns_of(store, runs)
        # A record has NaN where another column was logged.
        rows = write_columns(Path(args.path), made, nan="" if args.history else "nan")
    say(f"{args.path}: {rows:,} rows, {len(made)} columns, of {many_runs(len(runs))}")
    return 0
