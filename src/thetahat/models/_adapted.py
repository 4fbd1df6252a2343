"""A model as the engine sees it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Join = Callable[[Any, Any, Any, bool], Any]


@dataclass(frozen=True)
class Adapted:
    """A model as the engine sees it."""

    params: Any
    """Pytree of the trained arrays."""
    frozen: Any
    """Pytree of every other array: held parameters, buffers, numbers of random keys."""
    kind: str
    """"nnx", "equinox" or "pair"."""
    stochastic: bool
    """Whether a call in training may use a key (dropout)."""
    join: Join
    """``join(params, frozen, key, train)``: the callable model."""

    def bind(self, params: Any, frozen: Any, *, key: Any = None, train: bool = False) -> Any:
        """The hypothesis ``h`` at ``params``; deterministic unless ``train`` and a key is given."""
        return self.join(params, frozen, key, train and key is not None)

    def export(self, params: Any, frozen: Any) -> Any:
        """The trained model, of the user's own kind, in evaluation mode."""
        return self.join(params, frozen, None, False)


@dataclass(frozen=True)
class Hypothesis:
    """An ``(init, apply)`` pair at its parameters: ``h(x) = apply(params, x)``."""

    params: Any
    apply: Callable[..., Any]
    key: Any = None

    def __call__(self, x: Any) -> Any:
        """The prediction at one observation."""
        if self.key is None:
            return self.apply(self.params, x)
        return self.apply(self.params, x, key=self.key)


def takes_key(function: Callable[..., Any]) -> bool:
    """Whether a call accepts ``key=``."""
    return any(p.name == "key" for p in parameters(function))


def parameters(function: Callable[..., Any]) -> list[inspect.Parameter]:
    try:
        return list(inspect.signature(function).parameters.values())
    except ValueError:  # a built-in without a signature
        return []
