"""skorch: ``NeuralNetRegressor`` with its own loop, history and a given validation part."""

from __future__ import annotations

from typing import Any

import numpy as np
import skorch
import torch
from skorch.callbacks import Callback
from skorch.dataset import Dataset
from skorch.helper import predefined_split

from benchmarks.loops.peers.torch_net import net
from benchmarks.loops.problems import N_VAL, Problem
from benchmarks.loops.rounds import Loop, Mark

NAME = "skorch"


class Marks(Callback):
    """Marks the end of every epoch."""

    def __init__(self, mark: Mark) -> None:
        self.mark = mark

    def on_epoch_end(self, net: Any, **_: Any) -> None:
        self.mark(len(net.history))


def prepare(problem: Problem) -> Loop:
    """One fit."""
    x, y, x_val, y_val = problem.data
    y, y_val = y[:, None], y_val[:, None]

    def loop(epochs: int, mark: Mark) -> tuple[np.ndarray, np.ndarray]:
        fitted = skorch.NeuralNetRegressor(
            net(problem),
            optimizer=torch.optim.SGD,
            lr=problem.lr,
            max_epochs=epochs,
            batch_size=problem.batch or problem.n,
            iterator_train__shuffle=True,
            iterator_valid__batch_size=N_VAL,
            train_split=predefined_split(Dataset(x_val, y_val)),
            callbacks=[Marks(mark)],
            verbose=0,
        ).fit(x, y)
        history = fitted.history
        return np.array(history[:, "train_loss"]), np.array(history[:, "valid_loss"])

    return loop
