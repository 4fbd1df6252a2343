"""Lightning with everything switched off: no logger, no checkpoint, no bar, no summary.

The risks of every epoch are kept in lists by hooks.
"""

from __future__ import annotations

import logging
import warnings
from typing import Any

import lightning
import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.loops.peers.torch_net import net, tensors
from benchmarks.loops.problems import N_VAL, Problem
from benchmarks.loops.rounds import Loop, Mark

NAME = "Lightning, bare"

# Its advice about workers, checkpoints and paid services; none of it changes the work.
logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
warnings.filterwarnings("ignore", module="lightning")


class Module(lightning.LightningModule):
    """The network, its steps, and the risks of every epoch."""

    def __init__(self, problem: Problem, mark: Mark) -> None:
        super().__init__()
        self.model, self.problem, self.mark = net(problem), problem, mark
        self.loss_of = nn.MSELoss()
        self.train_risk: list[float] = []
        self.val_risk: list[float] = []
        self.total = 0.0

    def training_step(self, batch: Any, _: int) -> torch.Tensor:
        x, y = batch
        loss = self.loss_of(self.model(x), y)
        self.total += loss.item() * len(y)
        return loss

    def validation_step(self, batch: Any, _: int) -> None:
        x, y = batch
        self.val_risk.append(self.loss_of(self.model(x), y).item())

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=self.problem.lr)

    def on_train_epoch_end(self) -> None:
        self.train_risk.append(self.total / self.problem.n)
        self.total = 0.0
        self.mark(self.current_epoch + 1)


def loaders(problem: Problem) -> tuple[DataLoader, DataLoader]:
    """Of the training and of the validation part."""
    x, y, x_val, y_val = tensors(problem)
    train = DataLoader(TensorDataset(x, y), batch_size=problem.batch or problem.n, shuffle=True)
    return train, DataLoader(TensorDataset(x_val, y_val), batch_size=N_VAL)


def prepare(problem: Problem) -> Loop:
    """One fit."""
    train, val = loaders(problem)

    def loop(epochs: int, mark: Mark) -> tuple[np.ndarray, np.ndarray]:
        module = Module(problem, mark)
        trainer = lightning.Trainer(
            max_epochs=epochs,
            accelerator="cpu",
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
        )
        trainer.fit(module, train, val)
        return np.array(module.train_risk), np.array(module.val_risk)

    return loop
