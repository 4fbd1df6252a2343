"""The search of ``scheduler: {engine: ax}``: an Ax client that is asked and told.

This file imports Ax, and is imported when such a search begins.
"""

from __future__ import annotations

import contextlib
import logging
import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from ax.api.client import Client
from ax.api.configs import ChoiceParameterConfig, RangeParameterConfig
from ax.exceptions.core import DataRequiredError, OptimizationComplete
from ax.exceptions.generation_strategy import MaxParallelismReachedException
from ax.utils.common.logger import ROOT_STREAM_HANDLER

from thetahat.core.errors import ConfigError
from thetahat.core.json import plain_value
from thetahat.search._distributions import Categorical, IntUniform, LogUniform, Uniform
from thetahat.search._space import Dimension, Space
from thetahat.search._trials import Objective, Proposals, SearchHistory, Trial

_ASKS = 100


class AxSearch:
    """A sampler behind which one Ax client is kept: a ``Sampler``.

    Args:    make: the user's optimizer: returns a client, or (client, terminator); None for one
             of the file's parameters and metrics.
             accepts: whether a config satisfies the constraints.
    """

    def __init__(
        self,
        objectives: Sequence[Objective],
        seed: int,
        make: Callable[[], Any] | None = None,
        accepts: Callable[[Mapping[str, Any]], bool] | None = None,
    ) -> None:
        self._objectives, self._seed, self._accepts = objectives, seed, accepts
        self._names = [f"m{i}" for i in range(len(objectives))]
        self._client: Any = None
        self._terminator: Callable[[Any], bool] | None = None
        if make is not None:
            made = make()
            self._client, self._terminator = made if isinstance(made, tuple) else (made, None)
            # A user's client knows the metrics by their own names.
            self._names = [one.name for one in objectives]
            if not isinstance(self._client, Client):
                kind = type(self._client).__name__
                raise ConfigError(f"the optimizer returned a {kind}; return an ax.Client")
        self._own = make is None
        self._numbers: dict[str, int | None] = {}
        self._told: set[str] = set()
        self._offered: list[tuple[int, dict[str, Any]]] = []
        self._done = False

    def __call__(self, space: Space, history: SearchHistory, seed: int, n: int) -> Proposals:
        """Tell the client what has happened, and ask it for up to ``n`` configs."""
        axes = [_AxParameter(d) for d in space.searched]
        with _quiet():
            if self._client is None:
                self._client = self._default(axes)
            for trial in history.trials:
                self._take(axes, trial)
            if self._terminator is not None and not self._done:
                self._done = bool(self._terminator(self._client))
            while not self._done and len(self._offered) < n:
                asked = self._ask(space, axes)
                if asked is None:
                    break
                self._offered.append(asked)
        configs = [config for _, config in self._offered[:n]]
        return Proposals(configs, history.position + len(configs), exhausted=self._done)

    def _default(self, axes: Sequence[_AxParameter]) -> Any:
        client = Client(random_seed=self._seed)
        client.configure_experiment(parameters=[axis.parameter for axis in axes])
        # Ax reads names as algebra: those of the file may hold any letters.
        signs = ["" if one.goal == "maximize" else "-" for one in self._objectives]
        terms = [f"{sign}{name}" for sign, name in zip(signs, self._names, strict=True)]
        client.configure_optimization(objective=", ".join(terms))
        return client

    def _take(self, axes: Sequence[_AxParameter], trial: Trial) -> None:
        if trial.id not in self._numbers:
            self._numbers[trial.id] = self._adopt(axes, trial)
        number = self._numbers[trial.id]
        if not trial.over or trial.id in self._told or number is None:
            return
        self._told.add(trial.id)
        values = [v for v in trial.numbers if v is not None and math.isfinite(v)]
        if trial.state == "finished" and len(values) == len(self._names):
            data = dict(zip(self._names, values, strict=True))
            self._client.complete_trial(trial_index=number, raw_data=data)
        else:
            self._client.mark_trial_failed(trial_index=number)

    def _adopt(self, axes: Sequence[_AxParameter], trial: Trial) -> int | None:
        config = plain_value(dict(trial.config))
        for i, (number, offered) in enumerate(self._offered):
            if plain_value(offered) == config:
                del self._offered[i]
                return number
        try:
            params = {axis.name: axis.encode(_inside(trial.config, axis)) for axis in axes}
            return self._client.attach_trial(parameters=params)
        except (KeyError, TypeError, ValueError):
            return None  # a point outside the space teaches nothing

    def _ask(self, space: Space, axes: Sequence[_AxParameter]) -> tuple[int, dict[str, Any]] | None:
        for _ in range(_ASKS):
            try:
                found = self._client.get_next_trials(max_trials=1)
            except (DataRequiredError, MaxParallelismReachedException):
                return None
            except OptimizationComplete:
                self._done = True
                return None
            for number, params in found.items():
                if self._own or all(axis.name in params for axis in axes):
                    config = space.config(axis.decode(params[axis.name]) for axis in axes)
                else:
                    config = dict(params)
                if self._accepts is None or self._accepts(config):
                    return number, config
                self._client.mark_trial_failed(trial_index=number)
        self._done = True
        return None


def _inside(config: Mapping[str, Any], axis: _AxParameter) -> Any:
    found: Any = config
    for name in axis.dimension.path:
        found = found[name]
    return found


class _AxParameter:
    """One dimension as a parameter of Ax."""

    def __init__(self, dimension: Dimension) -> None:
        self.dimension, self.name = dimension, dimension.name
        self._coded = False
        self.parameter = self._parameter()

    def _parameter(self) -> Any:
        name = self.name
        match self.dimension.distribution:
            case Categorical(probabilities=None) as drawn if len(drawn.distinct) > 1:
                self._coded = True
                places = [str(i) for i in range(len(drawn.distinct))]
                return ChoiceParameterConfig(
                    name=name, values=places, parameter_type="str", is_ordered=False
                )
            case IntUniform(min=low, max=high):
                return RangeParameterConfig(name=name, bounds=(low, high), parameter_type="int")
            case Uniform(min=low, max=high):
                bounds = (float(low), float(high))
                return RangeParameterConfig(name=name, bounds=bounds, parameter_type="float")
            case LogUniform(support=bounds):
                return RangeParameterConfig(
                    name=name, bounds=bounds, parameter_type="float", scaling="log"
                )
        self._coded = True
        return RangeParameterConfig(name=name, bounds=(0.0, 1.0), parameter_type="float")

    def decode(self, value: Any) -> Any:
        if not self._coded:
            return value
        if isinstance(value, str):
            return self.dimension.decode(int(value))
        return self.dimension.proposed(value)

    def encode(self, value: Any) -> Any:
        if not self._coded:
            return float(value) if self.parameter.parameter_type == "float" else int(value)
        code = self.dimension.encode(value)
        return str(int(code)) if isinstance(self.parameter, ChoiceParameterConfig) else code


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence Ax's log and its libraries' warnings."""
    before = ROOT_STREAM_HANDLER.level
    ROOT_STREAM_HANDLER.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        ROOT_STREAM_HANDLER.setLevel(before)
