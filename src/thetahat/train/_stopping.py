"""Stopping rules: pure functions of the records, so that they run inside the compiled epoch.

A rule has ``init() -> state`` (a pytree of arrays) and ``update(state, record) -> (state, stop)``;
``record`` maps the history's columns to scalars. Anything with these two methods and a
``reason(record) -> str`` is a rule. ``WallTime`` alone is checked by the host, between chunks.

A rule that watches a column has to know in which direction it is better: the engine gives a
``Record``, which knows the Task's metrics.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from thetahat.core import ConfigError, Metric
from thetahat.core.arguments import arguments_named
from thetahat.core.metric import (
    NEUTRAL,
    RISKS,
    Mode,
    directions_of,
    not_recorded,
    unknown_direction,
)


class Record(dict[str, Any]):
    """One epoch's columns; it knows the metrics behind them.

    Args:    columns: name to scalar.   metrics: the Task's.
    """

    def __init__(self, columns: Mapping[str, Any], metrics: Mapping[str, Metric]) -> None:
        super().__init__(columns)
        self.metrics = metrics


class Rule(Protocol):
    """A stopping rule."""

    def init(self) -> Any:
        """The rule's state before the first epoch."""
        ...

    def update(self, state: Any, record: Mapping[str, Any]) -> tuple[Any, Any]:
        """The state after an epoch, and whether to stop."""
        ...

    def reason(self, record: Mapping[str, float]) -> str:
        """Why the rule stopped the run, given the record at which it did."""
        ...


@arguments_named
@dataclass(frozen=True)
class Patience:
    """Stop when ``metric`` has not improved by more than ``min_delta`` for ``epochs`` epochs.

    A risk improves by falling; a metric improves in the direction of its ``mode``.

    Args:    epochs: at least 1.   min_delta: in units of the metric.
             metric: a column of the history: a risk, or a metric with a direction.
    Source:  Prechelt (1998), "Early stopping - but when?".
    """

    epochs: int
    min_delta: Any = 0.0
    metric: str = "val_risk"

    def __post_init__(self) -> None:
        if not isinstance(self.epochs, int) or self.epochs < 1:
            raise ConfigError(f"Patience(epochs={self.epochs!r}); give an integer of at least 1")

    def init(self) -> Any:
        """(best so far, epochs since); of a metric to maximize, the best of its negative."""
        return np.asarray(np.inf), np.asarray(0, np.int32)

    def update(self, state: Any, record: Mapping[str, Any]) -> tuple[Any, Any]:
        """One more epoch."""
        best, since = state
        value = watched(record, self.metric, "Patience")
        value = value if self.check(record) == "min" else -value
        better = value < best - self.min_delta
        since = _where(better, 0, since + 1)
        best = _where(better, value, best).astype(getattr(value, "dtype", float))
        return (best, since), since >= self.epochs

    def check(self, record: Mapping[str, Any]) -> Mode:
        """The direction of the watched column.

        Raises:  ConfigError: it is not recorded, or its direction is unknown.
        """
        mode = _direction(record, self.metric, "Patience")
        if mode is None:
            raise ConfigError(
                f"Patience watches {unknown_direction(_metrics(record), self.metric)}"
            )
        return mode

    def reason(self, record: Mapping[str, float]) -> str:
        """Why."""
        return f"{self.metric} has not improved for {self.epochs} epochs"


@arguments_named
@dataclass(frozen=True)
class Threshold:
    """Stop as soon as ``metric`` is good enough: at or ``below`` a value, or at or ``above`` one.

    Args:    metric: a column of the history: a risk, a metric with a direction, or learning_rate.
             below: where smaller is better.   above: where larger is. Give one of them.
    """

    metric: str
    below: Any = None
    above: Any = None

    def __post_init__(self) -> None:
        if (self.below is None) == (self.above is None):
            came = "neither" if self.below is None else "both"
            raise ConfigError(
                f"Threshold({self.metric!r}) got {came} of below= and above=; give below= where"
                " smaller is better, above= where larger is"
            )

    def init(self) -> Any:
        """No state."""
        return ()

    def update(self, state: Any, record: Mapping[str, Any]) -> tuple[Any, Any]:
        """One more epoch."""
        value = watched(record, self.metric, "Threshold")
        self.check(record)
        return state, value <= self.below if self.above is None else value >= self.above

    def check(self, record: Mapping[str, Any]) -> None:
        """Check the side of the threshold.

        Raises:  ConfigError: the metric is not recorded, is better in the other direction, or has
                 no known direction.
        """
        mode = _direction(record, self.metric, "Threshold")
        if mode is None and self.metric not in NEUTRAL:
            raise ConfigError(
                f"Threshold watches {unknown_direction(_metrics(record), self.metric)}"
            )
        given, right = ("below", "above") if self.above is None else ("above", "below")
        if mode == ("max" if given == "below" else "min"):
            value = self.below if given == "below" else self.above
            larger = "larger" if mode == "max" else "smaller"
            raise ConfigError(
                f"Threshold({self.metric!r}, {given}={value}): {self.metric} is better the {larger}"
                f" it is; write {right}={value}"
            )

    def reason(self, record: Mapping[str, float]) -> str:
        """Why."""
        return f"{self.metric} reached {record[self.metric]:.4g}"


@arguments_named
@dataclass(frozen=True)
class Divergence:
    """Call the run diverged when a risk exceeds ``bound`` (not finite always counts)."""

    bound: float = math.inf


@arguments_named
@dataclass(frozen=True)
class WallTime:
    """Stop after ``seconds`` of training, checked between chunks: not reproducible by nature."""

    seconds: float

    def __post_init__(self) -> None:
        if not self.seconds > 0:
            raise ConfigError(f"WallTime(seconds={self.seconds!r}); give a time above zero")


@dataclass(frozen=True)
class Rules:
    """A Task's stopping rules: those inside the compiled epoch, and those of the host."""

    inside: tuple[Rule, ...]
    bound: float
    wall_s: float


def sort_rules(stopping: Any) -> Rules:
    """Sort a Task's ``stopping``.

    Raises:  ConfigError: something that is not a rule.
    """
    inside, bound, wall_s = [], math.inf, math.inf
    for rule in stopping:
        if isinstance(rule, Divergence):
            bound = min(bound, rule.bound)
        elif isinstance(rule, WallTime):
            wall_s = min(wall_s, rule.seconds)
        elif all(callable(getattr(rule, m, None)) for m in ("init", "update", "reason")):
            inside.append(rule)
        else:
            raise ConfigError(
                f"stopping holds {rule!r}, which is not a stopping rule; give th.Patience(50),"
                " th.Threshold('val_risk', 1e-4), th.Divergence(1e6) or th.WallTime(60)"
            )
    return Rules(tuple(inside), bound, wall_s)


def check_rules(rules: Rules, columns: Mapping[str, Any], metrics: Mapping[str, Metric]) -> None:
    """Check that the rules' columns are recorded, and have a known direction.

    Args:    columns: those of a record; their values do not matter.
    Raises:  ConfigError: it is not.
    """
    record = Record(columns, metrics)
    for rule in rules.inside:
        if isinstance(rule, (Patience, Threshold)):
            rule.check(record)


def watched(record: Mapping[str, Any], name: str, rule: str) -> Any:
    """The value of a watched column; NaN, which is better than nothing, where it is not finite."""
    _direction(record, name, rule)
    value = record[name]
    # A risk that is not finite ends the run in any case.
    return value if name in RISKS else _where(abs(value) < math.inf, value, math.nan)


def less_is_better(record: Mapping[str, Any], name: str, rule: str) -> Any:
    """The value of a watched column, negative where larger is better.

    Raises:  ConfigError: it is not recorded, or its direction is unknown.
    """
    value, mode = watched(record, name, rule), _direction(record, name, rule)
    if mode is None:
        raise ConfigError(f"{rule} watches {unknown_direction(_metrics(record), name)}")
    return value if mode == "min" else -value


def _where(condition: Any, this: Any, other: Any) -> Any:
    """A choice in the backend's own arrays: rules run inside compiled code, too."""
    arrays = getattr(condition, "__array_namespace__", lambda: np)()
    return arrays.where(condition, this, other)


def _direction(record: Mapping[str, Any], name: str, rule: str) -> Mode | None:
    metrics = _metrics(record)
    if name not in record:
        fix = not_recorded(metrics, name, record.keys())
        raise ConfigError(f"{rule} watches {name!r}, which this task does not record{fix}")
    return directions_of(metrics).get(name)


def _metrics(record: Mapping[str, Any]) -> Mapping[str, Metric]:
    """The metrics behind a record; none where a rule was called with a plain mapping."""
    return getattr(record, "metrics", {})
