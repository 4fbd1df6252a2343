"""fit and fit_many: from a Task, or a typed experiment and its configs, to Results."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from thetahat.core import ConfigError, Interrupted, Status, Task, Tracker, read_signature
from thetahat.core.content import static_parts
from thetahat.data import use_cache
from thetahat.train._checkpoint import read_header
from thetahat.train._cohort import first_program, train_cohort
from thetahat.train._grouping import alike, builder, hyper_of, try_tracing
from thetahat.train._memory import TooLarge
from thetahat.train._options import Cohort, Options
from thetahat.train._result import Result
from thetahat.train._static import CONCRETE, find_static


def fit(
    what: Task | Callable[..., Task],
    /,
    *,
    trackers: Sequence[Tracker] = (),
    checkpoint: str | Path | None = None,
    resume: bool = False,
    progress: Callable[..., None] | None = None,
    **config: Any,
) -> Result:
    """Fit one Task, or one config of an experiment. A single fit is a cohort of one.

    Args:
        what: a Task, or a typed function that returns one.
        trackers: functions of events, such as ``th.store_tracker(...)``.
        checkpoint: a file to keep the state in, after every chunk.
        resume: go on from ``checkpoint`` if it exists.
        progress: called between chunks with a ``th.train.Progress``.
        config: the experiment's parameters; what is not given has its default.
    Returns: the Result; after Ctrl-C, one with status "interrupted".
    Raises:  InputError: something wrong in the Task, the config or the checkpoint.

    >>> import numpy as np, thetahat as th
    >>> x = np.linspace(-1, 1, 64)[:, None]
    >>> task = th.Task(th.models.Linear(1), th.Data((x, 2 * x[:, 0])), optimizer=th.optim.lbfgs())
    >>> round(float(th.fit(task).predict([0.5])), 3)
    1.0
    """
    options = Options(tuple(trackers), checkpoint, resume, progress)
    if isinstance(what, Task):
        if config:
            raise ConfigError(
                f"fit(task) takes no parameters; got {', '.join(config)}."
                " Give the function that builds the task instead: fit(experiment, ...)"
            )
        return _fit_all(lambda **_: what, {}, "task", [{}], options, bare=True)[0]
    return fit_many(what, [config], **_as_keywords(options))[0]


def fit_many(
    experiment: Callable[..., Task],
    configs: Iterable[Mapping[str, Any]],
    /,
    *,
    exact: bool = False,
    mode: str = "auto",
    trackers: Sequence[Tracker] = (),
    checkpoint: str | Path | None = None,
    resume: bool = False,
    progress: Callable[..., None] | None = None,
) -> list[Result]:
    """Fit many configs of an experiment: one compiled program per static part.

    ``float`` and ``th.Seed`` parameters are traced: configs that differ only in them train together
    as one array program, by ``vmap`` or one by one, whichever a timed probe finds faster; and in
    several turns where the memory does not hold them all.

    Args:
        exact: members bitwise equal to fits alone (one by one, by ``lax.map``).
        mode: "auto", "vmap" or "map".
        (the others as in ``fit``)
        checkpoint: of the first program; those of the others are PATH.1, PATH.2, ...
    Returns: one Result per config, in their order.
    Raises:  InputError: as ``fit``.   Interrupted: Ctrl-C before the last program began.

    >>> import numpy as np, thetahat as th
    >>> def line(lr: float = 0.1, epochs: int = 50) -> th.Task:
    ...     x = np.linspace(-1, 1, 64)[:, None]
    ...     return th.Task(th.models.Linear(1), th.Data((x, 2 * x[:, 0])),
    ...                    optimizer=th.optim.named("sgd", lr), epochs=epochs)
    >>> [r.traces for r in th.fit_many(line, [{"lr": 0.1}, {"lr": 0.3}])]
    [1, 1]
    """
    if mode not in ("auto", "vmap", "map"):
        raise ConfigError(f"mode={mode!r}; give 'auto', 'vmap' or 'map'")
    signature = read_signature(experiment)
    full = [signature.config(given) for given in configs]
    if not full:
        raise ConfigError("fit_many got no configs; give at least one, such as [{'lr': 0.01}]")
    traced = {p.name: p.is_seed for p in signature.parameters.values() if p.traced}
    options = Options(tuple(trackers), checkpoint, resume, progress, "map" if exact else mode)
    return _fit_all(experiment, traced, signature.name, full, options)


def _as_keywords(options: Options) -> dict[str, Any]:
    return {
        "trackers": options.trackers,
        "checkpoint": options.checkpoint,
        "resume": options.resume,
        "progress": options.progress,
    }


def _fit_all(
    experiment: Callable[..., Task],
    traced: Mapping[str, bool],
    name: str,
    configs: list[dict[str, Any]],
    options: Options,
    *,
    bare: bool = False,
) -> list[Result]:
    use_cache()
    results: dict[int, Result] = {}
    names, waiting, n_cohorts = frozenset(traced), list(range(len(configs))), 0
    most, parts = len(configs), static_parts(configs, names)
    while waiting:
        some, like = _apart(options, n_cohorts), alike(waiting, parts)
        members = like[: _together(len(like), most, some)]
        mine = [configs[i] for i in members]
        hyper = hyper_of(mine, {n: traced[n] for n in traced if n in names})
        try:
            program = first_program(builder(experiment, mine[0], names), hyper, len(mine), options)
        except CONCRETE as error:
            attempt = partial(try_tracing, experiment, mine[0])
            names -= find_static(name, attempt, hyper.one(), error)
            parts = static_parts(configs, names)
            continue
        seeds = tuple(n for n, is_seed in traced.items() if is_seed)
        made_by = None if bare else experiment
        cohort = Cohort(program, tuple(mine), tuple(members), len(like), seeds, made_by)
        try:
            results.update(train_cohort(cohort, some))
        except TooLarge as error:
            most = error.fits
            continue
        waiting = [i for i in waiting if i not in results]
        n_cohorts += 1
        if waiting and any(results[i].status is Status.INTERRUPTED for i in members):
            raise Interrupted(
                f"interrupted: {len(waiting)} of {len(configs)} fits had not begun; what was done"
                " is in the exception's results, and in the store if it was tracked",
                [results[i] for i in sorted(results)],
            )
    return [results[i] for i in range(len(configs))]


def _together(alike: int, most: int, options: Options) -> int:
    """How many of those that are alike train now: as many as fit, or as began together before."""
    if options.resume and options.checkpoint is not None and Path(options.checkpoint).exists():
        header = read_header(options.checkpoint)
        return int(header["size"]) if header.get("of") == alike else alike
    return min(alike, most)


def _apart(options: Options, n: int) -> Options:
    """A checkpoint of its own for every cohort of a fit: PATH, PATH.1, PATH.2, ..."""
    if options.checkpoint is None or n == 0:
        return options
    return replace(options, checkpoint=f"{options.checkpoint}.{n}")
