"""Attributes of wandb.config, set one by one, and a module-level run."""

import os

import wandb

wandb.login()
wandb.init(project="wages", settings=wandb.Settings(start_method="thread"))
config = wandb.config
config.lr = 0.5
config.epochs = 3
config.setdefaults({"epochs": 9, "width": 4})
assert "lr" in config and config.get("depth", 2) == 2
with open(f"ckpt-{wandb.run.name}-{wandb.run.id}.txt", "w") as file:
    file.write(str(dict(config)))
for epoch in range(config.epochs):
    wandb.log({"loss": config.lr / (epoch + 1)})
wandb.save("ckpt-*.txt")
with open(os.path.join(wandb.run.dir, "model.txt"), "w") as file:
    file.write("weights")
