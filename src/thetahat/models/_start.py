"""Fitted parameters put into a model: by path, with their shapes checked."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from thetahat.core.errors import ConfigError, ShapeError, did_you_mean
from thetahat.models._adapted import Adapted
from thetahat.models._described import describe
from thetahat.models._leaves import is_inexact, name, steps

_FREE = ("start", "d", "width", "depth", "widths", "out", "degree", "bias")
"""Fields that choose initial parameters, or that show in the shapes."""


def named_arrays(*trees: Any) -> dict[str, Any]:
    """List the floating-point arrays of parameters, and of frozen ones, by path.

    >>> import numpy as np
    >>> list(named_arrays({"layers": [{"kernel": np.ones((2, 1))}]}))
    ['layers/0/kernel']
    """
    leaves = [item for tree in trees for item in jax.tree_util.tree_flatten_with_path(tree)[0]]
    return {name(steps(path)): leaf for path, leaf in leaves if is_inexact(leaf)}


def started(adapted: Adapted, leaves: Mapping[str, Any]) -> Adapted:
    """Put fitted arrays, by path, in place of a model's trained and frozen ones.

    Arrays that are no parameters (integers, random keys) stay the model's own.

    Raises:  ShapeError: another shape.   ConfigError: an array that only one of them has.
    """
    own = named_arrays(adapted.params, adapted.frozen)
    for path, leaf in own.items():
        if path not in leaves:
            raise ConfigError(
                f"start has no parameter {path!r} {_shape(leaf)}, which this model has;"
                f" start has {_listed(leaves)}{did_you_mean(path, leaves)}"
            )
        if _shape(leaves[path]) != _shape(leaf):
            raise ShapeError(
                f"the parameter {path} has shape {_shape(leaves[path])} in start and {_shape(leaf)}"
                " in this model; give a model of the same sizes, or fit it without start"
            )
    for path, leaf in leaves.items():
        if path not in own:
            raise ConfigError(
                f"start has the parameter {path!r} {_shape(leaf)}, which this model lacks;"
                f" this model has {_listed(own)}"
            )

    def put(path: Any, leaf: Any) -> Any:
        return leaves[name(steps(path))] if is_inexact(leaf) else leaf

    params, frozen = (
        jax.tree_util.tree_map_with_path(put, tree) for tree in (adapted.params, adapted.frozen)
    )
    return dataclasses.replace(adapted, params=params, frozen=frozen)


def begun(model: Any, params: Any, member: Any) -> tuple[Any, Any]:
    """Return a model that begins at the parameters of one of several fits, as a pair.

    Args:    model: with ``apply(params, x)``.   params: arrays with a leading axis of fits.
             member: which of them; an int or traced.
    """

    def init(key: Any) -> Any:
        del key
        dtype = jnp.result_type(float)
        return jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype)[member], params)

    return init, model.apply


def check_same_function(fitted: Mapping[str, Any] | None, model: Any) -> None:
    """Refuse a model of ``th.models`` to which the fitted parameters are another function.

    Args:    fitted: the description of the fitted model, if it has one.
    Raises:  ConfigError: another activation, basis or domain.
    """
    own = describe(model)
    if fitted is None or own is None or own["kind"] != fitted["kind"]:
        return  # their parameters have other names, or nothing is known
    for field, now in own.items():
        was = fitted.get(field)
        was, now = (tuple(v) if isinstance(v, list) else v for v in (was, now))
        if field not in _FREE and was != now:
            raise ConfigError(
                f"start was fitted by {own['kind']}({field}={was!r}), and this model has"
                f" {field}={now!r}: its parameters would be another function; give {field}={was!r}"
            )


def _shape(leaf: Any) -> tuple[int, ...]:
    return tuple(leaf.shape)


def _listed(leaves: Mapping[str, Any]) -> str:
    return ", ".join(f"{path} {_shape(leaf)}" for path, leaf in leaves.items())
