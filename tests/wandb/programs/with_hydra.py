"""Hydra, whose config becomes nested values."""

from dataclasses import dataclass, field

import hydra
import wandb
from hydra.core.config_store import ConfigStore
from omegaconf import OmegaConf


@dataclass
class Net:
    width: int = 8


@dataclass
class Config:
    lr: float = 0.5
    epochs: int = 3
    net: Net = field(default_factory=Net)


ConfigStore.instance().store(name="config", node=Config)


@hydra.main(version_base=None, config_name="config")
def main(cfg):
    wandb.init(project="wages", config=OmegaConf.to_container(cfg, resolve=True))
    for epoch in range(cfg.epochs):
        wandb.log({"loss": cfg.lr / (epoch + 1)})


if __name__ == "__main__":
    main()
