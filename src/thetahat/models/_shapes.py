"""Shapes of thetahat's models: their outputs and one observation."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from thetahat.core.errors import ConfigError, ShapeError, notify
from thetahat.core.numbers import whole

lecun_normal = jax.nn.initializers.lecun_normal()


DEEP = 100
"""Layers beyond which a program compiles for minutes."""


def say_deep(model: str, layers: int) -> None:
    """Notify that a net of very many layers compiles for minutes."""
    if layers > DEEP:
        notify(
            f"{model} has {layers:,} layers, each of which is compiled: the first epoch may take"
            f" minutes to begin; up to {DEEP} begin sooner"
        )


def outputs(model: str, out: Any) -> int | None:
    """Return the number of outputs; None for a scalar, of shape ().

    Raises:  ConfigError: neither "scalar" nor a positive integer.
    """
    if isinstance(out, str):
        if out != "scalar":
            raise ConfigError(f'{model}(out={out!r}); give out="scalar", or the number of outputs')
        return None
    return whole("out", out, of=model)


def one_observation(model: str, d: int, x: Any, like: jax.Array) -> jax.Array:
    """Return ``x`` as a float vector of length ``d``; with d = 1, x may be a scalar.

    Raises:  ShapeError: another shape.
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
