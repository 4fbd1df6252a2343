"""Residuals of a fitted hypothesis at points off the training part, for checks of a solution."""

from __future__ import annotations

from typing import Any

import jax

from thetahat import risk
from thetahat.core import Task
from thetahat.risk.accept import Residuals
from thetahat.train.jax._precision import cast


def residuals_of(task: Task, h: Any) -> Residuals:
    """Return the function of points, a residual (None is the Task's) and a block of data."""

    def residuals(points: Any, residual: Any, block: str | None) -> jax.Array:
        del block
        at = risk.signed_residual(task.residual if residual is None else residual)
        return jax.vmap(lambda z: at(h, z))(cast(points, task.dtype))

    return residuals
