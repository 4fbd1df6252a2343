"""Random ATen operators, drawn by thetahat's keys: dropout, and noise in a forward pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp


def _like(draw: Callable[..., Any]) -> Callable[..., Any]:
    """A draw of the shape and dtype of its first argument."""
    return lambda key, x, **_: draw(key, x.shape, x.dtype)


def _of_shape(draw: Callable[..., Any]) -> Callable[..., Any]:
    def drawn(key: Any, shape: Any, *, dtype: Any = None, **_: Any) -> Any:
        return draw(key, tuple(shape), jnp.float32 if dtype is None else dtype)

    return drawn


def _bernoulli(key: Any, x: Any, p: Any = None, **_: Any) -> Any:
    chance = x if p is None else p
    return jax.random.bernoulli(key, chance, x.shape).astype(x.dtype)


def _dropout(key: Any, x: Any, p: float, train: bool | None = True) -> Any:
    if train is False or p == 0:
        return x, jnp.ones(x.shape, bool)
    keep = jax.random.bernoulli(key, 1 - p, x.shape)
    return jnp.where(keep, x / (1 - p) if p < 1 else 0 * x, 0), keep


def _normal_(key: Any, x: Any, mean: float = 0.0, std: float = 1.0, **_: Any) -> Any:
    return mean + std * jax.random.normal(key, x.shape, x.dtype)


def _uniform_(key: Any, x: Any, low: float = 0.0, high: float = 1.0, **_: Any) -> Any:
    return jax.random.uniform(key, x.shape, x.dtype, low, high)


def _exponential_(key: Any, x: Any, rate: float = 1.0, **_: Any) -> Any:
    return jax.random.exponential(key, x.shape, x.dtype) / rate


def _rrelu(
    key: Any, x: Any, noise: Any, low: float = 1 / 8, high: float = 1 / 3, train: bool = False,
    **_: Any,
) -> Any:  # fmt: skip
    del noise
    if not train:
        return jnp.where(x > 0, x, x * (low + high) / 2)
    return jnp.where(x > 0, x, x * jax.random.uniform(key, x.shape, x.dtype, low, high))


RANDOM: dict[str, Callable[..., Any]] = {
    "rand": _of_shape(jax.random.uniform),
    "randn": _of_shape(jax.random.normal),
    "rand_like": _like(jax.random.uniform),
    "randn_like": _like(jax.random.normal),
    "bernoulli": _bernoulli,
    "bernoulli_": _bernoulli,
    "native_dropout": _dropout,
    "normal_": _normal_,
    "uniform_": _uniform_,
    "exponential_": _exponential_,
    "rrelu_with_noise": _rrelu,
}
"""Name of the operator to its function, whose first argument is a key."""

UNKNOWN = ("randint", "randint_like", "randperm", "multinomial", "normal", "poisson", "random_")
"""Random operators without a rule: PyTorch would draw a constant."""
