"""The default learner: a small net."""

from __future__ import annotations

from typing import Any

from thetahat.core import Task
from thetahat.data import Data
from thetahat.models import MLP
from thetahat.optim import named

STEPS, LEAST, MOST = 1200, 20, 200
"""Updates of a fit, and the epochs that it has at least and at most."""


def net(
    data: Data,
    *,
    width: int = 32,
    depth: int = 2,
    lr: float = 3e-3,
    epochs: int | None = None,
    batch_size: int | None = None,
    loss: Any = "squared",
    seed: Any = 0,
) -> Task:
    """Describe the net that ``th.crossfit`` and ``th.dml`` fit by default.

    Args:    data: of one fold, standardised.   width, depth: of its hidden layers.
             lr: of Adam.   epochs: None: as many as 1,200 updates are, from 20 to 200.
             batch_size: None: an eighth of the training rows, at most 128.
             loss, seed: given by ``th.crossfit``.
    Returns: a Task; the validation part chooses its epoch.
    """
    n, d = data.train.x.shape
    batch = batch_size or min(128, max(1, n // 8))
    if epochs is None:
        epochs = min(MOST, max(LEAST, STEPS // -(-n // batch)))
    return Task(
        MLP(d, width=width, depth=depth, seed=seed),
        data,
        loss=loss,
        optimizer=named("adam", lr),
        epochs=epochs,
        batch_size=min(batch, n),
        seed=seed,
    )
