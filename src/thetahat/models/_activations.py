"""Activations by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import jax
import jax.numpy as jnp

from thetahat.core.errors import ConfigError, did_you_mean

Activation = Callable[[jax.Array], jax.Array]

_NAMED: dict[str, Activation] = {
    "relu": jax.nn.relu,
    "tanh": jnp.tanh,
    "sigmoid": jax.nn.sigmoid,
    "softplus": jax.nn.softplus,
    "gelu": jax.nn.gelu,
    "silu": jax.nn.silu,
    "elu": jax.nn.elu,
    "leaky_relu": jax.nn.leaky_relu,
    "identity": lambda x: x,
}
ACTIVATIONS = tuple(_NAMED)


def activation(given: Any) -> Activation:
    """An activation by name, or any function of an array; None is the identity.

    Raises:  ConfigError: an unknown name (the nearest is offered), or no function.
    >>> float(activation("relu")(jnp.array(-1.0)))
    0.0
    """
    if given is None:
        return _NAMED["identity"]
    if isinstance(given, str):
        if given not in _NAMED:
            raise ConfigError(f"activation={given!r} is none of ours{did_you_mean(given, _NAMED)}")
        return _NAMED[given]
    if not callable(given) or isinstance(given, type):
        raise ConfigError(
            f"activation={given!r} is no function; give one, or one of {', '.join(ACTIVATIONS)}"
        )
    return cast(Activation, given)
