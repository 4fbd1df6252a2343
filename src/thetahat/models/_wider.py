"""Models with more inputs than data have: inputs that are always zero change no number."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from thetahat.models._adapted import Adapted, Hypothesis
from thetahat.models._linear import Linear
from thetahat.models._mlp import MLP

_KERNELS = {MLP: "['layers'][0]['kernel']", Linear: "['kernel']"}


def input_kernel(model: Any) -> str | None:
    """Name the array of a model whose rows are its inputs, and whose other arrays know no d.

    Returns: the end of its path; None for a model of which that is not known.
    >>> input_kernel(Linear(3))
    "['kernel']"
    """
    return _KERNELS.get(type(model))


def widened(model: Any, d: int) -> Adapted:
    """Adapt a model, with ``d`` inputs, for parameters that are at hand: it draws none.

    Args:    model: one with an ``input_kernel``.
    """
    apply = replace(model, d=d).apply
    return Adapted(None, None, "pair", False, lambda params, *_: Hypothesis(params, apply))
