"""The JAX backend."""

from thetahat.train.jax._cohort_program import CohortProgram as CohortProgram
from thetahat.train.jax._fingerprint import mathematics as mathematics, used as used
from thetahat.train.jax._precision import cast as cast, precision as precision
from thetahat.train.jax._staging import (
    Hyper as Hyper,
    Staged as Staged,
    stage as stage,
)
from thetahat.train.jax._state import TrainState as TrainState
from thetahat.train.jax._stream import make_program as make_program
from thetahat.train.jax._targets import check_made as check_made
