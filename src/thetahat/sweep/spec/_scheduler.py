"""The ``scheduler`` of a sweep file: the user's own study and search space, loaded and checked."""

from __future__ import annotations

import contextlib
import importlib.util
import inspect
import logging
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thetahat.core.errors import ConfigError, MissingExtra, did_you_mean
from thetahat.search import Constraint, Sampler, accepts_all, constrained, sampler
from thetahat.sweep.spec._diagnostics import Problem
from thetahat.sweep.spec._program import why_not_loaded
from thetahat.sweep.spec._spec import CUSTOM, Scheduler, SweepSpec

if TYPE_CHECKING:
    from thetahat.sweep.spec._options import SweepOptions

_LIBRARIES = {"optuna": ("optuna", "sweep"), "ax": ("ax", "ax")}
"""The library of each engine, and the extra that installs it."""


@dataclass(frozen=True)
class SweepInfo:
    """What ``optimizer(info)`` of a user's file receives: the fields of W&B's SweepInfo."""

    id: str = ""
    name: str = ""
    entity: str = ""
    project: str = ""
    config: Mapping[str, Any] = field(default_factory=dict)
    controller_run_name: str = ""


def custom_sampler(
    spec: SweepSpec,
    plan: SweepOptions,
    folder: Path | None = None,
    info: SweepInfo | None = None,
    accepts: Callable[[Mapping[str, Any]], bool] | None = None,
) -> Sampler:
    """Return the sampler of a file with ``method: custom``.

    Args:    folder: where ``source`` is looked for, by default here.
             accepts: whether a config satisfies the constraints.
    Raises:  ConfigError: the source, or what its functions return.   MissingExtra.
    """
    scheduler = spec.scheduler or Scheduler()
    need_library(scheduler.engine)
    module = None if scheduler.source is None else _loaded(spec, scheduler.source, folder)
    where = f"{scheduler.search_space}() of {scheduler.source}"
    define = None
    if scheduler.search_space is not None:
        define = _function(module, scheduler.source, scheduler.search_space, "one trial")
    factory = None
    if scheduler.optimizer is not None:
        factory = _function(module, scheduler.source, scheduler.optimizer, "one SweepInfo")
    info = info or SweepInfo(config=dict(spec.plain), project=spec.project or "")
    if scheduler.engine == "ax":
        disabled = logging.root.manager.disable
        logging.disable(logging.INFO)  # as it is imported, Ax tells of a database of its own
        try:
            from thetahat.search._ax import AxSearch
        finally:
            logging.disable(disabled)

        return AxSearch(spec.objectives, plan.seed, factory and partial(factory, info), accepts)
    from thetahat.search._study import StudySearch, check_study, default_study, prunes

    if factory is None:
        make: Any = partial(default_study, spec.objectives, plan.sampler or "tpe", plan.seed)
        found = StudySearch(make)
    else:
        at = f"{scheduler.optimizer}() of {scheduler.source}"
        study, terminator = _made(factory, info, at)
        checked = check_study(study, spec.objectives, at)
        found = StudySearch(lambda: checked, terminator=terminator)
        found.prunes = prunes(checked)
        where = where if define is not None else at
    found.define, found.accepts, found.label = define, accepts, where
    found.order, found.chosen = tuple(spec.parameters), len(plan.enqueue)
    return found


def need_library(engine: str) -> None:
    """Check that the library of an engine is installed.

    Raises:  MissingExtra: it is not.
    """
    library, extra = _LIBRARIES[engine]
    if find_spec(library) is None:
        raise MissingExtra(f"scheduler: {{engine: {engine}}}", extra)


def sampler_of(
    spec: SweepSpec,
    plan: SweepOptions,
    folder: Path | None = None,
    info: SweepInfo | None = None,
) -> Sampler:
    """Return the sampler that a file and its flags ask for.

    Raises:  ConfigError: it cannot be made.   MissingExtra: an extra is missing.
    """
    accepts = accepts_all([Constraint(text) for text in plan.constraints])
    if spec.method == CUSTOM:
        return custom_sampler(spec, plan, folder, info, accepts if plan.constraints else None)
    name = spec.method if spec.method == "grid" or plan.sampler is None else plan.sampler
    found = sampler(name, shuffle=plan.shuffle and spec.method == "grid")
    if not plan.constraints:
        return found
    return constrained(found, accepts, walks=spec.method == "grid")


def tried_names(spec: SweepSpec, folder: Path | None = None) -> Sequence[str]:
    """Return the parameters that a user's search space gives to a first trial.

    Raises:  ConfigError: the function raised, or returned no dict.
    """
    scheduler = spec.scheduler
    if scheduler is None or scheduler.search_space is None or scheduler.engine != "optuna":
        return ()
    import optuna

    from thetahat.search._optuna import quiet
    from thetahat.search._study import defined

    module = _loaded(spec, scheduler.source or "", folder)
    define = _function(module, scheduler.source, scheduler.search_space, "one trial")
    with quiet():
        sampler = optuna.samplers.RandomSampler(seed=0)
        trial = optuna.create_study(sampler=sampler).ask()
        return list(defined(define, trial, f"{scheduler.search_space}() of {scheduler.source}"))


def scheduler_problems(spec: SweepSpec, plan: SweepOptions | None = None) -> list[Problem]:
    """List the mistakes of a file's scheduler: its source, its functions, what they return."""
    from thetahat.sweep.spec._options import SweepOptions

    if spec.method != CUSTOM:
        return []
    try:
        custom_sampler(spec, plan or SweepOptions())
        tried_names(spec)
    except ConfigError as error:
        key = "scheduler" if spec.scheduler is not None else "method"
        return [Problem(spec.place(key).line, key, str(error))]
    return []


def _loaded(spec: SweepSpec, source: str, folder: Path | None) -> Any:
    here = folder or Path()
    places = (here / source, here / Path(spec.file).parent / source)
    file = next((place for place in places if os.path.isfile(place)), None)
    if file is None:
        raise ConfigError(
            f"there is no file {source}, neither here nor beside the sweep file; give the path of"
            " the Python file that holds the functions"
        )
    name = f"thetahat_scheduler_{file.stem}"
    made = importlib.util.spec_from_file_location(name, file)
    if made is None or made.loader is None:
        raise ConfigError(f"{source} is not a Python file; give one that ends in .py")
    module = importlib.util.module_from_spec(made)
    sys.modules[name] = module
    if (near := str(file.absolute().parent)) not in sys.path:
        sys.path.insert(0, near)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            made.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        said = why_not_loaded(file, error).partition("; run it alone")[0]
        raise ConfigError(f"{said}; fix it, and try again") from error
    return module


def _function(module: Any, source: str | None, name: str, takes: str) -> Callable[[Any], Any]:
    found = getattr(module, name, None)
    if found is None:
        own = [k for k, v in vars(module).items() if callable(v) and not k.startswith("_")]
        raise ConfigError(f"{source} has no function {name!r}{did_you_mean(name, own)}")
    if not callable(found):
        raise ConfigError(f"{name!r} of {source} is {type(found).__name__}, not a function")
    try:
        inspect.signature(found).bind(object())
    except TypeError:
        raise ConfigError(
            f"{name}() of {source} cannot be called with one argument; it receives {takes}"
        ) from None
    except ValueError:
        pass  # a function without a signature
    return found


def _made(factory: Callable[[Any], Any], info: SweepInfo, at: str) -> tuple[Any, Any]:
    """Return a user's optimizer and its terminator."""
    from thetahat.search._optuna import quiet

    try:
        with quiet():
            made = factory(info)
    except Exception as error:
        said = f"{type(error).__name__}: {error}".rstrip(": ")
        raise ConfigError(f"{at} raised {said}; fix it, and try again") from error
    if not isinstance(made, tuple):
        return made, None
    if len(made) != 2 or not callable(made[1]):
        raise ConfigError(
            f"{at} returned a tuple of {len(made)}; return the optimizer, or (optimizer,"
            " terminator), where terminator is a function of it"
        )
    return made
