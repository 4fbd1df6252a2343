"""Metrics of a Task, and the direction of every column that a run records.

A smaller risk is better. A metric states its direction: ``th.Metric(accuracy, mode="max")``.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from thetahat.core.arguments import arguments_named
from thetahat.core.errors import ConfigError, check_choice, did_you_mean

Mode = Literal["min", "max"]
MODES = ("min", "max")
PARTS = ("train", "val", "test")
RISKS: Mapping[str, Mode] = {f"{part}_risk": "min" for part in PARTS}
"""Columns of risks: smaller is better."""
READY: Mapping[str, Mode] = {
    "r2": "max",
    "mae": "min",
    "rmse": "min",
    "pinball": "min",
    "accuracy": "max",
    "balanced_accuracy": "max",
    "log_loss": "min",
    "auc": "max",
}
"""The ready metrics of ``th.metrics`` and their directions."""
NORMS: Mapping[str, Mode | None] = {"grad_norm": "min", "param_norm": None}
"""Norms of the gradient and of the parameters, which a Task records on request."""
NEUTRAL = ("epoch", "learning_rate", "seconds")
"""Columns without a direction."""


@arguments_named
@dataclass(frozen=True)
class Metric:
    """A number recorded beside the risk, and its better direction.

    Args:
        function: ``f(h) -> scalar``, one number per epoch (column NAME); ``f(h, z) -> scalar``,
            one number per observation ``z``, averaged with the weights over each part (columns
            train_NAME and val_NAME, and test_NAME at the end); ``f(prediction, target, weight) ->
            scalar``, one number of a whole part from arrays (N, ...), in units of the target
            (the same columns); or the name of a ready metric, such as "auc" or "grad_norm".
        mode: "min" or "max"; None if no rule, ``best_by`` or sweep uses it.
    Raises:  ConfigError: another mode, or another function.

    >>> Metric(lambda h, z: abs(h(z[0]) - z[1]) < 0.1, mode="max").kind
    'observation'
    """

    function: Callable[..., Any] | str
    mode: Mode | None = None

    def __post_init__(self) -> None:
        name = getattr(self.function, "ready_metric", self.function)
        if isinstance(name, str):
            self._read_name(name)
        if self.mode is not None and str(self.mode) not in MODES:
            hint = did_you_mean(str(self.mode), MODES)
            raise ConfigError(
                f"th.Metric(mode={self.mode!r}); give 'min' where smaller is better, or 'max'"
                f" where larger is{hint if hint.startswith('; did') else ''}"
            )
        _ = self.kind

    def _read_name(self, given: str) -> None:
        name = "_".join(given.lower().replace("-", " ").split())
        known = {**READY, **NORMS}
        check_choice("metric", name, tuple(known))
        if self.mode not in (None, known[name]) and known[name] is not None:
            larger = "larger" if known[name] == "max" else "smaller"
            raise ConfigError(
                f"th.Metric({given!r}, mode={self.mode!r}): {name} is better the {larger} it is;"
                " leave mode out"
            )
        object.__setattr__(self, "function", name)
        object.__setattr__(self, "mode", self.mode or known[name])

    @property
    def kind(self) -> str:
        """What the metric is a function of: "hypothesis", "observation", "part" or "norm"."""
        if isinstance(self.function, str):
            return "norm" if self.function in NORMS else "part"
        return _KINDS[_arity(self.function)]

    def __call__(self, *args: Any) -> Any:
        """Call the function; a ready metric takes (prediction, target), and perhaps weights."""
        if isinstance(self.function, str):
            raise ConfigError(f"call the function: th.metrics.{self.function}(prediction, target)")
        return self.function(*args, *[None] * (self.kind == "part" and len(args) == 2))

    def columns(self, name: str, parts: Collection[str] = PARTS) -> list[str]:
        """List the columns of a metric of this name."""
        if self.kind not in BY_PART:
            return [name]
        return [f"{part}_{name}" for part in PARTS if part in parts]


_KINDS = {1: "hypothesis", 2: "observation", 3: "part"}
BY_PART = ("observation", "part")
"""Kinds of metrics with a column for each part."""


def _arity(function: Any) -> int:
    """Count the arguments of a metric: f(h), f(h, z) or f(prediction, target, weight).

    Raises:  ConfigError: another number of arguments.
    """
    if isinstance(function, Metric) or not callable(function):
        raise ConfigError(
            f"the metric {function!r} is not a function; give f(h) or f(h, z),"
            ' th.Metric(f, mode="max"), or a name such as "r2" or "accuracy"'
        )
    name = getattr(function, "__qualname__", type(function).__name__).replace("<locals>.", "")
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        raise ConfigError(
            f"the arguments of the metric {name} cannot be read; wrap it: lambda h: {name}(h),"
            f" or lambda h, z: {name}(h, z)"
        ) from None
    parameters = signature.parameters.values()
    open_ended = any(p.kind is p.VAR_POSITIONAL for p in parameters)
    needed = [p for p in parameters if p.default is p.empty]
    needed = [p for p in needed if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    by_name = any(p.kind is p.KEYWORD_ONLY for p in needed)
    if open_ended or by_name or len(needed) not in _KINDS:
        raise ConfigError(
            f"the metric {name}{signature} is neither f(h) nor f(h, z); write f(h) for one"
            " number per epoch, f(h, z) for one number per observation z, or f(prediction, target,"
            " weight) for one number of a whole part"
        )
    return len(needed)


def read_metrics(given: Any) -> dict[str, Metric]:
    """Read a Task's ``metrics``; make every function a Metric.

    Raises:  ConfigError: a wrong name or value, or two metrics with one column.
    """
    if isinstance(given, (list, tuple)):
        given = _named(given)
    if not isinstance(given, Mapping):
        raise ConfigError(
            f"metrics={given!r}: give names of ready metrics, such as metrics=['r2', 'mae'], or a"
            ' mapping from names to functions: {"accuracy": th.Metric(accuracy, mode="max")}'
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


def _named(given: list[Any] | tuple[Any, ...]) -> dict[str, Any]:
    """Map a list of ready metrics by their names."""
    found: dict[str, Any] = {}
    for value in given:
        metric = value if isinstance(value, Metric) else Metric(value)
        function = metric.function
        name = function if isinstance(function, str) else getattr(function, "__name__", "")
        if not name.isidentifier():
            raise ConfigError(
                f"metrics={given!r}: {value!r} has no name; give a mapping from names to functions"
            )
        if name in found:
            raise ConfigError(f"metrics={given!r}: {name!r} is given twice; give it once")
        found[name] = metric
    return found


def directions_of(
    metrics: Mapping[str, Metric], parts: Collection[str] = PARTS
) -> dict[str, Mode | None]:
    """Map every column of a Task with these metrics to its direction.

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
    """Word the message about a column without a known direction, and its fix."""
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
    """Word the hint for an absent column: the nearest, or a part of a metric."""
    metric = metrics.get(column)
    if metric is not None and metric.kind in BY_PART:
        there = [c for c in metric.columns(column) if c in columns]
        near = next((c for c in there if c.startswith("val_")), there[0] if there else None)
        if near is not None:
            return f"; did you mean {near!r}?"
    part, _, rest = column.partition("_")
    if part in ("val", "test") and f"train_{rest}" in columns:
        return f"; give the data a {'validation' if part == 'val' else 'test'} part"
    return did_you_mean(column, columns)
