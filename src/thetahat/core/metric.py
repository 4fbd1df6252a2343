"""Metrics of a Task, and the direction of every column that a run records: the one place for it.

A risk is better the smaller it is. A metric says so itself: ``th.Metric(accuracy, mode="max")``.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from thetahat.core.errors import ConfigError, did_you_mean

Mode = Literal["min", "max"]
MODES = ("min", "max")
PARTS = ("train", "val", "test")
RISKS: Mapping[str, Mode] = {f"{part}_risk": "min" for part in PARTS}
"""The risks, all of them better the smaller they are."""
NEUTRAL = ("epoch", "learning_rate", "seconds")
"""Columns that are better in no direction."""


@dataclass(frozen=True)
class Metric:
    """A number to record beside the risk, and the direction in which it is better.

    Args:
        function: ``f(h) -> scalar``, one number per epoch (column NAME); or ``f(h, z) -> scalar``,
            one number per observation ``z``, averaged with the weights over each part (columns
            train_NAME and val_NAME, and test_NAME at the end).
        mode: "min" or "max"; None where nothing watches it.
    Raises:  ConfigError: another mode, or no function of h or of h and z.

    >>> Metric(lambda h, z: abs(h(z[0]) - z[1]) < 0.1, mode="max").per_observation
    True
    """

    function: Callable[..., Any]
    mode: Mode | None = None

    def __post_init__(self) -> None:
        if self.mode is not None and self.mode not in MODES:
            hint = did_you_mean(str(self.mode), MODES)
            raise ConfigError(
                f"th.Metric(mode={self.mode!r}); give 'min' where smaller is better, or 'max'"
                f" where larger is{hint if hint.startswith('; did') else ''}"
            )
        _arity(self.function)

    @property
    def per_observation(self) -> bool:
        """Whether it is a function of the hypothesis and one observation: ``f(h, z)``."""
        return _arity(self.function) == 2

    def columns(self, name: str, parts: Collection[str] = PARTS) -> list[str]:
        """The columns of a metric of this name."""
        if not self.per_observation:
            return [name]
        return [f"{part}_{name}" for part in PARTS if part in parts]


def _arity(function: Any) -> int:
    """How many of (h, z) a metric is a function of.

    Raises:  ConfigError: neither one nor two.
    """
    if isinstance(function, Metric) or not callable(function):
        raise ConfigError(
            f"the metric {function!r} is not a function; give f(h) or f(h, z), or"
            ' th.Metric(f, mode="max")'
        )
    name = getattr(function, "__qualname__", type(function).__name__).replace("<locals>.", "")
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        raise ConfigError(
            f"the metric {name} does not say what its arguments are; wrap it: lambda h: {name}(h),"
            f" or lambda h, z: {name}(h, z)"
        ) from None
    parameters = signature.parameters.values()
    open_ended = any(p.kind is p.VAR_POSITIONAL for p in parameters)
    needed = [p for p in parameters if p.default is p.empty]
    needed = [p for p in needed if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    by_name = any(p.kind is p.KEYWORD_ONLY for p in needed)
    if open_ended or by_name or len(needed) not in (1, 2):
        raise ConfigError(
            f"the metric {name}{signature} is neither f(h) nor f(h, z); give it exactly a"
            " hypothesis h, for one number per epoch, or a hypothesis h and one observation z"
        )
    return len(needed)


def read_metrics(given: Any) -> dict[str, Metric]:
    """A Task's ``metrics``, every function as a Metric.

    Raises:  ConfigError: a name or a value that no metric has, two metrics with one column.
    """
    if not isinstance(given, Mapping):
        raise ConfigError(
            f"metrics={given!r}: give a mapping from names to functions, such as"
            ' metrics={"accuracy": th.Metric(accuracy, mode="max")}'
        )
    taken = dict.fromkeys((*RISKS, *NEUTRAL, "step"), "")
    metrics = {}
    for name, value in given.items():
        if not isinstance(name, str) or not name.strip():
            raise ConfigError(f"a metric is named {name!r}; give a word, such as 'accuracy'")
        metrics[name] = value if isinstance(value, Metric) else Metric(value)
        for column in metrics[name].columns(name):
            if column in taken:
                other = f", like the metric {taken[column]!r}" if taken[column] else ""
                raise ConfigError(
                    f"the metric {name!r} would hide the column {column!r} of the history{other};"
                    " rename it"
                )
            taken[column] = name
    return metrics


def directions_of(
    metrics: Mapping[str, Metric], parts: Collection[str] = PARTS
) -> dict[str, Mode | None]:
    """Every column of a Task with these metrics that can be watched, and its direction.

    >>> directions_of({"gap": Metric(lambda h: 0.0)}, ["train"])
    {'train_risk': 'min', 'learning_rate': None, 'gap': None}
    """
    found: dict[str, Mode | None] = {
        f"{part}_risk": RISKS[f"{part}_risk"] for part in PARTS if part in parts
    }
    found["learning_rate"] = None
    for name, metric in metrics.items():
        found |= dict.fromkeys(metric.columns(name, parts), metric.mode)
    return found


def unknown_direction(metrics: Mapping[str, Metric], column: str) -> str:
    """What to say of a column whose direction is not known, and how to say it."""
    if column in NEUTRAL:
        return f"{column!r}, which is better in no direction; watch a risk or a metric"
    name = next((n for n, m in metrics.items() if column in m.columns(n)), column)
    function = metrics[name].function if name in metrics else None
    called = getattr(function, "__name__", name)
    called = called if called.isidentifier() else "f"
    return (
        f"{column!r}, whose direction is unknown; write"
        f' metrics={{"{name}": th.Metric({called}, mode="max")}}, or mode="min"'
    )


def not_recorded(metrics: Mapping[str, Metric], column: str, columns: Collection[str]) -> str:
    """The hint for a column that is not there: the nearest, or the parts of a metric."""
    metric = metrics.get(column)
    if metric is not None and metric.per_observation:
        there = [c for c in metric.columns(column) if c in columns]
        near = next((c for c in there if c.startswith("val_")), there[0] if there else None)
        if near is not None:
            return f"; did you mean {near!r}?"
    part, _, rest = column.partition("_")
    if part in ("val", "test") and f"train_{rest}" in columns:
        return f"; give the data a {'validation' if part == 'val' else 'test'} part"
    return did_you_mean(column, columns)
