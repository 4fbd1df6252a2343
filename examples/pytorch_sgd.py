"""The lecture's PyTorch program with a ``DataLoader``: minibatches, and many seeds at once.

A loop over a loader spends its time in Python: one step of this module takes some hundred
microseconds there, and a microsecond here. The last batch of an epoch has 4 observations of
500; they weigh as 4, where the mean of a batch would count each of them four times.

    python examples/pytorch_sgd.py
"""

import jax.numpy as jnp
import numpy as np
import optax
import torch

import thetahat as th


def pytorch_sgd(
    N: int = 500, M: int = 2, sigma: float = 1e-3, lr: float = 1e-3, epochs: int = 300,
    batch_size: int = 8, seed: th.Seed = 0,
) -> th.Task:  # fmt: skip
    """Recover theta in y = x . theta + sigma e from minibatches."""
    draw = th.dgp.linear(N, M, sigma, seed=seed)

    def distance(h):
        return jnp.linalg.norm(h.weight[0] - draw.theta)

    return th.Task(
        model=lambda seed: torch.nn.Linear(M, 1, bias=False),
        data=th.Data(train=draw),
        loss=torch.nn.MSELoss(),
        metrics={"distance": distance},
        optimizer=optax.sgd(lr),
        epochs=epochs,
        batch_size=batch_size,
        seed=seed,
    )


if __name__ == "__main__":
    results = th.fit_many(pytorch_sgd, [{"seed": seed} for seed in range(16)])
    found = np.median([result.metrics["distance"] for result in results])
    print(f"median ||theta_hat - theta|| of 16 seeds = {found:.2e}")
