"""Adapt Flax NNX modules: split once, merged inside the program of one observation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from thetahat.core.errors import ConfigError
from thetahat.models._adapted import Adapted
from thetahat.models._leaves import (
    Selected,
    is_inexact,
    key_kind,
    name,
    nest,
    pick,
    plain,
    restored,
    select,
    steps,
)


def adapt_nnx(module: Any, selections: Sequence[Selected]) -> Adapted:
    """Split a module into its ``nnx.Param`` arrays and the rest.

    Raises:  ConfigError: a BatchNorm with batch statistics, or a module without a trained array.
    """
    _refuse_batch_statistics(module)
    graphdef, state = nnx.split(module)
    variables = dict(nnx.to_flat_state(state))
    found, treedef = jax.tree.flatten_with_path(state)
    # A variable is a node with one leaf, `value`; a raw array is a leaf itself.
    paths = [p if p in variables else p[:-1] for p in (steps(keypath) for keypath, _ in found)]
    leaves = [leaf for _, leaf in found]
    kinds = [key_kind(leaf) for leaf in leaves]
    candidates = [
        (path, leaf)
        for path, leaf in zip(paths, leaves, strict=True)
        if isinstance(variables[path], nnx.Param) and is_inexact(leaf)
    ]
    keep = select(candidates, selections)
    trained = {path for (path, _), kept in zip(candidates, keep, strict=True) if kept}
    keys = [path for path in paths if isinstance(variables[path], nnx.RngKey)]
    counts = {path for path in paths if isinstance(variables[path], nnx.RngCount)}

    def join(params: Any, frozen: Any, key: Any, train: bool) -> Any:
        values = []
        for path, kind in zip(paths, kinds, strict=True):
            value = restored(pick(params if path in trained else frozen, path), kind)
            if train and path in keys:
                value = _key_like(jax.random.fold_in(key, keys.index(path)), value)
            elif train and path in counts:
                value = jnp.zeros_like(value)
            values.append(value)
        merged = nnx.merge(graphdef, jax.tree.unflatten(treedef, values), copy=True)
        if train:
            merged.set_attributes(deterministic=False, raise_if_not_found=False)
        else:
            merged.eval()
        return merged

    items = list(zip(paths, leaves, strict=True))
    return Adapted(
        params=nest([(path, leaf) for path, leaf in items if path in trained]),
        frozen=nest([(path, plain(leaf)) for path, leaf in items if path not in trained]),
        kind="nnx",
        stochastic=bool(keys),
        join=join,
    )


def _key_like(key: Any, old: Any) -> Any:
    """Shape ``key`` as the stored key: split streams hold an array of keys."""
    return key if old.ndim == 0 else jax.random.split(key, old.shape)


def _refuse_batch_statistics(module: Any) -> None:
    for path, node in nnx.iter_modules(module):
        if isinstance(node, nnx.BatchNorm) and not node.use_running_average:
            raise ConfigError(
                f"the model has a BatchNorm ({name(path)}), whose statistics need a whole batch,"
                " while a residual sees one observation; use nnx.LayerNorm, or"
                " use_running_average=True"
            )
