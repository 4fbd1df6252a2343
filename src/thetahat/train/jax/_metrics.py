"""The metrics of one member as pure functions: of the hypothesis, summed over observations, or of
the predictions of a whole part; and the norms of gradient and parameters.

sums = {"weight", "of": {name: sum_n w_n f(h, z_n)}, "steps", "grad_norm"}    what is asked for
pairs = (prediction, target, weight)                 None where no metric takes a whole part
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
             pair_at: of the prediction and target of one observation.   loss: of the Task.
             units: has y_mean and y_std, from a model's numbers to the target's units; or None.
    """

    metrics: Mapping[str, Metric]
    bind: Callable[[Any], Any]
    dtype: str
    pair_at: Callable[[Any, Any], Any] | None = None
    loss: Any = None
    units: Any = None

    def _of(self, kind: str) -> dict[str, Metric]:
        return {name: metric for name, metric in self.metrics.items() if metric.kind == kind}

    @property
    def of_observations(self) -> dict[str, Metric]:
        """The metrics of one observation, ``f(h, z)``, by name."""
        return self._of("observation")

    @property
    def of_parts(self) -> dict[str, Metric]:
        """The metrics of a whole part, by name."""
        return self._of("part")

    @property
    def grad_norms(self) -> list[str]:
        """Names under which the norm of the gradient is recorded."""
        return [name for name, m in self._of("norm").items() if m.function == "grad_norm"]

    def zero(self) -> Any:
        """The sums before the first observation; None where nothing is summed."""
        zero, sums = jnp.zeros((), self.dtype), {}
        if self.of_observations:
            sums |= {"weight": zero, "of": dict.fromkeys(self.of_observations, zero)}
        if self.grad_norms:
            sums |= {"steps": zero, "grad_norm": zero}
        return sums or None

    def stepped(self, sums: Any, grads: Any) -> Any:
        """Add the gradient of one step."""
        if not self.grad_norms:
            return sums
        norm = global_norm(grads).astype(self.dtype)
        return {**sums, "steps": sums["steps"] + 1, "grad_norm": sums["grad_norm"] + norm}

    def gradient(self, sums: Any) -> dict[str, Float[Array, ""]]:
        """The mean norm of the gradient over the steps of an epoch, by column."""
        return {name: sums["grad_norm"] / sums["steps"] for name in self.grad_norms}  # noqa: C420

    # -- a whole part -------------------------------------------------------------------------

    def pairs(self, bind: Callable[[Any], Any], block: Any, spread: Any, weight: Any) -> Any:
        """Predictions, targets and weights of a block; None where no metric takes them."""
        if not self.of_parts:
            return None
        pair_at = self.pair_at
        assert pair_at is not None
        if weight is None:
            weight = jnp.ones((th_data.n_observations(block),), self.dtype)
        prediction, target = jax.vmap(lambda z, key: pair_at(bind(key), z))(block, spread)
        return prediction, target, weight

    def block_pairs(self, params: Any, block: Any) -> Any:
        """``pairs`` of a block in evaluation mode, with its own weights."""
        if not self.of_parts:
            return None
        hypothesis, weight = self.bind(params), th_data.weights_of(block)
        weight = None if weight is None else weight.astype(self.dtype)
        return self.pairs(lambda _: hypothesis, block, None, weight)

    def of_part(self, pairs: Any) -> dict[str, Float[Array, ""]]:
        """The metrics of a part, by name; what weighs nothing counts for nothing, even a NaN.

        Args:    pairs: of all its observations, (N, ...).
        """
        if pairs is None:
            return {}
        prediction, target, weight = pairs
        counts, one = weight != 0, jnp.argmax(weight)

        def filled(values: Any) -> Any:
            shape = (-1, *[1] * (values.ndim - 1))
            return jnp.where(counts.reshape(shape), values, values[one])

        prediction, target = filled(prediction), filled(target)
        found = {}
        for name, metric in self.of_parts.items():
            function, centred = risk.part_function(name, metric, self.loss)
            given = (self._in_units(a, centred=centred) for a in (prediction, target))
            found[name] = risk.number_of(name, function(*given, weight)).astype(self.dtype)
        return found

    def _in_units(self, values: Any, *, centred: bool) -> Any:
        """Numbers of the model in the target's units.

        Args:    centred: without the target's mean, which cancels: float32 keeps more digits.
        """
        if self.units is None:
            return values
        mean, std = (jnp.asarray(v) for v in (self.units.y_mean, self.units.y_std))
        values = values.astype(jnp.result_type(values, std))
        scaled = values * std.astype(values.dtype)
        return scaled if centred else scaled + mean.astype(values.dtype)

    # -- observations -------------------------------------------------------------------------

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
        if not self.of_observations:
            return sums
        if weight is None:
            weight = jnp.ones((th_data.n_observations(block),), self.dtype)
        so_far, after = sums["of"], {}
        for name, metric in self.of_observations.items():

            def one(z: Any, key: Any, name: str = name, metric: Metric = metric) -> Any:
                return risk.metric_of(name, metric, bind(key), z)

            values = jax.vmap(one)(block, spread).astype(self.dtype)
            after[name] = so_far[name] + risk.weighted_sum(values, weight)
        return {**sums, "weight": sums["weight"] + jnp.sum(weight), "of": after}

    def means(self, sums: Any) -> dict[str, Float[Array, ""]]:
        """The weighted mean of each metric over what was added."""
        if not self.of_observations:
            return {}
        return {name: total / sums["weight"] for name, total in sums["of"].items()}

    def whole(self, params: Any) -> dict[str, Float[Array, ""]]:
        """The metrics of the hypothesis alone, ``f(h)``, and of the parameters, by name."""
        alone, norms = self._of("hypothesis"), self._of("norm")
        found = {n: global_norm(params) for n, m in norms.items() if m.function == "param_norm"}
        if alone:
            hypothesis = self.bind(params)
            found |= {n: risk.metric_of(n, m, hypothesis) for n, m in alone.items()}
        return {name: value.astype(self.dtype) for name, value in found.items()}


def global_norm(tree: Any) -> Float[Array, ""]:
    """The Euclidean norm of all numbers of a tree."""
    return jnp.sqrt(sum(jnp.sum(jnp.square(leaf)) for leaf in jax.tree.leaves(tree)))
