"""What a history tells an optimiser: one value for every trial that has one, real or imputed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from thetahat.core.errors import ConfigError
from thetahat.search._trials import Objective, SearchHistory, Trial, best_value, worst_value


@dataclass(frozen=True)
class TrialValue:
    """A trial's value, to be minimised whatever the goal; None while it is in flight."""

    trial: Trial
    loss: float | None


def trial_values(history: SearchHistory) -> list[TrialValue]:
    """Every trial an optimiser can learn from, in their order.

    A finished trial counts as the best value it reached. One that failed, or finished without any
    finite value, counts as ``metric.impute`` says; ``impute_while_running`` lets running trials
    count as if they had finished. Where nothing can be imputed, because no trial has a value yet,
    the trial is left out.

    Raises:  ConfigError: the history has no metric.
    """
    metric = history.metric
    if metric is None:
        raise ConfigError(
            "bayes needs a metric to optimise; add metric: with its name, or use method: random"
        )
    worst = _worst_of_all(history.trials, metric)
    return [
        TrialValue(trial, None if value is None else metric.sign * value)
        for trial in history.trials
        for flying, value in (_value(trial, metric, worst),)
        if flying or value is not None
    ]


def _value(trial: Trial, metric: Objective, worst: float | None) -> tuple[bool, float | None]:
    """Whether the trial is in flight, and the value it counts as."""
    if trial.state == "failed":
        return False, _imputed(trial, metric, metric.impute, worst)
    how = metric.impute if trial.state == "finished" else metric.impute_while_running
    if trial.state == "waiting" or how == "false":
        return True, None
    best = best_value(trial, metric)
    value = _imputed(trial, metric, how, worst) if best is None else best
    return trial.state == "running" and value is None, value


def _imputed(trial: Trial, metric: Objective, how: str, worst: float | None) -> float | None:
    own = None
    if how == "best":
        own = best_value(trial, metric)
    elif how == "latest":
        own = trial.finite[-1] if len(trial.finite) else None
    return worst if own is None else own


def _worst_of_all(trials: Sequence[Trial], metric: Objective) -> float | None:
    values = [worst_value(t, metric) for t in trials if t.over]
    known = [v for v in values if v is not None]
    return (max if metric.sign > 0 else min)(known) if known else None
