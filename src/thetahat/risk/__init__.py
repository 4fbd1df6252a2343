"""Losses, residuals, metrics, penalties, and means over observations."""

from thetahat.risk import accept as accept, metrics as metrics
from thetahat.risk._blocks import (
    BlockResidual as BlockResidual,
    plain_task as plain_task,
    with_points as with_points,
)
from thetahat.risk._losses import (
    LOSSES as LOSSES,
    PREDICTION as PREDICTION,
    RESIDUAL as RESIDUAL,
    Loss as Loss,
    absolute as absolute,
    cross_entropy as cross_entropy,
    fractional_logit as fractional_logit,
    huber as huber,
    is_torch_loss as is_torch_loss,
    logistic as logistic,
    pinball as pinball,
    resolve_loss as resolve_loss,
    squared as squared,
)
from thetahat.risk._needs import (
    BINARY as BINARY,
    CLASSES as CLASSES,
    SHARES as SHARES,
    Need as Need,
    NotFinite as NotFinite,
    check_targets as check_targets,
)
from thetahat.risk._objective import (
    Ridge as Ridge,
    lasso as lasso,
    ridge as ridge,
    weighted_mean as weighted_mean,
    weighted_sum as weighted_sum,
)
from thetahat.risk._parts import (
    part_function as part_function,
    prediction_and_target as prediction_and_target,
    takes_units as takes_units,
)
from thetahat.risk._residuals import (
    fischer_burmeister as fischer_burmeister,
    inputs_and_target as inputs_and_target,
    metric_of as metric_of,
    number_of as number_of,
    per_observation as per_observation,
    residual_vector as residual_vector,
    signed_residual as signed_residual,
)
from thetahat.risk._scores import check_scores as check_scores

__all__ = [
    "BINARY",
    "CLASSES",
    "LOSSES",
    "PREDICTION",
    "RESIDUAL",
    "SHARES",
    "BlockResidual",
    "Loss",
    "Need",
    "NotFinite",
    "Ridge",
    "absolute",
    "accept",
    "check_scores",
    "check_targets",
    "cross_entropy",
    "fischer_burmeister",
    "fractional_logit",
    "huber",
    "inputs_and_target",
    "is_torch_loss",
    "lasso",
    "logistic",
    "metric_of",
    "metrics",
    "number_of",
    "part_function",
    "per_observation",
    "pinball",
    "plain_task",
    "prediction_and_target",
    "residual_vector",
    "resolve_loss",
    "ridge",
    "signed_residual",
    "squared",
    "takes_units",
    "weighted_mean",
    "weighted_sum",
    "with_points",
]
