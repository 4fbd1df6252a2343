"""From a sweep file to a sweep in the store, and from there to an agent at work."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from thetahat.core.errors import ConfigError, did_you_mean
from thetahat.core.json import plain_value
from thetahat.core.sweep_file import file_json, read_file_json
from thetahat.search import Categorical, Constant, Space, sampler
from thetahat.store import (
    Follower,
    NewSweep,
    RunRow,
    Store,
    SweepRow,
    change_plan,
    count_runs,
    create_sweep,
    find_sweep,
    list_agents,
)
from thetahat.sweep.agent._agent import Agent, Orders, Say, Search, Tally
from thetahat.sweep.agent._early_start import (
    Work,
    cap_of,
    is_experiment,
    points_of,
    size_of,
    starter,
)
from thetahat.sweep.agent._history import Book, stored_word
from thetahat.sweep.agent._proposer import Proposer, sampler_of
from thetahat.sweep.processes._runner import Processes
from thetahat.sweep.spec._diagnostics import Problem
from thetahat.sweep.spec._examine import Examined, examine
from thetahat.sweep.spec._options import SweepOptions, nested, options_from_json
from thetahat.sweep.spec._program import experiment_of, find_program, runs_program
from thetahat.sweep.spec._source_files import Code
from thetahat.sweep.spec._spec import SweepSpec, contamination, spec_from_plain
from thetahat.sweep.workers._cohort_size import Widths
from thetahat.sweep.workers._connection import WorkerProcess
from thetahat.sweep.workers._messages import Check
from thetahat.sweep.workers._pool import Crew, ask

TOGETHER, MOST, ADAPTIVE = 64, 4096, 4
"""Runs trained together: of a search that does not learn, at first and at most; of one that does.
"""
RISKS = frozenset({"train_risk", "val_risk", "test_risk"})
_BANDS_UPTO = 10**6


@dataclass(frozen=True)
class Found:
    """What was found out about a sweep's program when the sweep was made."""

    experiment: str | None = None
    seed: str | None = None
    first_seed: int = 0
    traced: tuple[str, ...] = ()
    seeds: tuple[str, ...] = ()
    """The parameters that the experiment calls seeds: its settings are told apart by the others."""


# -- making ---------------------------------------------------------------------------------------


def new_sweep(
    store: Store,
    spec: SweepSpec,
    plan: SweepOptions,
    name: str | None = None,
    *,
    join: bool = False,
    found: Found | None = None,
) -> SweepRow:
    """Make a sweep of a file that has been read.

    Args:    join: take one of the same file and flags that is not over, if there is one.
             found: what ``find_out`` said, if it was asked before.
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
            file=_from_here(spec.file),
            folder=os.getcwd(),
            plan={**plan.as_json(), "found": vars(found)},
            points=points_of(spec, plan),
            contaminated=contamination(spec),
        ),
        join=join,
    )


def extend_sweep(store: Store, sweep: SweepRow, spec: SweepSpec) -> SweepRow:
    """Give a sweep another file: it goes on with what has not been run.

    Raises:  ConfigError: another method, or a program that does not fit.
    """
    before = spec_of(sweep)
    if before.method != spec.method:
        raise ConfigError(
            f"the sweep {sweep.id} is a {before.method} search, and {spec.file} asks for"
            f" {spec.method}; keep the method, or make a new sweep of it"
        )
    plan = replace(options_from_json(sweep.plan), extended=True)
    found = find_out(spec, plan)
    stored = {**plan.as_json(), "found": vars(found)}
    points = points_of(spec, plan)
    change_plan(store, sweep.id, text_=spec.text, spec=spec.plain, plan=stored, points=points)
    return find_sweep(store, sweep.id)


def find_out(spec: SweepSpec, plan: SweepOptions, crew: Crew | None = None) -> Found:
    """Check a file and its flags against the program, and say what it is.

    Args:    crew: workers that load the experiment anyway: one of them looks at it, not we.
    Raises:  ConfigError: every mistake, a line each.
    """
    if spec.program is None and spec.command is None:
        raise ConfigError(
            f"{spec.file} names no program to run; add a line such as program: train.py"
        )
    _check_flags(spec, plan)
    if crew is not None:
        seen: Examined | None = ask(crew, Check(spec))
    else:
        program = experiment_of(spec)
        _refuse(spec, program.errors)
        seen = None if program.experiment is None else examine(spec, program.experiment)
    if seen is None:
        found = Found(seed="seed" if plan.replicates > 1 else None)
    else:
        _refuse(spec, seen.problems)
        if plan.replicates > 1 and seen.seed is None:
            raise ConfigError(
                f"--replicates={plan.replicates}: {seen.experiment}() has no seed to count up; give"
                " it a parameter such as seed: th.Seed = 0"
            )
        seed = seen.seed if plan.replicates > 1 else None
        found = Found(seen.experiment, seed, seen.first_seed, seen.traced, seen.seeds)
    searched = {d.path[0] for d in spec.space.searched}
    if found.seed is not None and found.seed in searched:
        raise ConfigError(
            f"--replicates={plan.replicates}: the sweep searches over {found.seed!r} itself; take"
            " it out of the file, or leave --replicates away"
        )
    return found


def _refuse(spec: SweepSpec, problems: Sequence[Problem]) -> None:
    if problems:
        raise ConfigError("\n".join(problem.said(spec.file) for problem in problems))


def _check_flags(spec: SweepSpec, plan: SweepOptions) -> None:
    if plan.shuffle and spec.method != "grid":
        raise ConfigError(
            f"--shuffle: only a grid has an order to shuffle, and {spec.file} asks for"
            f" {spec.method}"
        )
    if plan.sampler is not None and spec.method != "bayes":
        raise ConfigError(
            f"--sampler={plan.sampler} chooses among the searches of method: bayes, and"
            f" {spec.file} asks for {spec.method}"
        )
    if plan.asha and spec.hyperband is None:
        raise ConfigError(
            f"--asha needs the bands of an early_terminate section, which {spec.file} has not; add"
            " early_terminate: {type: hyperband, min_iter: 3}"
        )
    sampler(plan.sampler or spec.method)  # says which extra is missing
    if plan.mode in ("cohort", "worker") and not is_experiment(spec):
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


def _from_here(file: str) -> str:
    """A path as it is written from this folder, where programs are looked for."""
    try:
        return Path(os.path.relpath(file)).as_posix()
    except ValueError:  # another drive of Windows
        return str(Path(file).absolute())


def _short(file: str) -> str:
    path = Path(file).absolute()
    here = Path.cwd()
    return path.relative_to(here).as_posix() if path.is_relative_to(here) else path.name


# -- working --------------------------------------------------------------------------------------


def work_on(
    store: Store, sweep: SweepRow, work: Work, say: Say, runner: Crew | Processes | None = None
) -> Tally:
    """Have one agent work on a sweep until it is done.

    Args:    runner: one that was started before; by default one is made.
    Raises:  ConfigError: the sweep cannot be worked on here.
    """
    tally = Tally()
    while True:
        agent = Agent(store, sweep, options_from_json(sweep.plan).retries, say, tally)
        runner = runner or start_runner(store, sweep, work)
        fitted = partial(_search_for, store, work, runner, _runs_what(sweep))
        try:
            search = fitted(sweep)
            assert search is not None
            agent.work(runner, search, fitted)
        finally:
            runner.close()
        if tally.interrupted or not agent.outdated:
            return tally
        # The sweep goes on with another program.
        sweep, runner = find_sweep(store, sweep.id), None


def _runs_what(sweep: SweepRow) -> tuple[Any, ...]:
    """What decides whether one runner will do for a sweep that is given another file."""
    spec = spec_of(sweep)
    return spec.program, spec.command, sweep.plan.get("found", {}).get("experiment")


def _search_for(
    store: Store, work: Work, runner: Crew | Processes, what: tuple[Any, ...], sweep: SweepRow
) -> Search | None:
    """The search of a sweep's file, and the runner made ready for it; None where it cannot be."""
    if _runs_what(sweep) != what:
        return None
    spec, plan = spec_of(sweep), options_from_json(sweep.plan)
    found = Found(**sweep.plan.get("found", {}))
    paths = tuple(d.path for d in spec.space.dimensions)
    if found.seed is not None:
        paths = (*paths, (found.seed,))
    needs_records = spec.hyperband is not None or found.experiment is None
    column = spec.metric.name if spec.metric is not None and needs_records else None
    words = words_of(spec.space)
    book = Book(Follower(store, sweep.id, column), spec.metric, paths, found.seed, words)
    runner.proposed = book.proposed_of
    if isinstance(runner, Crew):
        runner.widths, runner.marks = widths_of(spec, plan, found), marks_of(spec)
        runner.widths.left = partial(left_of, store, sweep, runner.size, work.count)
    facts = {"experiment": found.experiment, "source": _source(spec, folder_of(sweep))}
    sample = sampler_of(spec.method, plan)
    draws = spec.method == "random" and not spec.space.discrete
    numbered = draws or spec.method == "grid"
    propose = Proposer(
        spec.space, sample, plan, book, facts, found.seed, found.first_seed, numbered
    )
    risks = RISKS if found.experiment is not None else None
    orders = Orders(work.count, work.keep_going, spec.hyperband, plan.asha, risks)
    return Search(propose, book, orders, cap_of(spec, plan))


def words_of(space: Space) -> dict[tuple[str, ...], dict[str, Any]]:
    """Values of a space that a stored config has otherwise, such as inf and lists that hold it: by
    path, and by the text of what is stored."""
    found: dict[tuple[str, ...], dict[str, Any]] = {}
    for dimension in space.dimensions:
        kind = dimension.distribution
        values: Sequence[Any] = ()
        if isinstance(kind, Constant):
            values = (kind.value,)
        elif isinstance(kind, Categorical):
            values = kind.values
        odd: dict[str, Any] = {}
        own: set[str] = set()
        for value in values:
            word = stored_word(plain_value(value))
            if _finite(value):
                own.add(word)
            else:
                odd[word] = value
        # A word that is among the values itself stays a word.
        odd = {word: v for word, v in odd.items() if word not in own}
        if odd:
            found[dimension.path] = odd
    return found


def _finite(value: Any) -> bool:
    if isinstance(value, Mapping):
        return all(map(_finite, value.values()))
    if isinstance(value, (list, tuple)):
        return all(map(_finite, value))
    return not isinstance(value, float) or math.isfinite(value)


def spec_of(sweep: SweepRow) -> SweepSpec:
    """The file of a sweep, as it was read when the sweep was made."""
    return _made(file_json(sweep.spec), sweep.text, sweep.file or "sweep.yaml")


@lru_cache(maxsize=4)
def _made(spec: str, text: str, file: str) -> SweepSpec:
    return spec_from_plain(read_file_json(spec), text=text, file=file)


def early_crew(
    store: Store, spec: SweepSpec, plan: SweepOptions, work: Work, begun: Sequence[WorkerProcess]
) -> Crew | None:
    """A crew of workers that have begun; None where there are none, for processes."""
    if not begun:
        return None
    label = f"p{os.getpid()}"
    return crew_of(store, label, spec, plan, Path.cwd(), len(begun), work, Found(), begun)


def start_runner(store: Store, sweep: SweepRow, work: Work) -> Crew | Processes:
    """Workers where the program is an experiment, else processes.

    Raises:  ConfigError: the program is not here.
    """
    spec, plan = spec_of(sweep), options_from_json(sweep.plan)
    folder = folder_of(sweep)
    size = size_of(work, sweep.points)
    file = None if spec.program is None else find_program(spec, folder)
    if file is None and spec.program is not None and runs_program(spec):
        raise ConfigError(
            f"there is no file {spec.program} in {folder.absolute()}, where the sweep"
            f" {sweep.id} was made; put it there again"
        )
    if plan.mode != "process" and is_experiment(spec, folder):
        found = Found(**sweep.plan.get("found", {}))
        return crew_of(store, sweep.id, spec, plan, folder, size, work, found)
    program = spec.program
    if program is not None and not (folder / program).is_file():
        program = str(file.absolute()) if file is not None else program
    return Processes(
        store,
        sweep,
        size,
        command=spec.command,
        program=program,
        proposed=_as_it_is,
        cwd=folder,
        timeout_s=plan.timeout_s,
        devices=work.devices,
        code=None if file is None else Code(file.absolute(), folder.absolute()),
    )


def crew_of(
    store: Store,
    label: str,
    spec: SweepSpec,
    plan: SweepOptions,
    folder: Path,
    size: int,
    work: Work,
    found: Found,
    begun: Sequence[WorkerProcess] = (),
) -> Crew:
    """Workers for an experiment: they begin to load it at once, or have ``begun`` to."""
    file = find_program(spec, folder)
    assert file is not None
    return Crew(
        store,
        starter(spec, folder, store.folder, label, size, work),
        size,
        begun=begun,
        widths=widths_of(spec, plan, found),
        proposed=_as_it_is,
        marks=marks_of(spec),
        mode="map" if plan.exact else "auto",
        code=Code(file.absolute(), folder.absolute()),
    )


def marks_of(spec: SweepSpec) -> tuple[int, ...]:
    """The epochs at which the agent decides who goes on."""
    return () if spec.hyperband is None else spec.hyperband.bands(upto=_BANDS_UPTO)


def widths_of(spec: SweepSpec, plan: SweepOptions, found: Found) -> Widths:
    """How many runs a worker trains together.

    A search that learns proposes better the more it has seen: what it is asked for at once, it
    proposes blindly. It gets few at a time, however fast more of them would be, and one where
    their programs would differ.
    """
    if plan.mode == "worker":
        return Widths(1)
    if plan.cohort is not None:
        return Widths(plan.cohort)
    if spec.method != "bayes" or plan.sampler in ("qmc", "random"):
        return Widths(TOGETHER, MOST)
    varies = {d.path[0] for d in spec.space.searched}
    return Widths(ADAPTIVE if varies <= set(found.traced) else 1)


def left_of(store: Store, sweep: SweepRow, size: int, count: int | None, taken: int) -> float:
    """Runs that are left for each worker of a sweep, about; agents have as many as this one.

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


def folder_of(sweep: SweepRow) -> Path:
    """Where programs run: where the sweep was made, or here, on another machine."""
    made = Path(sweep.folder or ".")
    return made if made.is_dir() else Path.cwd()


def _as_it_is(run: RunRow) -> Mapping[str, Any]:
    return run.config


def _source(spec: SweepSpec, folder: Path) -> str | None:
    file = None if spec.program is None else find_program(spec, folder)
    return None if file is None else _short(str(file))
