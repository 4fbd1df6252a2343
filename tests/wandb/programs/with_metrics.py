"""define_metric, a table, an image, a histogram, an artifact and an alert."""

import numpy as np
import wandb

run = wandb.init(project="wages", config={"lr": 0.5}, job_type="train")
run.define_metric("epoch")
run.define_metric("val/*", step_metric="epoch")
run.define_metric("loss", summary="min")
for epoch in range(3):
    run.log({"loss": run.config.lr / (epoch + 1), "val/acc": epoch / 10, "epoch": epoch})
run.log({"loss": 7.0})
table = wandb.Table(columns=["t", "k"])
for t in range(4):
    table.add_data(t, t**0.5)
run.log({"policy": table, "image": wandb.Image(np.eye(4)), "draws": wandb.Histogram([1, 2, 2])})
run.log({"curve": wandb.plot.line(table, "t", "k", title="Policy")})
artifact = wandb.Artifact("policy-table", type="result", metadata={"rows": 4})
with artifact.new_file("policy.csv") as file:
    file.write("t,k\n0,0\n")
run.log_artifact(artifact, aliases=["best"])
run.finish()
