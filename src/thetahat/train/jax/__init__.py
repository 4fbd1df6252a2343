"""The JAX backend."""

from thetahat.train.jax._bagged import (
    average as average,
    evaluated as evaluated,
    metrics as metrics,
    rotated as rotated,
    tables as tables,
)
from thetahat.train.jax._portable import (
    pack_predictor as pack_predictor,
    unpack_predictor as unpack_predictor,
)
from thetahat.train.jax._precision import precision as precision
from thetahat.train.jax._predictor import Predictor as Predictor
from thetahat.train.jax._prepare import (
    prepare as prepare,
    sketch as sketch,
    try_out as try_out,
)

__all__ = [
    "Predictor",
    "average",
    "evaluated",
    "metrics",
    "pack_predictor",
    "precision",
    "prepare",
    "rotated",
    "sketch",
    "tables",
    "try_out",
    "unpack_predictor",
]
