"""What a searcher is told and what it answers: trials, histories, proposals, the metric."""

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
             impute: what a failed trial is taken to have reached: the worst value of all trials
             that are over, its own best, or its own latest.
             impute_while_running: the same for running trials; "false" leaves them in flight.
    Raises:  ConfigError: a word that is none of these, a target that is not finite.
    """

    name: str
    goal: Goal = "minimize"
    target: float | None = None
    impute: Impute = "worst"
    impute_while_running: ImputeWhileRunning = "false"

    def __post_init__(self) -> None:
        for field, words in (
            ("goal", Goal),
            ("impute", Impute),
            ("impute_while_running", ImputeWhileRunning),
        ):
            given, known = getattr(self, field), get_args(words)
            if given not in known:
                hint = did_you_mean(str(given), known)
                raise ConfigError(f"metric.{field} is {given!r}; give one of {_list(known)}{hint}")
        if self.target is not None and not _finite(self.target):
            raise ConfigError(f"metric.target is {self.target!r}; give a finite number, or none")

    @property
    def sign(self) -> int:
        """1 where less is better, -1 where more is: ``sign * value`` is always minimised."""
        return 1 if self.goal == "minimize" else -1


@dataclass(frozen=True)
class Trial:
    """One point of the space that was proposed, and how it went so far.

    Give the same object again while nothing has changed: what is computed of a trial stays with it.

    Args:    id: any name, unique in a history.   config: as it was proposed.
             state: waiting (proposed, not begun), running, finished or failed.
             values: the metric's logged values in their order; those that are not finite are
             passed over, here as in the file's own semantics.
             value: the metric's final value, None where there is none.
    """

    id: str
    config: Mapping[str, Any]
    state: State
    values: Sequence[float] = ()
    value: float | None = None

    @property
    def over(self) -> bool:
        """Whether it has ended."""
        return self.state in ("finished", "failed")

    @cached_property
    def finite(self) -> Sequence[float]:
        """The logged values that are finite numbers, in their order."""
        found = [v for v in self.values if _finite(v)]
        # As a rule all are; then nothing is kept twice.
        return self.values if len(found) == len(self.values) else found

    @cached_property
    def extremes(self) -> tuple[float, float] | None:
        """The least and greatest finite value it logged or ended with; None without any."""
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

    ``configs`` may be fewer than were asked for; ``position`` is what the next call's history must
    hold; ``exhausted`` says that nothing is left to propose, now or later.
    """

    configs: list[dict[str, Any]]
    position: int
    exhausted: bool = False

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self.configs)


Sampler = Callable[["Space", SearchHistory, int, int], Proposals]
"""``sampler(space, history, seed, n)``: a pure function of its arguments."""


def best_value(trial: Trial, metric: Objective) -> float | None:
    """The best finite value a trial logged or ended with; None where there is none."""
    return None if trial.extremes is None else trial.extremes[0 if metric.sign > 0 else 1]


def worst_value(trial: Trial, metric: Objective) -> float | None:
    """The worst finite value a trial logged or ended with; None where there is none."""
    return None if trial.extremes is None else trial.extremes[1 if metric.sign > 0 else 0]


def target_reached(history: SearchHistory) -> bool:
    """Whether a trial that runs or has finished has reached the metric's target.

    One that failed has not, whatever it logged; nor one that waits, to be tried again.

    >>> trials = [Trial("a", {}, "finished", (0.3, 0.09), 0.2)]
    >>> target_reached(SearchHistory(trials, metric=Objective("loss", target=0.1)))
    True
    """
    metric = history.metric
    if metric is None or metric.target is None:
        return False
    bests = (best_value(t, metric) for t in history.trials if t.state in ("running", "finished"))
    return any(b is not None and metric.sign * (b - metric.target) <= 0 for b in bests)


def _finite(value: Any) -> bool:
    if type(value) is float:
        return math.isfinite(value)
    # NumPy's own numbers are Real, its booleans are not.
    real = isinstance(value, numbers.Real) and not isinstance(value, bool)
    return real and math.isfinite(value)


def _list(words: Sequence[str]) -> str:
    return ", ".join(words)
