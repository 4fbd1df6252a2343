"""LightningCLI, swept: dotted parameters, and a file of defaults.

The program is plain Lightning; ``lightning_defaults.yaml`` holds what a run takes if it gets no
flag. A sweep adds ``--model.lr=0.1 --data.n=100``. The callback is the only line for thetahat: it
logs what Lightning logged.

    python examples/frameworks/lightning_cli.py fit --model.lr=0.1
    thetahat sweep examples/frameworks/lightning_sweep.yaml --run
"""

from pathlib import Path

import torch
from lightning.pytorch import Callback, LightningDataModule, LightningModule
from lightning.pytorch.cli import LightningCLI
from torch.utils.data import DataLoader, TensorDataset

import thetahat as th


class Wages(LightningDataModule):
    """Log wages that rise with schooling, and with experience up to a point."""

    def __init__(self, n: int = 200, batch_size: int = 50):
        super().__init__()
        rng = torch.Generator().manual_seed(0)
        x = torch.randn(2 * n, 2, generator=rng)
        y = 0.5 * x[:, 0] + 0.3 * x[:, 1] - 0.2 * x[:, 1] ** 2
        y = y + 0.1 * torch.randn(2 * n, generator=rng)
        self.train, self.val = TensorDataset(x[:n], y[:n]), TensorDataset(x[n:], y[n:])
        self.batch_size = batch_size

    def train_dataloader(self):
        return DataLoader(self.train, self.batch_size, shuffle=True)

    def val_dataloader(self):
        return DataLoader(self.val, len(self.val))


class Net(LightningModule):
    """One hidden layer."""

    def __init__(self, width: int = 16, lr: float = 0.01):
        super().__init__()
        self.net = torch.nn.Sequential(
            torch.nn.Linear(2, width), torch.nn.Tanh(), torch.nn.Linear(width, 1)
        )
        self.lr = lr

    def loss(self, batch):
        x, y = batch
        return ((self.net(x)[:, 0] - y) ** 2).mean()

    def training_step(self, batch, _):
        return self.loss(batch)

    def validation_step(self, batch, _):
        self.log("val_loss", self.loss(batch))
        self.log("lr", self.lr)

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=self.lr)


class Log(Callback):
    """Log what Lightning has logged."""

    def on_validation_epoch_end(self, trainer, module):
        if not trainer.sanity_checking:
            numbers = {k: float(v) for k, v in trainer.callback_metrics.items()}
            th.log(numbers, step=trainer.current_epoch)


if __name__ == "__main__":
    defaults = Path(__file__).with_name("lightning_defaults.yaml")
    LightningCLI(
        Net,
        Wages,
        seed_everything_default=0,
        trainer_defaults={"callbacks": [Log()]},
        save_config_callback=None,
        parser_kwargs={"fit": {"default_config_files": [str(defaults)]}},
    )
