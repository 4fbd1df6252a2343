# ruff: noqa: T201
"""Fire: flags with a space, and Python literals."""

import json

import fire


def train(lr: float, layers: list, name: str = "none") -> None:
    """Print what came."""
    print(json.dumps({"loss": lr * sum(layers), "n": len(layers), "name": name}))


if __name__ == "__main__":
    fire.Fire(train)
