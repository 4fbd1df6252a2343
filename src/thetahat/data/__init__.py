"""Observations, their splits, orders and batches, simulated draws and tables."""

from thetahat.data._containers import Data as Data
from thetahat.data._containers import Observations as Observations
from thetahat.data._containers import n_observations as n_observations
from thetahat.data._containers import weights_of as weights_of
from thetahat.data._permutation import permutation as permutation
from thetahat.data._split import split as split
