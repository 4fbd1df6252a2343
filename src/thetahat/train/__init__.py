"""Training: one driver, compiled chunks, cohorts, checkpoints."""

from thetahat.data import cache_folder as cache_folder
from thetahat.train._checkpoint import read_checkpoint as read_checkpoint
from thetahat.train._facts import jax_facts as jax_facts
from thetahat.train._fit import fit as fit, fit_many as fit_many
from thetahat.train._options import Progress as Progress
from thetahat.train._result import History as History, Result as Result
from thetahat.train._stopping import (
    Divergence as Divergence,
    Patience as Patience,
    Rule as Rule,
    Threshold as Threshold,
    WallTime as WallTime,
)
