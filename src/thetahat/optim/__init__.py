"""Optimizers by name, and those that optax lacks."""

from thetahat.optim._descent import (
    NesterovState as NesterovState,
    PreconditionedState as PreconditionedState,
    nesterov as nesterov,
    preconditioned as preconditioned,
)
from thetahat.optim._elementwise import is_elementwise as is_elementwise
from thetahat.optim._named import (
    OPTIMIZERS as OPTIMIZERS,
    lbfgs as lbfgs,
    named as named,
    own_decay as own_decay,
    resolve as resolve,
)
from thetahat.optim._plateau import (
    PlateauState as PlateauState,
    end_epoch as end_epoch,
    plateau as plateau,
)
from thetahat.optim._rates import (
    closure as closure,
    learning_rate as learning_rate,
    qualname as qualname,
    wants_full_batch as wants_full_batch,
)
from thetahat.optim._residuals import StackedResiduals as StackedResiduals
from thetahat.optim._second_order import (
    GaussNewtonState as GaussNewtonState,
    LevenbergMarquardtState as LevenbergMarquardtState,
    NewtonState as NewtonState,
    gauss_newton as gauss_newton,
    levenberg_marquardt as levenberg_marquardt,
    newton as newton,
)
from thetahat.optim._tabular import tabular as tabular

__all__ = [
    "OPTIMIZERS",
    "GaussNewtonState",
    "LevenbergMarquardtState",
    "NesterovState",
    "NewtonState",
    "PlateauState",
    "PreconditionedState",
    "StackedResiduals",
    "closure",
    "end_epoch",
    "gauss_newton",
    "is_elementwise",
    "lbfgs",
    "learning_rate",
    "levenberg_marquardt",
    "named",
    "nesterov",
    "newton",
    "own_decay",
    "plateau",
    "preconditioned",
    "qualname",
    "resolve",
    "tabular",
    "wants_full_batch",
]
