"""Lightning as it comes: its logger, checkpoints and progress bar, ``self.log`` for every epoch."""

from __future__ import annotations

import contextlib
import io
import tempfile
from typing import Any

import lightning
import numpy as np
import torch
from torch import nn

from benchmarks.loops.peers.lightning_bare import loaders
from benchmarks.loops.peers.torch_net import net
from benchmarks.loops.problems import Problem
from benchmarks.loops.rounds import Loop, Mark

NAME = "Lightning, default"


class Module(lightning.LightningModule):
    """The network and its steps, as the documentation writes them."""

    def __init__(self, problem: Problem, mark: Mark) -> None:
        super().__init__()
        self.model, self.problem, self.mark = net(problem), problem, mark
        self.loss_of = nn.MSELoss()
        self.train_risk: list[float] = []
        self.val_risk: list[float] = []

    def training_step(self, batch: Any, _: int) -> torch.Tensor:
        x, y = batch
        loss = self.loss_of(self.model(x), y)
        self.log("train_risk", loss, on_step=False, on_epoch=True)
        return loss

    def validation_step(self, batch: Any, _: int) -> None:
        x, y = batch
        self.log("val_risk", self.loss_of(self.model(x), y))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=self.problem.lr)


class Keep(lightning.Callback):
    """Reads the logged metrics at the end of every epoch, when both are there."""

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        pl_module.mark(trainer.current_epoch + 1)
        pl_module.val_risk.append(float(trainer.callback_metrics["val_risk"]))
        if "train_risk" in trainer.callback_metrics:
            pl_module.train_risk.append(float(trainer.callback_metrics["train_risk"]))

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        pl_module.train_risk.append(float(trainer.callback_metrics["train_risk"]))


def prepare(problem: Problem) -> Loop:
    """One fit."""
    train, val = loaders(problem)

    def loop(epochs: int, mark: Mark) -> tuple[np.ndarray, np.ndarray]:
        module = Module(problem, mark)
        # What it prints goes nowhere, but it does print.
        quiet = contextlib.redirect_stdout(io.StringIO())
        with tempfile.TemporaryDirectory() as folder, quiet:
            trainer = lightning.Trainer(
                max_epochs=epochs, accelerator="cpu", default_root_dir=folder, callbacks=[Keep()]
            )
            trainer.fit(module, train, val)
        return np.array(module.train_risk[-epochs:]), np.array(module.val_risk)

    return loop
