"""All that resuming needs, as one pytree of arrays."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class TrainState:
    """The state of one member (of C members, with a leading axis C on every leaf)."""

    params: Any
    opt_state: Any
    best: Any
    """The params of the best epoch so far; None without a validation part."""
    best_value: Any
    best_epoch: Any
    stoppers: Any
    key: Any
    """Data of the base key, uint32."""
    epochs: Any
    """Epochs completed."""
    active: Any
    outcome: Any
    moved: Any
    """Whether any parameter has ever changed."""


def first_state(
    params: Any, opt_state: Any, stoppers: Any, key: Any, *, has_val: bool
) -> TrainState:
    """The state before the first epoch."""
    return TrainState(
        params=params,
        opt_state=opt_state,
        best=jax.tree.map(jnp.copy, params) if has_val else None,
        best_value=jnp.asarray(jnp.inf),
        best_epoch=jnp.asarray(0, jnp.int32),
        stoppers=stoppers,
        key=key,
        epochs=jnp.asarray(0, jnp.int32),
        active=jnp.asarray(True),
        outcome=jnp.asarray(0, jnp.int32),
        moved=jnp.asarray(False),
    )


def chosen(where: Any, new: Any, old: Any) -> Any:
    """``new`` where ``where``, else ``old``: a select for each leaf under vmap; alone, one
    conditional copy, which is no kernel to compile."""
    return jax.lax.cond(where, lambda new, _: new, lambda _, old: old, new, old)


def changed(new: Any, old: Any) -> Any:
    """Whether any leaf differs."""
    pairs = zip(jax.tree.leaves(new), jax.tree.leaves(old), strict=True)
    return jnp.any(jnp.stack([jnp.any(a != b) for a, b in pairs]))


__all__ = ["TrainState", "changed", "chosen", "first_state", "replace"]
