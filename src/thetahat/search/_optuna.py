"""Optuna's Gaussian process, asked with a history instead of a study that grows.

Every call makes a new study, on a storage that only returns given trials; so only the trials in
Optuna's form are cached between calls. No other file imports Optuna, and this one is imported when
the sampler is first called.
"""

from __future__ import annotations

import contextlib
import threading
import warnings
from collections.abc import Container, Iterator, Sequence
from typing import Any
from weakref import WeakKeyDictionary

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.storages import InMemoryStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from thetahat.search._space import Dimension, Space
from thetahat.search._trials import TrialValue

_LOCK = threading.Lock()
_FROZEN: WeakKeyDictionary[Space, dict[int, tuple[TrialValue, FrozenTrial | None]]] = (
    WeakKeyDictionary()
)


class _HistoryStorage(InMemoryStorage):
    """A storage whose trials are given; it ignores the attributes that samplers set."""

    def __init__(self, trials: list[FrozenTrial]) -> None:
        super().__init__()
        self._given = trials

    def get_all_trials(
        self,
        study_id: int,
        deepcopy: bool = True,
        states: Container[TrialState] | None = None,
    ) -> list[FrozenTrial]:
        return [t for t in self._given if states is None or t.state in states]

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        pass


class HistoryStudy:
    """A history in Optuna's form, which proposes points."""

    def __init__(self, space: Space, history: Sequence[TrialValue]) -> None:
        self._space = space
        self._distributions: dict[str, BaseDistribution] = {
            _name(i): _distribution(axis)
            for i, axis in enumerate(space.searched)
            if axis.choices is None or axis.choices > 1
        }
        with _LOCK:
            self._trials = [t for t in self._frozen(history) if t is not None]
        self._next = len(history)

    @property
    def finished(self) -> int:
        """The number of trials with a value."""
        return sum(t.state == TrialState.COMPLETE for t in self._trials)

    def ask(self, seed: int) -> list[Any]:
        """Propose values of the searched parameters, integrating over the trials in flight."""
        with quiet(), _one_thread():
            storage = _HistoryStorage(self._trials)
            storage.create_new_study([StudyDirection.MINIMIZE], "thetahat")
            sampler = optuna.samplers.GPSampler(seed=seed, n_startup_trials=0)
            study = optuna.Study("thetahat", storage, sampler=sampler)
            this = _trial(self._next, TrialState.RUNNING, None, {}, {})
            params = sampler.sample_relative(study, this, self._distributions)
        return [d.decode(params.get(_name(i), 0)) for i, d in enumerate(self._space.searched)]

    def add_running(self, values: Sequence[Any]) -> None:
        """Add a trial in flight."""
        codes = [d.encode(v) for d, v in zip(self._space.searched, values, strict=True)]
        self._trials.append(self._trial(self._next, codes, None))
        self._next += 1

    def _frozen(self, history: Sequence[TrialValue]) -> Iterator[FrozenTrial | None]:
        """Make the trials for Optuna; an unchanged trial is the same object as in the last call."""
        kept, new = _FROZEN.get(self._space, {}), {}
        for place, given in enumerate(history):
            known = kept.get(place)
            if known is None or known[0].trial is not given.trial or known[0].loss != given.loss:
                codes = self._space.encode(given.trial.config)
                known = given, None if codes is None else self._trial(place, codes, given.loss)
            new[place] = known
            yield known[1]
        _FROZEN[self._space] = new

    def _trial(self, number: int, codes: Sequence[float], loss: float | None) -> FrozenTrial:
        params = {_name(i): c for i, c in enumerate(codes) if _name(i) in self._distributions}
        state = TrialState.RUNNING if loss is None else TrialState.COMPLETE
        return _trial(number, state, loss, params, self._distributions)


def _trial(
    number: int,
    state: TrialState,
    loss: float | None,
    params: dict[str, Any],
    distributions: dict[str, BaseDistribution],
) -> FrozenTrial:
    return FrozenTrial(
        number=number,
        trial_id=number,
        state=state,
        value=loss,
        datetime_start=None,
        datetime_complete=None,
        params=params,
        distributions=distributions,
        user_attrs={},
        system_attrs={},
        intermediate_values={},
    )


def _name(i: int) -> str:
    return f"x{i}"


def _distribution(axis: Dimension) -> BaseDistribution:
    if axis.choices is None:
        return FloatDistribution(0.0, 1.0)
    if axis.ranked:
        return IntDistribution(0, axis.choices - 1)
    return CategoricalDistribution(tuple(range(axis.choices)))


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Silence Optuna, and restore its verbosity."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(before)


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Run PyTorch on one thread: on matrices this small, more threads take twenty times as long."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
