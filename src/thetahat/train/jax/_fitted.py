"""One member's estimated function, outside the compiled fit: predictions and risks anew."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from thetahat import models
from thetahat.core import ConfigError, Task
from thetahat.data import gather, is_streamed, n_observations
from thetahat.train._inputs import inputs_of_part
from thetahat.train._without_data import WithoutData
from thetahat.train.jax._by_trace import TracedFunction
from thetahat.train.jax._member import eval_blocks, make_member, parts_of
from thetahat.train.jax._precision import cast, precision
from thetahat.train.jax._predictor import Predictor


@dataclass(frozen=True)
class FittedMember:
    """See ``train._program.Estimate``.

    Args:    build: builds the Task of this config anew, concretely.
             predictor: the function, at the best state.   data: on the host.
    """

    build: Callable[[], Task]
    predictor: Predictor
    data: Any

    @property
    def params(self) -> Any:
        """All parameters at the best state."""
        return self.predictor.params

    @property
    def trained(self) -> Any:
        """Those that are trained."""
        return self.predictor.trained

    @property
    def frozen(self) -> Any:
        """The arrays that are not trained."""
        return self.predictor.frozen

    @property
    def task(self) -> Task:
        """The Task that was fitted."""
        return self._task

    @property
    def model(self) -> Any:
        """The estimated model, of the user's own kind."""
        return self.predictor.model

    @cached_property
    def _task(self) -> Task:
        with precision(self.predictor.dtype):
            return self.build()

    def risk(self, part: str) -> float:
        """The risk of a part anew."""
        there = parts_of(self.data)
        if part not in there:
            raise ConfigError(f"there is no part {part!r}; this task has {', '.join(there)}")
        self.predictor.source.compare()  # the loss is traced anew
        self.predictor.source.tell()
        rows, task, params = there[part], self.task, self.trained
        with precision(task.dtype):
            adapted = models.adapt(task.model, task.seed)
            member = make_member(task, self.predictor.frozen, adapted)
            if not is_streamed(rows):
                return float(TracedFunction(member.risk)(params, cast(rows, task.dtype)))
            block, sums = TracedFunction(member.risk_block), member.risk_zero()
            for at, real in zip(*eval_blocks(n_observations(rows)), strict=True):
                sums = block(params, sums, cast(gather(rows, at), task.dtype), real)
            return float(sums[0] / sums[1])

    def predict(self, x: Any) -> np.ndarray:
        """h(x) over the rows of ``x``, undoing a table's standardisation.

        A part of the data, its name, and its inputs are standardised already.
        """
        own = inputs_of_part(self.data, x)
        return (
            self.predictor.predict(x) if own is None else self.predictor.predict(own, encoded=True)
        )

    def __reduce__(self) -> Any:
        return WithoutData, (self.predictor,)


def inputs_like(part: Any) -> tuple[tuple[int, ...] | None, bool]:
    """The shape of one input, if the observations have one; and whether inputs are integers."""
    x: Any = part
    if hasattr(part, "x"):
        x = part.x
    elif isinstance(part, dict):
        x = part.get("x")
    elif isinstance(part, (tuple, list)) and part:
        x = part[0]
    shape = getattr(x, "shape", None)
    whole = np.dtype(getattr(x, "dtype", float)).kind in "iu"
    return (None, False) if shape is None else (tuple(shape[1:]), whole)
