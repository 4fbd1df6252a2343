"""fit and fit_many: from a Task, or a typed experiment and its configs, to Results."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from types import CodeType
from typing import Any

from thetahat.core import ConfigError, Event, Interrupted, Status, Task, Tracker
from thetahat.core.arguments import arguments_named
from thetahat.core.content import content_key, static_parts
from thetahat.core.errors import did_you_mean
from thetahat.core.garbage import uncollected
from thetahat.core.run import functions_of
from thetahat.core.signature import refuse_parameters
from thetahat.train._checkpoint import read_header
from thetahat.train._cohort import Training
from thetahat.train._driver import Interrupt
from thetahat.train._grouping import NeedsStatic, Shop
from thetahat.train._identity import program_facts
from thetahat.train._memory import TooLarge
from thetahat.train._options import Cohort, Options
from thetahat.train._program import MODES, GivenTask, Hyper
from thetahat.train._result import Result
from thetahat.train._results import Results
from thetahat.train.jax import prepare


def fit(
    what: Task | Callable[..., Task],
    /,
    *,
    trackers: Sequence[Tracker] = (),
    checkpoint: str | Path | None = None,
    resume: bool = False,
    progress: Callable[..., None] | None = None,
    on: Callable[[Event], Any] | Sequence[Callable[[Event], Any]] = (),
    **config: Any,
) -> Result:
    """Fit one Task, or one config of an experiment. A single fit is a cohort of one.

    Args:
        what: a Task, or a typed function that returns one.
        trackers: functions of events, such as ``th.store_tracker(...)``.
        checkpoint: a file to keep the state in, after every chunk.
        resume: go on from ``checkpoint`` if it exists.
        progress: called between chunks with a ``th.train.Progress``.
        on: your function of events (``th.Started``, ``th.Logged``, ``th.Ended``), or a list of
            them, called between chunks: to print, plot or keep a log (``th.trackers``). An error
            in yours ends the fit.
        config: the experiment's parameters; what is not given has its default.
    Returns: the Result; after Ctrl-C, one with status "interrupted".
    Raises:  InputError: something wrong in the Task, the config or the checkpoint.

    >>> import numpy as np, thetahat as th
    >>> x = np.linspace(-1, 1, 64)[:, None]
    >>> task = th.Task(th.models.Linear(1), th.Data((x, 2 * x[:, 0])), optimizer=th.optim.lbfgs())
    >>> round(float(th.fit(task).predict([0.5])), 3)
    1.0
    """
    options = Options(checked_trackers(trackers), checkpoint, resume, progress, on=functions_of(on))
    if isinstance(what, Task):
        refuse_parameters("fit", config)
        return _fit_task(what, options)
    shop = Shop(what)
    return _fit_all(shop, [shop.full(config)], options)[0]


@arguments_named
def fit_many(
    experiment: Callable[..., Task],
    configs: Iterable[Mapping[str, Any]],
    /,
    *,
    mode: str = "auto",
    trackers: Sequence[Tracker] = (),
    checkpoint: str | Path | None = None,
    resume: bool = False,
    progress: Callable[..., None] | None = None,
    on: Callable[[Event], Any] | Sequence[Callable[[Event], Any]] = (),
) -> Results[Result]:
    """Fit many configs of an experiment: one compiled program per static part.

    ``float`` and ``th.Seed`` parameters are traced: configs that differ only in them train together
    as one array program; and in several turns if the memory does not hold them all.

    Args:
        mode: "vmap" (together), "exact" (one by one, each bitwise equal to its fit alone) or
            "auto": whichever a timed probe finds faster.
        (the others as in ``fit``)
        checkpoint: of the first program; those of the others are PATH.1, PATH.2, ...
    Returns: one Result per config, in their order: a list that also predicts.
    Raises:  InputError: as ``fit``.   Interrupted: Ctrl-C before the last program began.

    >>> import numpy as np, thetahat as th
    >>> def line(lr: float = 0.1, epochs: int = 50) -> th.Task:
    ...     x = np.linspace(-1, 1, 64)[:, None]
    ...     return th.Task(th.models.Linear(1), th.Data((x, 2 * x[:, 0])),
    ...                    optimizer=th.optim.named("sgd", lr), epochs=epochs)
    >>> [r.traces for r in th.fit_many(line, [{"lr": 0.1}, {"lr": 0.3}])]
    [1, 1]
    """
    if mode not in MODES:
        raise ConfigError(
            f"mode={mode!r}: no such mode{did_you_mean(mode, MODES)}; give {', '.join(MODES)}"
        )
    shop = Shop(experiment)
    if isinstance(configs, (str, bytes, Mapping)) or not isinstance(configs, Iterable):
        raise ConfigError(
            f"fit_many takes a list of configs, such as [{{'lr': 0.01}}, {{'lr': 0.1}}]; got"
            f" {configs!r:.80}"
        )
    with uncollected():
        full = [shop.full(given) for given in configs]
    if not full:
        raise ConfigError("fit_many got no configs; give at least one, such as [{'lr': 0.01}]")
    return _fit_all(
        shop,
        full,
        Options(
            checked_trackers(trackers), checkpoint, resume, progress, mode, on=functions_of(on)
        ),
    )


def checked_trackers(given: Any) -> tuple[Tracker, ...]:
    """Return the trackers that the user gave. Raises ConfigError: no list of functions."""
    found = tuple(given) if isinstance(given, Iterable) else (given,)
    if not isinstance(given, Iterable) or not all(map(callable, found)):
        raise ConfigError(
            f"trackers={given!r:.80}: give a list of functions of one event, such as"
            " [th.store_tracker(store)]"
        )
    return found


def _fit_task(task: Task, options: Options) -> Result:
    """Fit a Task that is given as it is."""
    interrupt = Interrupt()
    with interrupt.listening():
        program = prepare(GivenTask(task), Hyper({}, {}), 1, "exact")
        return Training(
            Cohort(program, ({},), (0,), partial(program_facts, None, program)), options, interrupt
        ).run()[0]


def _fit_all(shop: Shop, configs: list[dict[str, Any]], options: Options) -> Results[Result]:
    """Fit configs, those that share a program together."""
    results: dict[int, Result] = {}
    waiting, n_cohorts = list(range(len(configs))), 0
    most, parts = len(configs), static_parts(configs, shop.traced)
    noted = {"code": _code(shop.experiment)}
    while waiting:
        own = _own_checkpoint(options, n_cohorts)
        alike = [i for i in waiting if parts[i] == parts[waiting[0]]]
        members = alike[: _together(len(alike), most, own)]
        mine = [configs[i] for i in members]
        interrupt = Interrupt()
        try:
            with interrupt.listening(opening=True):
                training = shop.open(
                    mine, own, interrupt, members=members, of=len(alike), noted=noted
                )
        except NeedsStatic:
            parts = static_parts(configs, shop.traced)
            continue
        except TooLarge as error:
            most = error.fits
            continue
        with interrupt.listening():
            results |= training.run()
        waiting = [i for i in waiting if i not in results]
        n_cohorts += 1
        if waiting and any(results[i].status is Status.INTERRUPTED for i in members):
            raise Interrupted(
                f"interrupted: {len(waiting)} of {len(configs)} fits had not begun; what was done"
                " is in the exception's results, and in the store if it was tracked; in a notebook:"
                " import sys; sys.last_value.results",
                Results(results[i] for i in sorted(results)),
            )
    return Results(results[i] for i in range(len(configs)))


def _code(experiment: Callable[..., Task]) -> dict[str, str]:
    """A digest of a function's own code, for the provenance."""
    own = getattr(experiment, "__code__", None)
    name = getattr(experiment, "__name__", "experiment")
    return {} if own is None else {f"{name}()": _digest(own)}


@lru_cache(maxsize=64)
def _digest(code: CodeType) -> str:
    return content_key(code, here=False)[:16]


def _together(alike: int, most: int, options: Options) -> int:
    """How many of those that share a program train now: as many as fit, or as began together."""
    if options.resume and options.checkpoint is not None and Path(options.checkpoint).exists():
        header = read_header(options.checkpoint)
        return int(header["size"]) if header.get("of") == alike else alike
    return min(alike, most)


def _own_checkpoint(options: Options, n: int) -> Options:
    """A checkpoint of its own for every cohort of a fit: PATH, PATH.1, PATH.2, ..."""
    if options.checkpoint is None or n == 0:
        return options
    return replace(options, checkpoint=f"{options.checkpoint}.{n}")
