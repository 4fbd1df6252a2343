"""The loss of each observation of a batch, by a module: what is minimised and evaluated."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax

from thetahat import risk
from thetahat.core import ConfigError, ShapeError, Task
from thetahat.core.choices import LOSSES
from thetahat.risk import inputs_and_target
from thetahat.train.torch._library import torch
from thetahat.train.torch._lightning import TrainingStep
from thetahat.train.torch._losses import (
    aligned,
    called,
    cross_entropy_or_nan,
    need_of,
    of_torch,
    pair_loss,
    per_row,
    thetahats,
)
from thetahat.train.torch._module import call

BatchLoss = tuple[torch.Tensor, torch.Tensor | None, torch.Tensor | None]
"""The loss of each observation (B,), the predictions and the targets; these are None where the loss
has none."""


@dataclass(frozen=True)
class LossObjective:
    """The default objective: the loss of (h(x), y).

    Args:    loss: of predictions and targets (B, ...).   classes: whether h(x) are logits (B, k).
             name: of the loss, in a word.
    """

    loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
    classes: bool
    name: str

    @property
    def plain(self) -> bool:
        """Whether the loss is thetahat's or of ``torch.nn``, so that no batch is another to it."""
        return self.name in LOSSES or type(self.loss).__module__ == "torch.nn.modules.loss"

    def __call__(self, h: Any, z: Any) -> BatchLoss:
        """Compute the losses of a batch z."""
        x, y = inputs_and_target(z)
        prediction = aligned(call(h, x), y, classes=self.classes)
        values = per_row(self.loss(prediction, y), y.shape[0], self.name)
        return values, prediction, y


@dataclass(frozen=True)
class ResidualObjective:
    """The objective of the user's own ``residual(h, z)``, a function of one observation."""

    residual: Callable[[Any, Any], Any]
    loss: Callable[..., torch.Tensor]
    of_prediction: bool
    name: str

    def __call__(self, h: Any, z: Any) -> BatchLoss:
        """Compute the losses of a batch z."""
        leaves, tree = jax.tree.flatten(z)

        def one(*row: torch.Tensor) -> torch.Tensor:
            found = self.residual(one_of(h), jax.tree.unflatten(tree, row))
            if self.of_prediction:
                value = self.loss(*self._pair(found))
            else:
                r = torch.as_tensor(found)
                if r.ndim > 1 or r.shape == (1,):
                    raise ShapeError(
                        "residual must return a scalar or a vector (k,) per observation; got shape"
                        f" {tuple(r.shape)}. Use h(x)[0]"
                    )
                value = self.loss(r, torch.zeros_like(r))
            return value.mean()

        return torch.vmap(one, randomness="different")(*leaves), None, None

    def _pair(self, found: Any) -> list[torch.Tensor]:
        if not isinstance(found, tuple) or len(found) != 2:
            raise ShapeError(
                f"with loss={self.name!r} residual must return the pair (score, target)"
            )
        return [torch.as_tensor(v)[None] for v in found]

    def pairs(self, h: Any, z: Any) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the scores and the targets of a batch, under a loss of a prediction."""
        leaves, tree = jax.tree.flatten(z)

        def one(*row: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            found = self.residual(one_of(h), jax.tree.unflatten(tree, row))
            score, target = self._pair(found)
            return score[0], target[0]

        return torch.vmap(one, randomness="different")(*leaves)


def one_of(h: Any) -> Callable[[Any], torch.Tensor]:
    """Return the function of one observation of a function of batches."""

    def one(x: Any) -> torch.Tensor:
        return call(h, jax.tree.map(lambda leaf: torch.as_tensor(leaf)[None], x))[0]

    return one


def objective_of(task: Task) -> Any:
    """Return the objective of a Task, and its loss as thetahat's.

    Raises:  ConfigError: a loss that the backend does not support.
    """
    if isinstance(task.loss, TrainingStep):
        return task.loss
    loss = thetahats(task.loss)
    made = None if of_torch(loss) else risk.resolve_loss(loss)
    name = called(loss) if made is None else made.name
    function = pair_loss(loss)
    if task.residual is not None:
        if not callable(task.residual):
            raise ConfigError(f"residual={task.residual!r} is not a function of (h, z)")
        if made is None:
            raise ConfigError(
                f"loss={name} compares predictions with targets, and residual= gives a residual;"
                " leave one of them out"
            )
        of_prediction = made.of == risk.PREDICTION
        function = cross_entropy_or_nan if name == "cross_entropy" else function
        return ResidualObjective(task.residual, function, of_prediction, name)
    classes = (need_of(loss) if made is None else made.needs) is risk.CLASSES
    return LossObjective(function, classes, name)
