"""Start an agent on a sweep: its workers or processes, and its search."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from thetahat.core.errors import ConfigError, StoreError
from thetahat.core.places import Place, opening
from thetahat.search import BLIND
from thetahat.store import Follower, Store, SweepRow, count_runs, find_sweep, list_agents
from thetahat.sweep.agent._agent import Agent, Say, Search, Tally
from thetahat.sweep.agent._create import Found
from thetahat.sweep.agent._history import SweepTrials, words_of
from thetahat.sweep.agent._kept_models import KeptModels
from thetahat.sweep.agent._one_machine import check_one_machine
from thetahat.sweep.agent._proposer import Proposer
from thetahat.sweep.processes._runner import Processes
from thetahat.sweep.spec._options import SweepOptions, options_from_json
from thetahat.sweep.spec._program import find_program, runs_program
from thetahat.sweep.spec._scheduler import SweepInfo, sampler_of
from thetahat.sweep.spec._source_files import Code, FunctionCode
from thetahat.sweep.spec._spec import CUSTOM, SweepSpec, spec_of
from thetahat.sweep.workers._cohort_size import CohortSizes
from thetahat.sweep.workers._connection import WorkerProcess
from thetahat.sweep.workers._early_start import (
    Work,
    cap_of,
    is_experiment,
    size_of,
    spread_of,
    starter,
)
from thetahat.sweep.workers._kept import Models
from thetahat.sweep.workers._pool import Pool
from thetahat.sweep.workers._spread import COHORTS

TOGETHER, MOST, ADAPTIVE = 64, 4096, 4
"""Runs trained together: in a search that does not learn, at first and at most; in one that does.
"""
RISKS = frozenset({"train_risk", "val_risk", "test_risk"})
_JUDGED = ("val_risk", "test_risk", "train_risk")
"""What a sweep without a metric is judged by: the first that its runs have, as on the page."""
_BANDS_UPTO = 10**6


def work_on(
    store: Store,
    sweep: SweepRow,
    work: Work,
    say: Say,
    runner: Pool | Processes | None = None,
    stops: Callable[[], bool] | None = None,
) -> Tally:
    """Have one agent work on a sweep until it is done.

    Args:    runner: one that was started before; by default one is made.
             stops: tells whether to stop as at Ctrl-C; for an agent outside of the main thread.
    Raises:  ConfigError: the sweep cannot be worked on here.   StoreError: an agent of another
             machine is at work in the store's file.
    """
    tally = Tally()
    try:
        check_one_machine(store)
    except StoreError:
        if runner is not None:
            runner.close()
        raise
    while True:
        runner = runner or start_runner(store, sweep, work)
        try:
            refit = partial(_search_of, store, work, runner, _program_of(sweep))
            search, retries = refit(sweep), options_from_json(sweep.plan).retries
            assert search is not None
            agent = Agent(
                *(store, sweep, runner, search, refit, tally, say),
                retries=retries,
                stops=stops,
                on=work.on,
            )
            agent.work()
        finally:
            runner.close()
        if tally.interrupted or not agent.outdated:
            return tally
        # The sweep goes on with another program.
        sweep, runner = find_sweep(store, sweep.id), None


def is_done(store: Store, sweep: SweepRow) -> bool:
    """Tell whether a sweep is over and has no waiting or orphaned run."""
    counts = count_runs(store, sweep.id)
    return sweep.over and not counts.get("running") and not counts.get("queued")


# -- the search -----------------------------------------------------------------------------------


def _search_of(
    store: Store, work: Work, runner: Pool | Processes, program: Any, sweep: SweepRow
) -> Search | None:
    """Return the search of a sweep's file, which the runner then follows; None if it cannot."""
    if _program_of(sweep) != program:
        return None
    spec, plan = spec_of(sweep), options_from_json(sweep.plan)
    found = Found(**sweep.plan.get("found", {}))
    paths = None if spec.proposes else tuple(d.path for d in spec.space.dimensions)
    if found.seed is not None and paths is not None:
        paths = (*paths, (found.seed,))
    sample = sampler_of(spec, plan, folder_of(sweep), _info(sweep))
    # Replicates of a setting are one trial: a pruner cannot judge one of them.
    prune = getattr(sample, "losers", None) if found.seed is None else None
    prune = prune if getattr(sample, "prunes", False) else None
    judged = spec.hyperband is not None or prune is not None
    needs_records = judged or found.experiment is None
    column = spec.metric.name if spec.metric is not None and needs_records else None
    follower = Follower(store, sweep.id, column, times=spec.method == CUSTOM)
    words = words_of(spec.space)
    trials = SweepTrials(
        *(follower, spec.metric, paths, found.seed, words, spec.objectives),
        folds=plan.folds > 1,
        prior=plan.prior,
    )
    if isinstance(runner, Pool):
        left = partial(left_of, store, sweep, runner.size, work.count)
        marks = () if spec.hyperband is None else spec.hyperband.bands(upto=_BANDS_UPTO)
        sizes = cohort_sizes(spec, plan, found, left)
        kept = _kept(store, spec, plan, trials)
        runner.follow(trials.proposed_of, sizes, marks, None if kept is None else kept.models)
    else:
        kept = None
        runner.follow(trials.proposed_of)
    draws = spec.method == "random" and not spec.space.discrete
    proposer = Proposer(
        spec.space,
        sample,
        plan,
        trials,
        {"experiment": found.experiment, "source": _source(spec, folder_of(sweep))},
        found.seed,
        found.first_seed,
        by_position=draws or spec.method == "grid",
    )
    return Search(
        proposer,
        trials,
        cap_of(spec, plan),
        work.count,
        work.keep_going,
        spec.hyperband,
        prune,
        plan.asha,
        RISKS if found.experiment is not None else None,
        kept,
    )


def _info(sweep: SweepRow) -> SweepInfo:
    return SweepInfo(
        id=sweep.id, name=sweep.name, project=sweep.project or "", config=dict(sweep.spec)
    )


def _kept(
    store: Store, spec: SweepSpec, plan: SweepOptions, trials: SweepTrials
) -> KeptModels | None:
    """The models that a sweep keeps; None where it keeps none."""
    if not plan.keep:
        return None
    metrics = _JUDGED if spec.metric is None else (spec.metric.name,)
    sign = -1 if spec.metric is not None and spec.metric.goal == "maximize" else 1
    most = plan.keep if trials.seed is None else 0
    models = Models(str(store.folder), metrics, sign, most)
    return KeptModels(trials, models, plan.keep)


def _program_of(sweep: SweepRow) -> tuple[Any, ...]:
    """What a runner is made for: another file of the sweep needs another runner if it differs."""
    spec = spec_of(sweep)
    return spec.program, spec.command, spec.function, sweep.plan.get("found", {}).get("experiment")


def cohort_sizes(
    spec: SweepSpec, plan: SweepOptions, found: Found, left: Any = None
) -> CohortSizes:
    """Choose how many runs a worker trains together.

    A search that learns proposes better the more runs it has seen, and proposes blindly what it is
    asked for at once. So it is asked for few runs at a time, and for one if their programs differ.
    """
    learns = _learns(spec, plan)
    start, most = TOGETHER, MOST
    if plan.mode == "worker":
        start, most = 1, 0
    elif plan.cohort is not None:
        start, most = plan.cohort, 0
    elif learns:
        varies = {d.name for d in spec.space.searched}
        start, most = (ADAPTIVE if varies <= set(found.traced) else 1), 0
    asked = plan.mode == "worker" or plan.cohort is not None
    sizes = CohortSizes(start, most, fixed=asked)
    return sizes if left is None else replace(sizes, left=left)


def _learns(spec: SweepSpec, plan: SweepOptions) -> bool:
    """Whether the search looks at earlier runs."""
    return spec.method in ("bayes", CUSTOM) and (plan.sampler or "tpe") not in BLIND


def left_of(store: Store, sweep: SweepRow, size: int, count: int | None, taken: int) -> float:
    """Estimate the runs left for each worker of a sweep; agents have as many as this one.

    Args:    size: workers of this agent.   count: runs that it takes, at most.
             taken: runs that it has taken.
    """
    left = float("inf")
    if sweep.points is not None:
        agents = sum(agent["ended"] is None for agent in list_agents(store, sweep.id))
        begun = sum(count_runs(store, sweep.id).values())
        left = (sweep.points - begun) / (size * max(1, agents))
    if count is not None:
        left = min(left, (count - taken) / size)
    return max(0.0, left)


# -- workers and processes ------------------------------------------------------------------------


def early_pool(
    store: Store, spec: SweepSpec, plan: SweepOptions, work: Work, begun: Sequence[WorkerProcess]
) -> Pool | None:
    """Return a pool of workers that have begun; None without any, for processes."""
    if not begun:
        return None
    return _pool(store, f"p{os.getpid()}", spec, plan, Path.cwd(), len(begun), work, begun)


def pool_here(
    store: Store, sweep: SweepRow, experiment: Callable[..., Any], work: Work
) -> Pool | Processes:
    """Return a pool whose worker is a thread of this process, for a function that no file has.

    Raises:  ConfigError: flags that need processes.
    """
    plan = options_from_json(sweep.plan)
    if plan.mode == "process":
        raise ConfigError("mode='process' runs programs; give run_sweep() the path of one")
    if work.devices:
        raise ConfigError(
            "devices give each worker process a GPU; write the experiment in a file for that"
        )
    from thetahat.sweep.workers._worker_thread import WorkerThread

    log = store.folder / "logs" / f"{sweep.id}.log"
    mode = "exact" if plan.mode == "exact" else "auto"
    code = FunctionCode(experiment)
    return Pool(store, lambda k: WorkerThread(experiment, log), 1, mode=mode, code=code)


def program_file(sweep: SweepRow, place: Place) -> Path | None:
    """Return the file of a sweep's program; None for a command without one.

    Args:    place: of the store, for the message.
    Raises:  ConfigError: no agent finds the program here.
    """
    spec, folder = spec_of(sweep), folder_of(sweep)
    file = None if spec.program is None else find_program(spec, folder)
    if spec.program is None and spec.function is not None:
        raise ConfigError(
            f"{spec.function}() of the sweep {sweep.id} was defined in a notebook or inside another"
            " function, where no agent finds it; go on from Python with:"
            f" {opening(sweep.id, place)}.resume({spec.function})"
        )
    if file is None and spec.program is not None and runs_program(spec):
        raise ConfigError(
            f"there is no file {spec.program} in {folder.absolute()}, where the sweep"
            f" {sweep.id} was made; put it there again"
        )
    return file


def start_runner(store: Store, sweep: SweepRow, work: Work) -> Pool | Processes:
    """Start workers if the program is an experiment, else make a runner of processes.

    Raises:  ConfigError: the program is not here.
    """
    spec, plan = spec_of(sweep), options_from_json(sweep.plan)
    folder = folder_of(sweep)
    file = program_file(sweep, store.path)
    if plan.mode != "process" and is_experiment(spec, folder):
        size = size_of(work, sweep.points, experiment=True)
        return _pool(store, sweep.id, spec, plan, folder, size, work)
    size = size_of(work, sweep.points)
    program = spec.program
    if file is not None and program is not None and not (folder / program).is_file():
        program = str(file.absolute())
    return Processes(
        store,
        sweep,
        size,
        command=spec.command,
        program=program,
        cwd=folder,
        timeout_s=plan.timeout_s,
        devices=work.devices,
        code=None if file is None else Code(file.absolute(), folder.absolute()),
    )


def _pool(
    store: Store,
    label: str,
    spec: SweepSpec,
    plan: SweepOptions,
    folder: Path,
    size: int,
    work: Work,
    begun: Sequence[WorkerProcess] = (),
) -> Pool:
    file = find_program(spec, folder)
    assert file is not None
    start = starter(spec, folder, store.folder, label, size, work)
    on_all = replace(work, workers=None, spread=COHORTS)
    wide = starter(spec, folder, store.folder, label, 1, on_all)
    fixed = plan.cohort is not None or plan.mode == "worker" or _learns(spec, plan)
    return Pool(
        store,
        start,
        size,
        spread=spread_of(work, size, start, wide, fixed=fixed),
        mode="exact" if plan.mode == "exact" else "auto",
        code=Code(file.absolute(), folder.absolute()),
        begun=begun,
    )


def folder_of(sweep: SweepRow) -> Path:
    """Return the folder where programs run: where the sweep was made, or here if it is missing."""
    made = Path(sweep.folder or ".")
    return made if made.is_dir() else Path.cwd()


def _source(spec: SweepSpec, folder: Path) -> str | None:
    """The program's file as shown with runs."""
    file = None if spec.program is None else find_program(spec, folder)
    if file is None:
        return None
    here, path = Path.cwd(), file.absolute()
    return path.relative_to(here).as_posix() if path.is_relative_to(here) else path.name
