"""Models: hypothesis classes of thetahat, and adapters for those of other libraries."""

from thetahat.models._adapt import (
    Adapted as Adapted,
    Hypothesis as Hypothesis,
    adapt as adapt,
    freeze as freeze,
    n_params as n_params,
    trainable as trainable,
)
from thetahat.models._linear import (
    Linear as Linear,
    Polynomial as Polynomial,
)
from thetahat.models._mlp import ACTIVATIONS as ACTIVATIONS, MLP as MLP
from thetahat.models._start import (
    check_same_function as check_same_function,
    named_arrays as named_arrays,
    own_model as own_model,
    started as started,
)
from thetahat.models._units import InUnits as InUnits

__all__ = [
    "ACTIVATIONS",
    "MLP",
    "Adapted",
    "Hypothesis",
    "InUnits",
    "Linear",
    "Polynomial",
    "adapt",
    "check_same_function",
    "freeze",
    "n_params",
    "named_arrays",
    "own_model",
    "started",
    "trainable",
]
