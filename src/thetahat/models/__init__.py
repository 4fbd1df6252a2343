"""Models: hypothesis classes of thetahat, and adapters for those of other libraries."""

from thetahat.models._adapt import (
    Adapted as Adapted,
    Hypothesis as Hypothesis,
    adapt as adapt,
    freeze as freeze,
    is_torch as is_torch,
    n_params as n_params,
    trainable as trainable,
)
from thetahat.models._average import Average as Average
from thetahat.models._called import call_arguments as call_arguments
from thetahat.models._described import describe as describe, described as described
from thetahat.models._leaves import Selected as Selected, select as select
from thetahat.models._linear import (
    Linear as Linear,
    Polynomial as Polynomial,
)
from thetahat.models._mlp import (
    ACTIVATIONS as ACTIVATIONS,
    MLP as MLP,
    TRUNCATED_STD as TRUNCATED_STD,
    activation as activation,
)
from thetahat.models._shapes import one_observation as one_observation
from thetahat.models._start import (
    begun as begun,
    check_same_function as check_same_function,
    named_arrays as named_arrays,
    started as started,
)
from thetahat.models._tabular import CLIP as CLIP, TabularMLP as TabularMLP
from thetahat.models._units import InUnits as InUnits
from thetahat.models._wider import (
    Padded as Padded,
    draws_padded as draws_padded,
    input_arrays as input_arrays,
    widened as widened,
)

__all__ = [
    "ACTIVATIONS",
    "CLIP",
    "MLP",
    "TRUNCATED_STD",
    "Adapted",
    "Average",
    "Hypothesis",
    "InUnits",
    "Linear",
    "Padded",
    "Polynomial",
    "Selected",
    "TabularMLP",
    "activation",
    "adapt",
    "begun",
    "call_arguments",
    "check_same_function",
    "describe",
    "described",
    "draws_padded",
    "freeze",
    "input_arrays",
    "is_torch",
    "n_params",
    "named_arrays",
    "one_observation",
    "select",
    "started",
    "trainable",
    "widened",
]
