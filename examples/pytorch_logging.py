"""A module of your own, and a run that is logged: parameters of the command line, curves, result.

``th.main`` makes the command line of the function and keeps every run in a store, with its
parameters and all epochs; ``thetahat ui`` shows them, ``thetahat sweep`` tunes them. Nothing is
sent anywhere.

    python examples/pytorch_logging.py --lr=0.002 --epochs=200
"""

import jax.numpy as jnp
import optax
import torch

import thetahat as th


class LinearMap(torch.nn.Module):
    """The hypothesis class h(x) = theta . x."""

    def __init__(self, M):
        super().__init__()
        self.theta = torch.nn.Parameter(torch.randn(M))

    def forward(self, x):
        return x @ self.theta


def pytorch_logging(
    N: int = 500, M: int = 2, sigma: float = 1e-3, lr: float = 1e-3, epochs: int = 300,
    batch_size: int = 16, seed: th.Seed = 42,
) -> th.Task:  # fmt: skip
    """Fit a linear map, and record its distance to the truth in every epoch."""
    draw = th.dgp.linear(N, M, sigma, seed=seed)

    def distance(h):
        return jnp.linalg.norm(h.theta - draw.theta)

    return th.Task(
        model=lambda seed: LinearMap(M),
        data=th.split(draw, train=0.7, val=0.15, test=0.15, seed=seed),
        metrics={"distance": th.Metric(distance, mode="min")},
        optimizer=optax.sgd(lr),
        epochs=epochs,
        batch_size=batch_size,
        seed=seed,
    )


if __name__ == "__main__":
    th.main(pytorch_logging)
