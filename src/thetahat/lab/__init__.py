"""The lab: small experiments on estimation, and what several of them share."""

from thetahat.lab._catalogue import (
    LabExperiment as LabExperiment,
    list_questions as list_questions,
    read_experiment as read_experiment,
)
from thetahat.lab._composed import Composed as Composed
from thetahat.lab._decompose import Decomposition as Decomposition, decompose as decompose
from thetahat.lab._lines import band_line as band_line, mean_line as mean_line
from thetahat.lab._masked import MaskedMLP as MaskedMLP, MaskedTerms as MaskedTerms
from thetahat.lab._sample import (
    columns as columns,
    grid as grid,
    mean_se as mean_se,
    quantile_band as quantile_band,
    sample as sample,
)

__all__ = [
    "Composed",
    "Decomposition",
    "LabExperiment",
    "MaskedMLP",
    "MaskedTerms",
    "band_line",
    "columns",
    "decompose",
    "grid",
    "list_questions",
    "mean_line",
    "mean_se",
    "quantile_band",
    "read_experiment",
    "sample",
]
