# ruff: noqa: T201
"""Hydra: overrides without hyphens, with dots in names."""

import json
from dataclasses import dataclass, field

import hydra
from hydra.core.config_store import ConfigStore


@dataclass
class Optimizer:
    """A group."""

    lr: float = 0.1


@dataclass
class Config:
    """The whole config."""

    optimizer: Optimizer = field(default_factory=Optimizer)
    epochs: int = 1
    fail: bool = False


ConfigStore.instance().store(name="config", node=Config)


@hydra.main(version_base=None, config_name="config")
def main(config: Config) -> None:
    """Print what came."""
    if config.fail:
        raise ValueError("no data for 1997")
    print(json.dumps({"loss": config.optimizer.lr / config.epochs, "epoch": config.epochs}))


if __name__ == "__main__":
    main()
