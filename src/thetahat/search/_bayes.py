"""Method ``bayes``: TPE and a Gaussian process, both Optuna's, as functions of the history."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from thetahat.core.errors import MissingExtra
from thetahat.search._known_points import KnownPoints, points_to_avoid
from thetahat.search._random import draw
from thetahat.search._space import Space
from thetahat.search._trials import Proposals, SearchHistory, trial_values

if TYPE_CHECKING:
    from thetahat.search._optuna import HistoryStudy

STARTUP = 10
"""Trials with a value that an optimiser needs before it proposes; until then draws are random."""

_ASKS = 3
"""Proposals of points that have run, after which a random point is taken."""


def tpe(space: Space, history: SearchHistory, seed: int, n: int) -> Proposals:
    """Propose by a tree-structured Parzen estimator. The position counts proposals.

    Raises:  ConfigError: the history has no metric.   MissingExtra: Optuna is not installed.
    Source:  Bergstra et al. (2011), Algorithms for Hyper-Parameter Optimization; Optuna.
    """
    if find_spec("optuna") is None:
        raise MissingExtra("bayes", "sweep")
    return _propose(space, history, seed, n, "tpe")


def gp(space: Space, history: SearchHistory, seed: int, n: int) -> Proposals:
    """Propose by a Gaussian process and expected improvement. The position counts proposals.

    Raises:  ConfigError: the history has no metric.
             MissingExtra: Optuna or PyTorch, which computes it, is not installed.
    """
    for library, extra in (("optuna", "sweep"), ("torch", "sweep,torch")):
        if find_spec(library) is None:
            raise MissingExtra("the sampler gp", extra)
    return _propose(space, history, seed, n, "gp")


def _propose(space: Space, history: SearchHistory, seed: int, n: int, method: str) -> Proposals:
    study = _study(space, history)
    known = points_to_avoid(space, history)
    configs = []
    for k in range(history.position, history.position + n):
        values = None
        if study is not None:
            values = _fresh(space, known, seed, k, partial(study.ask, method))
        config = draw(space, known, seed, k) if values is None else space.config(values)
        if study is not None:
            study.add_running(space.values(config) if values is None else values)
        configs.append(config)
    return Proposals(configs, history.position + n)


def _study(space: Space, history: SearchHistory) -> HistoryStudy | None:
    """Make the study to ask; None while draws are random, and Optuna is not loaded."""
    trials = trial_values(history)
    if not space.searched or sum(each.loss is not None for each in trials) < STARTUP:
        return None
    from thetahat.search._optuna import HistoryStudy

    study = HistoryStudy(space, trials)
    return study if study.finished >= STARTUP else None


def _fresh(
    space: Space, known: KnownPoints | None, seed: int, k: int, ask: Callable[[int], list[Any]]
) -> list[Any] | None:
    """Return the optimiser's proposal; None where all that it proposes has run."""
    for again in range(_ASKS):
        values = ask(random.Random(f"thetahat {seed} {k} {again}").getrandbits(32))
        if known is None or known.add(space.values_key(values)):
            return values
    return None
