"""All that resuming needs, as one pytree of arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from thetahat.core import CheckpointError, Mode
from thetahat.train._program import STOPPED
from thetahat.train._stopping import Record

if TYPE_CHECKING:
    from jaxtyping import Array, Bool, Float, Int, UInt32


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class TrainState:
    """The state of one member (of C members, with a leading axis C on every leaf)."""

    params: Any
    opt_state: Any
    best: Any
    """The params of the best epoch so far; None where nothing chooses one."""
    best_value: Float[Array, "*C"]
    best_epoch: Int[Array, "*C"]
    stoppers: Any
    key: UInt32[Array, "*C k"]
    """Data of the base key."""
    epochs: Int[Array, "*C"]
    """Epochs completed."""
    active: Bool[Array, "*C"]
    outcome: Int[Array, "*C"]
    moved: Bool[Array, "*C"]
    """Whether any parameter has ever changed."""
    points: Any = None
    """The training part, where it is drawn anew while training; None where it is not."""


def first_state(
    params: Any,
    opt_state: Any,
    stoppers: Any,
    key: Any,
    *,
    best_mode: Mode | None,
    points: Any = None,
) -> TrainState:
    """The state before the first epoch.

    Args:    best_mode: the direction of what chooses the best state; None where nothing does.
             points: the training part, where it is drawn anew while training.
    """
    # Arrays of NumPy: JAX would compile a program for each.
    host: Any = np.asarray
    return TrainState(
        params=params,
        opt_state=opt_state,
        best=jax.tree.map(jnp.copy, params) if best_mode else None,
        best_value=host(-np.inf if best_mode == "max" else np.inf, jnp.result_type(float)),
        best_epoch=host(0, np.int32),
        stoppers=stoppers,
        key=key,
        epochs=host(0, np.int32),
        active=host(True),
        outcome=host(0, np.int32),
        moved=host(False),
        points=points,
    )


def chosen(where: Any, new: Any, old: Any) -> Any:
    """``new`` where ``where``, else ``old``: a select for each leaf under vmap; alone, one
    conditional copy, which is no kernel to compile."""
    return jax.lax.cond(where, lambda new, _: new, lambda _, old: old, new, old)


def changed(new: Any, old: Any, *, alone: bool) -> Any:
    """Whether any leaf differs.

    Args:    alone: it is asked until it is true, and no more: then the count of those that differ
             is a dot product, which needs no compiling, where reductions are kernels each.
    """
    differ = [a != b for a, b in zip(jax.tree.leaves(new), jax.tree.leaves(old), strict=True)]
    if not alone:
        return jnp.any(jnp.stack([jnp.any(leaf) for leaf in differ]))
    ones = jnp.concatenate([jnp.ravel(leaf).astype(jnp.float32) for leaf in differ])
    return jnp.vdot(ones, ones) > 0


def stop_members(state: TrainState, which: Bool[np.ndarray, " C"]) -> TrainState:
    """The state in which the members ``which`` (C,) train no more."""
    active, outcome = np.asarray(state.active), np.asarray(state.outcome)
    which = np.asarray(which, bool) & active
    return replace(
        state,
        active=jnp.asarray(active & ~which),
        outcome=jnp.asarray(np.where(which, STOPPED, outcome).astype(outcome.dtype)),
    )


def pack_state(state: TrainState) -> dict[str, np.ndarray]:
    """A state as named arrays."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(jax.device_get(state))
    return {jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in leaves}


def unpack_state(
    template: TrainState, arrays: Mapping[str, np.ndarray], *, new_rules: bool = False
) -> TrainState:
    """The state that ``pack_state`` gave, in the shapes of ``template``.

    Args:    new_rules: whether the stopping rules begin as in ``template``.
    Raises:  CheckpointError: arrays of another task.
    """
    leaves, tree = jax.tree_util.tree_flatten_with_path(template)
    values = []
    for path, leaf in leaves:
        name = jax.tree_util.keystr(path)
        if new_rules and getattr(path[0], "name", "") == "stoppers":
            values.append(leaf)
            continue
        got = arrays.get(name)
        if got is None or got.shape != leaf.shape or got.dtype != leaf.dtype:
            came = "nothing" if got is None else f"{got.dtype}{list(got.shape)}"
            raise CheckpointError(
                f"the checkpoint belongs to another task: {name} needs"
                f" {leaf.dtype}{list(leaf.shape)}, and it holds {came}."
                " Give the config it was made with, or another checkpoint path"
            )
        values.append(jnp.asarray(got))
    return jax.tree.unflatten(tree, values)


def _flat(record: Record) -> tuple[list[Any], tuple[str, ...]]:
    return [record[name] for name in sorted(record)], tuple(sorted(record))


def _unflat(names: tuple[str, ...], values: Any) -> Any:
    return dict(zip(names, values, strict=True))


# For rules that map over a record; the result is a plain mapping.
jax.tree_util.register_pytree_node(Record, _flat, _unflat)
