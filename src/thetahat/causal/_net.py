"""The default learner: a small net."""

from __future__ import annotations

from typing import Any

from thetahat.core import Task
from thetahat.data import Data
from thetahat.models import MLP
from thetahat.optim import named


def net(
    data: Data,
    *,
    width: int = 32,
    depth: int = 2,
    lr: float = 1e-3,
    epochs: int = 20,
    batch_size: int = 128,
    loss: Any = "squared",
    seed: Any = 0,
) -> Task:
    """Describe the net that ``th.crossfit`` and ``th.dml`` fit by default.

    Args:    data: of one fold, standardised.   width, depth: of its hidden layers.
             lr, epochs, batch_size: of Adam; the validation part chooses the epoch.
             loss, seed: given by ``th.crossfit``.
    Returns: a Task.
    """
    return Task(
        MLP(data.train.x.shape[1], width=width, depth=depth, seed=seed),
        data,
        loss=loss,
        optimizer=named("adam", lr),
        epochs=epochs,
        batch_size=min(batch_size, len(data.train.x)),
        seed=seed,
    )
