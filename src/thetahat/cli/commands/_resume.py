"""``thetahat resume``: continue an interrupted run from its last checkpoint, in its own row."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thetahat.cli._parser import add_quiet, add_store, add_value
from thetahat.cli.commands._fit import EXPERIMENT
from thetahat.core.errors import CheckpointError, ConfigError, notify
from thetahat.core.run import Status
from thetahat.core.shell import pasteable

if TYPE_CHECKING:
    from thetahat.store import RunRow, Store

_RESUMABLE = (Status.INTERRUPTED, Status.RUNNING, Status.FAILED)
_FURTHER = {
    Status.FINISHED: "To go further, run it again with more epochs",
    Status.STOPPED: "To go further, run it again with other stopping rules, such as more patience",
}


DESCRIPTION = (
    "Continue an interrupted run from its last checkpoint: the same numbers, to the last bit on a"
    " CPU, as if it had never stopped."
)
EXAMPLES = ""


def add_flags(parser: Any) -> None:
    """Add the flags of ``resume``."""
    parser.add_argument(
        "run_name", metavar="RUN", help="its id or name, the beginning of either, or: last"
    )
    add_value(parser, "--source FILE", "the experiment's file, if it has been moved")
    add_quiet(parser)
    add_store(parser)


def run(args: argparse.Namespace) -> int:
    """Resume a run."""
    from thetahat.store import open_store

    with open_store(args.store, create=False) as store:
        asked = store.run(args.run_name)
        cohort = cohort_of(store, asked)
        _check(asked, cohort)
        experiment, file = experiment_of(store, asked, args.source)
    from thetahat.cli._flags import retyped
    from thetahat.cli._session import FitSettings, ResumedRuns, RunSource, exit_code, train
    from thetahat.cli.terminal._run_summary import print_ends, print_run
    from thetahat.core.signature import read_signature
    from thetahat.train import MEMBER

    signature = read_signature(experiment)
    bagged = asked.experiment == EXPERIMENT and asked.config.get("members", 1) > 1
    of, _, part = cohort[0].name.rpartition("-")
    name = of if bagged and part == MEMBER else None
    setting = FitSettings(store=args.store, quiet=args.quiet, name=name)
    trained = train(
        experiment,
        [retyped(signature, run.config) for run in cohort],
        setting,
        RunSource(asked.experiment or signature.name, file),
        resumed=ResumedRuns(
            Path(asked.checkpoint or ""),
            tuple(run.name for run in cohort),
            asked.cohort,
            asked.command,
        ),
        bagged=bagged,
    )
    if trained.bag is None:
        for result, run in zip(trained.results, cohort, strict=True):
            print_run(result, run.name, setting)
        return exit_code(trained.results)
    print_ends(trained.results, [run.name for run in cohort], setting, "members")
    if trained.bag.status is not Status.INTERRUPTED:
        print_run(trained.bag, str(trained.names[-1]), setting)
    return exit_code(trained.results)


def cohort_of(store: Store, asked: RunRow) -> list[RunRow]:
    """List the runs that share the checkpoint, in order: they can only continue together."""
    if asked.cohort is None:
        return [asked]
    runs = store.runs(cohort=asked.cohort)
    if asked.experiment == EXPERIMENT:  # the average of a bag is no member
        runs = [r for r in runs if "member" in r.config or r.config.get("members", 1) == 1]
    return sorted(runs, key=lambda run: run.member or 0)


def _check(asked: RunRow, cohort: list[RunRow]) -> None:
    """Check that the run can be continued.

    Raises:  ConfigError, CheckpointError.
    """
    if asked.sweep_id is not None:
        raise ConfigError(
            f"the run {asked.name} belongs to the sweep {asked.sweep_id}, whose agents continue"
            f" its runs; start one with: thetahat agent {asked.sweep_id}"
        )
    if all(run.status not in _RESUMABLE for run in cohort):
        further = _FURTHER.get(asked.status, "Run it again with other settings")
        raise ConfigError(
            f"the run {asked.name} has ended: {asked.status} ({asked.reason}); only interrupted"
            f" runs can be resumed. {further}"
        )
    again = asked.command or "from the start"
    if asked.checkpoint is None:
        raise CheckpointError(f"the run {asked.name} kept no checkpoint; run it again: {again}")
    if not Path(asked.checkpoint).is_file():
        raise CheckpointError(
            f"the checkpoint of the run {asked.name} is gone ({asked.checkpoint}); run it again:"
            f" {again}"
        )


def experiment_of(
    store: Store, asked: RunRow, given: str | None
) -> tuple[Callable[..., Any], Path | None]:
    """Load the experiment of a run from its file."""
    if asked.experiment == EXPERIMENT:
        from thetahat.cli.commands._fit_table import fit_table

        return fit_table, _source(store, asked, given)
    if asked.source is None or asked.experiment is None:
        raise ConfigError(
            f"the run {asked.name} came from no file, so there is nothing to resume it with; go on"
            " in Python with th.fit(..., checkpoint=..., resume=True)"
        )
    from thetahat.sweep import load_experiment

    file = _source(store, asked, given)
    return load_experiment(file, asked.experiment), file


def _source(store: Store, asked: RunRow, given: str | None) -> Path:
    """Find the file of a run's experiment.

    Raises:  ConfigError: it is no longer there, or is another one and was not asked for.
    """
    from thetahat.cli._session import file_hash

    source = given or str(asked.source)
    path = Path(source).expanduser()
    # A folder above the store is where the run was made; here there may be another of its name.
    places = [path] if given else [store.folder.parent / path, path]
    files = [place for place in places if place.is_file()]
    before = (asked.provenance or {}).get("source_hash")
    file = next((f for f in files if before == file_hash(f)), files[0] if files else None)
    if file is None:
        raise ConfigError(
            f"the run {asked.name} came from {source}, which is not here; go to its folder, or say"
            " where it is with --source"
        )
    if before is None or before != file_hash(file):
        if not given and asked.experiment != EXPERIMENT:
            what = "is not the file that began" if before else "may not be the file that began"
            raise ConfigError(
                f"{file} {what} the run {asked.name}: it was edited, or the store comes from"
                f" elsewhere; to run it as it is now, give --source {pasteable([str(file)])}"
            )
        if before is None:
            return file.absolute()
        notify(
            f"{file.name} has changed since the run began; what follows is trained by the file as"
            " it is now",
        )
    return file.absolute()
