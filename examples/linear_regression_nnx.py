"""Fit a Flax NNX module.

The Task takes the module that the experiment builds, without a wrapper or a base class. It trains
its ``nnx.Param`` leaves and returns a module of the same class as ``result.model``. In residuals
and metrics ``h`` is this module too, so its parameters have their own names. Its output has shape
(1,) and y has shape (): only this trailing axis is squeezed. The seed is traced, so give Flax a
key made from it.

    python examples/linear_regression_nnx.py
"""

import jax
import jax.numpy as jnp
import optax
from flax import nnx

import thetahat as th


def linear_regression_nnx(
    N: int = 500,
    M: int = 2,
    sigma: float = 1e-3,
    lr: float = 1e-3,
    epochs: int = 500,
    batch_size: int = 64,
    seed: th.Seed = 42,
) -> th.Task:
    """Fit nnx.Linear without a bias."""
    draw = th.dgp.linear(N, M, sigma, seed=seed)

    def distance(model):
        return jnp.linalg.norm(model.kernel[:, 0] - draw.theta)

    return th.Task(
        model=nnx.Linear(M, 1, use_bias=False, rngs=nnx.Rngs(jax.random.key(seed))),
        data=th.Data(train=draw),
        metrics={"distance": distance},
        optimizer=optax.sgd(lr),
        epochs=epochs,
        batch_size=batch_size,
        seed=seed,
    )


if __name__ == "__main__":
    result = th.fit(linear_regression_nnx)
    print(f"||theta_hat - theta|| = {result.metrics['distance']:.2e}")
