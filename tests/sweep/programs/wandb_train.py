"""Plain wandb, as its documentation shows it."""

import sys
import time

import wandb

pause = float(sys.argv[1]) if len(sys.argv) > 1 and not sys.argv[1].startswith("-") else 0.0
run = wandb.init(project="wages", config={"lr": 5.0, "momentum": 0.5, "model": {"layers": 1}})
for epoch in range(4):
    loss = run.config.lr / (epoch + 1) + run.config.model["layers"]
    run.log({"loss": loss, "val": {"rmse": loss / 2}, "epoch": epoch, "words": "yes"})
    time.sleep(pause)
run.summary["best_loss"] = loss
run.summary["momentum"] = run.config["momentum"]
run.finish()
