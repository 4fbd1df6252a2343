"""click: a boolean flag, and the values as JSON."""

import json

import click


@click.command()
@click.option("--lr", type=float, required=True)
@click.option("--nesterov", is_flag=True)
@click.option("--config", type=str)
def train(lr: float, nesterov: bool, config: str) -> None:
    """Print what came."""
    click.echo(json.dumps({"loss": lr, "nesterov": int(nesterov)}))
    click.echo(json.dumps({"from_json": json.loads(config)["lr"]}))


if __name__ == "__main__":
    train()
