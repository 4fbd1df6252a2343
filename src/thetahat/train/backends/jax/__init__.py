"""The JAX backend."""

from thetahat.train.backends.jax._mathematics import mathematics as mathematics, used as used
from thetahat.train.backends.jax._precision import cast as cast, precision as precision
from thetahat.train.backends.jax._program import CohortProgram as CohortProgram
from thetahat.train.backends.jax._stage import (
    Hyper as Hyper,
    Staged as Staged,
    stage as stage,
)
from thetahat.train.backends.jax._state import TrainState as TrainState
from thetahat.train.backends.jax._stream import make_program as make_program
from thetahat.train.backends.jax._targets import check_made as check_made
