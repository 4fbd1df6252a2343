"""Optuna's samplers, asked with a history instead of a study that grows.

A study is made anew for every call, on a storage that only hands out the trials it was given; so
nothing is remembered from call to call but the trials as Optuna wants them. This is the one file
that imports Optuna, and it is imported when a sampler of it is first called.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Container, Iterator, Sequence
from typing import Any
from weakref import WeakKeyDictionary

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import BaseSampler
from optuna.storages import InMemoryStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from thetahat.search._coding import Axis, coding
from thetahat.search._space import Space
from thetahat.search._told import TrialValue

_FROZEN: WeakKeyDictionary[Space, dict[int, tuple[TrialValue, FrozenTrial | None]]] = (
    WeakKeyDictionary()
)


class _Given(InMemoryStorage):
    """A storage whose trials are given; what samplers note beside them is not kept."""

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
    """A history as Optuna sees it, to be asked for points."""

    def __init__(self, space: Space, history: Sequence[TrialValue]) -> None:
        self._axes = coding(space).axes
        self._space = space
        self._distributions: dict[str, BaseDistribution] = {
            _name(i): _distribution(axis)
            for i, axis in enumerate(self._axes)
            if axis.choices is None or axis.choices > 1
        }
        self._trials = [t for t in self._frozen(history) if t is not None]
        self._next = len(history)

    @property
    def finished(self) -> int:
        """How many trials have a value."""
        return sum(t.state == TrialState.COMPLETE for t in self._trials)

    def ask(self, sampler: Callable[[int], BaseSampler], seed: int) -> list[Any]:
        """Values of the searched parameters, as a new sampler with this seed proposes them."""
        with _quiet():
            storage = _Given(self._trials)
            storage.create_new_study([StudyDirection.MINIMIZE], "thetahat")
            asked = sampler(seed)
            study = optuna.Study("thetahat", storage, sampler=asked)
            this = _trial(self._next, TrialState.RUNNING, None, {}, {})
            params = asked.sample_relative(study, this, self._distributions)
        codes = [params.get(_name(i), 0) for i in range(len(self._axes))]
        return coding(self._space).decode(codes)

    def fly(self, values: Sequence[Any]) -> None:
        """One more trial in flight."""
        codes = [a.encode(v) for a, v in zip(self._axes, values, strict=True)]
        self._trials.append(self._trial(self._next, codes, None))
        self._next += 1

    def _frozen(self, history: Sequence[TrialValue]) -> Iterator[FrozenTrial | None]:
        """Trials for Optuna; one that has not changed since the last call is the same object."""
        kept, new = _FROZEN.get(self._space, {}), {}
        for place, told in enumerate(history):
            known = kept.get(place)
            if known is None or known[0].trial is not told.trial or known[0].loss != told.loss:
                codes = coding(self._space).encode(self._space, told.trial.config)
                known = told, None if codes is None else self._trial(place, codes, told.loss)
            new[place] = known
            yield known[1]
        _FROZEN[self._space] = new

    def _trial(self, number: int, codes: Sequence[float], loss: float | None) -> FrozenTrial:
        params = {_name(i): c for i, c in enumerate(codes) if _name(i) in self._distributions}
        state = TrialState.RUNNING if loss is None else TrialState.COMPLETE
        return _trial(number, state, loss, params, self._distributions)


def tpe(seed: int) -> BaseSampler:
    """Tree-structured Parzen estimator over all parameters together; flying trials are avoided."""
    return optuna.samplers.TPESampler(
        seed=seed, multivariate=True, constant_liar=True, n_startup_trials=0
    )


def gp(seed: int) -> BaseSampler:
    """A Gaussian process and expected improvement; flying trials are integrated over."""
    return optuna.samplers.GPSampler(seed=seed, n_startup_trials=0)


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


def _distribution(axis: Axis) -> BaseDistribution:
    if axis.choices is None:
        return FloatDistribution(0.0, 1.0)
    if axis.ranked:
        return IntDistribution(0, axis.choices - 1)
    return CategoricalDistribution(tuple(range(axis.choices)))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """No lines of Optuna's own, and its verbosity for everyone else as it was."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(before)
