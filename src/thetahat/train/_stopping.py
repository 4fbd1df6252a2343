"""Stopping rules: pure functions of the records, so that they run inside the compiled epoch.

A rule has ``init() -> state`` (a pytree of arrays) and ``update(state, record) -> (state, stop)``;
``record`` maps the history's columns to scalars. Anything with these two methods and a
``reason(record) -> str`` is a rule. ``WallTime`` alone is checked by the host, between chunks.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import jax.numpy as jnp

from thetahat.core import ConfigError
from thetahat.core.errors import did_you_mean

Record = Mapping[str, Any]


class Rule(Protocol):
    """A stopping rule."""

    def init(self) -> Any:
        """The rule's state before the first epoch."""
        ...

    def update(self, state: Any, record: Record) -> tuple[Any, Any]:
        """The state after an epoch, and whether to stop."""
        ...

    def reason(self, record: Mapping[str, float]) -> str:
        """Why the rule stopped the run, given the record at which it did."""
        ...


@dataclass(frozen=True)
class Patience:
    """Stop when ``metric`` has not fallen by more than ``min_delta`` for ``epochs`` epochs.

    Args:    epochs: at least 1.   min_delta: in units of the metric.
             metric: a column of the history.
    Source:  Prechelt (1998), "Early stopping - but when?".
    """

    epochs: int
    min_delta: Any = 0.0
    metric: str = "val_risk"

    def __post_init__(self) -> None:
        if not isinstance(self.epochs, int) or self.epochs < 1:
            raise ConfigError(f"Patience(epochs={self.epochs!r}); give an integer of at least 1")

    def init(self) -> Any:
        """(best so far, epochs since)."""
        return jnp.asarray(jnp.inf), jnp.asarray(0, jnp.int32)

    def update(self, state: Any, record: Record) -> tuple[Any, Any]:
        """One more epoch."""
        best, since = state
        value = _column(record, self.metric, "Patience")
        better = value < best - self.min_delta
        since = jnp.where(better, 0, since + 1)
        return (jnp.where(better, value, best).astype(best.dtype), since), since >= self.epochs

    def reason(self, record: Mapping[str, float]) -> str:
        """Why."""
        return f"{self.metric} has not improved for {self.epochs} epochs"


@dataclass(frozen=True)
class Threshold:
    """Stop as soon as ``metric`` is at or below ``below``."""

    metric: str
    below: Any

    def init(self) -> Any:
        """No state."""
        return ()

    def update(self, state: Any, record: Record) -> tuple[Any, Any]:
        """One more epoch."""
        return state, _column(record, self.metric, "Threshold") <= self.below

    def reason(self, record: Mapping[str, float]) -> str:
        """Why."""
        return f"{self.metric} reached {record[self.metric]:.4g}"


@dataclass(frozen=True)
class Divergence:
    """Call the run diverged when a risk exceeds ``bound`` (not finite always counts)."""

    bound: float = math.inf


@dataclass(frozen=True)
class WallTime:
    """Stop after ``seconds`` of training, checked between chunks: not reproducible by nature."""

    seconds: float

    def __post_init__(self) -> None:
        if not self.seconds > 0:
            raise ConfigError(f"WallTime(seconds={self.seconds!r}); give a time above zero")


@dataclass(frozen=True)
class Rules:
    """A Task's stopping rules, sorted by who checks them."""

    inside: tuple[Rule, ...]
    bound: float
    wall_s: float


def sort_rules(stopping: Any) -> Rules:
    """Sort a Task's ``stopping``.

    Raises:  ConfigError: something that is no rule.
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
                f"stopping holds {rule!r}, which is no rule; give th.Patience(50),"
                " th.Threshold('val_risk', 1e-4), th.Divergence(1e6) or th.WallTime(60)"
            )
    return Rules(tuple(inside), bound, wall_s)


def _column(record: Record, name: str, rule: str) -> Any:
    if name not in record:
        hint = did_you_mean(name, record)
        mend = "; give the data a validation part" if name == "val_risk" else hint
        raise ConfigError(f"{rule} watches {name!r}, which this task does not record{mend}")
    return record[name]
