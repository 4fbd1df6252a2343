"""Create a sweep in the store from a sweep file, and give a sweep another file."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thetahat.core.choices import OTHER_SAMPLERS, STUDY_SAMPLERS, one_of
from thetahat.core.errors import ConfigError, did_you_mean
from thetahat.core.run import Status
from thetahat.search import Constraint, SearchHistory, accepts_all, sampler
from thetahat.store import (
    NewSweep,
    Store,
    SweepRow,
    change_plan,
    count_runs,
    create_sweep,
    find_sweep,
)
from thetahat.sweep.spec._diagnostics import Problem
from thetahat.sweep.spec._from_python import with_values
from thetahat.sweep.spec._options import SweepOptions, nested, options_from_json
from thetahat.sweep.spec._program import experiment_of
from thetahat.sweep.spec._scheduler import need_library, sampler_of, scheduler_problems
from thetahat.sweep.spec._signature_check import Examined, examine
from thetahat.sweep.spec._spec import (
    CUSTOM,
    IN_PYTHON,
    SweepSpec,
    contamination,
    nothing_varies,
    read_sweep,
    spec_from_plain,
    spec_of,
)
from thetahat.sweep.workers._early_start import cap_of, is_experiment, points_of

if TYPE_CHECKING:
    from thetahat.sweep.workers._pool import Pool


_FOLD = "fold"
"""The parameter that ``--folds`` counts up."""
_TRIED = 5000
"""Draws of which one must satisfy the constraints."""


@dataclass(frozen=True)
class Found:
    """What was found out about a sweep's program when the sweep was created."""

    experiment: str | None = None
    seed: str | None = None
    """The parameter that replicates count up, if there are replicates."""
    first_seed: int = 0
    traced: tuple[str, ...] = ()
    seeds: tuple[str, ...] = ()
    """The experiment's parameters of type Seed: settings differ in the others."""


def new_sweep(
    store: Store,
    spec: SweepSpec,
    plan: SweepOptions,
    name: str | None = None,
    *,
    join: bool = False,
    found: Found | None = None,
) -> SweepRow:
    """Create a sweep of a file that has been read.

    Args:    join: take one of the same file and flags that is not over, if there is one.
             found: the answer of ``find_out``, if it was asked before.
    Raises:  ConfigError: the program, its parameters or the flags do not fit the file.
    """
    found = found or find_out(spec, plan)
    return create_sweep(
        store,
        NewSweep(
            text=spec.text,
            spec=spec.plain,
            name=name or spec.name or Path(spec.file).stem,
            project=spec.project,
            file=None if spec.file == IN_PYTHON else _from_here(spec.file),
            folder=os.getcwd(),
            plan={**plan.as_json(), "found": vars(found)},
            points=points_of(spec, plan),
            contaminated=contamination(spec),
        ),
        join=join,
    )


def extend_by(
    store: Store,
    sweep: SweepRow,
    more: int | Mapping[str, Any] | str | os.PathLike[str],
    experiment: Callable[..., Any] | None = None,
) -> SweepRow:
    """Let a sweep go on with more runs, with more values, or with another file.

    Args:    more: a number of runs, new values by parameter, or the path of a sweep file.
             experiment: the sweep's, if this process has it.
    Raises:  ConfigError: nothing is left to run, or the values do not fit.
    """
    if isinstance(more, (str, os.PathLike)):
        return extend_sweep(store, sweep, read_sweep(os.fspath(more)).require())
    if isinstance(more, Mapping):
        spec = with_values(spec_of(sweep), more)
        return extend_sweep(store, sweep, spec, experiment)
    if not isinstance(more, int) or isinstance(more, bool) or more < 1:
        raise ConfigError(
            f"extend({more!r}): give a number of runs, new values such as {{'width': [128, 256]}},"
            " or the path of a sweep file"
        )
    spec, plan = spec_of(sweep), options_from_json(sweep.plan)
    begun = sum(count_runs(store, sweep.id).values())
    cap = cap_of(replace(spec, run_cap=None), replace(plan, limit=None))
    whole = points_of(replace(spec, run_cap=None), replace(plan, count=None, limit=None))
    if whole is not None and begun >= whole:
        raise ConfigError(
            f"all {begun:,} runs of the grid have begun; give new values, such as"
            " extend({'width': [128, 256]})"
        )
    count = (begun if cap is None else max(cap, begun)) + more
    plain = {k: v for k, v in spec.plain.items() if k != "run_cap"}
    made = spec_from_plain(plain, text=spec.text, file=spec.file)
    plan = replace(plan, count=count, limit=None)
    stored = {**plan.as_json(), "found": sweep.plan.get("found", {})}
    points = points_of(made, plan)
    change_plan(
        *(store, sweep.id), text_=spec.text, spec=plain, plan=stored, points=points, again=False
    )
    return find_sweep(store, sweep.id)


def extend_sweep(
    store: Store,
    sweep: SweepRow,
    spec: SweepSpec,
    experiment: Callable[..., Any] | None = None,
) -> SweepRow:
    """Give a sweep another file: it goes on with what has not been run.

    Args:    experiment: the sweep's, if this process has it.
    Raises:  ConfigError: another method, or a program that does not fit.
    """
    before = spec_of(sweep)
    if before.method != spec.method:
        raise ConfigError(
            f"the sweep {sweep.id} is a {before.method} search, and {spec.file} asks for"
            f" {spec.method}; keep the method, or make a new sweep of it"
        )
    plan = replace(options_from_json(sweep.plan), extended=True, limit=None)
    if spec.function is None and before.function is not None:
        # A file names no function.
        kept = {"program": before.program, "function": before.function}
        plain = {**spec.plain, **{k: v for k, v in kept.items() if v is not None}}
        spec = spec_from_plain(plain, text=spec.text, file=spec.file)
    found = find_out(spec, plan, experiment=experiment)
    stored = {**plan.as_json(), "found": vars(found)}
    points = points_of(spec, plan)
    change_plan(
        *(store, sweep.id),
        text_=spec.text,
        spec=spec.plain,
        plan=stored,
        points=points,
        contaminated=contamination(spec) or (sweep.contaminated and _has_chosen(store, sweep)),
    )
    return find_sweep(store, sweep.id)


def _has_chosen(store: Store, sweep: SweepRow) -> bool:
    """Whether results have decided what a sweep runs; a grid or random draws only rank them."""
    spec = spec_of(sweep)
    targets = any(one.target is not None for one in spec.objectives)
    looks = spec.method in ("bayes", CUSTOM) or targets
    counts = count_runs(store, sweep.id)
    return looks and any(Status(status).over for status in counts)


def find_out(
    spec: SweepSpec,
    plan: SweepOptions,
    pool: Pool | None = None,
    experiment: Callable[..., Any] | None = None,
) -> Found:
    """Check a file and its flags against the program, and return the facts about it.

    Args:    pool: workers that load the experiment anyway: one of them checks it, not this process.
             experiment: the experiment, if this process has it.
    Raises:  ConfigError: every error, a line each.
    """
    if spec.program is None and spec.command is None and experiment is None:
        raise ConfigError(
            f"{spec.file} names no program to run; add a line such as program: train.py"
        )
    _refuse(spec, [same] if (same := nothing_varies(spec)) else [])
    _check_flags(spec, plan)
    _refuse(spec, scheduler_problems(spec, plan))
    examined: Examined | None = None
    if experiment is not None:
        examined = examine(spec, experiment)
    elif pool is not None:
        examined = pool.examine(spec)
    else:
        program = experiment_of(spec)
        _refuse(spec, program.errors)
        if program.experiment is not None:
            examined = examine(spec, program.experiment)
    if examined is None:
        found = Found(seed=_FOLD if plan.folds > 1 else "seed" if plan.replicates > 1 else None)
    else:
        _refuse(spec, examined.problems)
        if plan.replicates > 1 and examined.seed is None:
            raise ConfigError(
                f"--replicates={plan.replicates}: {examined.experiment}() has no seed to count up;"
                " give it a parameter such as seed: th.Seed = 0"
            )
        seed, first = (examined.seed, examined.first_seed) if plan.replicates > 1 else (None, 0)
        if plan.folds > 1:
            if not examined.folds:
                raise ConfigError(
                    f"--folds={plan.folds}: {examined.experiment}() has no parameter fold; give it"
                    " one, such as fold: th.Static[th.Seed] = 0, which chooses the part held out"
                )
            seed = _FOLD
        found = Found(examined.experiment, seed, first, examined.traced, examined.seeds)
    if found.seed is not None and found.seed in {d.path[0] for d in spec.space.dimensions}:
        flag = "folds" if plan.folds > 1 else "replicates"
        searched = found.seed in {d.path[0] for d in spec.space.searched}
        if searched or flag == "folds":
            raise ConfigError(
                f"--{flag}={plan.each}: the sweep {'searches over' if searched else 'sets'}"
                f" {found.seed!r} itself; take it out of the file, or leave --{flag} away"
            )
    _check_constraints(spec, plan)
    return found


def _refuse(spec: SweepSpec, problems: Sequence[Problem]) -> None:
    if problems:
        if spec.file == IN_PYTHON:
            lines = [f"{spec.file}: {problem.key}: {problem.message}" for problem in problems]
        else:
            lines = [problem.in_file(spec.file) for problem in problems]
        raise ConfigError("\n".join(lines))


def _check_flags(spec: SweepSpec, plan: SweepOptions) -> None:
    if plan.shuffle and spec.method != "grid":
        raise ConfigError(
            f"--shuffle: only a grid has an order to shuffle, and {spec.file} asks for"
            f" {spec.method}"
        )
    _check_sampler(spec, plan)
    if plan.asha and spec.hyperband is None:
        raise ConfigError(
            f"--asha needs the bands of an early_terminate section, which {spec.file} has not; add"
            " early_terminate: {type: hyperband, min_iter: 3}"
        )
    if plan.mode in ("cohort", "exact", "worker") and not (
        is_experiment(spec) or spec.function is not None
    ):
        raise ConfigError(
            f"--mode={plan.mode} trains an experiment in a worker, and {spec.file} runs a program"
            " of its own; take --mode process"
        )
    names = {".".join(d.path) for d in spec.space.dimensions}
    needed = {".".join(d.path) for d in spec.space.searched}
    for point in plan.enqueue:
        for name in point:
            if name not in names:
                hint = did_you_mean(name, names)
                raise ConfigError(f"--enqueue: the sweep has no parameter {name!r}{hint}")
        missing = sorted(needed - set(point))
        if missing:
            raise ConfigError(f"--enqueue: no column {missing[0]!r}, which every point needs")
        nested(point, {})


def _check_constraints(spec: SweepSpec, plan: SweepOptions) -> None:
    """Check that constraints name parameters of the sweep, and leave some points."""
    names = {".".join(d.path) for d in spec.space.dimensions}
    names |= {".".join(d.path[:k]) for d in spec.space.dimensions for k in range(1, len(d.path))}
    constraints = [Constraint(text) for text in plan.constraints]
    for one in constraints:
        unknown = sorted(one.names - names)
        if unknown and not spec.proposes:
            raise ConfigError(
                f"--constraint={one.text!r}: the sweep has no parameter {unknown[0]!r}"
                f"{did_you_mean(unknown[0], sorted(names))}"
            )
    if not constraints or spec.proposes:
        return
    accepts, space = accepts_all(constraints), spec.space
    if spec.method == "grid":
        found = sampler_of(spec, plan)(space, SearchHistory(), 0, 1)
        some = bool(found.configs)
    else:
        draws = sampler("random")(space, SearchHistory(), 0, _TRIED).configs
        some = any(map(accepts, draws))
    if not some:
        what = "no point of the grid" if spec.method == "grid" else f"none of {_TRIED:,} draws"
        listed = " and ".join(repr(one.text) for one in constraints)
        raise ConfigError(f"{what} satisfies the constraints {listed}; loosen them")
    paths = {".".join(d.path): d.path for d in space.dimensions}
    for point in plan.enqueue:
        if not accepts(nested(point, paths)):
            raise ConfigError(f"--enqueue: the point {dict(point)} breaks the constraints")


def _check_sampler(spec: SweepSpec, plan: SweepOptions) -> None:
    """Check that ``--sampler`` goes with the method, and that its extra is installed."""
    if spec.method == CUSTOM:
        scheduler = spec.scheduler
        need_library("optuna" if scheduler is None else scheduler.engine)
        if plan.sampler is None:
            return
        if plan.sampler not in STUDY_SAMPLERS:
            raise ConfigError(
                f"--sampler={plan.sampler}: unknown sampler"
                f"{did_you_mean(plan.sampler, STUDY_SAMPLERS)}"
            )
        if scheduler is not None and (scheduler.optimizer or scheduler.engine != "optuna"):
            whose = f"{scheduler.optimizer}()" if scheduler.optimizer else scheduler.engine
            raise ConfigError(
                f"--sampler={plan.sampler}: {whose} of {spec.file} chooses the sampler; leave the"
                " flag out"
            )
        return
    if plan.sampler is not None and spec.method != "bayes":
        raise ConfigError(
            f"--sampler={plan.sampler} chooses among the searches of method: bayes, and"
            f" {spec.file} asks for {spec.method}"
        )
    if plan.sampler is not None and plan.sampler not in OTHER_SAMPLERS:
        raise ConfigError(
            f"--sampler={plan.sampler} searches several objectives, for method: custom; take"
            f" {one_of(OTHER_SAMPLERS)}"
        )
    sampler(plan.sampler or spec.method)  # raises if an extra is missing


def _from_here(file: str) -> str:
    """A path as it is written from this folder, where programs are looked for."""
    try:
        return Path(os.path.relpath(file)).as_posix()
    except ValueError:  # another drive of Windows
        return str(Path(file).absolute())
