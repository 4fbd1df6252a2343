"""Adapt Equinox modules."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import equinox as eqx
import jax

from thetahat.core.errors import ConfigError
from thetahat.models._adapted import Adapted
from thetahat.models._called import Called, call_arguments
from thetahat.models._leaves import (
    Selected,
    is_array,
    key_kind,
    nest,
    nest_parameters,
    pick,
    plain,
    restored,
    select,
    steps,
)


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
    rates = _dropout_rates(module)
    candidates = [
        (path, leaf)
        for path, leaf in items
        if eqx.is_inexact_array(leaf) and not any(leaf is rate for rate in rates)
    ]
    keep = select(candidates, selections)
    trained = {path for (path, _), kept in zip(candidates, keep, strict=True) if kept}
    arrays = {path for path, leaf in items if is_array(leaf)}
    constants = {path: leaf for path, leaf in items if path not in arrays}
    arguments = call_arguments(module)
    takes, must = "key" in arguments.parameters, arguments.requires("key")

    def join(params: Any, frozen: Any, key: Any, train: bool) -> Any:
        values = []
        for path, kind in zip(paths, kinds, strict=True):
            if path in constants:
                values.append(constants[path])
            else:
                values.append(restored(pick(params if path in trained else frozen, path), kind))
        whole = eqx.nn.inference_mode(treedef.unflatten(values), not train)
        given: dict[str, Any] = arguments.of_mode(train)
        if takes and (train or must):
            # Outside training, a call that requires a key gets a constant one.
            given["key"] = key if train else jax.random.key(0)
        return Called(whole, whole, arguments.positional, lambda: given) if given else whole

    return Adapted(
        params=nest([(path, plain(leaf)) for path, leaf in items if path in trained]),
        frozen=nest([(p, plain(leaf)) for p, leaf in items if p in arrays and p not in trained]),
        kind="equinox",
        stochastic=takes or bool(arguments.modes),
        join=join,
        joined=partial(nest_parameters, [path for path, _ in candidates], trained),
    )


def _dropout_rates(module: Any) -> list[Any]:
    """Rates of dropout: a rate that a sweep traces is an array, and not one to train."""
    nodes = jax.tree.leaves(module, is_leaf=lambda node: isinstance(node, eqx.nn.Dropout))
    return [node.p for node in nodes if isinstance(node, eqx.nn.Dropout)]


def _refuse_state(module: Any) -> None:
    def stateful(node: Any) -> bool:
        return isinstance(node, (eqx.nn.StateIndex, eqx.nn.BatchNorm))

    for node in jax.tree.leaves(module, is_leaf=stateful):
        if stateful(node):
            raise ConfigError(
                f"the model has a stateful layer ({type(node).__name__}), while a residual sees one"
                " observation and returns no state; use eqx.nn.LayerNorm in place of BatchNorm"
            )
