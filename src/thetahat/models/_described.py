"""A model of thetahat as JSON, and back: it can be made again without the program that made it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from jax.core import Tracer

from thetahat.models._average import Average
from thetahat.models._leaves import Selected
from thetahat.models._linear import Linear, Polynomial
from thetahat.models._mlp import MLP, activation_name
from thetahat.models._tabular import TabularMLP

_KINDS = {kind.__name__: kind for kind in (Linear, Polynomial, MLP, TabularMLP)}
_FUNCTIONS = ("activation", "out_activation")


def describe(model: Any) -> dict[str, Any] | None:
    """Describe a model of ``th.models`` as JSON types; None for any other model.

    Its seed is left out: parameters are kept apart. So is what ``trainable`` and ``freeze`` chose.
    None also where a field is a function without a name here, or is traced.

    >>> describe(Linear(3))
    {'kind': 'Linear', 'd': 3, 'out': 'scalar', 'bias': True, 'start': 'lecun_normal'}
    """
    while isinstance(model, Selected):
        model = model.model
    if isinstance(model, Average):
        inside = describe(model.model)
        own = {"kind": "Average", "n": model.n, "of": model.of, "model": inside}
        return None if inside is None else own
    if type(model) not in _KINDS.values():
        return None
    found: dict[str, Any] = {"kind": type(model).__name__}
    for field in dataclasses.fields(model):
        value: Any = getattr(model, field.name)
        if field.name == "seed":
            continue
        if field.name in _FUNCTIONS and callable(value):
            value = activation_name(value)
            if value is None:
                return None
        if isinstance(value, (list, tuple)):
            if any(isinstance(part, Tracer) for part in value):
                return None
            value = [part.item() if hasattr(part, "item") else part for part in value]
        found[field.name] = value.item() if hasattr(value, "item") else value
    return found


def described(description: Mapping[str, Any], most: int) -> Any:
    """Make the model that ``describe`` described.

    Args:    most: how many layers it has at most: a file may claim anything.
    Raises:  ValueError, TypeError, KeyError, ConfigError: it describes none.
    >>> described(describe(Linear(3)), 2)
    Linear(d=3, out='scalar', bias=True, seed=None, start='lecun_normal')
    """
    fields = {name: value for name, value in description.items() if name != "kind"}
    if description["kind"] == "Average":
        inside = fields.pop("model")
        if inside["kind"] == "Average":
            raise ValueError("an average of averages")
        return Average(described(inside, most), **fields)
    deep = fields.get("depth", 0)
    if (deep if fields.get("widths") is None else len(fields["widths"])) > most:
        raise ValueError(f"a model of {deep} layers has more than {most} arrays")
    for name, value in fields.items():
        if isinstance(value, list):
            fields[name] = tuple(value)
    return _KINDS[description["kind"]](**fields)
