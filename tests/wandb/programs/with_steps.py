"""Several hundred steps, and validation by epoch on an axis of its own."""

import wandb

with wandb.init(project="wages", config={"epochs": 3}) as run:
    run.define_metric("val/*", step_metric="epoch")
    for step in range(300):
        row = {"loss": 1 / (step + 1)}
        if step % 100 == 99:
            row |= {"epoch": step // 100, "val/loss": 2 / (step + 1)}
        run.log(row)
    run.log({"policy": wandb.Table(columns=["k", "c"], data=[[0.0, 0.5], [1.0, 0.75]])})
    run.log({"draws": wandb.Histogram([1.0, 2.0, 2.5])})
    run.log({"note": wandb.Html("<b>done</b>")})
