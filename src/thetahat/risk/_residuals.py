"""From a residual and a loss, or a metric, to one number per observation. No shape is broadcast."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

from thetahat.core import Metric
from thetahat.core.errors import ConfigError, ShapeError
from thetahat.risk._losses import PREDICTION, RESIDUAL, Loss
from thetahat.risk._needs import BINARY, SHARES

if TYPE_CHECKING:
    from jaxtyping import Array, Float

Residual = Callable[[Any, Any], Any]


def fischer_burmeister(a: Any, b: Any) -> jax.Array:
    """Compute a residual that is zero where ``a >= 0``, ``b >= 0`` and ``a b = 0``.

        a + b - sqrt(a^2 + b^2)        (Fischer 1992)

    For a constraint that binds occasionally: ``a`` is its slack, ``b`` its multiplier or the error
    of the Euler equation. Both should have about the same size. At a = b = 0, where the function
    has a kink, the gradient is 1 in both.

    Args:    a, b: of one shape.
    >>> [round(float(fischer_burmeister(a, b)), 6) for a, b in ((0.0, 3.0), (2.0, 0.0), (3.0, 4.0))]
    [0.0, 0.0, 2.0]
    """
    a, b = jnp.asarray(a), jnp.asarray(b)
    if a.shape != b.shape:
        raise ShapeError(
            f"fischer_burmeister(a, b) was given shapes {a.shape} and {b.shape}; give one shape"
        )
    square = a**2 + b**2
    # The root of 0 has an infinite derivative; of a constant it has none.
    root = jnp.where(square > 0, jnp.sqrt(jnp.where(square > 0, square, 1.0)), 0.0)
    return a + b - root


def per_observation(
    residual: Residual | None, loss: Loss
) -> Callable[[Any, Any], Float[Array, ""]]:
    """Return the loss at one observation, ``f(h, z) -> shape ()``.

    Args:    residual: ``residual(h, z)``, shape () or (k,); None is ``h(x) - y``. With a loss of a
             prediction it must return the pair ``(score, target)``; None is ``(h(x), y)``.
             loss: from ``resolve_loss``. The loss of k components is their mean.
    Raises:  ConfigError: a residual that does not take two arguments.
             ShapeError (when traced): shapes that do not fit; no shape is broadcast.
    """
    _check_arity(residual)
    if loss.of == PREDICTION:
        return _of_prediction(residual, loss)
    signed = signed_residual(residual)

    def f(h: Any, z: Any) -> jax.Array:
        r = signed(h, z)
        value = _number(f"the loss {loss.name}", loss.function(r))
        if value.shape == ():
            return value
        if value.shape != r.shape:
            raise ShapeError(
                f"the loss {loss.name} of a residual of shape {r.shape} has shape {value.shape};"
                " return one number, or one per component"
            )
        return jnp.mean(value)

    return f


def residual_vector(residual: Residual | None) -> Callable[[Any, Any], Float[Array, " k"]]:
    """Return the residual at one observation as a vector, for Gauss-Newton: ``f(h, z) -> (k,)``.

    The vector is divided by sqrt(k), so that its squared norm is the squared loss, a mean over
    k components.

    Raises:  ConfigError, ShapeError: as ``per_observation``.
    """
    signed = signed_residual(residual)

    def f(h: Any, z: Any) -> jax.Array:
        r = jnp.ravel(signed(h, z))
        return r / jnp.sqrt(jnp.asarray(r.size, r.dtype))

    return f


def signed_residual(residual: Residual | None) -> Residual:
    """Return the residual at one observation, ``f(h, z) -> () or (k,)``; None is ``h(x) - y``.

    Raises:  ConfigError, ShapeError: as ``per_observation``.
    """
    _check_arity(residual)

    def default(h: Any, z: Any) -> jax.Array:
        x, y = inputs_and_target(z)
        prediction, y = _aligned(h(x), y)
        return prediction - y

    def given(h: Any, z: Any) -> jax.Array:
        assert residual is not None
        r = _number("residual", residual(h, z))
        if r.ndim == 0 or (r.ndim == 1 and r.shape[0] > 1):
            return r
        if r.shape == (1,):
            x = getattr(z, "x", z[0] if isinstance(z, (tuple, list)) else z)
            alone = isinstance(x, jax.Array) and x.shape == (1,)
            fix = 'Use h(x)[0], or MLP(..., out="scalar").'
            if alone and jnp.ndim(h(x)) == 0:
                fix = "h(x) is a scalar and x has shape (1,): use x[0]."
            raise ShapeError(
                f"residual must return a scalar per observation; got shape {r.shape}. {fix}"
            )
        raise ShapeError(
            f"residual must return a scalar or a vector (k,) per observation; got shape {r.shape}."
            " Use jnp.ravel if all entries are residuals; else look for a broadcast."
        )

    return default if residual is None else given


def _of_prediction(residual: Residual | None, loss: Loss) -> Residual:
    def f(h: Any, z: Any) -> jax.Array:
        score, target = pair_of(residual, loss, h, z)
        if loss.name == "cross_entropy" and target.ndim == 0 and _is_float(target):
            value = _of_whole(loss, score, target)
        else:
            value = jnp.asarray(loss.function(score, target))
        if value.ndim > 1:
            raise ShapeError(f"the loss {loss.name} has shape {value.shape}; return one number")
        return jnp.mean(value)

    return f


def pair_of(residual: Residual | None, loss: Loss, h: Any, z: Any) -> tuple[jax.Array, jax.Array]:
    """Return (h(x), y) of one observation, or the pair of a residual; of equal shapes where the
    loss compares numbers.

    Raises:  ShapeError, ConfigError: as ``per_observation``.
    """
    if residual is None:
        x, target = inputs_and_target(z)
        score = h(x)
    else:
        pair = residual(h, z)
        if not isinstance(pair, tuple) or len(pair) != 2:
            raise ShapeError(
                f"with loss={loss.name!r} residual must return the pair (score, target);"
                f" got {describe(pair)}"
            )
        score, target = pair
    if loss.of == RESIDUAL or loss.needs in (BINARY, SHARES):
        return _aligned(score, target)
    return _number("h(x)", score), jnp.asarray(target)


def _of_whole(loss: Loss, score: jax.Array, target: jax.Array) -> jax.Array:
    """Compute the loss of a class given as a float, as tables have; NaN if it is not whole."""
    label = target.astype(jnp.int32)
    value = jnp.asarray(loss.function(score, label))
    return jnp.where(label.astype(target.dtype) == target, value, jnp.nan)


def _is_float(array: jax.Array) -> bool:
    return jnp.issubdtype(array.dtype, jnp.floating)


def inputs_and_target(z: Any) -> tuple[Any, Any]:
    """Return ``x`` and ``y`` of an observation: its attributes, keys, or a pair.

    Args:    z: one observation.
    Returns: ``(x, y)``.
    Raises:  ConfigError: an observation without x and y.
    """
    if isinstance(z, Mapping):
        if "x" in z and "y" in z:
            return z["x"], z["y"]
        came = f"a dict with keys {', '.join(map(repr, z))}"
    elif hasattr(z, "x") and hasattr(z, "y"):
        return z.x, z.y
    elif isinstance(z, (tuple, list)) and len(z) == 2:
        return z[0], z[1]
    else:
        came = f"a {type(z).__name__}" + (f" of {len(z)}" if isinstance(z, (tuple, list)) else "")
    raise ConfigError(
        f"an observation is {came}; the default residual h(x) - y needs x and y:"
        " give residual=lambda h, z: ..., or data with x and y"
    )


def _aligned(prediction: Any, y: Any) -> tuple[jax.Array, jax.Array]:
    h, target = _number("h(x)", prediction), jnp.asarray(y)
    if h.shape == target.shape:
        return h, target
    if h.shape == (*target.shape, 1):
        return h[..., 0], target
    if h.shape == () and target.shape == (1,):
        fix = "Give y as (N,), not (N, 1)."
    elif target.shape == () and h.ndim == 1:
        fix = f'Give the model out="scalar", or a residual that uses all {h.shape[0]} outputs.'
    elif target.ndim == 1:
        fix = f"Use a model with out={target.shape[0]}, or give a residual."
    else:
        fix = "Give a residual that compares them."
    raise ShapeError(
        f"h(x) has shape {h.shape} and y has shape {target.shape}; they must be equal,"
        f" no shape is broadcast. {fix}"
    )


def _number(what: str, value: Any) -> jax.Array:
    if isinstance(value, (tuple, list, dict)) or value is None or isinstance(value, str):
        raise ShapeError(
            f"{what} must be one array per observation; got {describe(value)}."
            + ("" if value is None else " Use jnp.stack or jnp.concatenate to make it one vector.")
            + (" Does the function return?" if value is None else "")
        )
    array = jnp.asarray(value)
    if not jnp.issubdtype(array.dtype, jnp.floating):
        raise ShapeError(
            f"{what} must be real numbers; got {array.dtype} of shape {array.shape}."
            " Use .astype(float), or look for a comparison."
        )
    return array


def describe(value: Any) -> str:
    """Describe the value that a user's function returned, in a few words."""
    if value is None:
        return "None"
    if isinstance(value, (tuple, list, dict)):
        return f"a {type(value).__name__} of {len(value)}"
    return f"shape {jnp.shape(value)}" if hasattr(value, "shape") else f"a {type(value).__name__}"


def _check_arity(residual: Residual | None) -> None:
    if residual is None:
        return
    if not callable(residual):
        raise ConfigError(f"residual={residual!r} is not a function; give residual(h, z)")
    try:
        signature = inspect.signature(residual)
    except ValueError:  # a built-in without a signature
        return
    try:
        signature.bind(None, None)
    except TypeError:
        name = getattr(residual, "__name__", type(residual).__name__)
        raise ConfigError(
            f"the residual {name}{signature} cannot be called as residual(h, z); write it with"
            " exactly two arguments, a hypothesis h and one observation z"
        ) from None


def metric_of(name: str, metric: Metric, h: Any, *z: Any) -> jax.Array:
    """Compute a metric of a hypothesis, or of a hypothesis at one observation: shape ().

    Booleans and counts are numbers: ``(h(x) > 0) == (y > 0)`` is an accuracy.

    Raises:  ShapeError (when traced): the value is not one real number.
    """
    assert callable(metric.function)
    return number_of(name, metric.function(h, *z), per=bool(z))


def number_of(name: str, value: Any, *, per: bool = False) -> jax.Array:
    """Return what a metric gave as an array of shape ().

    Args:    per: whether it is of one observation.
    Raises:  ShapeError (when traced): the value is not one real number.
    """
    where = " per observation" if per else ""
    if isinstance(value, (tuple, list, dict, str)) or value is None:
        raise ShapeError(
            f"the metric {name!r} must return a scalar{where}; got {describe(value)}."
            + (" Does the function return?" if value is None else "")
        )
    array = jnp.asarray(value)
    if jnp.issubdtype(array.dtype, jnp.complexfloating):
        raise ShapeError(
            f"the metric {name!r} must return a real number{where}; got {array.dtype}."
            " Take jnp.real or jnp.abs."
        )
    if array.shape == ():
        return array
    if not per:
        fix = " Take a norm or a mean."
    elif array.shape == (1,):
        fix = ' Use h(x)[0], or MLP(..., out="scalar").'
    else:
        fix = " Take a mean, or look for a broadcast."
    raise ShapeError(
        f"the metric {name!r} must return a scalar{where}; got shape {array.shape}.{fix}"
    )
