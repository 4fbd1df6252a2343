"""Method ``bayes``: TPE, and Optuna's Gaussian process, as functions of the history."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import Any, Protocol

from thetahat.core.errors import MissingExtra
from thetahat.search._known_points import KnownPoints, points_to_avoid
from thetahat.search._random import draw
from thetahat.search._space import Space
from thetahat.search._trials import Proposals, SearchHistory, metric_of, trial_values

STARTUP = 10
"""Trials with a value that an optimiser needs before it proposes; until then draws are random."""

_ASKS = 3
"""Proposals of points that have run, after which a random point is taken."""


def tpe(space: Space, history: SearchHistory, seed: int, n: int) -> Proposals:
    """Propose by a tree-structured Parzen estimator. The position counts proposals.

    Raises:  ConfigError: the history has no metric.
    Source:  Bergstra et al. (2011), Algorithms for Hyper-Parameter Optimization; Optuna.
    """
    metric_of(history)
    study = None
    if space.searched and len(history.trials) >= STARTUP:
        from thetahat.search._parzen import ParzenStudy
        from thetahat.search._trial_arrays import trial_arrays

        study = ParzenStudy(space, *trial_arrays(space, history))
    return _propose(space, history, seed, n, study)


def gp(space: Space, history: SearchHistory, seed: int, n: int) -> Proposals:
    """Propose by a Gaussian process and expected improvement. The position counts proposals.

    Raises:  ConfigError: the history has no metric.
             MissingExtra: Optuna or PyTorch, which computes it, is not installed.
    """
    for library, extra in (("optuna", "sweep"), ("torch", "sweep,torch")):
        if find_spec(library) is None:
            raise MissingExtra("the sampler gp", extra)
    trials, study = trial_values(history), None
    if space.searched and sum(each.loss is not None for each in trials) >= STARTUP:
        from thetahat.search._optuna import HistoryStudy

        study = HistoryStudy(space, trials)
    return _propose(space, history, seed, n, study)


class _Study(Protocol):
    """A history that proposes points."""

    @property
    def finished(self) -> int: ...
    def ask(self, seed: int) -> list[Any]: ...
    def add_running(self, values: Sequence[Any]) -> None: ...


def _propose(
    space: Space, history: SearchHistory, seed: int, n: int, study: _Study | None
) -> Proposals:
    """Propose points, at random while too few trials have a value."""
    if study is not None and study.finished < STARTUP:
        study = None
    known = points_to_avoid(space, history)
    configs = []
    for k in range(history.position, history.position + n):
        values = None
        if study is not None:
            values = _fresh(space, known, seed, k, study.ask)
        config = draw(space, known, seed, k) if values is None else space.config(values)
        if study is not None:
            study.add_running(space.values(config) if values is None else values)
        configs.append(config)
    return Proposals(configs, history.position + n)


def _fresh(
    space: Space, known: KnownPoints | None, seed: int, k: int, ask: Callable[[int], list[Any]]
) -> list[Any] | None:
    """Return the optimiser's proposal; None where all that it proposes has run."""
    for again in range(_ASKS):
        values = ask(random.Random(f"thetahat {seed} {k} {again}").getrandbits(32))
        if known is None or known.add(space.values_key(values)):
            return values
    return None
