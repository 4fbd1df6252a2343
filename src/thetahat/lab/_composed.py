"""A function of a learned representation, h(phi(x)): the two parts have parameters of their own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

from thetahat.core.arguments import arguments_named

if TYPE_CHECKING:
    from jax.typing import ArrayLike
    from jaxtyping import Array, Float, PRNGKeyArray, Shaped


@arguments_named
@dataclass(frozen=True)
class Composed:
    """The composition ``h(phi(x))`` of two models, or ``h(mean_i phi(x_i))`` of a set.

    Args:    phi, h: models of ``th.models``, or others with ``init(key)`` and ``apply(params, x)``.
             each: whether phi sees the elements of x one by one, each of shape (1,), and h the mean
             over them: a deep set, which does not depend on their order.
             start: parameters of phi to begin with, of a former fit (``result.params["phi"]``).
    Has:     parameters {"phi", "h"}: ``th.freeze(model, "phi")`` trains h alone.
    >>> from thetahat.models import MLP
    >>> deep_set = Composed(MLP(1, width=4, out=3), MLP(3, width=4), each=True)
    >>> deep_set.apply(deep_set.init(jax.random.key(0)), jnp.ones(5)).shape
    ()
    """

    phi: Any
    h: Any
    each: bool = False
    start: Any = None

    def init(self, key: PRNGKeyArray) -> dict[str, Any]:
        """Draw parameters ``{"phi", "h"}``."""
        first, second = jax.random.split(key)
        given = self.start is not None
        phi = jax.tree.map(jnp.asarray, self.start) if given else self.phi.init(first)
        return {"phi": phi, "h": self.h.init(second)}

    def apply(self, params: dict[str, Any], x: Shaped[ArrayLike, "*shape"]) -> Float[Array, "*out"]:
        """Predict at one ``x``."""
        return self.h.apply(params["h"], self.encode(params, x))

    def encode(
        self, params: dict[str, Any], x: Shaped[ArrayLike, "*shape"]
    ) -> Float[Array, "*code"]:
        """Return the representation of one ``x``, that h sees."""
        if not self.each:
            return self.phi.apply(params["phi"], x)
        one = jax.vmap(lambda element: self.phi.apply(params["phi"], element[None]))
        return one(jnp.asarray(x)).mean(axis=0)
