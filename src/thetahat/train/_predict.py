"""Looking at a fitted model: predictions and risks outside the compiled fit."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from thetahat.core import ConfigError, ShapeError, Task
from thetahat.data import gather, is_streamed, n_observations
from thetahat.train.jax import cast, precision
from thetahat.train.jax._member import eval_blocks, make_member, parts_of


def evaluate_part(
    task: Task, adapted: Any, params: Any, frozen: Any, data: Any, part: str
) -> float:
    """The risk of a part at ``params``.

    Raises:  ConfigError: no such part.
    """
    there = parts_of(data)
    if part not in there:
        raise ConfigError(f"there is no part {part!r}; this task has {', '.join(there)}")
    rows = there[part]
    with precision(task.dtype):
        member = make_member(task, frozen, adapted)
        if not is_streamed(rows):
            return float(jax.jit(member.risk)(params, cast(rows, task.dtype)))
        block, sums = jax.jit(member.risk_block), member.risk_zero()
        for at, real in zip(*eval_blocks(n_observations(rows)), strict=True):
            sums = block(params, sums, cast(gather(rows, at), task.dtype), real)
        return float(sums[0] / sums[1])


def predict_rows(
    adapted: Any, params: Any, frozen: Any, data: Any, x: Any, dtype: str
) -> np.ndarray:
    """h(x) over the rows of ``x``, undoing a table's standardisation."""
    transform = getattr(data, "transform", None)
    if transform is not None and np.ndim(x) == 1 and not hasattr(x, "columns"):
        return predict_rows(adapted, params, frozen, data, np.asarray(x)[None], dtype)[0]
    rows = np.asarray(x if transform is None else transform.encode(x))
    d = _inputs(data)
    single = rows.ndim == (0 if d is None else len(d))
    rows = rows[None] if single else rows
    if d is not None and rows.shape[1:] != d:
        raise ShapeError(
            f"predict got inputs of shape {rows.shape[1:]}, and the model was fitted to {d};"
            " give one row per observation"
        )
    with precision(dtype):
        bound = adapted.bind(params, frozen)
        out = jax.jit(jax.vmap(bound))(jnp.asarray(rows, dtype))
        out = np.asarray(out)
    if out.ndim == 2 and out.shape[1] == 1:
        out = out[:, 0]
    out = out if transform is None else np.asarray(transform.decode(out))
    return out[0] if single else out


def _inputs(data: Any) -> tuple[int, ...] | None:
    """The shape of one input, where the observations have one."""
    part: Any = data.train
    x: Any = part
    if hasattr(part, "x"):
        x = part.x
    elif isinstance(part, dict):
        x = part.get("x")
    elif isinstance(part, (tuple, list)) and part:
        x = part[0]
    shape = getattr(x, "shape", None)
    return None if shape is None else tuple(shape[1:])
