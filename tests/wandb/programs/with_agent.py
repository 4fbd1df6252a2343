"""wandb.sweep and wandb.agent(function=), and the best run of wandb.Api."""

import sys

import wandb

SWEEP = {
    "method": "grid",
    "metric": {"name": "loss", "goal": "minimize"},
    "parameters": {"lr": {"values": [0.1, 0.3, 0.5, 9.0]}, "depth": {"value": 2}},
}


def train():
    run = wandb.init(tags=["agent"])
    config = wandb.config
    for epoch in range(3):
        wandb.log({"loss": (config.lr - 0.3) ** 2 + 1 / (epoch + 1), "epoch": epoch})
    if config.lr > 1:
        raise ValueError("the learning rate is too large")
    assert run.sweep_id


if __name__ == "__main__":
    sweep_id = wandb.sweep(SWEEP, project="wages")
    wandb.agent(sweep_id, function=train, count=4)
    sweep = wandb.Api().sweep(f"me/wages/{sweep_id}")
    best = sweep.best_run()
    sys.stdout.write(f"{best.config['lr']} {best.summary['loss']} {len(sweep.runs)}\n")
