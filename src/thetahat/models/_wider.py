"""Models with more inputs than data have: inputs that are always zero change no number."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

from thetahat.models._adapted import Adapted, Hypothesis
from thetahat.models._linear import Linear
from thetahat.models._mlp import MLP
from thetahat.models._tabular import TabularMLP

_KERNELS = {
    MLP: ("['layers'][0]['kernel']",),
    Linear: ("['kernel']",),
    TabularMLP: ("['layers'][0]['kernel']", "['scale']"),
}


def input_arrays(model: Any) -> tuple[str, ...]:
    """Name the arrays of a model whose rows are its inputs, where its others know no d.

    Returns: the ends of their paths; none for a model of which that is not known.
    >>> input_arrays(Linear(3))
    ("['kernel']",)
    """
    return () if getattr(model, "dropout", 0) else _KERNELS.get(type(model), ())


def widened(model: Any, d: int, real: Any) -> Adapted:
    """Adapt a model, with ``d`` inputs, for parameters that are at hand: it draws none.

    Args:    model: one with ``input_arrays``.   real: how many of its inputs are not always zero;
             a number or traced.
    """
    apply = replace(model, d=d).apply
    if isinstance(model, TabularMLP):
        apply = partial(apply, inputs=real)
    return Adapted(None, None, "pair", False, lambda params, *_: Hypothesis(params, apply))
