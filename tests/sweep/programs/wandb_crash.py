"""wandb, and then a crash."""

import wandb

wandb.init(project="wages")
wandb.log({"loss": 2.0})
raise RuntimeError("the matrix is singular")
