"""A learning rate that falls when a column of the history stops to improve, counted in epochs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax

from thetahat.core.numbers import number, whole
from thetahat.optim._named import named, resolve


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["scale", "best", "since"],
    meta_fields=["metric", "patience", "factor", "min_delta", "least"],
)
@dataclass(frozen=True)
class PlateauState:
    """State of ``plateau``: the factor so far, the best value (less is better), epochs since."""

    scale: Any
    best: Any
    since: Any
    metric: str
    patience: int
    factor: float
    min_delta: float
    least: float

    def after(self, value: Any) -> PlateauState:
        """The state after an epoch with this value, of which less is better."""
        better = value < self.best - self.min_delta
        since = jnp.where(better, 0, self.since + 1)
        falls = since >= self.patience
        scale = jnp.maximum(self.scale * self.factor, self.least)
        return replace(
            self,
            scale=jnp.where(falls, scale, self.scale).astype(self.scale.dtype),
            best=jnp.where(better, value, self.best).astype(self.best.dtype),
            since=jnp.where(falls, 0, since).astype(self.since.dtype),
        )


def plateau(
    optimizer: Any,
    lr: Any = None,
    *,
    patience: int = 10,
    factor: float = 0.5,
    metric: str = "val_risk",
    min_delta: float = 0.0,
    least: float = 0.0,
) -> optax.GradientTransformationExtraArgs:
    """Multiply the steps of an optimizer by ``factor`` after epochs without improvement.

    Args:    optimizer: a name, with ``lr`` as in ``named``, or an optax transformation.
             patience: epochs (not steps) without improvement.   factor: between 0 and 1.
             metric: a column of the history with a direction, as for ``th.Patience``.
             min_delta: the least improvement, in units of the metric.
             least: the least product of all factors.
    Returns: an optax transformation; the history's ``learning_rate`` shows the falling rate.
    Raises:  ConfigError: a value outside its range.
    >>> halved = plateau("adam", 0.01, patience=5)
    """
    whole("patience", patience, of="plateau")
    number("factor", factor, lambda v: 0 < v < 1, "a factor between 0 and 1", of="plateau")
    number("least", least, lambda v: 0 <= v < 1, "a number from 0 to 1", of="plateau")
    number("min_delta", min_delta, lambda v: v >= 0, "a number of at least 0", of="plateau")
    inner = named(optimizer, lr) if isinstance(optimizer, str) else resolve(optimizer)

    def init(params: Any) -> Any:
        del params
        start = jnp.asarray(1.0), jnp.asarray(jnp.inf), jnp.asarray(0, jnp.int32)
        return PlateauState(*start, metric, patience, factor, min_delta, least)

    def update(updates: Any, state: Any, params: Any = None, **_: Any) -> tuple[Any, Any]:
        del params
        return jax.tree.map(lambda u: (u * state.scale).astype(u.dtype), updates), state

    return optax.chain(inner, optax.GradientTransformationExtraArgs(init, update))


def end_epoch(opt_state: Any, value_of: Callable[[str], Any]) -> Any:
    """Return the optimizer's state after an epoch: plateaus have seen their column.

    Args:    value_of: the value of a column, of which less is better.
    """

    def one(node: Any) -> Any:
        return node.after(value_of(node.metric)) if isinstance(node, PlateauState) else node

    return jax.tree.map(one, opt_state, is_leaf=lambda node: isinstance(node, PlateauState))
