"""One member's estimated function, outside the compiled fit: predictions and risks anew."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from thetahat import models
from thetahat.core import ConfigError, ShapeError, Task
from thetahat.core.start import Start
from thetahat.data import Transform, gather, is_streamed, n_observations
from thetahat.train.jax._member import eval_blocks, make_member, parts_of
from thetahat.train.jax._precision import cast, precision


@dataclass(frozen=True)
class FittedMember:
    """See ``train._program.Estimate``.

    Args:    build: builds the Task of this config anew, concretely.
             params, frozen, data: on the host; params at the best state.
    """

    build: Callable[[], Task]
    dtype: str
    params: Any
    frozen: Any
    data: Any

    @property
    def task(self) -> Task:
        """The Task that was fitted."""
        return self._task

    @property
    def model(self) -> Any:
        """The estimated model, of the user's own kind."""
        return self._model

    @cached_property
    def _task(self) -> Task:
        with precision(self.dtype):
            return self.build()

    @cached_property
    def _adapted(self) -> Any:
        return models.adapt(self.task.model, self.task.seed)

    @cached_property
    def _model(self) -> Any:
        """The module; of a table, one that takes and gives the table's units."""
        module, transform = self._adapted.export(self.params, self.frozen), self.data.transform
        if not isinstance(transform, Transform):
            return module
        return models.InUnits(module, transform, self.task.dtype)

    def as_start(self) -> Start:
        """The parameters and their units, for another Task's ``start``."""
        leaves = models.named_arrays(self.params, self.frozen)
        transform = self.data.transform
        transform = transform if isinstance(transform, Transform) else None
        return Start(leaves, transform, models.own_model(self.task.model))

    def risk(self, part: str) -> float:
        """The risk of a part anew."""
        there = parts_of(self.data)
        if part not in there:
            raise ConfigError(f"there is no part {part!r}; this task has {', '.join(there)}")
        rows, dtype = there[part], self.task.dtype
        with precision(dtype):
            member = make_member(self.task, self.frozen, self._adapted)
            if not is_streamed(rows):
                return float(jax.jit(member.risk)(self.params, cast(rows, dtype)))
            block, sums = jax.jit(member.risk_block), member.risk_zero()
            for at, real in zip(*eval_blocks(n_observations(rows)), strict=True):
                sums = block(self.params, sums, cast(gather(rows, at), dtype), real)
            return float(sums[0] / sums[1])

    def predict(self, x: Any) -> np.ndarray:
        """h(x) over the rows of ``x``, undoing a table's standardisation."""
        transform = self.data.transform
        if transform is not None and np.ndim(x) == 1 and not hasattr(x, "columns"):
            return self.predict(np.asarray(x)[None])[0]
        rows = np.asarray(x if transform is None else transform.encode(x))
        shape = _input_shape(self.data.train)
        single = rows.ndim == (0 if shape is None else len(shape))
        rows = rows[None] if single else rows
        if shape is not None and rows.shape[1:] != shape:
            raise ShapeError(
                f"predict got inputs of shape {rows.shape[1:]}, and the model was fitted to"
                f" {shape}; give one row per observation"
            )
        with precision(self.task.dtype):
            bound = self._adapted.bind(self.params, self.frozen)
            out = np.asarray(jax.jit(jax.vmap(bound))(jnp.asarray(rows, self.task.dtype)))
        if out.ndim == 2 and out.shape[1] == 1:
            out = out[:, 0]
        out = out if transform is None else np.asarray(transform.decode(out))
        return out[0] if single else out


def _input_shape(part: Any) -> tuple[int, ...] | None:
    """The shape of one input, if the observations have one."""
    x: Any = part
    if hasattr(part, "x"):
        x = part.x
    elif isinstance(part, dict):
        x = part.get("x")
    elif isinstance(part, (tuple, list)) and part:
        x = part[0]
    shape = getattr(x, "shape", None)
    return None if shape is None else tuple(shape[1:])
