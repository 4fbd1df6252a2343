"""Adam for ``th.models.TabularMLP``: a rate that falls and rises four times, and rates by layer."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import optax

from thetahat.core.numbers import number
from thetahat.optim._descent import check_rate

FACTORS = {"scale": 6.0, "bias": 0.1}
"""Rates of the arrays with these names, relative to that of kernels."""


def tabular(
    steps: Any, lr: Any = 0.07, weight_decay: Any = 0.02
) -> optax.GradientTransformationExtraArgs:
    """Make Adam with decoupled decay for a net for tables.

        rate(t) = lr (1 - cos(2 pi log2(1 + 15 t))) / 2,   t = step / steps

    Four cosine cycles, each twice as long as the one before. Arrays called ``scale`` take six times
    this rate, ``bias`` a tenth. The decay, of all but biases, falls to zero in the second half.

    Args:    steps: updates of the whole training; an int or traced.   lr: the highest rate.
             weight_decay: relative to the rate.
    Returns: an optax transformation.
    Raises:  ConfigError: steps below 1, or an lr that is not positive and finite.
    Source:  Holzmüller, Grinsztajn & Steinwart (2024), "Better by default" (RealMLP).
    """
    number("steps", steps, lambda n: n >= 1, "an integer of at least 1", of="tabular")
    check_rate("tabular", lr)

    def decay(step: Any) -> Any:
        t = step / steps
        return weight_decay * jnp.where(t < 0.5, 1.0, (1 + jnp.cos(jnp.pi * (2 * t - 1))) / 2)

    def rate(step: Any) -> Any:
        return lr * (1 - jnp.cos(2 * jnp.pi * jnp.log2(1 + 15 * step / steps))) / 2

    def decayed(params: Any) -> Any:
        return jax.tree_util.tree_map_with_path(lambda path, _: _name(path) != "bias", params)

    return optax.with_extra_args_support(
        optax.chain(
            _adam(),
            optax.add_decayed_weights(decay, mask=decayed),
            optax.stateless(_by_name),
            optax.scale_by_learning_rate(rate),
        )
    )


def _adam() -> optax.GradientTransformation:
    """Make Adam; both of its moments begin as the same zeros, which are traced once."""
    adam = optax.scale_by_adam(b1=0.9, b2=0.95)

    def init(params: Any) -> optax.ScaleByAdamState:
        zeros = jax.tree.map(lambda p: jax.lax.full(p.shape, 0, p.dtype), params)
        return optax.ScaleByAdamState(jnp.zeros((), jnp.int32), zeros, zeros)

    return optax.GradientTransformation(init, adam.update)


def _by_name(updates: Any, params: Any = None) -> Any:
    del params
    return jax.tree_util.tree_map_with_path(
        lambda path, update: FACTORS.get(_name(path), 1.0) * update, updates
    )


def _name(path: Any) -> str:
    """Give the name of the array at a path."""
    return str(getattr(path[-1], "key", getattr(path[-1], "name", "")))
