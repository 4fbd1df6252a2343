"""``thetahat import``: runs of other tools into the store."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from thetahat.cli._parser import add_store, add_value, comma_list
from thetahat.cli.terminal._output import many_runs, say
from thetahat.core.errors import ConfigError

DESCRIPTION = (
    "Read runs into the store: offline runs of W&B (config, history, tables, files), or the rows"
    " of a CSV file, a run each."
)
EXAMPLES = """\
examples:
  thetahat import wandb wandb/                      every run in the folder wandb/ of a program
  thetahat import csv runs.csv --config lr,width    other numbers of a row are its metrics
"""


def add_flags(parser: Any) -> None:
    """Add the arguments of ``import``."""
    parser.add_argument("what", choices=("wandb", "csv"), help="wandb or csv")
    parser.add_argument("path", metavar="PATH", help="a folder or a file")
    add_value(parser, "--config NAMES", "columns of a CSV file that are parameters", comma_list)
    add_value(parser, "--project NAME", "the project of the runs, if they have none")
    add_store(parser)


def run(args: argparse.Namespace) -> int:
    """Import runs."""
    from thetahat.store import open_store

    if args.what == "wandb" and args.config:
        raise ConfigError("--config chooses columns of a CSV file; runs of W&B have a config")
    with open_store(args.store) as store:
        if args.what == "csv":
            from thetahat.store._runs_csv import import_csv

            names = import_csv(store, Path(args.path), args.config, args.project)
            say(f"{many_runs(len(names))} of {args.path} in {store.path}")
            return 0
        from thetahat.wandb._import import find_runs, import_run

        done = [import_run(store, path, args.project) for path in find_runs(Path(args.path))]
        new = [one for one in done if one is not None]
        for one in new:
            for note in one.notes:
                print(f"{one.name}: {note}", file=sys.stderr)
        tables, files = sum(one.tables for one in new), sum(one.files for one in new)
        there = len(done) - len(new)
        if not new:
            say(f"the store {store.path} has all {many_runs(there)} already")
            return 0
        say(
            f"{many_runs(len(new))} with {sum(one.rows for one in new):,} rows, {tables:,} tables"
            f" and {files:,} files in {store.path}"
            + (f"; {many_runs(there)} were there already" if there else "")
        )
    return 0
