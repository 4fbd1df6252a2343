"""A Task: the description of one estimation. Nothing has run yet.

The fields hold arrays, models and optimizers as the user gave them; this room imports none of
their libraries.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import InitVar, dataclass, field
from typing import Any

from thetahat.core.card import card
from thetahat.core.errors import ConfigError, did_you_mean
from thetahat.core.metric import (
    Metric,
    Mode,
    directions_of,
    not_recorded,
    read_metrics,
    unknown_direction,
)
from thetahat.core.numbers import whole

SAMPLINGS = ("shuffle", "replacement", "sequential", "full")
DTYPES = ("float32", "float64")


@dataclass(frozen=True)
class Task:
    """An estimation by empirical risk minimisation, described.

        risk(h) = sum_n w_n loss(residual(h, z_n)) / sum_n w_n   (+ penalty(params) in training)

    Args:
        model: a hypothesis class: a Flax NNX or Equinox module, an ``(init, apply)`` pair, or one
            of ``th.models``.
        data: ``th.Data``, or the training observations alone.
        residual: ``residual(h, z) -> scalar`` per observation ``z``; default ``h(x) - y``.
        loss: "squared", "absolute", "huber", "pinball", "logistic", "cross_entropy", or a
            function of one residual.
        penalty: ``penalty(params) -> scalar``, added to the training objective, not to the risk.
        metrics: name to ``f(h)`` or ``f(h, z)``, recorded every epoch; with a direction where
            something watches it: ``th.Metric(f, mode="max")``.
        optimizer: an optax transformation, one of ``th.optim``, or a name ("adam").
        epochs: passes over the training part, at most.
        batch_size: observations a step; None is the full batch.
        sampling: "shuffle", "replacement", "sequential" or "full"; or ``th.Shuffle(seed=...)``.
        stopping: rules, such as ``th.Patience(50)``.
        best_by: the column that chooses the best state: "val_risk", "val_NAME" or ``f(h)``'s NAME.
        seed: base of the keys for initial parameters and dropout.
        dtype: "float32" or "float64".
    Raises:  ConfigError: a field that no estimation can have.
    """

    model: Any
    data: Any
    residual: Callable[..., Any] | None = None
    loss: str | Callable[..., Any] = "squared"
    penalty: Callable[[Any], Any] | None = None
    metrics: Mapping[str, Any] = field(default_factory=dict)
    optimizer: Any = "adam"
    epochs: int = 100
    batch_size: int | None = None
    sampling: Any = "shuffle"
    stopping: Sequence[Any] | Any = ()
    best_by: str = "val_risk"
    seed: Any = 0
    dtype: str = "float32"
    diagnostics: InitVar[Any] = None
    """The old name of ``metrics``; refused."""

    def __post_init__(self, diagnostics: Any) -> None:
        if diagnostics is not None:
            raise ConfigError(
                "Task has no diagnostics; write metrics= in place of diagnostics= (the functions"
                ' are the same), with th.Metric(f, mode="min") or mode="max" where something'
                " watches them"
            )
        whole("epochs", self.epochs)
        if self.epochs > MOST_EPOCHS:
            raise ConfigError(
                f"epochs={self.epochs}: every epoch is recorded, and no more than {MOST_EPOCHS}"
                " (2**31 - 1) can be; give fewer, and end the fit by its stopping rules"
            )
        if self.batch_size is not None:
            whole("batch_size", self.batch_size)
        if isinstance(self.sampling, str) and self.sampling not in SAMPLINGS:
            hint = did_you_mean(self.sampling, SAMPLINGS)
            raise ConfigError(f"sampling={self.sampling!r} is none of ours{hint}")
        if self.dtype not in DTYPES:
            raise ConfigError(f"dtype={self.dtype!r}; give 'float32' or 'float64'")
        metrics = read_metrics(self.metrics)
        object.__setattr__(self, "metrics", metrics)
        _check_best_by(self.best_by, metrics)
        if not isinstance(self.stopping, (list, tuple)):
            object.__setattr__(self, "stopping", (self.stopping,))

    def _repr_html_(self) -> str:
        """The Task as a notebook shows it."""
        batch = "full" if self.batch_size is None else f"{self.batch_size}, {_word(self.sampling)}"
        facts = {
            "model": _word(self.model),
            "data": _sizes(self.data),
            "residual": "h(x) - y" if self.residual is None else _word(self.residual),
            "loss": _word(self.loss),
            "penalty": _word(self.penalty),
            "metrics": ", ".join(self.metrics),
            "optimizer": _word(self.optimizer),
            "epochs": self.epochs,
            "batch": batch,
            "stopping": ", ".join(map(_word, self.stopping)),
            "best by": "" if self.best_by == "val_risk" else self.best_by,
            "seed": self.seed,
            "dtype": self.dtype,
        }
        return card("Task", "a description; nothing has run yet", facts)


MOST_EPOCHS = 2**31 - 1
"""What an array's index can count, and more than a memory holds."""


def best_mode(task: Task) -> Mode:
    """The direction of the column that chooses the best state."""
    mode = directions_of(read_metrics(task.metrics))[task.best_by]
    assert mode is not None  # refused when the Task was made
    return mode


def _check_best_by(best_by: Any, metrics: Mapping[str, Metric]) -> None:
    known = directions_of(metrics)
    wanted = [c for c in known if c.startswith("val_") or c in metrics]
    if best_by not in known:
        hint = not_recorded(metrics, str(best_by), wanted)
        raise ConfigError(f"best_by={best_by!r}: the task does not record it{hint}")
    if best_by not in wanted:
        raise ConfigError(
            f"best_by={best_by!r}: the best state is chosen on the validation part, or by a metric"
            f" f(h); give one of {', '.join(wanted)}"
        )
    if known[best_by] is None:
        raise ConfigError(f"best_by names {unknown_direction(metrics, best_by)}")


def _word(value: Any) -> str:
    """A part of a Task in a word or two."""
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, tuple) and type(value) is tuple:
        return f"({', '.join(map(_word, value))})"
    name = getattr(value, "__qualname__", None) or type(value).__name__
    if name.startswith("GradientTransformation"):  # optax does not keep their names
        return "an optax transformation"
    return name.replace("<locals>.", "")


def _sizes(data: Any) -> str:
    """How many observations each part has, where that can be seen."""
    parts = {name: getattr(data, name, None) for name in ("train", "val", "test")}
    if parts["train"] is None:
        parts = {"train": data}
    found = {name: _rows(part) for name, part in parts.items() if part is not None}
    return ", ".join(f"{name} {n:,}" for name, n in found.items() if n is not None)


def _rows(part: Any) -> int | None:
    """N of the first array inside."""
    while not getattr(part, "shape", None):
        inside = getattr(part, "x", None)
        if inside is None and isinstance(part, Mapping):
            inside = next(iter(part.values()), None)
        if inside is None and isinstance(part, (tuple, list)):
            inside = part[0] if part else None
        if inside is None or inside is part:
            return None
        part = inside
    return int(part.shape[0])
