"""LightningCLI with its own wandb logger."""

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.cli import LightningCLI
from torch.utils.data import DataLoader, TensorDataset


class Line(LightningModule):
    """y = a x."""

    def __init__(self, lr: float = 0.1, width: int = 1) -> None:
        super().__init__()
        self.lr, self.layer = lr, torch.nn.Linear(width, 1)

    def training_step(self, batch: list, _: int) -> torch.Tensor:
        """Mean squared error."""
        return ((self.layer(batch[0]) - batch[1]) ** 2).mean()

    def validation_step(self, batch: list, _: int) -> None:
        """Log what the sweep asks for."""
        self.log("val_loss", ((self.layer(batch[0]) - batch[1]) ** 2).mean())
        self.log("lr_seen", self.lr)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Plain descent."""
        return torch.optim.SGD(self.parameters(), lr=self.lr)

    def train_dataloader(self) -> DataLoader:
        """Eight points on a line."""
        x = torch.linspace(0, 1, 8)[:, None]
        return DataLoader(TensorDataset(x, 2 * x), batch_size=4)

    def val_dataloader(self) -> DataLoader:
        """The same."""
        return self.train_dataloader()


if __name__ == "__main__":
    LightningCLI(
        Line,
        trainer_defaults={
            "max_epochs": 2,
            "accelerator": "cpu",
            "enable_progress_bar": False,
            "enable_model_summary": False,
            "enable_checkpointing": False,
            "log_every_n_steps": 1,
            "logger": {
                "class_path": "lightning.pytorch.loggers.WandbLogger",
                "init_args": {"project": "wages"},
            },
        },
        save_config_callback=None,
    )
