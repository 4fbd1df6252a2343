"""Newton, Gauss-Newton and Levenberg-Marquardt, for small problems and functional equations.

The state of these optax transformations is arrays, so that they run inside the compiled loop, many
at once, and resume from checkpoints. docs/decisions/0003 says why they wrap no library.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.flatten_util import ravel_pytree
from jax.scipy.linalg import cho_factor, cho_solve

from thetahat.core.errors import ConfigError
from thetahat.core.numbers import number
from thetahat.optim._descent import Rate, check_rate, rate_at
from thetahat.optim._rates import full_batch_state
from thetahat.optim._residuals import residuals_and_jacobian

if TYPE_CHECKING:
    from jaxtyping import Array, Float, Int

LARGEST_SYSTEM = 5_000
TRIES = 10
"""Maximal number of dampings, or lengths, tried in one step."""


@full_batch_state
class NewtonState(NamedTuple):
    """State of ``newton``: steps, and the last rate."""

    count: Int[Array, ""]  # pyright: ignore[reportIncompatibleMethodOverride]
    learning_rate: Float[Array, ""]


@full_batch_state
class GaussNewtonState(NamedTuple):
    """State of ``gauss_newton``: steps."""

    count: Int[Array, ""]  # pyright: ignore[reportIncompatibleMethodOverride]


@full_batch_state
class LevenbergMarquardtState(NamedTuple):
    """State of ``levenberg_marquardt``: steps, and the next damping, relative to J'J."""

    count: Int[Array, ""]  # pyright: ignore[reportIncompatibleMethodOverride]
    damping: Float[Array, ""]


class _System(NamedTuple):
    """The flat parameters before a step, and the damped least squares problem there."""

    theta: Float[Array, " p"]
    unravel: Callable[[jax.Array], Any]
    slope: Float[Array, " p"]
    """Half the gradient of the objective, J'r without a penalty."""
    solve: Callable[[jax.Array], jax.Array]
    """``solve(damping)`` returns the step."""
    curvature: Callable[[jax.Array], jax.Array]
    """``||J step||^2``."""
    size: int
    """Number of equations: min(n, p)."""


def newton(damping: Any = 0.0, lr: Rate = 1.0) -> optax.GradientTransformationExtraArgs:
    """Make Newton's method: ``theta -= lr * (H + damping I)^-1 grad``, H the Hessian.

    The method finds any stationary point, also a saddle or a maximum. If that may happen, give a
    damping or use ``levenberg_marquardt``.

    Args:    damping: at least 0, in units of H.   lr: above 0; a float, traced, or a schedule.
    Returns: an optax transformation.
    Raises:  ConfigError: more than 5,000 parameters, since H is dense.
    """
    check_rate("newton", lr)

    def init(params: Any) -> NewtonState:
        _check_size("newton", ravel_pytree(params)[0].size, "parameters")
        return NewtonState(jnp.zeros((), jnp.int32), rate_at(lr, 0))

    def update(
        updates: Any, state: NewtonState, params: Any = None, *, value_fn: Any = None, **_: Any
    ) -> tuple[Any, NewtonState]:
        if value_fn is None or params is None:
            raise ConfigError("newton needs params and value_fn=..., the objective of the params")
        theta, unravel = ravel_pytree(params)
        gradient = ravel_pytree(updates)[0]
        hessian = jax.hessian(lambda t: value_fn(unravel(t)))(theta)
        damped = hessian + jnp.asarray(damping, theta.dtype) * jnp.eye(
            theta.size, dtype=theta.dtype
        )
        rate = rate_at(lr, state.count)
        step = -rate.astype(theta.dtype) * jnp.linalg.solve(damped, gradient)
        return unravel(step), NewtonState(state.count + 1, rate)

    return optax.GradientTransformationExtraArgs(init, update)


def gauss_newton(damping: Any = 0.0) -> optax.GradientTransformationExtraArgs:
    """Make Gauss-Newton for the squared loss: least squares steps of linearised residuals.

    A step is halved until the objective falls, at most ten times.

    Args:    damping: at least 0, relative to J'J, whose columns are scaled to one unless there are
             more parameters than residuals; at least the rounding of J'J.
    Returns: an optax transformation.
    Raises:  ConfigError: a loss that is not squared, or a system beyond 5,000.
    """

    def init(params: Any) -> GaussNewtonState:
        del params
        return GaussNewtonState(jnp.zeros((), jnp.int32))

    def update(
        updates: Any,
        state: GaussNewtonState,
        params: Any = None,
        *,
        value: Any = None,
        value_fn: Any = None,
        residual_fn: Any = None,
        **_: Any,
    ) -> tuple[Any, GaussNewtonState]:
        system = _system("gauss_newton", updates, params, value_fn, residual_fn)
        value = value_fn(params) if value is None else value
        least = jnp.finfo(system.theta.dtype).eps * system.size
        full = system.solve(jnp.maximum(jnp.asarray(damping, system.theta.dtype), least))

        def shorter(carry: tuple[Any, ...]) -> tuple[Any, ...]:
            tries, length, _ = carry
            candidate = value_fn(system.unravel(system.theta + length * full))
            lower = candidate < value
            return tries + 1, jnp.where(lower, length, length / 2), lower

        start = (jnp.zeros((), jnp.int32), jnp.ones((), full.dtype), jnp.asarray(False))
        _, length, lower = jax.lax.while_loop(_open, shorter, start)
        step = jnp.where(lower, length * full, 0.0)
        return system.unravel(step), GaussNewtonState(state.count + 1)

    return optax.GradientTransformationExtraArgs(init, update)


def levenberg_marquardt(
    damping: Any = 1e-3, factor: Any = 10.0
) -> optax.GradientTransformationExtraArgs:
    """Make Levenberg-Marquardt for the squared loss: Gauss-Newton with an adaptive damping.

        (J'J + damping D) step = -J'r,   D = diag(J'J)                 p <= n
        step = -J'(JJ' + damping d I)^-1 r,   d = max diag(JJ')        n < p: least norm

    for n residuals and p parameters. A step is taken if the objective falls; the damping is then
    divided by ``factor``, unless the fall is below a quarter of that of the linearisation.
    Otherwise the damping is multiplied by ``factor`` and the step tried again from the same
    Jacobian, at most ten times. With a penalty, J'r is the true half gradient, so the stationary
    points are right; the curvature of the penalty is not used.

    Args:    damping: of the first step, above 0, relative to the scale of J'J.
             factor: above 1.
    Returns: an optax transformation.
    Raises:  ConfigError: a damping or factor out of range, a loss that is not squared, or a system
             beyond 5,000: min(n, p).
    Source:  Levenberg (1944); Marquardt (1963); Nocedal & Wright (2006), ch. 10.
    """
    name = "levenberg_marquardt"
    number("damping", damping, lambda v: 0 < v < math.inf, "a number above 0", of=name)
    number("factor", factor, lambda v: 1 < v < math.inf, "a number above 1", of=name)

    def init(params: Any) -> LevenbergMarquardtState:
        dtype = ravel_pytree(params)[0].dtype
        return LevenbergMarquardtState(jnp.zeros((), jnp.int32), jnp.asarray(damping, dtype))

    def update(
        updates: Any,
        state: LevenbergMarquardtState,
        params: Any = None,
        *,
        value: Any = None,
        value_fn: Any = None,
        residual_fn: Any = None,
        **_: Any,
    ) -> tuple[Any, LevenbergMarquardtState]:
        system = _system(name, updates, params, value_fn, residual_fn)
        value = value_fn(params) if value is None else value
        dtype = system.theta.dtype
        grow = jnp.asarray(factor, dtype)

        def attempt(carry: tuple[Any, ...]) -> tuple[Any, ...]:
            tries, lam, _, _ = carry
            step = system.solve(lam)
            fall = value - value_fn(system.unravel(system.theta + step))
            predicted = -(2 * system.slope @ step + system.curvature(step))
            lower = fall > 0  # False for NaN: a failed factorisation is a rejected step
            kept = jnp.where(fall > 0.25 * predicted, lam / grow, lam)
            scaled = jnp.where(lower, kept, lam * grow)
            bounds = jnp.finfo(dtype).eps, 1 / jnp.finfo(dtype).eps
            return tries + 1, jnp.clip(scaled, *bounds), lower, jnp.where(lower, step, 0.0)

        zero = jnp.zeros_like(system.theta)
        start = (jnp.zeros((), jnp.int32), state.damping, jnp.asarray(False), zero)
        _, lam, _, step = jax.lax.while_loop(_open, attempt, start)
        return system.unravel(step), LevenbergMarquardtState(state.count + 1, lam)

    return optax.GradientTransformationExtraArgs(init, update)


def _open(carry: tuple[Any, ...]) -> jax.Array:
    """Return whether a loop over (tries, damping or length, lower, ...) continues."""
    return ~carry[2] & (carry[0] < TRIES)


def _system(name: str, updates: Any, params: Any, value_fn: Any, residual_fn: Any) -> _System:
    if residual_fn is None:
        raise ConfigError(
            f'{name} needs loss="squared", whose residuals it linearises; for another loss use'
            ' optimizer="lbfgs" or "newton"'
        )
    if params is None or value_fn is None:
        raise ConfigError(f"{name} needs params and value_fn=..., the objective of the params")
    theta, unravel = ravel_pytree(params)
    gradient = ravel_pytree(updates)[0]

    n, p = jax.eval_shape(residual_fn, params).size, theta.size
    _check_size(name, min(n, p), "equations (the fewer of residuals and parameters)")
    r, J = residuals_and_jacobian(residual_fn, params)
    slope = gradient / 2
    penalty = slope - J.T @ r
    rounding = 1e3 * jnp.finfo(theta.dtype).eps * jnp.linalg.norm(slope)
    penalty = jnp.where(jnp.linalg.norm(penalty) <= rounding, 0.0, penalty)
    solve = _by_columns(J, r, penalty) if p <= n else _by_rows(J, r, penalty)

    def curvature(step: jax.Array) -> jax.Array:
        return jnp.sum(jnp.square(J @ step))

    return _System(theta, unravel, slope, solve, curvature, min(n, p))


def _by_columns(J: jax.Array, r: jax.Array, penalty: jax.Array) -> Callable[[Any], jax.Array]:
    """Solve the normal equations (p <= n); scaled columns make units of parameters irrelevant."""
    norms = jnp.linalg.norm(J, axis=0)
    scale = jnp.where(norms > 0, norms, 1.0)
    scaled = J / scale[None]
    gram = scaled.T @ scaled
    slope = scaled.T @ r + penalty / scale

    def solve(damping: jax.Array) -> jax.Array:
        damped = gram + damping * jnp.eye(len(norms), dtype=J.dtype)
        return -cho_solve(cho_factor(damped), slope) / scale

    return solve


def _by_rows(J: jax.Array, r: jax.Array, penalty: jax.Array) -> Callable[[Any], jax.Array]:
    """Solve the smaller system (n < p), by (J'J + dI)^-1 J' = J'(JJ' + dI)^-1."""
    gram = J @ J.T
    largest = jnp.max(jnp.diag(gram))
    largest = jnp.where(largest > 0, largest, 1.0)

    def solve(damping: jax.Array) -> jax.Array:
        shift = damping * largest
        factor = cho_factor(gram + shift * jnp.eye(len(r), dtype=J.dtype))
        # The slope of a penalty lies outside the rows of J (Woodbury); exactly zero without one.
        beside = (penalty - J.T @ cho_solve(factor, J @ penalty)) / shift
        return -(J.T @ cho_solve(factor, r) + beside)

    return solve


def _check_size(name: str, size: int, what: str) -> None:
    if size > LARGEST_SYSTEM:
        raise ConfigError(
            f"{name} solves a dense system of {size:,} {what}; the limit is {LARGEST_SYSTEM:,}:"
            ' use optimizer="lbfgs"'
        )
