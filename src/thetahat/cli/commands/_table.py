"""``thetahat table``: the tables that runs have left behind, whole or as quantiles over seeds."""

from __future__ import annotations

import argparse
import functools
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thetahat.cli._parser import add_store, add_value, comma_list
from thetahat.cli.terminal._output import many_runs, print_beside, print_table
from thetahat.core.errors import ConfigError, MissingExtra, StoreError
from thetahat.core.garbage import uncollected

if TYPE_CHECKING:
    from thetahat.store import Store, SweepRow

DESCRIPTION = (
    "Print the tables that runs have left behind (Task(tables=), run.log_table): of one run, or of"
    " all runs of a sweep, whole or as quantiles over seeds."
)
EXAMPLES = """\
examples:
  thetahat table last                                    which tables its runs have
  thetahat table last policy --by k                      median and band over seeds, by k
  thetahat table last policy --by k --quantiles .1,.5,.9 --format latex
  thetahat table last policy -o policy.parquet           every row of every run
  thetahat table calm-otter-7 policy --format csv        of one run
"""
FORMATS = ("table", "csv", "json", "latex", "parquet")
_ENDINGS = {".csv": "csv", ".json": "json", ".tex": "latex", ".parquet": "parquet"}
_MOST_PRINTED = 2000
"""Rows of a table that a terminal shows."""


def add_flags(parser: Any) -> None:
    """Add the arguments of ``table``."""
    parser.add_argument(
        "of", metavar="ID", help="of a sweep or a run; or its name, the beginning of one, or: last"
    )
    parser.add_argument("name", metavar="NAME", nargs="?", help="of the table; without: a list")
    add_value(
        parser,
        "--by COLUMNS",
        "take quantiles over seeds, at each value of these columns",
        comma_list,
    )
    add_value(parser, "--quantiles Q", "default: .05,.5,.95", _probabilities)
    add_value(parser, "--columns COLUMNS", "only these columns of the table", comma_list)
    add_value(
        parser, "--over PARAMETERS", "parameters to average out, beside the seeds", comma_list
    )
    parser.add_argument(
        "--format", choices=FORMATS, help="default: by the ending of -o (.tex is latex), else table"
    )
    parser.add_argument("-o", "--output", metavar="FILE", help="write to this file")
    add_store(parser)


@uncollected()
def run(args: argparse.Namespace) -> int:
    """Print a table."""
    from thetahat.store import open_store

    args.format = args.format or _ENDINGS.get(Path(args.output or "").suffix.lower(), "table")
    if args.format == "parquet" and not args.output:
        raise ConfigError("--format parquet needs a file; give -o policy.parquet")
    if args.quantiles is not None and not args.by:
        raise ConfigError("--quantiles needs the column that identifies a row; give --by COLUMN")
    with open_store(args.store, create=False) as store:
        sweep = _sweep(store, args.of)
        if args.name is None:
            return _list(store, sweep, args)
        if sweep is not None:
            rows, columns, note = _of_sweep(store, sweep, args)
        elif args.by:
            raise ConfigError(f"--by takes quantiles over a sweep's runs, and {args.of} is a run")
        else:
            rows, columns, note = _of_run(store, args)
    if args.format == "parquet":
        _write_parquet(args.output, columns)
    else:
        _print(rows, len(next(iter(columns.values()), ())), args)
    if note:
        print_beside(note)
    return 0


def _sweep(store: Store, name: str) -> SweepRow | None:
    """Return the sweep of this name; None where a run has it."""
    from thetahat.store import find_sweep

    try:
        return find_sweep(store, name)
    except StoreError as unknown:
        if unknown.__cause__ is not None:
            raise
        try:
            store.run(name)
        except StoreError:
            raise unknown from None
        return None


def _list(store: Store, sweep: SweepRow | None, args: argparse.Namespace) -> int:
    from thetahat.store import list_tables, tables_of_sweep

    if args.by or args.output:
        raise ConfigError("give the NAME of a table; without one, the tables are listed")
    if sweep is not None:
        rows = [
            {
                "table": one.name,
                "runs": one.runs,
                "rows": one.rows,
                "columns": ", ".join(one.columns),
            }
            for one in tables_of_sweep(store, sweep.id)
        ]
    else:
        rows = [
            {
                "table": one.name,
                "step": one.step,
                "rows": one.rows,
                "columns": ", ".join(one.columns),
            }
            for one in list_tables(store, store.run(args.of).id)
        ]
    if not rows:
        raise ConfigError(
            "no tables there; Task(tables={name: f}) or run.log_table(name, columns) makes them"
        )
    print_table(rows, None, args.format if args.format != "parquet" else "table")
    return 0


def _of_run(store: Store, args: argparse.Namespace) -> tuple[Any, dict[str, Any], str]:
    from thetahat.store import read_table

    columns = _chosen(read_table(store, store.run(args.of).id, args.name), args)
    return functools.partial(_rows, columns), columns, ""


def _of_sweep(
    store: Store, sweep: SweepRow, args: argparse.Namespace
) -> tuple[Any, dict[str, Any], str]:
    from thetahat.analysis import TABLE_QUANTILES, table_bands

    if not args.by:
        return _stacked(store, sweep, args)
    found = table_bands(
        store,
        sweep,
        args.name,
        args.by,
        args.quantiles or TABLE_QUANTILES,
        columns=args.columns or None,
        over=args.over or (),
    )
    rows = [row for bands in found for row in bands.rows()]
    keys = dict.fromkeys(key for row in rows for key in row)
    ends: dict[str, int] = {}
    for bands in found:
        for how, n in {**bands.setting.ends, "without the table": bands.without}.items():
            ends[how] = ends.get(how, 0) + n
    runs = sum(bands.runs for bands in found)
    lost = [
        f"{ends[w]:,} {w}" for w in ("failed", "unfinished", "without the table") if ends.get(w)
    ]
    note = "; ".join([f"{args.name}: quantiles over {many_runs(runs)}", *lost])
    quantiles = {key: [row.get(key) for row in rows] for key in keys}
    return lambda most: rows[:most], quantiles, note


def _stacked(
    store: Store, sweep: SweepRow, args: argparse.Namespace
) -> tuple[Any, dict[str, Any], str]:
    """Return all rows of all runs, with run, status and config."""
    import numpy as np

    from thetahat.analysis import flat_config, free_name
    from thetahat.store import stack_tables, tried_runs

    stack = stack_tables(store, sweep.id, args.name, args.columns or None)
    known = {run.id: run for run in tried_runs(store, sweep.id)}
    runs, places = [known[run] for run in stack.runs], stack.places
    configs = [flat_config(run.setting) for run in runs]
    columns: dict[str, Any] = {}

    def add(head: str, key: str, values: Sequence[Any]) -> None:
        numbers = {*map(type, values)} <= {int, float, bool, type(None)}
        made = np.empty(len(values), object)
        made[:] = [v if numbers or v is None else str(v) for v in values]
        columns[free_name(key, head, {*stack.names, *columns})] = made[places]

    add("run", "name", [run.name for run in runs])
    add("run", "status", [str(run.status) for run in runs])
    for key in dict.fromkeys(key for config in configs for key in config):
        add("config", key, [config.get(key) for config in configs])
    columns |= stack.columns
    without = len(known) - len(runs)
    note = f"{args.name}: {many_runs(len(runs))}" + (
        f"; {many_runs(without)} without this table" if without else ""
    )
    return functools.partial(_rows, columns), columns, note


def _chosen(columns: Mapping[str, Any], args: argparse.Namespace) -> dict[str, Any]:
    from thetahat.core.errors import did_you_mean

    wanted = args.columns or list(columns)
    for name in wanted:
        if name not in columns:
            said = did_you_mean(name, columns)
            raise ConfigError(f"the table {args.name!r} has no column {name!r}{said}")
    return {name: columns[name] for name in wanted}


def _probabilities(text: str) -> list[float]:
    """Read the value of ``--quantiles``."""
    try:
        return [float(word) for word in comma_list(text)]
    except ValueError:
        said = f"={text}: give numbers from 0 to 1, such as .05,.5,.95"
        raise argparse.ArgumentTypeError(said) from None


def _rows(columns: Mapping[str, Any], most: int | None) -> list[dict[str, Any]]:
    """Return the first rows of columns."""
    parts = [values[:most] for values in columns.values()]
    lists = [part.tolist() if hasattr(part, "tolist") else list(part) for part in parts]
    return [dict(zip(columns, row, strict=True)) for row in zip(*lists, strict=True)]


def _print(
    rows_of: Callable[[int | None], list[dict[str, Any]]], count: int, args: argparse.Namespace
) -> None:
    """Print rows, or write them to a file.

    Args:    rows_of: returns the first rows, or all.   count: how many there are.
    """
    from thetahat.format import table

    on_screen = args.format == "table" and not args.output
    rows = [
        {name: _word_of_infinity(value) for name, value in row.items()}
        for row in rows_of(_MOST_PRINTED if on_screen else None)
    ]
    if args.output:
        with _written(args.output) as new:
            new.write_text(table(rows, None, args.format), encoding="utf-8")
        print_beside(f"{args.output}: {count:,} rows")
        return
    print_table(rows, None, args.format)
    if len(rows) < count:
        print_beside(f"the first {len(rows):,} of {count:,} rows; --format csv gives all")


def _word_of_infinity(value: Any) -> Any:
    """Return infinity as text, as JSON has no number for it; a blank or null is a missing one."""
    return str(value) if isinstance(value, float) and math.isinf(value) else value


@contextmanager
def _written(path: str) -> Iterator[Path]:
    """Yield the path of a new file that takes the place of ``path``.

    Raises:  ConfigError: it cannot be written.
    """
    from thetahat.core.files import replacing

    try:
        with replacing(Path(path)) as new:
            yield new
    except OSError as error:
        # pyarrow gives the number of an error and a text of its own.
        why = os.strerror(error.errno) if error.errno else str(error)
        raise ConfigError(f"{path} cannot be written ({why}); give another with -o") from error


def _write_parquet(path: str, columns: Mapping[str, Any]) -> None:
    """Write columns as Parquet; text that repeats is written once.

    Raises:  MissingExtra: pyarrow is not installed.   ConfigError: the file cannot be written.
    """
    from thetahat.store._runs_table import arrow_column

    try:
        import pyarrow
        from pyarrow import parquet
    except ModuleNotFoundError:
        raise MissingExtra("writing Parquet", "tables") from None
    made = {name: arrow_column(values) for name, values in columns.items()}
    with _written(path) as new:
        parquet.write_table(pyarrow.table(made), new)
    rows = len(next(iter(columns.values()), ()))
    print_beside(f"{path}: {rows:,} rows, {len(columns)} columns")
