"""Fire, and a run as a context."""

import fire
import wandb


def train(lr: float = 0.5, epochs: int = 3, layers=(8, 8)):
    with wandb.init(project="wages", config={"lr": lr, "epochs": epochs, "layers": layers}) as run:
        run.name = f"fire-{lr}"
        for epoch in range(run.config["epochs"]):
            run.log({"loss": run.config["lr"] / (epoch + 1)}, commit=False)
            run.log({"epoch": epoch})
        run.summary.update({"converged": True, "nested": {"a": 1}})


if __name__ == "__main__":
    fire.Fire(train)
