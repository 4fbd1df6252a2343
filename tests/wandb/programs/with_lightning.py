"""LightningCLI with a WandbLogger."""

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.cli import LightningCLI
from torch.utils.data import DataLoader, TensorDataset


class Line(LightningModule):
    def __init__(self, lr: float = 0.5):
        super().__init__()
        self.save_hyperparameters()
        self.net = torch.nn.Linear(1, 1)

    def training_step(self, batch):
        x, y = batch
        loss = torch.nn.functional.mse_loss(self.net(x), y)
        self.log("train_loss", loss, on_step=False, on_epoch=True)
        return loss

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), self.hparams.lr)

    def train_dataloader(self):
        x = torch.linspace(0, 1, 8)[:, None]
        return DataLoader(TensorDataset(x, 2 * x), batch_size=8)


cli = LightningCLI(
    Line,
    run=False,
    save_config_callback=None,
    trainer_defaults={
        "max_epochs": 3,
        "accelerator": "cpu",
        "enable_progress_bar": False,
        "enable_checkpointing": False,
        "logger": {
            "class_path": "lightning.pytorch.loggers.WandbLogger",
            "init_args": {"project": "wages", "tags": ["lightning"], "group": "styles"},
        },
    },
)
cli.trainer.fit(cli.model)
logger = cli.trainer.logger
logger.log_text("policy", columns=["t", "k"], data=[[0, 0.5], [1, 0.75]])
logger.experiment.log({"convergence": "Success", "retcode": 0})
logger.experiment.summary["weight"] = cli.model.net.weight.item()
assert dict(logger.experiment.summary)["train_loss"] > 0
