"""The JAX backend."""

from thetahat.train.jax._bagged import (
    average as average,
    losses_by as losses_by,
    numbers as numbers,
    predictions_by as predictions_by,
    rotated as rotated,
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
    "losses_by",
    "numbers",
    "pack_predictor",
    "precision",
    "predictions_by",
    "prepare",
    "rotated",
    "sketch",
    "try_out",
    "unpack_predictor",
]
