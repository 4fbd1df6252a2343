"""click, with keywords as the config, and a step of its own."""

import click
import numpy as np
import wandb


@click.command()
@click.option("--lr", default=0.5)
@click.option("--epochs", default=3)
def main(lr, epochs):
    run = wandb.init(project="wages", config={"lr": lr, "epochs": epochs, "width": 16})
    for epoch in range(epochs):
        run.log({"loss": np.float32(lr / (epoch + 1)), "ok": epoch > 1}, step=10 * epoch)
    run.log({"status": "done"}, step=10 * epoch)
    run.finish()


if __name__ == "__main__":
    main()
