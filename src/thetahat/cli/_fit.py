"""``thetahat fit``: fit a table with no code."""

from __future__ import annotations

import argparse
import contextlib
import csv
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thetahat.cli._tables import add_output, emit, read_screen
from thetahat.core.errors import ConfigError

if TYPE_CHECKING:
    import numpy as np

    from thetahat.cli._session import Setting
    from thetahat.data import Table
    from thetahat.train import Result

LEAST_BYTES = 4096
"""What the config, the result and the parameters of one fit take, at the least."""
EXPERIMENT = "thetahat fit"
"""What the store calls the experiment of these runs."""
_MODELS = ("mlp", "linear", "polynomial")
_LOSSES = ("squared", "absolute", "huber", "pinball")
_MISSING = ("refuse", "drop", "mean", "median")
_RATES = {
    "sgd": 0.01,
    "momentum": 0.01,
    "nesterov": 0.01,
    "adam": 0.01,
    "lion": 0.001,
    "newton": 1.0,
}
_QUANTILES = (("10 %", 0.1), ("median", 0.5), ("90 %", 0.9))
_EXAMPLES = """\
examples:
  thetahat fit wages.csv --target wage --features educ,exper,tenure
  thetahat fit wages.csv --target wage --categorical region --missing drop --patience 50
  thetahat fit wages.csv --target wage --width 32 --seeds 20 --predict fitted.csv
"""


def add_parser(subparsers: Any) -> None:
    """Add ``fit`` to the command line."""
    parser = subparsers.add_parser(
        "fit",
        help="fit a table, no code needed",
        description="Fit a column of a CSV or Parquet table from the others, and keep the run.",
        usage="thetahat fit TABLE --target COLUMN [options]",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("table", metavar="TABLE", help="a CSV, TSV or Parquet file")
    _add_columns(parser.add_argument_group("columns"))
    _add_model(parser.add_argument_group("model"))
    _add_training(parser.add_argument_group("training"))
    _add_parts(parser.add_argument_group("parts and seeds"))
    out = parser.add_argument_group("output")
    out.add_argument(
        "--predict",
        metavar="FILE",
        help="write the fitted values of all rows as CSV; replaces a file of this kind only",
    )
    out.add_argument("--name", metavar="NAME", help="a name for the run")
    out.add_argument("--no-store", action="store_true", help="keep nothing")
    out.add_argument("--quiet", action="store_true", help="say nothing unless something is wrong")
    add_output(parser)
    parser.set_defaults(run=run)


def _add_columns(group: Any) -> None:
    group.add_argument("--target", required=True, metavar="COLUMN", help="the column to estimate")
    group.add_argument(
        "--features",
        type=_names,
        metavar="A,B,...",
        help="from these columns (default: all others)",
    )
    group.add_argument("--weights", metavar="COLUMN", help="weights of the observations")
    group.add_argument(
        "--categorical", type=_names, metavar="A,B,...", help="one 0/1 column a level"
    )
    group.add_argument(
        "--missing",
        choices=_MISSING,
        default="refuse",
        help="missing values: refuse them, drop their rows, or impute the mean or median of the"
        " training part (default: refuse)",
    )


def _add_model(group: Any) -> None:
    group.add_argument("--model", choices=_MODELS, default="mlp", help="default: mlp")
    group.add_argument(
        "--width", type=_count, default=64, metavar="N", help="units of a layer (default: 64)"
    )
    group.add_argument(
        "--depth", type=_count, default=2, metavar="N", help="hidden layers (default: 2)"
    )
    group.add_argument("--activation", default="relu", metavar="NAME", help="default: relu")
    group.add_argument(
        "--degree", type=_count, default=3, metavar="N", help="of the polynomial (default: 3)"
    )
    group.add_argument(
        "--basis", default="monomial", metavar="NAME", help="monomial, chebyshev or legendre"
    )


def _add_training(group: Any) -> None:
    group.add_argument("--optimizer", default="adam", metavar="NAME", help="default: adam")
    group.add_argument("--lr", type=_number, metavar="X", help="learning rate (default: 0.01)")
    group.add_argument(
        "--weight-decay", type=_number, default=0.0, metavar="X", help="default: 0, none"
    )
    group.add_argument("--loss", choices=_LOSSES, default="squared", help="default: squared")
    group.add_argument(
        "--tau", type=_number, default=0.5, metavar="X", help="quantile of --loss pinball"
    )
    group.add_argument(
        "--epochs", type=_count, default=500, metavar="N", help="at most (default: 500)"
    )
    group.add_argument(
        "--batch-size", type=_count, metavar="N", help="observations a step (default: all)"
    )
    group.add_argument(
        "--patience",
        type=_count,
        metavar="N",
        help="stop when the validation risk has not improved for N epochs",
    )
    group.add_argument("--dtype", choices=("float32", "float64"), default="float32")


def _add_parts(group: Any) -> None:
    for part, share in (("train", 0.7), ("val", 0.15), ("test", 0.15)):
        group.add_argument(
            f"--{part}",
            type=_share,
            default=share,
            metavar="X",
            help=f"share, or count (default: {share})",
        )
    group.add_argument(
        "--split-seed", type=_seed, default=0, metavar="N", help="which rows go where (default: 0)"
    )
    group.add_argument(
        "--seed", type=_seed, default=0, metavar="N", help="first parameters, order (default: 0)"
    )
    group.add_argument(
        "--seeds",
        type=_count,
        default=1,
        metavar="K",
        help="K seeds from --seed on, as one program; their median and quantiles",
    )


def run(args: argparse.Namespace) -> int:
    """Fit a table."""
    from thetahat.cli import _table_fit as fits
    from thetahat.cli._main import check_batch
    from thetahat.cli._session import Origin, Setting, exit_code, train

    config = _config(args)
    table = fits.read(
        *(config[k] for k in ("table", "target", "features", "weights", "categorical", "missing"))
    )
    out = None if args.predict is None else _writable(Path(args.predict), Path(args.table))
    setting = Setting(args.store, not args.no_store, not args.no_store, args.name, args.quiet)
    _check_seeds(args.seed, args.seeds)
    experiment = fits.fit_table if args.batch_size is None else check_batch(fits.fit_table)
    configs = [{**config, "seed": args.seed + k} for k in range(args.seeds)]
    origin = Origin(EXPERIMENT, Path(args.table))
    trained = train(experiment, configs, setting, origin, label=Path(args.table).name)
    names = [name or f"seed {args.seed + k}" for k, name in enumerate(trained.names)]
    report(trained.results, names, table, setting, args.format)
    if out is not None:
        _predict(out, trained.results, table, config["split_seed"], setting)
    return exit_code(trained.results)


def _check_seeds(first: int, seeds: int) -> None:
    """See that there are so many seeds, and that a machine can hold so many fits at all."""
    from thetahat.train import total_memory

    if first + seeds > 2**31:
        raise ConfigError(
            f"--seeds={seeds}: seeds go to 2**31 - 1, and there are {2**31 - first} from"
            f" --seed={first} on; give fewer"
        )
    room = total_memory()
    if seeds * LEAST_BYTES > room:
        raise ConfigError(
            f"--seeds={seeds}: the results of so many fits cannot be held in memory, which is"
            f" {room / 1e9:.3g} GB; give fewer, {int(room / LEAST_BYTES):,} at the very most"
        )


def report(
    results: Sequence[Result], names: Sequence[str], table: Table, setting: Setting, format: str
) -> None:
    """Say how the fits ended, and print the table of how well they fit."""
    from thetahat.cli._summary import print_end, print_run
    from thetahat.report import word

    first = results[0]
    if format == "table" and not setting.quiet:
        sizes = {n: len(getattr(first.data, n)) for n in ("train", "val", "test") if _has(first, n)}
        parts = ", ".join(f"{size:,} {name}" for name, size in sizes.items())
        file, d = Path(str(first.config["table"])).name, first.data.train.x.shape[1]
        wide = f"{d} column{'s' * (d > 1)}"
        print(f"{word(file)}: {word(table.target)} on {wide}, {len(table):,} rows ({parts})")
    if len(results) == 1 and format == "table":
        print_run(first, names[0], setting, tracked=setting.tracked)
    else:
        for result, name in zip(results, names, strict=True):
            print_end(result, name, setting, tracked=setting.tracked)
    if setting.quiet:
        return
    rows, columns = goodness_rows(results, table)
    screen = read_screen()
    from thetahat.report import table as as_table

    if format == "table":
        print()
    emit(
        as_table(
            rows,
            columns,
            format,
            width=screen.width,
            colour=screen.colour,
            ascii_only=screen.ascii_only,
        )
    )
    if format == "table" and len(results) > 1 and setting.tracked:
        where = f" --store {setting.store}" if setting.store else ""
        first_to_last = f"{word(names[0])} to {word(names[-1])}"
        print(f"\n{len(results)} runs, {first_to_last}; look at them: thetahat runs{where}")


def goodness_rows(
    results: Sequence[Result], table: Table
) -> tuple[list[dict[str, Any]], list[Any]]:
    """A row for the fit (quantiles over seeds, where there are several), and one for OLS."""
    from thetahat.cli import _table_fit as fits
    from thetahat.report import Column

    first = results[0]
    seed = int(first.config["split_seed"])
    kept = [r for r in results if r.risk.get("train", float("nan")) == r.risk.get("train")]
    found = [_row(r, fits.net_goodness(r, table, seed)) for r in kept]
    label = str(first.config["model"])
    if len(results) == 1:
        rows = [{"model": label, **row} for row in found]
    else:
        rows = [{"model": f"{label}, {q}", **_quantile(found, at)} for q, at in _QUANTILES if found]
    ols = fits.ols_goodness(first.data)
    scale = float(first.data.transform.y_std) ** 2
    risks = {f"{part}_risk": mse / scale for part, mse in ols.mse.items()}
    shown = risks if first.config["loss"] == "squared" else {}
    d = first.data.train.x.shape[1]
    rows.append({"model": "OLS", "params": d + 1, **shown, **_fit_columns(ols)})
    unit, parts = table.target, [n for n in ("val", "test") if _has(first, n)] or ["train"]
    columns = [Column("model", priority=9), Column("params"), Column("epochs")]
    columns += [Column(f"{p}_risk", priority=1) for p in parts]
    columns += [Column(f"{p}_mse", f"{p} MSE ({unit}²)", priority=2) for p in parts]
    columns += [Column(f"{p}_r2", f"{p} R²", priority=3) for p in parts]
    return rows, columns


def _row(result: Result, fitted: Any) -> dict[str, Any]:
    risks = {f"{part}_risk": risk for part, risk in result.risk.items()}
    return {"params": result.n_params, "epochs": result.epochs, **risks, **_fit_columns(fitted)}


def _fit_columns(fitted: Any) -> dict[str, float]:
    mse = {f"{part}_mse": value for part, value in fitted.mse.items()}
    return {**mse, **{f"{part}_r2": value for part, value in fitted.r2.items()}}


def _quantile(rows: Sequence[dict[str, Any]], at: float) -> dict[str, Any]:
    """A quantile over the seeds, column by column (R^2 falls where risk rises)."""
    import numpy as np

    found: dict[str, Any] = {}
    for key in rows[0]:
        level = 1 - at if key.endswith("_r2") else at
        value = float(np.quantile([row[key] for row in rows], level))
        found[key] = round(value) if key in ("params", "epochs") else value
    return found


def _predict(
    path: Path, results: Sequence[Result], table: Table, split_seed: int, setting: Setting
) -> None:
    """Write target, fitted value and part of every row, whole or not at all."""
    from thetahat.cli._guard import note
    from thetahat.cli._table_fit import rows_of

    key = "val" if _has(results[0], "val") else "train"
    kept = [r for r in results if r.risk[key] == r.risk[key]]
    if not kept:
        note(f"{path} was not written: no fit has a finite risk")
        return
    best = min(kept, key=lambda r: r.risk[key])
    fitted = best.predict(table.x)
    part = [""] * len(table)
    for name, rows in rows_of(best.data, len(table), split_seed).items():
        for row in rows:
            part[row] = name
    numbered = str(best.config["missing"]) != "drop"
    _write(path, table.target, table.y, fitted, part, numbered)
    if not setting.quiet:
        several = (
            f" of seed {best.config['seed']}, the lowest {key} risk," if len(results) > 1 else ""
        )
        note(f"fitted values{several} of {len(table):,} rows are in {path}")


def _write(
    path: Path, target: str, y: np.ndarray, fitted: np.ndarray, part: Sequence[str], numbered: bool
) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow([*(["row"] if numbered else []), target, "fitted", "part"])
            for i, (true, hat) in enumerate(zip(y.tolist(), fitted.tolist(), strict=True)):
                writer.writerow([*([i + 1] if numbered else []), true, hat, part[i]])
        os.chmod(name, 0o644)
        os.replace(name, path)
    except OSError as error:
        raise ConfigError(f"--predict {path} cannot be written: {error.strerror}") from error
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)


def _writable(path: Path, table: Path) -> Path:
    """Before anything runs: a folder that takes the file, and no file of the user's in its place.

    Raises:  ConfigError: it cannot be written, or should not be.
    """
    from thetahat.report import is_predictions, refuse_foreign, refuse_input

    if path.is_dir() or not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        raise ConfigError(
            f"--predict {path} cannot be written; give a file in a folder that exists and is yours"
        )
    refuse_input(path, f"--predict {path}", table, "the table")
    refuse_foreign(path, f"--predict {path}", is_predictions)
    return path


def _config(args: argparse.Namespace) -> dict[str, Any]:
    """The experiment's parameters, and what no experiment can see: an lr that is not wanted."""
    from thetahat.cli._table_fit import NO_RATE, fit_table
    from thetahat.core.signature import read_signature

    if args.lr is not None and args.optimizer in NO_RATE:
        from thetahat.optim import named

        named(args.optimizer, args.lr)
    rate = _RATES.get(args.optimizer, 0.001) if args.lr is None else args.lr
    names = read_signature(fit_table).parameters
    given = {name: getattr(args, name) for name in names}
    return read_signature(fit_table).config({**given, "lr": rate})


def _has(result: Result, part: str) -> bool:
    return getattr(result.data, part) is not None


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _count(text: str) -> int:
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number of at least 1")
    return value


def _seed(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no seed; give a whole number such as 42")
    return int(text)


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no number") from None
    if value != value:
        raise argparse.ArgumentTypeError("NaN is no number; give one, such as 0.01")
    return value


def _share(text: str) -> float | int:
    return int(text) if text.isdecimal() and text != "1" else _number(text)
