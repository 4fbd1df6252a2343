"""Losses of a residual, and losses of a prediction.

    risk(h) = sum_n w_n loss(r_n) / sum_n w_n,     r_n = h(x_n) - y_n

The squared loss is ``r**2``, without a half: the training risk is the mean squared error.
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

from thetahat.core import choices
from thetahat.core.arguments import arguments_named
from thetahat.core.errors import ConfigError, NotConverted, ShapeError, check_choice
from thetahat.core.numbers import number
from thetahat.risk._needs import BINARY, CLASSES, FINITE, SHARES, Need

if TYPE_CHECKING:
    from jax.typing import ArrayLike
    from jaxtyping import Array, Float, Shaped

LOSSES = tuple(choices.LOSSES)
RESIDUAL, PREDICTION = "residual", "prediction"


@dataclass(frozen=True)
class Loss:
    """A loss: its name, its function, its arguments and the targets that it needs."""

    name: str
    function: Callable[..., Any]
    of: str
    """"residual": ``function(r)``. "prediction": ``function(score, target)``; then the target is
    the table's own column, not standardised."""
    needs: Need = field(default=FINITE, repr=False)
    """Targets that the loss needs: the data are checked once, before training."""

    def __call__(self, *args: Any) -> Any:
        """Compute the loss."""
        return self.function(*args)


def squared(r: Float[ArrayLike, "*shape"]) -> Float[Array, "*shape"]:
    """Compute the squared loss ``r**2``, minimised in expectation by the mean.

    Args:    r: residual h(x) - y, any shape.
    Returns: the shape of r, in squared units of y.
    >>> float(squared(jnp.array(-3.0)))
    9.0
    """
    return jnp.square(r)


def absolute(r: Float[ArrayLike, "*shape"]) -> Float[Array, "*shape"]:
    """Compute the absolute loss ``|r|``, minimised in expectation by the median.

    Args:    r: residual h(x) - y, any shape.
    Returns: the shape of r, in units of y.
    >>> float(absolute(jnp.array(-3.0)))
    3.0
    """
    return jnp.abs(r)


@arguments_named
def huber(delta: float | Float[Array, ""] = 1.0) -> Loss:
    """Make a Huber loss: squared near zero, linear beyond ``delta``.

        loss(r) = r**2 / 2                    where |r| <= delta
                = delta * (|r| - delta / 2)   elsewhere

    Args:    delta: above 0, in units of y; float or traced.
    Returns: a Loss; of shape () for r of shape ().
    Raises:  ConfigError: delta is not positive.
    Source:  Huber (1964).
    >>> float(huber(1.0)(jnp.array(-3.0)))
    2.5
    """
    fix = "a delta above 0, such as delta=1.0"
    number("delta", delta, lambda v: v > 0, fix, of="huber")

    def loss(r: Any) -> jax.Array:
        inside = jnp.clip(r, -delta, delta)
        return inside * (r - inside / 2)

    return Loss("huber", loss, RESIDUAL)


@arguments_named
def pinball(tau: float | Float[Array, ""] = 0.5) -> Loss:
    """Make a pinball loss, minimised in expectation by the tau-quantile of y.

        loss(r) = max((1 - tau) * r, -tau * r)

    Args:    tau: in (0, 1); float or traced.
    Returns: a Loss of a residual h(x) - y; in units of y, at least 0.
    Raises:  ConfigError: tau outside (0, 1).
    Source:  Koenker & Bassett (1978).
    >>> float(pinball(tau=0.25)(jnp.array(-2.0)))
    0.5
    """
    fix = "a tau between 0 and 1, such as tau=0.5"
    number("tau", tau, lambda v: 0 < v < 1, fix, of="pinball")
    return Loss("pinball", lambda r: jnp.maximum((1 - tau) * r, -tau * r), RESIDUAL)


def logistic(
    score: Float[ArrayLike, "*shape"], y: Shaped[ArrayLike, "*shape"]
) -> Float[Array, "*shape"]:
    """Compute the negative log-likelihood of a label y in {0, 1} under P(y = 1) = sigmoid(score).

        loss(s, y) = log(1 + exp(s)) - y * s

    Args:    score: h(x), any shape, any real.   y: of that shape, 0 or 1.
    Returns: that shape, in nats, at least 0.
    >>> round(float(logistic(jnp.array(0.0), jnp.array(1))), 6)
    0.693147
    """
    score = jnp.asarray(score)
    return jax.nn.softplus(score) - jnp.asarray(y).astype(score.dtype) * score


def cross_entropy(
    logits: Float[ArrayLike, "*logits"], label: Shaped[ArrayLike, "*shape"]
) -> Float[Array, ""]:
    """Compute the negative log-likelihood of a class under softmax(logits).

    Args:    logits: h(x), shape (k,), k at least 2.
             label: an integer in 0 .. k-1, shape (), or probabilities (one-hot), shape (k,).
    Returns: shape (), in nats, at least 0.
    Raises:  ShapeError: any other shapes.
    >>> round(float(cross_entropy(jnp.zeros(4), 2)), 6)
    1.386294
    """
    logits, label = jnp.asarray(logits), jnp.asarray(label)
    if logits.ndim != 1 or logits.shape[0] < 2:
        raise ShapeError(
            f"cross_entropy needs logits h(x) of shape (k,), one per class; got shape"
            f' {logits.shape}. Use MLP(..., out=k), or loss="logistic" for two classes.'
        )
    logs = jax.nn.log_softmax(logits)
    if label.dtype == bool:
        label = label.astype(jnp.int32)
    if label.shape == logits.shape:
        return -jnp.sum(label * logs)
    if label.shape != () or jnp.issubdtype(label.dtype, jnp.inexact):
        raise ShapeError(
            f"cross_entropy needs y to be an integer class of shape () or one-hot of shape"
            f" {logits.shape}; got {label.dtype} of shape {label.shape}"
        )
    value = -jnp.take(logs, label, mode="clip")
    # Compiled, the logarithm of a probability of 1 may be rounded to a little above 0.
    return jnp.where(value < 0, value - jax.lax.stop_gradient(value), value)


fractional_logit = Loss("fractional_logit", logistic, PREDICTION, SHARES)
"""The logistic loss of a share or probability y in [0, 1]; Source: Papke & Wooldridge (1996)."""

_NAMED: dict[str, Callable[[], Loss]] = {
    "squared": lambda: Loss("squared", squared, RESIDUAL),
    "absolute": lambda: Loss("absolute", absolute, RESIDUAL),
    "huber": huber,
    "pinball": pinball,
    "logistic": lambda: Loss("logistic", logistic, PREDICTION, BINARY),
    "cross_entropy": lambda: Loss("cross_entropy", cross_entropy, PREDICTION, CLASSES),
}
"""The losses of the names in ``LOSSES``, each made with its default arguments."""


def is_torch_loss(loss: Any) -> bool:
    """Whether a loss is one of PyTorch's modules or functions; PyTorch is not loaded for it."""
    kind = loss if isinstance(loss, type) or hasattr(loss, "__qualname__") else type(loss)
    return (getattr(kind, "__module__", None) or "").startswith(("torch.nn", "torch._C._nn"))


def of_torch(loss: Any) -> Loss:
    """Return the Loss that a loss of PyTorch is: of the same values for every observation.

    Raises:  ConfigError: its mean is not one over observations.   NotConverted: it has none here.
    """
    name = getattr(loss, "__name__", type(loss).__name__)
    if isinstance(loss, type):
        raise ConfigError(f"loss is the class {name}; call it: {name}()")
    if getattr(loss, "reduction", "mean") == "sum":
        raise ConfigError(
            f"loss={name}(reduction='sum'): a risk is a mean over observations; leave reduction out"
        )
    if name == "HuberLoss":
        return huber(loss.delta)
    if name == "SmoothL1Loss" and loss.beta > 0:
        inner, beta = huber(loss.beta).function, loss.beta
        return Loss("smooth_l1", lambda r: inner(r) / beta, RESIDUAL)
    plain = all(
        getattr(loss, field, default) == default
        for field, default in (("label_smoothing", 0.0), ("ignore_index", -100))
    ) and all(getattr(loss, field, None) is None for field in ("weight", "pos_weight"))
    if name not in _OF_TORCH or not plain:
        raise NotConverted(
            f"loss={name} of PyTorch has no counterpart in JAX; give one of {', '.join(LOSSES)}, or"
            " a function of a residual"
        )
    return _NAMED[_OF_TORCH[name]]()


_OF_TORCH = {
    **dict.fromkeys(("MSELoss", "mse_loss"), "squared"),
    **dict.fromkeys(("L1Loss", "l1_loss"), "absolute"),
    **dict.fromkeys(("huber_loss",), "huber"),
    **dict.fromkeys(("BCEWithLogitsLoss", "binary_cross_entropy_with_logits"), "logistic"),
    **dict.fromkeys(("CrossEntropyLoss", "cross_entropy"), "cross_entropy"),
}
"""Losses of PyTorch, with their default arguments, and their names here."""


def resolve_loss(loss: str | Loss | Callable[..., Any]) -> Loss:
    """Return the Loss of a name ("huber": delta 1, "pinball": tau .5) or of a function.

    Args:    loss: a name of ``LOSSES``, a Loss, or a function of a residual.
    Returns: a Loss.
    Raises:  ConfigError: an unknown name (the message suggests the nearest), or another value.
    >>> resolve_loss("huber").name
    'huber'
    """
    if isinstance(loss, Loss):
        return loss
    if isinstance(loss, str):
        check_choice("loss", loss, _NAMED)
        return _NAMED[loss]()
    if is_torch_loss(loss):
        return of_torch(loss)
    if not callable(loss):
        raise ConfigError(
            f"loss={loss!r} is not a loss; give a function of a residual, or one of"
            f" {', '.join(LOSSES)}"
        )
    for make in _NAMED.values():
        if loss is make or loss is make().function:
            return make()
    name = getattr(loss, "__name__", "loss")
    _check_takes_one(loss, name)
    return Loss(f"own {name}" if name in _NAMED else name, loss, RESIDUAL)


def _check_takes_one(loss: Callable[..., Any], name: str) -> None:
    with contextlib.suppress(ValueError):  # a built-in without a signature
        signature = inspect.signature(loss)
        try:
            signature.bind(None)
        except TypeError:
            raise ConfigError(
                f"the loss {name}{signature} cannot be called as loss(r); write it with exactly one"
                " argument, a residual"
            ) from None
