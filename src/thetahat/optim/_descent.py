"""Preconditioned gradient descent, and Nesterov's accelerated one."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.flatten_util import ravel_pytree

from thetahat.core.errors import ConfigError, ShapeError
from thetahat.core.numbers import number

if TYPE_CHECKING:
    from jax.typing import ArrayLike
    from jaxtyping import Array, Float, Int

Rate = float | jax.Array | Callable[[jax.Array], Any]


class NesterovState(NamedTuple):
    """State of ``nesterov``: velocity theta_t - theta_{t-1}, steps, and the last rate."""

    velocity: Any
    count: Int[Array, ""]  # pyright: ignore[reportIncompatibleMethodOverride]
    learning_rate: Float[Array, ""]


class PreconditionedState(NamedTuple):
    """State of ``preconditioned``: steps, and the last rate."""

    count: Int[Array, ""]  # pyright: ignore[reportIncompatibleMethodOverride]
    learning_rate: Float[Array, ""]


def nesterov(lr: Rate = 1e-2, beta: Any = 0.9) -> optax.GradientTransformationExtraArgs:
    """Make Nesterov's accelerated gradient descent, with the gradient at the look-ahead point.

        ahead     = theta_t + beta * (theta_t - theta_{t-1})
        theta_t+1 = ahead - lr * grad objective(ahead)

    ``optax.sgd(nesterov=True)`` is a reformulation whose parameters are the look-ahead points.

    Args:    lr: above 0; a float, traced, or a schedule of the step.
             beta: in [0, 1); a float, traced, or a schedule.
    Returns: an optax transformation.
    Raises:  ConfigError: a rate that is not positive and finite, or (in a step) no ``value_fn``.
    Source:  Nesterov (1983).
    """
    check_rate("nesterov", lr)

    def init(params: Any) -> NesterovState:
        zeros = jax.tree.map(jnp.zeros_like, params)
        return NesterovState(zeros, jnp.zeros((), jnp.int32), rate_at(lr, 0))

    def update(
        updates: Any, state: Any, params: Any = None, *, value_fn: Any = None, **_: Any
    ) -> tuple[Any, NesterovState]:
        # This gradient is at theta_t and unused, so the compiler drops it.
        del updates
        if value_fn is None or params is None:
            raise ConfigError("nesterov needs params and value_fn=..., the objective of the params")
        rate, weight = rate_at(lr, state.count), rate_at(beta, state.count)
        jump = jax.tree.map(lambda v: weight.astype(v.dtype) * v, state.velocity)
        ahead = jax.tree.map(jnp.add, params, jump)
        gradient = jax.grad(value_fn)(ahead)
        step = jax.tree.map(lambda j, g: j - rate.astype(g.dtype) * g, jump, gradient)
        return step, NesterovState(step, state.count + 1, rate)

    return optax.GradientTransformationExtraArgs(init, update)


def preconditioned(
    C: Float[ArrayLike, "*shape"], lr: Rate = 1e-2
) -> optax.GradientTransformationExtraArgs:
    """Make gradient descent in another geometry: ``theta -= lr * C grad``.

    Args:    C: (p, p), or the diagonal (p,), on the parameters in the order of ``ravel_pytree``.
             lr: above 0; a float, traced, or a schedule of the step.
    Returns: an optax transformation.
    Raises:  ConfigError: a rate that is not positive and finite.
             ShapeError: a C that does not fit the p parameters.
    """
    check_rate("preconditioned", lr)

    def init(params: Any) -> PreconditionedState:
        p, shape = ravel_pytree(params)[0].size, jnp.shape(C)
        if shape not in ((p,), (p, p)):
            raise ShapeError(f"C has shape {shape}; with {p} parameters give ({p}, {p}) or ({p},)")
        return PreconditionedState(jnp.zeros((), jnp.int32), rate_at(lr, 0))

    def update(
        updates: Any, state: Any, params: Any = None, **_: Any
    ) -> tuple[Any, PreconditionedState]:
        del params
        gradient, unravel = ravel_pytree(updates)
        metric = jnp.asarray(C, gradient.dtype)
        rate = rate_at(lr, state.count)
        direction = metric @ gradient if metric.ndim == 2 else metric * gradient
        step = unravel(-rate.astype(gradient.dtype) * direction)
        return step, PreconditionedState(state.count + 1, rate)

    return optax.GradientTransformationExtraArgs(init, update)


def rate_at(rate: Any, count: Any) -> jax.Array:
    """Return a rate, or a schedule at a count, as an array that is not weakly typed."""
    value = rate(jnp.asarray(count, jnp.int32)) if callable(rate) else rate
    return jnp.asarray(value, jnp.result_type(float))


def check_rate(name: str, lr: Any) -> None:
    """Refuse a rate outside (0, inf); traced rates and schedules pass.

    Raises:  ConfigError: not a number, not finite, or not positive.
    """
    if not callable(lr):
        fix = "a positive, finite number, such as lr=0.01"
        number(f"{name}: lr", lr, lambda v: 0 < v < math.inf, fix)
