"""The metrics of one member as pure functions: of the hypothesis, and summed over observations.

sums = (weight, {name: sum_n w_n f(h, z_n)})         None where no metric has an observation
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

from thetahat import data as th_data, risk
from thetahat.core import Metric

if TYPE_CHECKING:
    from jaxtyping import Array, Float


@dataclass(frozen=True)
class Scores:
    """A member's metrics.

    Args:    bind: parameters to the hypothesis, in evaluation mode.
    """

    metrics: Mapping[str, Metric]
    bind: Callable[[Any], Any]
    dtype: str

    @property
    def of_observations(self) -> dict[str, Metric]:
        """The metrics of one observation, ``f(h, z)``, by name."""
        return {name: metric for name, metric in self.metrics.items() if metric.per_observation}

    def zero(self) -> Any:
        """The sums before the first observation."""
        if not self.of_observations:
            return None
        zero = jnp.zeros((), self.dtype)
        return zero, dict.fromkeys(self.of_observations, zero)

    def block(self, params: Any, sums: Any, block: Any, real: Any) -> Any:
        """Add one block of observations, those where ``real``."""
        weights = th_data.weights_of(block)
        w = jnp.broadcast_to(real, (th_data.n_observations(block),))
        w = (w if weights is None else w * weights).astype(self.dtype)
        hypothesis = self.bind(params)
        return self.add(sums, lambda _: hypothesis, block, None, w)

    def add(
        self, sums: Any, bind: Callable[[Any], Any], block: Any, spread: Any, weight: Any
    ) -> Any:
        """Add a block; what weighs nothing counts for nothing, even a NaN.

        Args:    bind: the hypothesis, given an observation's key.   spread: these keys, or None.
                 weight: (B,), or None where all weigh the same.
        """
        if sums is None:
            return None
        if weight is None:
            weight = jnp.ones((th_data.n_observations(block),), self.dtype)
        total, so_far = sums
        after = {}
        for name, metric in self.of_observations.items():

            def one(z: Any, key: Any, name: str = name, metric: Metric = metric) -> Any:
                return risk.metric_of(name, metric, bind(key), z)

            values = jax.vmap(one)(block, spread).astype(self.dtype)
            after[name] = so_far[name] + risk.weighted_sum(values, weight)
        return total + jnp.sum(weight), after

    def means(self, sums: Any) -> dict[str, Float[Array, ""]]:
        """The weighted mean of each metric over what was added."""
        return {} if sums is None else {name: total / sums[0] for name, total in sums[1].items()}

    def whole(self, params: Any) -> dict[str, Float[Array, ""]]:
        """The metrics of the hypothesis alone, ``f(h)``, by name."""
        alone = {n: m for n, m in self.metrics.items() if not m.per_observation}
        if not alone:
            return {}
        hypothesis = self.bind(params)
        return {n: risk.metric_of(n, m, hypothesis).astype(self.dtype) for n, m in alone.items()}
