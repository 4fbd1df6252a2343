"""Residuals of a fitted hypothesis at points off the training part, for checks of a solution."""

from __future__ import annotations

from typing import Any

import jax

from thetahat import risk
from thetahat.core import ConfigError, Task
from thetahat.risk.accept import Residuals
from thetahat.train._inputs import points_in_order
from thetahat.train.jax._precision import cast


def residuals_of(task: Task, h: Any) -> Residuals:
    """Return the function of points, a residual (None is the Task's) and a block of data."""

    def residuals(points: Any, residual: Any, block: str | None) -> jax.Array:
        at = risk.signed_residual(_of_block(task, block) if residual is None else residual)
        points = points_in_order(task.data, points)
        return jax.vmap(lambda z: at(h, z))(cast(points, task.dtype))

    return residuals


def _of_block(task: Task, block: str | None) -> Any:
    """Return the Task's residual, or that of a block of its data."""
    given: Any = task.residual
    names = list(given.residuals) if isinstance(given, risk.BlockResidual) else []
    if block is None and not names:
        return given
    if block not in names:
        fix = f"give block={names[0]!r}" if names else "leave block= out"
        known = ", ".join(names) or "none"
        raise ConfigError(f"accept.residual(block={block!r}): the blocks are {known}; {fix}")
    return given.residuals[block]
