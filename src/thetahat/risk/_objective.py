"""The two terms of a training objective: a mean over observations and a penalty."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

from thetahat.core.arguments import arguments_named
from thetahat.core.numbers import number

if TYPE_CHECKING:
    from jax.typing import ArrayLike
    from jaxtyping import Array, Float, PyTree, Shaped


def weighted_mean(
    values: Float[ArrayLike, " N"], weights: Shaped[ArrayLike, " N"] | None = None
) -> Float[Array, ""]:
    """Compute ``sum_n w_n v_n / sum_n w_n``; a value of weight zero is ignored, even NaN.

    Args:    values, weights: shape (N,); None weighs all alike.
    Returns: shape (), in units of the values.
    >>> float(weighted_mean(jnp.array([1.0, jnp.nan]), jnp.array([2.0, 0.0])))
    1.0
    """
    if weights is None:
        return jnp.mean(values)
    return jnp.average(_counted(values, weights), weights=weights)


def weighted_sum(
    values: Float[ArrayLike, " N"], weights: Shaped[ArrayLike, " N"]
) -> Float[Array, ""]:
    """Compute ``sum_n w_n v_n``; a value of weight zero is ignored, even NaN.

    Args:    values, weights: shape (N,).
    Returns: shape (), in units of the values.
    >>> float(weighted_sum(jnp.array([1.0, jnp.inf]), jnp.array([2.0, 0.0])))
    2.0
    """
    return jnp.sum(weights * _counted(values, weights))


def _counted(values: Any, weights: Any) -> Float[Array, " N"]:
    return jnp.where(weights == 0, 0.0, values)


@dataclass(frozen=True)
class Ridge:
    """Penalty ``(alpha / 2) ||params||^2``; made by ``ridge``."""

    alpha: Any
    skip: tuple[str, ...] = ()

    def __call__(self, params: PyTree[Float[Array, "*shape"]]) -> Float[Array, ""]:
        """Compute the penalty, shape ()."""
        return self.alpha / 2 * sum(jnp.sum(jnp.square(leaf)) for leaf in self._taken(params))

    def residuals(self, params: PyTree[Float[Array, "*shape"]]) -> Float[Array, " p"]:
        """Return a vector of shape (p,) whose squared norm is the penalty, for Gauss-Newton."""
        flat = jnp.concatenate([jnp.ravel(leaf) for leaf in self._taken(params)])
        return jnp.sqrt(self.alpha / 2) * flat

    def _taken(self, params: Any) -> list[Any]:
        found, _ = jax.tree_util.tree_flatten_with_path(params)
        return [leaf for path, leaf in found if _last(path) not in self.skip]


@arguments_named
def ridge(alpha: float | Float[Array, ""], skip: str | Sequence[str] = ()) -> Ridge:
    """Make the ridge penalty ``(alpha / 2) ||theta||^2``, theta all trained parameters.

    Gradient descent on risk + penalty is weight decay: theta -= lr * (grad risk + alpha * theta),
    which is also ``optax.chain(optax.add_decayed_weights(alpha), optax.sgd(lr))``. With the squared
    loss and a linear h the minimiser of risk + penalty solves

        (2/N X'X + alpha I) theta = 2/N X'y        (weights: X'WX / sum(w) for X'X / N)

    which is the solution of scikit-learn's ``Ridge(alpha * N / 2)``.

    Args:    alpha: at least 0; float or traced.
             skip: last names of parameters without a penalty, such as "bias".
    Returns: a function of the parameters, with values of shape ().
    Raises:  ConfigError: alpha is negative or not a number.
    >>> float(ridge(0.5)({"kernel": jnp.array([3.0, 4.0])}))
    6.25
    """
    fix = "an alpha of at least 0, such as alpha=1e-3"
    number("alpha", alpha, lambda v: v >= 0, fix, of="ridge")
    return Ridge(alpha, (skip,) if isinstance(skip, str) else tuple(skip))


@arguments_named
def lasso(
    alpha: float | Float[Array, ""], skip: str | Sequence[str] = ()
) -> Callable[[PyTree[Float[Array, "*shape"]]], Float[Array, ""]]:
    """Make the lasso penalty ``alpha * sum |theta|``, scikit-learn's ``Lasso(alpha / 2)``.

    Gradient descent makes small parameters, but no exact zeros.

    Args:    alpha, skip: as for ``ridge``.
    Returns: a function of the parameters, with values of shape ().
    Raises:  ConfigError: alpha is negative or not a number.
    Source:  Tibshirani (1996).

    >>> float(lasso(0.5)({"kernel": jnp.array([3.0, -4.0])}))
    3.5
    """
    like = ridge(alpha, skip)
    return lambda params: like.alpha * sum(jnp.sum(jnp.abs(leaf)) for leaf in like._taken(params))


def _last(path: Sequence[Any]) -> str:
    entry = path[-1] if path else ""
    return str(getattr(entry, "key", getattr(entry, "name", getattr(entry, "idx", entry))))
