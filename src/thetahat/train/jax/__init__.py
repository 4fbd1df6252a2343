"""The JAX backend."""

from thetahat.train.jax._precision import precision as precision
from thetahat.train.jax._prepare import (
    prepare as prepare,
    sketch as sketch,
    try_out as try_out,
)

__all__ = ["precision", "prepare", "sketch", "try_out"]
