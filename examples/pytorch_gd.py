"""The lecture's first PyTorch program: gradient descent on a linear module.

The module is PyTorch's own, and so are its initial parameters: a function of the seed makes it
after ``torch.manual_seed(seed)``. thetahat runs its ``forward`` on JAX arrays, so that all steps
are one compiled program, with no loop, no ``zero_grad`` and no ``backward``. ``result.model`` is
the module again, with the fitted parameters.

    python examples/pytorch_gd.py
"""

import jax.numpy as jnp
import optax
import torch

import thetahat as th


def pytorch_gd(
    N: int = 500, M: int = 2, sigma: float = 1e-3, lr: float = 0.05, epochs: int = 200,
    seed: th.Seed = 42,
) -> th.Task:  # fmt: skip
    """Recover theta in y = x . theta + sigma e by full-batch descent."""
    draw = th.dgp.linear(N, M, sigma, seed=seed)

    def distance(h):
        return jnp.linalg.norm(h.weight[0] - draw.theta)

    return th.Task(
        model=lambda seed: torch.nn.Linear(M, 1, bias=False),
        data=th.Data(train=draw),
        metrics={"distance": distance},
        optimizer=optax.sgd(lr),
        epochs=epochs,
        seed=seed,
    )


if __name__ == "__main__":
    result = th.fit(pytorch_gd)
    print(f"||theta_hat - theta|| = {result.metrics['distance']:.2e}")
    print(result.model, [round(float(v), 3) for v in result.model.weight[0]])
