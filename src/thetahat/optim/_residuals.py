"""Residuals of a batch as one vector, with their Jacobian."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

if TYPE_CHECKING:
    from jaxtyping import Array, Float


@dataclass(frozen=True)
class StackedResiduals:
    """Vector of the scaled residuals of a batch; its squared norm is the objective.

        r(params) = [scale_n * one(params, z_n)]_n, followed by beside(params)

    The residuals of an observation depend on that observation only, so the Jacobian is computed row
    by row: N passes over one observation instead of N passes over N.

    Args:    one: ``one(params, z) -> (k,)``.   batch: pytree with N observations along axis 0.
             scale: sqrt(w_n / sum w), shape (N,), or () for equal weights.
             beside: ``beside(params) -> (m,)``, such as ``ridge(alpha).residuals``; or None.
    """

    one: Callable[[Any, Any], Float[Array, " k"]]
    batch: Any
    scale: Float[Array, "*shape"]
    beside: Callable[[Any], Float[Array, " m"]] | None = None

    def __call__(self, params: Any) -> Float[Array, " n"]:
        """Compute the residuals, shape (N k + m,)."""
        rows = jax.vmap(self.one, in_axes=(None, 0))(params, self.batch)
        r = jnp.ravel(rows * self._scale_of(rows))
        return r if self.beside is None else jnp.concatenate([r, self.beside(params)])

    def jacobian(self, params: Any) -> Float[Array, "n p"]:
        """Compute the Jacobian, shape (N k + m, p), parameters in the order of ``ravel_pytree``."""
        theta, unravel = ravel_pytree(params)

        def row(z: Any) -> jax.Array:
            return jax.jacrev(lambda t: self.one(unravel(t), z))(theta)

        rows = jax.vmap(row)(self.batch)
        J = (rows * self._scale_of(rows)).reshape(-1, theta.size)
        if self.beside is None:
            return J
        beside = self.beside
        return jnp.concatenate([J, jax.jacfwd(lambda t: beside(unravel(t)))(theta)])

    def _scale_of(self, rows: jax.Array) -> jax.Array:
        """Return the scale in a shape that multiplies ``rows``."""
        return jnp.reshape(self.scale, (-1,) + (1,) * (rows.ndim - 1))


def residuals_and_jacobian(
    residual_fn: Callable[[Any], Float[Array, " n"]], params: Any
) -> tuple[Float[Array, " n"], Float[Array, "n p"]]:
    """Compute residuals (n,) and Jacobian (n, p), by ``residual_fn.jacobian`` if it exists."""
    if hasattr(residual_fn, "jacobian"):
        return residual_fn(params), residual_fn.jacobian(params)  # type: ignore[attr-defined]
    theta, unravel = ravel_pytree(params)

    def residuals(t: jax.Array) -> tuple[jax.Array, jax.Array]:
        r = jnp.ravel(residual_fn(unravel(t)))
        return r, r

    # One pass over the batch per column (forward) or per row (reverse); choose the fewer.
    few = theta.size <= jax.eval_shape(residuals, theta)[0].size
    J, r = (jax.jacfwd if few else jax.jacrev)(residuals, has_aux=True)(theta)
    return r, J
