"""A Task describes one estimation; it runs nothing.

The fields hold the user's arrays, models and optimizers; this room imports no library of theirs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import InitVar, dataclass, field
from typing import Any

from thetahat.core.acceptance import ACCEPT, checked_accept
from thetahat.core.arguments import arguments_named
from thetahat.core.card import card
from thetahat.core.choices import LOSSES
from thetahat.core.errors import ConfigError, check_choice
from thetahat.core.metric import (
    Metric,
    Mode,
    directions_of,
    not_recorded,
    read_metrics,
    unknown_direction,
)
from thetahat.core.numbers import whole
from thetahat.core.packed_table import checked_name
from thetahat.core.redraw import Redraw
from thetahat.core.start import as_start

SAMPLINGS = ("shuffle", "replacement", "sequential", "full")
OPTIMIZERS = (
    *("sgd", "momentum", "nesterov", "adam", "adamw", "rmsprop", "adagrad", "lion", "newton"),
    *("lbfgs", "gauss_newton", "lm", "levenberg_marquardt"),
)
"""Names of optimizers; ``optim`` has what they name."""
DTYPES = ("float32", "float64")
BACKENDS = ("auto", "jax", "torch")


@arguments_named
@dataclass(frozen=True)
class Task:
    """Description of an estimation by empirical risk minimisation.

        risk(h) = sum_n w_n loss(residual(h, z_n)) / sum_n w_n   (+ penalty(params) in training)

    Args:
        model: a hypothesis class: a Flax NNX or Equinox module, a PyTorch module (or a function or
            class that makes one), an ``(init, apply)`` pair, or one of ``th.models``.
        data: ``th.Data``, or the training observations alone.
        residual: ``residual(h, z) -> scalar`` per observation ``z``; default ``h(x) - y``. Or one
            for each block of data, by name: ``th.Data({"euler": points, "initial": t0})``.
        loss: a name of ``th.risk.LOSSES``, such as "squared" or "logistic", or a function of one
            residual.
        penalty: ``penalty(params) -> scalar``, added to the training objective, not to the risk.
        metrics: names of ready metrics (["r2", "auc"]), or name to ``f(h)`` or ``f(h, z)``,
            recorded every epoch. A metric that a stopping rule, ``best_by`` or a sweep uses needs a
            direction: ``th.Metric(f, mode="max")``.
        optimizer: an optax transformation, one of ``th.optim``, or a name ("adam").
        epochs: maximal number of passes over the training part.
        batch_size: observations per step; None is the full batch.
        sampling: "shuffle", "replacement", "sequential" or "full"; or ``th.Shuffle(seed=...)``.
        stopping: rules, such as ``th.Patience(50)``.
        best_by: the column that chooses the best state: "val_risk", "val_NAME" or ``f(h)``'s NAME.
        seed: base of the keys for initial parameters and dropout.
        dtype: "float32" or "float64".
        start: fitted parameters that this fit starts from: a Result, ``th.load(path)`` or the path
            of a saved model; None draws initial parameters.
        backend: what trains a PyTorch module: "jax", "torch", or "auto" for either.
        tables: name to ``f(h)``, which returns columns of equal length by name; evaluated once, at
            the best state, such as a policy on a grid.
        accept: checks of the solution, such as ``th.accept.residual(points, below=1e-3)``, or
            functions ``f(h) -> bool``; evaluated once, at the best state. A run that fails one is
            ``rejected``.
        weights: of the risks of blocks of data, by name; 1 by default.
        redraw: draws the training points anew while it is fitted: ``th.Redraw(simulate)``.
    Raises:  ConfigError: a field outside its range.
    """

    model: Any
    data: Any
    residual: Any = None
    loss: str | Callable[..., Any] = "squared"
    penalty: Callable[[Any], Any] | None = None
    metrics: Any = field(default_factory=dict)
    optimizer: Any = "adam"
    epochs: int = 100
    batch_size: int | None = None
    sampling: Any = "shuffle"
    stopping: Sequence[Any] | Any = ()
    best_by: str = "val_risk"
    seed: Any = 0
    dtype: str = "float32"
    start: Any = None
    backend: str = "auto"
    tables: Mapping[str, Callable[[Any], Mapping[str, Any]]] = field(default_factory=dict)
    accept: Sequence[Any] | Any = ()
    weights: Mapping[str, Any] = field(default_factory=dict)
    redraw: Redraw | None = None
    diagnostics: InitVar[Any] = None
    """Old name of ``metrics``; refused."""

    def __post_init__(self, diagnostics: Any) -> None:
        if diagnostics is not None:
            raise ConfigError(
                "Task has no diagnostics; write metrics= in place of diagnostics= (the functions"
                ' are the same); for a stopping rule or best_by give th.Metric(f, mode="min") or'
                ' mode="max"'
            )
        whole("epochs", self.epochs)
        if self.epochs > MOST_EPOCHS:
            raise ConfigError(
                f"epochs={self.epochs} is above the limit of {MOST_EPOCHS} (2**31 - 1) recorded"
                " epochs; give fewer, and end the fit by its stopping rules"
            )
        if self.batch_size is not None:
            whole("batch_size", self.batch_size)
        if isinstance(self.sampling, str):
            check_choice("sampling", self.sampling, SAMPLINGS)
        if isinstance(self.optimizer, str):
            check_choice("optimizer", self.optimizer, OPTIMIZERS)
        if isinstance(self.loss, str):
            check_choice("loss", self.loss, LOSSES)
        if self.penalty is not None and not callable(self.penalty):
            raise ConfigError(
                f"penalty={self.penalty!r:.80} is not a function; give penalty(params), such as"
                " th.ridge(1e-3)"
            )
        if self.dtype not in DTYPES:
            raise ConfigError(f"dtype={self.dtype!r}; give 'float32' or 'float64'")
        check_choice("backend", self.backend, BACKENDS)
        object.__setattr__(self, "start", as_start(self.start))
        object.__setattr__(self, "tables", _checked_tables(self.tables))
        object.__setattr__(self, "accept", checked_accept(self.accept))
        _check_blocks(self.residual, self.weights)
        if not (self.redraw is None or isinstance(self.redraw, Redraw)):
            raise ConfigError(
                f"redraw={self.redraw!r:.80}; give th.Redraw(simulate, every=50), where"
                " simulate(h, key) returns the points"
            )
        metrics = read_metrics(self.metrics)
        object.__setattr__(self, "metrics", metrics)
        _check_best_by(self.best_by, metrics)
        if not isinstance(self.stopping, (list, tuple)):
            object.__setattr__(self, "stopping", (self.stopping,))

    def _repr_html_(self) -> str:
        """Draw the Task in a notebook."""
        batch = "full" if self.batch_size is None else f"{self.batch_size}, {_word(self.sampling)}"
        facts = {
            "model": _word(self.model),
            "data": _sizes(self.data),
            "residual": _residual_word(self.residual),
            "loss": _word(self.loss),
            "penalty": _word(self.penalty),
            "metrics": ", ".join(self.metrics),
            "tables": ", ".join(self.tables),
            "accept": ", ".join(map(_word, self.accept)),
            "optimizer": _word(self.optimizer),
            "redraw": "" if self.redraw is None else f"every {self.redraw.every} epochs",
            "epochs": self.epochs,
            "batch": batch,
            "stopping": ", ".join(map(_word, self.stopping)),
            "best by": "" if self.best_by == "val_risk" else self.best_by,
            "seed": self.seed,
            "start": "" if self.start is None else str(self.start),
            "dtype": self.dtype,
        }
        return card("Task", "a description; nothing has run yet", facts)


MOST_EPOCHS = 2**31 - 1
"""Largest epoch that an int32 index can count."""


def best_mode(task: Task) -> Mode:
    """Return the direction of the column that chooses the best state."""
    mode = directions_of(read_metrics(task.metrics))[task.best_by]
    assert mode is not None  # Task refuses others
    return mode


def _check_best_by(best_by: Any, metrics: Mapping[str, Metric]) -> None:
    known = directions_of(metrics)
    wanted = [c for c in known if c.startswith("val_") or c in metrics]
    if best_by not in known:
        hint = not_recorded(metrics, str(best_by), wanted)
        raise ConfigError(f"best_by={best_by!r}: the task does not record it{hint}")
    if metrics.get(best_by, Metric(lambda h: h)).function == "grad_norm":
        raise ConfigError(
            f"best_by={best_by!r}: the norm of a gradient belongs to an epoch, not to a state; give"
            " a risk or another metric"
        )
    if best_by not in wanted:
        raise ConfigError(
            f"best_by={best_by!r}: the best state is chosen on the validation part, or by a metric"
            f" f(h); give one of {', '.join(wanted)}"
        )
    if known[best_by] is None:
        raise ConfigError(f"best_by names {unknown_direction(metrics, best_by)}")


def _checked_tables(given: Any) -> dict[str, Callable[[Any], Mapping[str, Any]]]:
    """Return the functions of tables by name."""
    tables = {} if given is None else given
    if not isinstance(tables, Mapping) or not all(map(callable, tables.values())):
        raise ConfigError(
            f"tables={given!r:.80} does not map names to functions; give {{'policy': f}}, where"
            " f(h) returns columns by name"
        )
    if ACCEPT in tables:
        raise ConfigError(
            f"tables={{{ACCEPT!r}: ...}}: the checks of accept= have this name; give another one"
        )
    return {checked_name("Task(tables=)", name): f for name, f in tables.items()}


def _check_blocks(residual: Any, weights: Any) -> None:
    """Refuse residuals by block that are no functions, and weights that are not by block."""
    if isinstance(residual, Mapping) and not (residual and all(map(callable, residual.values()))):
        raise ConfigError(
            f"residual={residual!r:.80} does not map blocks to functions; give {{'euler': f}},"
            " where f(h, z) is the residual at one point of the block"
        )
    if not isinstance(weights, Mapping):
        raise ConfigError(
            f"weights={weights!r:.80} does not map blocks to numbers; give {{'initial': 100.0}}"
        )


def _word(value: Any) -> str:
    """Describe a part of a Task in a word or two."""
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, tuple) and type(value) is tuple:
        return f"({', '.join(map(_word, value))})"
    name = getattr(value, "__qualname__", None) or type(value).__name__
    if name.startswith("GradientTransformation"):  # optax does not keep their names
        return "an optax transformation"
    return name.replace("<locals>.", "")


def _residual_word(residual: Any) -> str:
    if isinstance(residual, Mapping):
        return "; ".join(f"{name}: {_word(f)}" for name, f in residual.items())
    return "h(x) - y" if residual is None else _word(residual)


def _sizes(data: Any) -> str:
    """List the numbers of observations of the parts, where they can be read."""
    parts = {name: getattr(data, name, None) for name in ("train", "val", "test")}
    if parts["train"] is None:
        parts = {"train": data}
    found = {name: _rows(part) for name, part in parts.items() if part is not None}
    return ", ".join(f"{name} {n:,}" for name, n in found.items() if n is not None)


def _rows(part: Any) -> int | None:
    """Return N of the first array inside."""
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
