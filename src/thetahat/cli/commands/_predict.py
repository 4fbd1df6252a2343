"""``thetahat predict``: predict the rows of a table by a saved model, or by a run's."""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thetahat.cli._parser import add_quiet, add_store, add_value, number
from thetahat.core.errors import CheckpointError, ConfigError, InputError, StoreError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from thetahat.store import RunRow, Store, SweepRow
    from thetahat.train import Results

DESCRIPTION = (
    "Predict every row of a table by the model of a file, which result.save or thetahat fit wrote,"
    " or of a run."
)
EXAMPLES = """\
examples:
  thetahat predict wage.theta new.csv -o predicted.csv
  thetahat predict last new.csv -o predicted.csv
"""


def add_flags(parser: Any) -> None:
    """Add the flags of ``predict``."""
    parser.usage = "thetahat predict MODEL TABLE -o FILE [options]"
    parser.add_argument(
        "model",
        metavar="MODEL",
        help="a saved model; or the id or name of a run or sweep; or last, the latest run",
    )
    parser.add_argument("table", metavar="TABLE", help="a CSV, TSV or Parquet file")
    parser.add_argument(
        *("-o", "--output"),
        metavar="FILE",
        required=True,
        help="write every row's number and prediction, as .csv, .tsv, .json or .parquet; replaces a"
        " file of this kind only",
    )
    add_value(
        parser,
        "--quantiles A,B,...",
        "of a model of several seeds: quantiles over them (default: 0.1,0.9)",
        _probabilities,
    )
    add_value(
        parser,
        "--source FILE",
        "the program that was fitted, for a model of your own class; FILE:NAME names its function",
    )
    add_quiet(parser)
    add_store(parser)


def run(args: argparse.Namespace) -> int:
    """Predict the rows of a table."""
    from thetahat.cli._errors import print_note
    from thetahat.cli.commands._fit_predictions import QUANTILES, predictions_of, writable, write

    out = writable(Path(args.output), Path(args.table), (), flag="-o")
    members = _members(args)
    if args.quantiles is not None and len(members) == 1:
        raise ConfigError(
            f"--quantiles has no effect: {args.model} is one model; leave it out, or give a model"
            " of several seeds (thetahat fit --seeds K --save FILE)"
        )
    if args.quantiles is not None and members[0].classes is not None:
        raise ConfigError(
            "--quantiles has no effect: the model predicts labels, with mean probabilities over its"
            " seeds; leave it out"
        )
    made = predictions_of(args.table, members, args.quantiles or QUANTILES)
    write(out, made, "-o")
    if not args.quiet:
        how = "the median of" if members[0].classes is None else "by the mean probability of"
        of = "" if len(members) == 1 else f", {how} {len(members)} members,"
        print_note(f"predictions{of} of {made.rows:,} rows are in {out}{made.lost}")
    return 0


def _members(args: argparse.Namespace) -> Results[Any]:
    """The model that was asked for, as one or several members that ended well."""
    from thetahat.store import find_sweep, list_sweeps, open_store
    from thetahat.train import Results

    if Path(args.model).suffix == ".ckpt" and Path(args.model).is_file():
        raise ConfigError(
            f"{args.model} is a checkpoint, not a model: give the name of its run (thetahat runs"
            " --columns name,checkpoint), or a file that --save or result.save wrote"
        )
    if Path(args.model).is_file():
        found = _loaded(args.model, args.source)
        return found.ended_well() if isinstance(found, Results) else Results([found])
    if "/" in args.model or Path(args.model).suffix:
        raise ConfigError(f"there is no file {args.model}; check the path, or give a run's name")
    try:
        with open_store(args.store, create=False) as store:
            if args.model in {
                word for sweep in list_sweeps(store) for word in (sweep.id, sweep.name)
            }:
                sweep = find_sweep(store, args.model)
                return _models_of_sweep(store, sweep, store.runs(sweep_id=sweep.id), args.source)
            return _model_of_run(store, store.run(args.model), args.source)
    except StoreError as error:
        raise StoreError(f"{args.model!r} is not a file here, and not a run: {error}") from error


def _loaded(file: str, source: str | None) -> Any:
    """Load a saved model.

    Raises:  InputError: as ``th.load``, in words of the command line.
    """
    from thetahat.train import load

    try:
        return load(file, _experiment(source))
    except InputError as error:
        if source is not None or "th.load(path, experiment)" not in str(error):
            raise
        said = str(error).replace("th.load(path, experiment)", "--source FILE.py:FUNCTION")
        raise type(error)(said) from None


def _experiment(given: str | None) -> Any:
    """Load the experiment of ``--source FILE`` or ``--source FILE:NAME``."""
    if given is None:
        return None
    file, name = _parted(given)
    from thetahat.sweep import load_experiment

    try:
        return load_experiment(file, name)
    except ConfigError as error:
        if name is not None:
            raise
        raise ConfigError(f"{error}; or name it here: --source {given}:FUNCTION") from None


def _parted(source: str) -> tuple[Path, str | None]:
    """The file of ``--source``, and the name of its function if it has one."""
    file, _, name = source.rpartition(":") if not Path(source).is_file() else (source, "", None)
    if not Path(file).is_file():
        raise ConfigError(f"--source {source}: give a Python file that exists, or FILE:NAME")
    return Path(file), name


def _model_of_run(store: Store, asked: RunRow, source: str | None) -> Results[Any]:
    """The model of a run: the one that was kept, or from its last checkpoint.

    Raises:  ConfigError, CheckpointError: nothing is left to make it from.
    """
    from thetahat.cli._flags import retyped
    from thetahat.cli.commands._fit import EXPERIMENT
    from thetahat.cli.commands._resume import cohort_of, experiment_of
    from thetahat.core.signature import read_signature
    from thetahat.store import find_sweep
    from thetahat.train import Results, bag, fit_many

    if asked.sweep_id is not None:
        return _models_of_sweep(store, find_sweep(store, asked.sweep_id), [asked], source)
    if (kept := store.model_path(asked.id)).is_file():
        return _kept(store, asked, kept, source)
    if asked.checkpoint is None or not Path(asked.checkpoint).is_file():
        raise CheckpointError(
            f"the run {asked.name} kept no model: it has no checkpoint; fit it again, and write the"
            " model with --save FILE or result.save(path)"
        )
    cohort = cohort_of(store, asked)
    if not all(one.status.over for one in cohort):
        raise ConfigError(
            f"the run {asked.name} has not ended: {asked.status}; wait for it, or continue it with:"
            f" thetahat resume {asked.name}"
        )
    program, _ = experiment_of(store, asked, source)
    signature = read_signature(program)
    with tempfile.TemporaryDirectory() as folder:
        # A copy: a fit that goes on writes its checkpoint.
        path = shutil.copy(asked.checkpoint, folder)
        configs = [retyped(signature, one.config) for one in cohort]
        try:
            results = fit_many(program, configs, checkpoint=path, resume=True)
        except InputError as error:
            raise type(error)(str(error).replace(str(path), asked.checkpoint)) from None
    if asked.config.get("members", 1) != 1 and asked.experiment == EXPERIMENT:
        return Results([bag(results)])  # the runs of a bag are one model
    return Results([results[[one.id for one in cohort].index(asked.id)]])


def _models_of_sweep(
    store: Store, sweep: SweepRow, runs: Sequence[RunRow], source: str | None
) -> Results[Any]:
    """The models that runs of a sweep kept.

    Raises:  ConfigError: none was kept.
    """
    from thetahat.sweep.agent import load_models
    from thetahat.train import Results

    found = load_models(store, sweep, runs, _experiment(source))
    if found is None:
        raise ConfigError(
            f"no model was kept of these runs of the sweep {sweep.id}: it keeps those of its best"
            " runs; fit the setting again, and save the result"
        )
    return found if isinstance(found, Results) else Results([found])


def _kept(store: Store, asked: RunRow, path: Path, source: str | None) -> Results[Any]:
    """The model that a run kept; a class of the user's own needs the run's program."""
    from thetahat.cli.commands._resume import experiment_of
    from thetahat.train import Results, load

    try:
        found = load(path)
    except ConfigError:
        found = load(path, experiment_of(store, asked, source)[0])
    return found if isinstance(found, Results) else Results([found])


def _probabilities(text: str) -> list[float]:
    """Read probabilities, such as 0.1,0.9."""
    found = [number(part) for part in text.split(",") if part.strip()]
    if not found or not all(0 <= one <= 1 for one in found):
        raise argparse.ArgumentTypeError(
            f"={text}: give probabilities from 0 to 1, such as 0.1,0.9"
        )
    return found
