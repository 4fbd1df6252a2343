"""Adapt Equinox modules."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax

from thetahat.core.errors import ConfigError
from thetahat.models._adapted import Adapted, takes_key
from thetahat.models._leaves import (
    Selected,
    is_array,
    key_kind,
    nest,
    pick,
    plain,
    restored,
    select,
    steps,
)


@dataclass(frozen=True)
class Keyed:
    """A module that is called with a key; its attributes are those of the module."""

    module: Any
    key: Any

    def __call__(self, *args: Any) -> Any:
        """Call the module with the key."""
        return self.module(*args, key=self.key)

    def __getattr__(self, attribute: str) -> Any:
        return getattr(self.module, attribute)


def adapt_equinox(module: Any, selections: Sequence[Selected]) -> Adapted:
    """Split a module into trained arrays (``eqx.is_inexact_array``, NumPy included) and the rest.

    Raises:  ConfigError: a stateful layer such as BatchNorm, or a module without a trained array.
    """
    _refuse_state(module)
    found, treedef = jax.tree_util.tree_flatten_with_path(module)
    paths = [steps(keypath) for keypath, _ in found]
    leaves = [leaf for _, leaf in found]
    kinds = [key_kind(leaf) for leaf in leaves]
    items = list(zip(paths, leaves, strict=True))
    candidates = [(path, leaf) for path, leaf in items if eqx.is_inexact_array(leaf)]
    keep = select(candidates, selections)
    trained = {path for (path, _), kept in zip(candidates, keep, strict=True) if kept}
    arrays = {path for path, leaf in items if is_array(leaf)}
    constants = {path: leaf for path, leaf in items if path not in arrays}
    call = type(module).__call__
    takes = takes_key(call)
    must = takes and inspect.signature(call).parameters["key"].default is inspect.Parameter.empty

    def join(params: Any, frozen: Any, key: Any, train: bool) -> Any:
        values = []
        for path, kind in zip(paths, kinds, strict=True):
            if path in constants:
                values.append(constants[path])
            else:
                values.append(restored(pick(params if path in trained else frozen, path), kind))
        whole = eqx.nn.inference_mode(treedef.unflatten(values), not train)
        if takes and train:
            return Keyed(whole, key)
        # Outside training, a call that requires a key gets a constant one.
        return Keyed(whole, jax.random.key(0)) if must else whole

    return Adapted(
        params=nest([(path, plain(leaf)) for path, leaf in items if path in trained]),
        frozen=nest([(p, plain(leaf)) for p, leaf in items if p in arrays and p not in trained]),
        kind="equinox",
        stochastic=takes,
        join=join,
    )


def _refuse_state(module: Any) -> None:
    def stateful(node: Any) -> bool:
        return isinstance(node, (eqx.nn.StateIndex, eqx.nn.BatchNorm))

    for node in jax.tree.leaves(module, is_leaf=stateful):
        if stateful(node):
            raise ConfigError(
                f"the model has a stateful layer ({type(node).__name__}), while a residual sees one"
                " observation and returns no state; use eqx.nn.LayerNorm in place of BatchNorm"
            )
