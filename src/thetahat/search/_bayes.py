"""Method ``bayes``: TPE and a Gaussian process, both Optuna's, as functions of the history."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from thetahat.core.errors import MissingExtra
from thetahat.search._random import draw
from thetahat.search._seen import KnownPoints, unseen_left
from thetahat.search._space import Space
from thetahat.search._told import TrialValue, trial_values
from thetahat.search._trials import Proposals, SearchHistory

if TYPE_CHECKING:
    from thetahat.search._optuna import HistoryStudy

STARTUP = 10
"""Trials with a value that an optimiser wants before it proposes; until then draws are random."""

_ASKS = 3
"""How often an optimiser may propose a point that has run before a random one replaces it."""


def tpe(space: Space, history: SearchHistory, seed: int, n: int) -> Proposals:
    """Tree-structured Parzen estimator. The position counts proposals.

    Raises:  ConfigError: the history has no metric.   MissingExtra: Optuna is not installed.
    Source:  Bergstra et al. (2011), Algorithms for Hyper-Parameter Optimization; Optuna.
    """
    _need_optuna("bayes")

    def ask(study: HistoryStudy, seed: int) -> list[Any]:
        from thetahat.search import _optuna

        return study.ask(_optuna.tpe, seed)

    return _propose(space, history, seed, n, ask)


def gp(space: Space, history: SearchHistory, seed: int, n: int) -> Proposals:
    """Gaussian process with expected improvement, on one thread. The position counts proposals.

    Raises:  ConfigError: the history has no metric.
             MissingExtra: Optuna or PyTorch, with which it computes, is not installed.
    """
    _need_optuna("the sampler gp")
    if find_spec("torch") is None:
        raise MissingExtra("the sampler gp", "sweep,torch")

    def ask(study: HistoryStudy, seed: int) -> list[Any]:
        from thetahat.search import _optuna

        with _one_thread():
            return study.ask(_optuna.gp, seed)

    return _propose(space, history, seed, n, ask)


def _propose(
    space: Space,
    history: SearchHistory,
    seed: int,
    n: int,
    ask: Callable[[HistoryStudy, int], list[Any]],
) -> Proposals:
    study = _study(space, trial_values(history))
    seen = unseen_left(space, history)
    configs = []
    for k in range(history.position, history.position + n):
        values = None
        if study is not None:
            values = _fresh(space, seen, seed, k, partial(ask, study))
        config = draw(space, seen, seed, k) if values is None else space.config(values)
        if study is not None:
            study.fly(space.values(config) if values is None else values)
        configs.append(config)
    return Proposals(configs, history.position + n)


def _study(space: Space, known: Sequence[TrialValue]) -> HistoryStudy | None:
    """What an optimiser is asked with; None while draws are random, and Optuna is not loaded."""
    if not space.searched or sum(each.loss is not None for each in known) < STARTUP:
        return None
    from thetahat.search._optuna import HistoryStudy

    study = HistoryStudy(space, known)
    return study if study.finished >= STARTUP else None


def _fresh(
    space: Space, seen: KnownPoints | None, seed: int, k: int, ask: Callable[[int], list[Any]]
) -> list[Any] | None:
    """The optimiser's proposal; None where all it proposes has run."""
    for again in range(_ASKS):
        values = ask(random.Random(f"thetahat {seed} {k} {again}").getrandbits(32))
        if seen is None:
            return values
        key = space.values_key(values)
        if key not in seen:
            seen.add(key)
            return values
    return None


def _need_optuna(what: str) -> None:
    if find_spec("optuna") is None:
        raise MissingExtra(what, "sweep")


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """PyTorch on one thread: for matrices this small, more threads take twenty times as long."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
