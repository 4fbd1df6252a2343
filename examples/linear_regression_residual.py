"""One residual per observation, and a learning rate that falls.

A residual is a function of ONE observation z, and is not squared: the engine maps it over
the batch and applies the loss. With sigma = 1 the gradient of a minibatch is noisy at theta
itself. A constant learning rate then keeps the iterate in a cloud around the least squares
solution, whose radius is of the order sqrt(lr / B). A rate that falls to zero shrinks
the cloud.

    python examples/linear_regression_residual.py
"""

import jax.numpy as jnp
import optax

import thetahat as th


def residual(h, z):
    """Return h(x) - y at one observation: x has shape (M,), y and h(x) have shape ()."""
    x, y = z
    return h(x) - y


def linear_regression_residual(
    N: int = 500,
    M: int = 2,
    sigma: float = 1.0,
    lr: float = 0.05,
    decay: bool = True,
    epochs: int = 200,
    batch_size: int = 16,
    seed: th.Seed = 42,
) -> th.Task:
    """Fit by minibatch SGD, with a constant rate or one that falls from lr to 0 as a cosine."""
    draw = th.dgp.linear(N, M, sigma, seed=seed)
    theta_ols = jnp.linalg.lstsq(draw.x, draw.y)[0]
    steps = epochs * -(-N // batch_size)

    def distance(h):
        return jnp.linalg.norm(h.params["kernel"] - theta_ols)

    return th.Task(
        model=th.models.Linear(M, bias=False),
        data=th.Data(train=draw),
        residual=residual,
        metrics={"distance": distance},
        optimizer=optax.sgd(optax.cosine_decay_schedule(lr, steps) if decay else lr),
        epochs=epochs,
        batch_size=batch_size,
        seed=seed,
    )


if __name__ == "__main__":
    result = th.fit(linear_regression_residual)
    print(f"||theta_hat - theta_ols|| = {result.metrics['distance']:.2e}")
