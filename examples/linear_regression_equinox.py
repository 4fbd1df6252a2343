"""Fit an Equinox module.

An Equinox module is a pytree: its floating-point arrays are trained, the rest is constant. The
engine separates the two once, so you need none of Equinox's filtered transformations.

    python examples/linear_regression_equinox.py          (needs: pip install 'thetahat[equinox]')
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import optax

import thetahat as th


def linear_regression_equinox(
    N: int = 500,
    M: int = 2,
    sigma: float = 1e-3,
    lr: float = 1e-3,
    epochs: int = 300,
    batch_size: int = 64,
    seed: th.Seed = 42,
) -> th.Task:
    """Fit eqx.nn.Linear without a bias."""
    draw = th.dgp.linear(N, M, sigma, seed=seed)

    def distance(model):
        return jnp.linalg.norm(model.weight[0] - draw.theta)

    return th.Task(
        model=eqx.nn.Linear(M, 1, use_bias=False, key=jax.random.key(seed)),
        data=th.Data(train=draw),
        metrics={"distance": distance},
        optimizer=optax.sgd(lr),
        epochs=epochs,
        batch_size=batch_size,
        seed=seed,
    )


if __name__ == "__main__":
    result = th.fit(linear_regression_equinox)
    print(f"||theta_hat - theta|| = {result.metrics['distance']:.2e}")
