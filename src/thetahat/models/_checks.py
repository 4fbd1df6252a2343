"""What our own models refuse, and what they make of one observation."""

from __future__ import annotations

import operator
from typing import Any

import jax
import jax.numpy as jnp
from jax.core import Tracer

from thetahat.core.errors import ConfigError, ShapeError

lecun_normal = jax.nn.initializers.lecun_normal()


def at_least(model: str, field: str, value: Any, least: int) -> int:
    """An integer of a model's shape.

    Raises:  ConfigError: no integer, or too small. A traced value raises JAX's own error, which
             tells the engine that Python must know it.
    """
    whole = None
    if not isinstance(value, bool):
        try:
            whole = operator.index(value)
        except TypeError:
            if isinstance(value, Tracer):
                raise
    if whole is None or whole < least:
        raise ConfigError(f"{model}({field}={value!r}); give an integer of at least {least}")
    return whole


def outputs(model: str, out: Any) -> int | None:
    """Number of outputs; None for a scalar, of shape ().

    Raises:  ConfigError: neither "scalar" nor a positive integer.
    """
    if isinstance(out, str):
        if out != "scalar":
            raise ConfigError(f'{model}(out={out!r}); give out="scalar", or the number of outputs')
        return None
    return at_least(model, "out", out, 1)


def one_observation(model: str, d: int, x: Any, like: jax.Array) -> jax.Array:
    """``x`` as a float vector of length ``d``; a scalar where d is 1.

    Raises:  ShapeError: any other shape, naming both.
    """
    x = jnp.asarray(x)
    if d == 1 and x.ndim == 0:
        x = x[None]
    if x.shape != (d,):
        raise ShapeError(f"{model}(d={d}) got x of shape {x.shape}; {_fix(model, d, x.shape)}")
    return x if jnp.issubdtype(x.dtype, jnp.inexact) else x.astype(like.dtype)


def _fix(model: str, d: int, shape: tuple[int, ...]) -> str:
    if len(shape) == 2 and shape[1] == d:
        return f"it takes one observation, shape ({d},): use jax.vmap(h)(x), or result.predict(x)."
    if len(shape) == 1:
        return f"one observation has {shape[0]} inputs: use {model}({shape[0]}, ...)."
    return f"one observation must have shape ({d},): use jnp.ravel(x) in the data or the residual."
