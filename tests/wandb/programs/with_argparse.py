"""argparse, and its namespace as the config."""

import argparse

import wandb

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=0.5)
parser.add_argument("--epochs", type=int, default=3)
parser.add_argument("--name", default="ols")
args = parser.parse_args()

wandb.init(project="wages", config=args, tags=["argparse"], group="styles")
for epoch in range(args.epochs):
    loss = args.lr / (epoch + 1)
    wandb.log({"train/loss": loss, "val/loss": 2 * loss, "epoch": epoch})
wandb.run.summary["best"] = loss
wandb.finish()
