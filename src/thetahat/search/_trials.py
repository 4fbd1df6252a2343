"""What a sampler receives and returns: trials, histories, proposals, the objective."""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, get_args

from thetahat.core.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from thetahat.search._space import Space

State = Literal["waiting", "running", "finished", "failed"]
Goal = Literal["minimize", "maximize"]
Impute = Literal["latest", "best", "worst"]
ImputeWhileRunning = Literal["latest", "best", "worst", "false"]


@dataclass(frozen=True)
class Objective:
    """What a sweep optimises, as the ``metric`` section of its file says.

    Args:    name: the metric's name, as it is logged.   goal: minimize or maximize.
             target: once a trial that has not failed reaches it, no new trials are needed.
             impute: the value that a failed trial counts as: the worst value of all trials that
             are over, its own best, or its own latest.
             impute_while_running: the same for running trials; "false" leaves them in flight.
    Raises:  ConfigError: an unknown word, a target that is not finite.
    """

    name: str
    goal: Goal = "minimize"
    target: float | None = None
    impute: Impute = "worst"
    impute_while_running: ImputeWhileRunning = "false"

    def __post_init__(self) -> None:
        words = {"goal": Goal, "impute": Impute, "impute_while_running": ImputeWhileRunning}
        for field, literal in words.items():
            given, known = getattr(self, field), get_args(literal)
            if given not in known:
                hint = did_you_mean(str(given), known)
                allowed = ", ".join(known)
                raise ConfigError(f"metric.{field} is {given!r}; give one of {allowed}{hint}")
        if self.target is not None and not _finite(self.target):
            raise ConfigError(f"metric.target is {self.target!r}; give a finite number, or none")

    @property
    def sign(self) -> int:
        """1 where less is better, -1 where more is: ``sign * value`` is always minimised."""
        return 1 if self.goal == "minimize" else -1


@dataclass(frozen=True)
class Trial:
    """One point of the space that was proposed, and its values so far.

    Give the same object again while nothing has changed: what is computed of a trial is cached.

    Args:    id: any name, unique in a history.   config: as it was proposed.
             state: waiting (proposed, not started), running, finished or failed.
             values: the metric's logged values in their order; values that are not finite are
             skipped, as in the file's own semantics.
             value: the metric's final value, None where there is none.
             numbers: the final values of all objectives, for a study of them.
             spread: their standard deviations over the folds of a setting.
             pruned: whether a study's pruner has stopped it.
             began, ended: times in any form that sorts, for a study that follows their order.
    """

    id: str
    config: Mapping[str, Any]
    state: State
    values: Sequence[float] = ()
    value: float | None = None
    numbers: Sequence[float | None] = ()
    spread: Sequence[float] = ()
    pruned: bool = False
    began: str = ""
    ended: str = ""

    @property
    def is_prior(self) -> bool:
        """Whether it is a run of an earlier sweep, from which the search learns."""
        return self.id.startswith("prior ")

    @property
    def over(self) -> bool:
        """Whether the trial has ended."""
        return self.state in ("finished", "failed")

    @cached_property
    def finite(self) -> Sequence[float]:
        """The logged values that are finite numbers, in their order."""
        found = [v for v in self.values if _finite(v)]
        # As a rule all are; then one copy is enough.
        return self.values if len(found) == len(self.values) else found

    @cached_property
    def extremes(self) -> tuple[float, float] | None:
        """The least and greatest finite value, logged or final; None without any."""
        values = list(self.finite)
        if self.value is not None and _finite(self.value):
            values.append(self.value)
        return (min(values), max(values)) if values else None


@dataclass(frozen=True)
class SearchHistory:
    """All that a sampler may know beside the space.

    Args:    trials: every trial of the sweep, in the order in which they were proposed.
             position: ``Proposals.position`` of the call before; 0 at the beginning.
             metric: what is optimised; only the samplers of method ``bayes`` need it.
    """

    trials: Sequence[Trial] = ()
    position: int = 0
    metric: Objective | None = None


@dataclass(frozen=True)
class Proposals:
    """What to run next.

    ``configs`` may be fewer than requested; ``position`` belongs into the next call's history;
    ``exhausted`` says that nothing is left to propose, now or later.
    """

    configs: list[dict[str, Any]]
    position: int
    exhausted: bool = False

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self.configs)


Sampler = Callable[["Space", SearchHistory, int, int], Proposals]
"""``sampler(space, history, seed, n)``: a pure function of its arguments."""


@dataclass(frozen=True)
class TrialValue:
    """A trial's value, to be minimised whatever the goal; None while it is in flight."""

    trial: Trial
    loss: float | None


def trial_values(history: SearchHistory) -> list[TrialValue]:
    """List every trial from which an optimiser can learn, in their order.

    A finished trial counts as its best value. A trial that failed, or finished without any finite
    value, counts as ``metric.impute`` says; ``impute_while_running`` lets running trials count as
    if they had finished. While no trial has a value, nothing can be imputed, and such trials are
    left out.

    Raises:  ConfigError: the history has no metric.
    """
    metric = metric_of(history)
    worst = [v for t in history.trials if t.over and (v := worst_value(t, metric)) is not None]
    worst_of_all = (max if metric.sign > 0 else min)(worst, default=None)
    return [
        TrialValue(trial, None if value is None else metric.sign * value)
        for trial in history.trials
        for in_flight, value in (trial_value(trial, metric, worst_of_all),)
        if in_flight or value is not None
    ]


def metric_of(history: SearchHistory) -> Objective:
    """Return the metric.

    Raises:  ConfigError: the history has none.
    """
    if history.metric is None:
        raise ConfigError(
            "bayes needs a metric to optimise; add metric: with its name, or use method: random"
        )
    return history.metric


def trial_value(trial: Trial, metric: Objective, worst: float | None) -> tuple[bool, float | None]:
    """Return whether a trial is in flight, and the value it counts as.

    Args:    worst: the worst value of all trials that are over.
    """
    if trial.state == "failed":
        return False, _imputed(trial, metric, metric.impute, worst)
    how = metric.impute if trial.state == "finished" else metric.impute_while_running
    if trial.state == "waiting" or how == "false":
        return True, None
    best = best_value(trial, metric)
    value = _imputed(trial, metric, how, worst) if best is None else best
    return trial.state == "running" and value is None, value


def _imputed(trial: Trial, metric: Objective, how: str, worst: float | None) -> float | None:
    own = best_value(trial, metric) if how == "best" else None
    if how == "latest" and len(trial.finite):
        own = trial.finite[-1]
    return worst if own is None else own


def best_value(trial: Trial, metric: Objective) -> float | None:
    """Return the best finite value of a trial, logged or final; None where there is none."""
    return None if trial.extremes is None else trial.extremes[0 if metric.sign > 0 else 1]


def worst_value(trial: Trial, metric: Objective) -> float | None:
    """Return the worst finite value of a trial, logged or final; None where there is none."""
    return None if trial.extremes is None else trial.extremes[1 if metric.sign > 0 else 0]


def target_reached(history: SearchHistory) -> bool:
    """Check whether a running or finished trial has reached the metric's target.

    Failed trials do not count, whatever they logged, nor do trials that wait for a retry.

    >>> trials = [Trial("a", {}, "finished", (0.3, 0.09), 0.2)]
    >>> target_reached(SearchHistory(trials, metric=Objective("loss", target=0.1)))
    True
    """
    metric = history.metric
    if metric is None or metric.target is None:
        return False
    bests = (best_value(t, metric) for t in history.trials if t.state in ("running", "finished"))
    return any(b is not None and metric.sign * (b - metric.target) <= 0 for b in bests)


def targets_reached(history: SearchHistory, objectives: Sequence[Objective]) -> bool:
    """Check whether a finished trial has reached the targets of all objectives that have one.

    >>> goals = (Objective("a", target=1.0), Objective("b"), Objective("c", "maximize", 5.0))
    >>> trials = [Trial("x", {}, "finished", numbers=(0.9, 7.0, 5.0))]
    >>> targets_reached(SearchHistory(trials), goals)
    True
    """
    aimed = [(i, one) for i, one in enumerate(objectives) if one.target is not None]
    return any(
        trial.state == "finished"
        and all(
            (value := trial.numbers[i]) is not None and one.sign * (value - (one.target or 0)) <= 0
            for i, one in aimed
        )
        for trial in history.trials
    )


def _finite(value: Any) -> bool:
    if type(value) is float:
        return math.isfinite(value)
    # NumPy's own numbers are Real, its booleans are not.
    real = isinstance(value, numbers.Real) and not isinstance(value, bool)
    return real and math.isfinite(value)
