"""Ready metrics of a whole part: ``th.metrics.r2(prediction, target, weight)``, or by name.

    Task(metrics=["r2", "mae"]),   Task(metrics={"acc": "accuracy"})

Metrics of numbers take predictions and targets in one unit. Metrics of classes take scores
(log-odds (N,) of two classes, or logits (N, k)) and classes 0..k-1 as targets. Weights (N,) are one
where they are not given. Anything may come as an argument: each function checks it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from thetahat.core import Metric
from thetahat.core.errors import DataError, ShapeError, notify
from thetahat.core.numbers import is_traced, number
from thetahat.data import check_order, unmasked
from thetahat.risk._losses import cross_entropy, logistic

if TYPE_CHECKING:
    from jaxtyping import Array, Float

NUMBERS, CLASSES = "numbers", "classes"
READY: dict[str, tuple[Callable[..., Any], str]] = {}
"""The function of each name, and whether it is of numbers or of classes."""


def _ready(kind: str) -> Callable[[Any], Any]:
    """Make a function a ready metric: a Task reads it by its name."""

    def marked(function: Any) -> Any:
        ready = _in_double_precision(function)
        ready.ready_metric = function.__name__
        READY[function.__name__] = ready, kind
        return ready

    return marked


def _in_double_precision(function: Any) -> Any:
    """Compute in float64 where no argument is JAX's: what NumPy and pandas hold has its digits."""

    @functools.wraps(function)
    def computed(*args: Any, **named: Any) -> Any:
        if any(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves((args, named))):
            return function(*args, **named)
        with jax.enable_x64(True):
            return np.float64(function(*args, **named))

    return computed


# -- metrics of numbers ---------------------------------------------------------------------------


@_ready(NUMBERS)
def r2(
    prediction: Any,
    target: Any,
    weight: Any = None,
) -> Float[Array, ""]:
    """Compute the share of variance that predictions explain.

        1 - sum w (y - prediction)^2 / sum w (y - mean)^2,   mean: of y, by w

    Args:    prediction, target: (N,), or (N, k): then the mean over the k outputs.   weight: (N,).
    Returns: shape (), at most 1; NaN if y, or one of its k columns, does not vary.
    >>> round(float(r2(jnp.array([1.0, 2.0, 4.0]), jnp.array([1.0, 2.0, 3.0]))), 6)
    0.5
    """
    prediction, y, w = _numbers(prediction, target, weight)
    mean = jnp.sum(w * y, 0) / jnp.sum(w, 0)
    left, whole = jnp.sum(w * (y - prediction) ** 2, 0), jnp.sum(w * (y - mean[None]) ** 2, 0)
    # Of equal numbers the rounded mean may differ from each: their variance is not 0 then.
    counted, at = jnp.broadcast_to(w > 0, y.shape), y.astype(mean.dtype)
    low = jnp.min(at, 0, where=counted, initial=jnp.inf)
    varies = jnp.max(at, 0, where=counted, initial=-jnp.inf) > low
    return jnp.mean(jnp.where(varies, 1 - left / jnp.where(varies, whole, 1), jnp.nan))


@_ready(NUMBERS)
def mae(
    prediction: Any,
    target: Any,
    weight: Any = None,
) -> Float[Array, ""]:
    """Compute the mean absolute error, in units of the target.

    Args, Returns: as ``r2``.
    >>> float(mae(jnp.array([1.0, 4.0]), jnp.array([2.0, 2.0])))
    1.5
    """
    prediction, y, w = _numbers(prediction, target, weight)
    return jnp.mean(jnp.sum(w * jnp.abs(prediction - y), 0) / jnp.sum(w, 0))


@_ready(NUMBERS)
def rmse(
    prediction: Any,
    target: Any,
    weight: Any = None,
) -> Float[Array, ""]:
    """Compute the root of the mean squared error, in units of the target.

    Args, Returns: as ``r2``.
    >>> float(rmse(jnp.array([1.0, 2.0]), jnp.array([4.0, 5.0])))
    3.0
    """
    prediction, y, w = _numbers(prediction, target, weight)
    return jnp.mean(jnp.sqrt(jnp.sum(w * (prediction - y) ** 2, 0) / jnp.sum(w, 0)))


@dataclass(frozen=True)
class _Pinball:
    """The pinball loss of a part, as a function of (prediction, target, weight)."""

    tau: float
    kind = NUMBERS
    __name__ = "pinball"

    def __call__(self, prediction: Any, target: Any, weight: Any) -> Any:
        """Compute it; by three arguments a Metric knows a function of a whole part."""
        return _in_double_precision(self._computed)(prediction, target, weight)

    def _computed(self, prediction: Any, target: Any, weight: Any) -> Any:
        prediction, y, w = _numbers(prediction, target, weight)
        r = prediction - y
        values = jnp.maximum((1 - self.tau) * r, -self.tau * r)
        return jnp.mean(jnp.sum(w * values, 0) / jnp.sum(w, 0))


def pinball(tau: float = 0.5) -> Metric:
    """Make the mean pinball loss of the tau-quantile; by name it is at tau = 0.5, half the MAE.

        mean of max((1 - tau) r, -tau r),   r = prediction - y

    Args:    tau: between 0 and 1.
    Returns: a Metric, which is a function of (prediction, target, weight) too.
    Raises:  ConfigError: tau outside (0, 1).
    >>> round(float(pinball(0.9)(jnp.array([1.0]), jnp.array([3.0]))), 6)
    1.8
    """
    number("tau", tau, lambda v: 0 < v < 1, "a tau between 0 and 1, such as 0.9", of="pinball")
    return Metric(_Pinball(tau), mode="min")


READY["pinball"] = _Pinball(0.5), NUMBERS


# -- metrics of classes ---------------------------------------------------------------------------


@_ready(CLASSES)
def accuracy(
    prediction: Any,
    target: Any,
    weight: Any = None,
) -> Float[Array, ""]:
    """Compute the share of observations whose most probable class is theirs.

    Args:    prediction: scores (N,) or (N, k).   target: classes (N,), or probabilities (N, k).
             weight: (N,).
    Returns: shape (), from 0 to 1.
    >>> float(accuracy(jnp.array([2.0, -1.0, 0.5, 0.1]), jnp.array([1, 0, 0, 1])))
    0.75
    """
    scores, y, w = _classes(prediction, target, weight)
    _say_if_probabilities(scores, "accuracy")
    return _known(jnp.sum(w * (_decided(scores) == y)) / jnp.sum(w), scores, w)


@_ready(CLASSES)
def balanced_accuracy(
    prediction: Any,
    target: Any,
    weight: Any = None,
) -> Float[Array, ""]:
    """Compute the mean over classes of the share of their observations that are recognised.

    Args, Returns: as ``accuracy``; a class without observations does not count.
    >>> float(balanced_accuracy(jnp.array([2.0, -1.0, 0.5, 0.1]), jnp.array([1, 0, 0, 1])))
    0.75
    """
    scores, y, w = _classes(prediction, target, weight)
    _say_if_probabilities(scores, "balanced_accuracy")
    mine = jax.nn.one_hot(y, 2 if scores.ndim == 1 else scores.shape[1]) * w[:, None]
    size, right = jnp.sum(mine, 0), jnp.sum(mine * (_decided(scores) == y)[:, None], 0)
    there = size > 0
    found = jnp.sum(jnp.where(there, right / jnp.where(there, size, 1), 0)) / jnp.sum(there)
    return _known(found, scores, w)


@_ready(CLASSES)
def log_loss(
    prediction: Any,
    target: Any,
    weight: Any = None,
) -> Float[Array, ""]:
    """Compute the mean of minus the log of the probability of each observation's class.

    Args:    as ``accuracy``.
    Returns: shape (), at least 0, in nats.
    >>> round(float(log_loss(jnp.zeros(2), jnp.array([0, 1]))), 6)
    0.693147
    """
    scores, y, w = _scores(prediction, target, weight, shares=True)
    _refuse_probabilities(scores)
    _say_if_probabilities(scores, "log_loss")
    if scores.ndim == 1:
        values = logistic(scores, y.astype(scores.dtype))
    else:
        y = y if y.ndim == 2 else y.astype(jnp.int32)
        values = jax.vmap(cross_entropy)(scores, y)
    return jnp.sum(jnp.where(w != 0, w * values, 0)) / jnp.sum(w)


@_ready(CLASSES)
def auc(
    prediction: Any,
    target: Any,
    weight: Any = None,
) -> Float[Array, ""]:
    """Compute the area under the ROC curve.

        P(score of a positive > score of a negative) + P(they are equal) / 2

    Of k > 2 classes it is the mean over classes, each against the others, by probabilities.

    Args:    as ``accuracy``.
    Returns: shape (), from 0 to 1; NaN if a class has no observation.
    Source:  Fawcett (2006).
    >>> float(auc(jnp.array([0.1, 0.4, 0.35, 0.8]), jnp.array([0, 0, 1, 1])))
    0.75
    """
    scores, y, w = _classes(prediction, target, weight)
    if scores.ndim == 2 and scores.shape[1] == 2:
        scores = scores[:, 1] - scores[:, 0]
    if scores.ndim == 1:
        return _known(_area(scores, w * (y == 1), w * (y != 1)), scores, w)
    _refuse_probabilities(scores)
    chances = jax.nn.softmax(scores, axis=1)
    areas = [_area(chances[:, c], w * (y == c), w * (y != c)) for c in range(scores.shape[1])]
    return _known(jnp.mean(jnp.stack(areas)), scores, w)


def _area(scores: Any, positive: Any, negative: Any) -> Any:
    """sum_ij p_i n_j (1[s_i > s_j] + 1[s_i = s_j] / 2) / (sum p sum n), by one sort."""
    order = jnp.argsort(scores)
    s, p, n = scores[order], positive[order], negative[order]
    at = jnp.arange(len(s))
    begins = jnp.concatenate([jnp.ones(1, bool), s[1:] != s[:-1]])
    first = jax.lax.cummax(jnp.where(begins, at, 0))  # of the ties of each
    ends = jnp.concatenate([begins[1:], jnp.ones(1, bool)])
    last = jax.lax.cummin(jnp.where(ends, at, len(s)), reverse=True)
    so_far = jnp.cumsum(n)
    below, until = so_far[first] - n[first], so_far[last]
    return jnp.sum(p * (below + until) / 2) / (jnp.sum(p) * jnp.sum(n))


# -- arguments ------------------------------------------------------------------------------------


def _numbers(prediction: Any, target: Any, weight: Any) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Predictions, targets and weights whose shapes fit."""
    check_order({"prediction": prediction, "target": target, "weight": weight})
    h, y = _array("predictions", prediction), _array("targets", target)
    if h.shape != y.shape or h.ndim not in (1, 2):
        raise ShapeError(
            f"a metric got predictions of shape {h.shape} and targets of shape {y.shape}; give"
            " both as (N,) or (N, k)"
        )
    h, y, w = _floats(h), _floats(y), _weights(weight, len(h)).reshape(-1, *[1] * (h.ndim - 1))
    return jnp.where(w != 0, h, 0), jnp.where(w != 0, y, 0), w  # 0 times NaN is NaN


def _floats(values: jax.Array) -> jax.Array:
    """Numbers in floating point of at least the current precision: integers would wrap around."""
    return values.astype(jnp.promote_types(values.dtype, jnp.result_type(float)))


def _classes(prediction: Any, target: Any, weight: Any) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Scores, the class of each observation, and weights."""
    scores, y, w = _scores(prediction, target, weight)
    return scores, jnp.argmax(y, 1) if y.ndim == 2 else y.astype(jnp.int32), w


def _scores(
    prediction: Any, target: Any, weight: Any, *, shares: bool = False
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Scores, classes or their probabilities, and weights, whose shapes and values fit.

    Args:    shares: whether the target of two classes may lie between 0 and 1.
    """
    check_order({"prediction": prediction, "target": target, "weight": weight})
    scores, y = _floats(_array("scores", prediction)), _array("targets", target)
    fits = len(scores) == len(y) if scores.ndim in (1, 2) and y.ndim else False
    if not fits or not (y.ndim == 1 or y.shape == scores.shape):
        raise ShapeError(
            f"a metric of classes got scores of shape {scores.shape} and targets of shape"
            f" {y.shape}; give scores (N,) or (N, k), and classes (N,)"
        )
    if scores.ndim == 2 and scores.shape[1] == 1:
        raise ShapeError(
            f"a metric of classes got scores of shape {scores.shape}, of one class; give the scores"
            " of two classes as (N,): scores[:, 0]"
        )
    if y.ndim == 1 and not is_traced(y):
        k, at = 2 if scores.ndim == 1 else scores.shape[1], np.asarray(y)
        good = (at >= 0) & (at <= k - 1) & (at == np.floor(at) if not (shares and k == 2) else True)
        if not good.all():
            few = "0 and 1" if k == 2 else f"0 to {k - 1}"
            raise DataError(
                f"a metric of classes got the target {at[~good][0]:g}, and with scores of shape"
                f" {scores.shape} the classes are {few}; give np.unique(y, return_inverse=True)[1]"
            )
    return scores, y, _weights(weight, len(scores))


def _say_if_probabilities(scores: jax.Array, metric: str) -> None:
    """Say that numbers (N,) from 0 to 1 are read as scores: they look like probabilities."""
    if is_traced(scores) or scores.ndim != 1 or not scores.size:
        return
    values = np.asarray(scores)
    labels = ((values == 0) | (values == 1)).all() and (metric != "log_loss" or not values.any())
    if ((values >= 0) & (values <= 1)).all() and not labels:
        notify(
            f"metrics.{metric} got numbers from 0 to 1 and reads them as scores, log-odds; of"
            " probabilities p give np.log(p / (1 - p)), or result.decision_function(x)"
        )


def _weights(weight: Any, n: int) -> jax.Array:
    if weight is None:
        return jnp.ones(n, jnp.result_type(float))
    w = _floats(_array("weights", weight))
    if w.shape != (n,):
        raise ShapeError(
            f"a metric got {n} predictions and weights of shape {w.shape}; give ({n},)"
        )
    return w


def _array(what: str, value: Any) -> jax.Array:
    """A value as an array of numbers.

    Raises:  DataError: text, missing values, lists of different lengths, complex numbers.
    """
    try:
        found: Any = value if isinstance(value, jax.Array) else unmasked(value)
    except jax.errors.TracerArrayConversionError:  # a list of traced numbers
        found = jnp.asarray(value)
    except ValueError:  # lists of different lengths
        found = None
    real = (jnp.floating, jnp.integer, jnp.bool_)
    if found is None or not any(jnp.issubdtype(found.dtype, kind) for kind in real):
        of = getattr(value, "dtype", None)
        given = f"an array of {of}" if of is not None else f"{value!r:.60}"
        fix = (
            "for labels as text, compare them: (result.predict(x) == y).mean()"
            if what != "weights" and _is_text(value)
            else "give an array of real numbers, (N,)"
        )
        raise DataError(f"a metric got {given} as {what}; {fix}")
    return jnp.asarray(found)


def _is_text(value: Any) -> bool:
    """Whether a value is several labels as text."""
    if isinstance(value, str):
        return False
    try:
        return any(isinstance(one, str) for one in np.ravel(np.asarray(value, object))[:1])
    except ValueError:
        return False


def _refuse_probabilities(scores: jax.Array) -> None:
    """Refuse probabilities (N, k) where scores are due: their softmax is another number."""
    if scores.ndim != 2 or is_traced(scores) or not len(scores):
        return
    at = np.asarray(scores, np.float64)
    if (at >= 0).all() and (np.abs(at.sum(1) - 1) < 1e-4).all():
        raise DataError(
            "a metric of classes got probabilities, whose rows sum to 1, as scores; give"
            " result.decision_function(x), or np.log of the probabilities"
        )


def _known(found: jax.Array, scores: jax.Array, w: jax.Array) -> jax.Array:
    """The metric; NaN if a score that counts is NaN, which no comparison would show."""
    gone = jnp.isnan(scores)
    lost = (gone if scores.ndim == 1 else gone.any(1)) & (w > 0)
    return jnp.where(lost.any(), jnp.nan, found)


def _decided(scores: jax.Array) -> jax.Array:
    return (scores > 0).astype(jnp.int32) if scores.ndim == 1 else jnp.argmax(scores, 1)
