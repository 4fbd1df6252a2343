"""Fitted parameters put into a model: by path, with their shapes checked."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import jax
from jax.core import Tracer

from thetahat.core.errors import ConfigError, ShapeError, did_you_mean
from thetahat.models._adapted import Adapted
from thetahat.models._leaves import Selected, is_inexact, name, steps
from thetahat.models._linear import Linear, Polynomial
from thetahat.models._mlp import MLP

_OWN = (Linear, Polynomial, MLP)
_FREE = ("seed", "start", "d", "width", "depth", "widths", "out", "degree", "bias")
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


def own_model(model: Any) -> Any:
    """Return the model of ``th.models`` inside a selection; None for any other model."""
    while isinstance(model, Selected):
        model = model.model
    return model if type(model) in _OWN else None


def check_same_function(fitted: Any, model: Any) -> None:
    """Refuse a model of ``th.models`` to which the fitted parameters are another function.

    Raises:  ConfigError: another activation, basis or domain.
    """
    model = own_model(model)
    if fitted is None or type(model) is not type(fitted):
        return  # their parameters have other names, or nothing is known
    for field, was, now in _fields(fitted, model):
        if not isinstance(was, Tracer) and not isinstance(now, Tracer) and was != now:
            raise ConfigError(
                f"start was fitted by {type(fitted).__name__}({field}={was!r}), and this model has"
                f" {field}={now!r}: its parameters would be another function; give {field}={was!r}"
            )


def _fields(fitted: Any, model: Any) -> Iterator[tuple[str, Any, Any]]:
    for field in dataclasses.fields(model):
        if field.name not in _FREE:
            was, now = getattr(fitted, field.name), getattr(model, field.name)
            if field.name == "domain" and was is not None and now is not None:
                if not any(isinstance(end, Tracer) for end in (*was, *now)):
                    yield field.name, tuple(map(float, was)), tuple(map(float, now))
                continue
            yield field.name, was, now


def _shape(leaf: Any) -> tuple[int, ...]:
    return tuple(leaf.shape)


def _listed(leaves: Mapping[str, Any]) -> str:
    return ", ".join(f"{path} {_shape(leaf)}" for path, leaf in leaves.items())
