"""Models with more inputs than data have: inputs that are always zero change no number."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
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


@dataclass(frozen=True)
class Padded:
    """A model with more inputs than are real, to draw its parameters: those of the others are zero.

    Args:    model: one with ``init_padded``.   d: all inputs.   real: a number, or traced.
    """

    model: Any
    d: int
    real: Any

    @property
    def seed(self) -> Any:
        """The model's own."""
        return self.model.seed

    @property
    def apply(self) -> Callable[..., Any]:
        """The model's own, of all inputs."""
        return replace(self.model, d=self.d).apply

    def init(self, key: Any) -> Any:
        """Draw the numbers that the model draws, whatever ``d`` is."""
        return replace(self.model, d=self.d).init_padded(key, self.real)


def draws_padded(model: Any) -> bool:
    """Return whether ``Padded`` draws a model's parameters."""
    return bool(input_arrays(model)) and hasattr(model, "init_padded")
