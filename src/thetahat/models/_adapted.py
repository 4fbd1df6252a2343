"""Types of an adapted model: the form in which the engine uses every model."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from thetahat.data import ColumnNames

Join = Callable[[Any, Any, Any, bool], Any]


@dataclass(frozen=True)
class Adapted:
    """A model in the form that the engine uses."""

    params: Any
    """Pytree of the trained arrays."""
    frozen: Any
    """Pytree of all other arrays: frozen parameters, buffers, data of random keys."""
    kind: str
    """"nnx", "equinox", "torch" or "pair"."""
    stochastic: bool
    """Whether a call in training may use a key (dropout)."""
    join: Join
    """``join(params, frozen, key, train)`` returns the callable model."""
    exported: Callable[[Any, Any], Any] | None = None
    """The model of the user's own class at (params, frozen); None: what ``join`` returns."""
    name: str = ""
    """The class of a PyTorch module, which a function may make; empty for other models."""
    joined: Callable[[Any, Any], Any] | None = None
    """All parameters at (params, frozen), trained and frozen, in one tree; None: ``params``."""

    def bind(self, params: Any, frozen: Any, *, key: Any = None, train: bool = False) -> Any:
        """Return the hypothesis ``h`` at ``params``; random only with ``train`` and a key."""
        return self.join(params, frozen, key, train and key is not None)

    def parameters(self, params: Any, frozen: Any) -> Any:
        """Return all parameters, trained and frozen, in one tree. Buffers are not parameters."""
        return params if self.joined is None else self.joined(params, frozen)

    def export(self, params: Any, frozen: Any) -> Any:
        """Return the trained model, of the user's own class, in evaluation mode."""
        if self.exported is not None:
            return self.exported(params, frozen)
        return self.join(params, frozen, None, False)


@dataclass(frozen=True)
class Hypothesis:
    """An ``(init, apply)`` pair at its parameters: ``h(x) = apply(params, x)``.

    Args:    columns: names of the inputs, where frames were fitted: a Series or a mapping goes by
             name.
    """

    params: Any = field(repr=False)
    apply: Callable[..., Any]
    key: Any = field(default=None, repr=False)
    columns: ColumnNames | None = field(default=None, repr=False)

    def __call__(self, x: Any) -> Any:
        """Predict at one observation."""
        x = x if self.columns is None else self.columns.of_row(x)
        if self.key is None:
            return self.apply(self.params, x)
        return self.apply(self.params, x, key=self.key)


def takes_key(function: Callable[..., Any]) -> bool:
    """Return whether a call accepts ``key=``."""
    return any(p.name == "key" for p in parameters(function))


def parameters(function: Callable[..., Any]) -> list[inspect.Parameter]:
    try:
        return list(inspect.signature(function).parameters.values())
    except ValueError:  # a built-in without a signature
        return []
