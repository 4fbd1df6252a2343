"""A module of your own: a class with parameters and a call.

``nnx.Param`` marks trained arrays; sizes, names and other attributes are constant. Modules nest,
so this is how to make deep networks, and nets of the form that theory requires: here the class
is linear.

With a data loader that is empty after one pass, epochs two to five hundred would change nothing,
without a message. Here data are arrays, every epoch passes through all of them, and a fit whose
parameters never change ends with the status "unmoved".

    python examples/custom_module.py
"""

import jax
import jax.numpy as jnp
import optax
from flax import nnx

import thetahat as th


class MyLinear(nnx.Module):
    """Linear map h(x) = kernel x, from ``in_size`` inputs to ``out_size`` outputs."""

    def __init__(self, in_size, out_size, rngs):
        self.in_size = in_size
        self.out_size = out_size
        self.kernel = nnx.Param(jax.random.normal(rngs.params(), (out_size, in_size)))

    def __call__(self, x):
        return self.kernel @ x


def custom_module(
    N: int = 500,
    M: int = 2,
    sigma: float = 1e-3,
    lr: float = 1e-3,
    epochs: int = 500,
    batch_size: int = 64,
    seed: th.Seed = 42,
) -> th.Task:
    """Fit MyLinear like any other module."""
    draw = th.dgp.linear(N, M, sigma, seed=seed)

    def distance(model):
        return jnp.linalg.norm(model.kernel[0] - draw.theta)

    return th.Task(
        model=MyLinear(M, 1, rngs=nnx.Rngs(jax.random.key(seed))),
        data=th.Data(train=draw),
        metrics={"distance": distance},
        optimizer=optax.sgd(lr),
        epochs=epochs,
        batch_size=batch_size,
        seed=seed,
    )


if __name__ == "__main__":
    result = th.fit(custom_module)
    print(f"||theta_hat - theta|| = {result.metrics['distance']:.2e}")
