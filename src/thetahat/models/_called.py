"""A module of another library as the engine calls it: with a key, and told whether it trains."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

# What an argument of this name is in training; in evaluation it is the opposite.
_IN_TRAINING = {
    "train": True,
    "training": True,
    "is_training": True,
    "deterministic": False,
    "inference": False,
    "use_running_average": False,
}


@dataclass(frozen=True)
class Called:
    """A module with arguments that each call gets; its attributes are those of the module.

    Args:    module: read for its attributes.   call: the module as it is called.
             names: its positional arguments.   filled: arguments that a call may leave away.
    """

    module: Any
    call: Callable[..., Any]
    names: tuple[str, ...]
    filled: Callable[[], Mapping[str, Any]]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the module; what the caller gives comes first."""
        given = self.names[: len(args)]
        filled = {name: v for name, v in self.filled().items() if name not in given}
        return self.call(*args, **{**filled, **kwargs})

    def __getattr__(self, attribute: str) -> Any:
        return getattr(self.module, attribute)


@dataclass(frozen=True)
class CallArguments:
    """The arguments of a module's ``__call__`` beside the observation."""

    parameters: Mapping[str, inspect.Parameter]

    @property
    def positional(self) -> tuple[str, ...]:
        """Names in the order of positional arguments."""
        kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        return tuple(p.name for p in self.parameters.values() if p.kind in kinds)

    @property
    def modes(self) -> tuple[str, ...]:
        """Names of arguments that say whether the module trains."""
        return tuple(name for name in self.parameters if name in _IN_TRAINING)

    def of_mode(self, train: bool) -> dict[str, bool]:
        """Return the arguments that say whether the module trains."""
        return {name: _IN_TRAINING[name] == train for name in self.modes}

    def requires(self, name: str) -> bool:
        """Return whether a call without this argument fails."""
        found = self.parameters.get(name)
        return found is not None and found.default is found.empty


def call_arguments(module: Any) -> CallArguments:
    """Return the arguments of ``module.__call__``; none if it cannot be called."""
    if not callable(module):
        return CallArguments({})
    try:
        found = list(inspect.signature(type(module).__call__).parameters.values())[1:]
    except ValueError:  # a built-in without a signature
        found = []
    return CallArguments({p.name: p for p in found})
