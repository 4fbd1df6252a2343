"""Linear regression by gradient descent: every step uses the whole sample.

The risk of h(x) = x . theta under the squared loss is quadratic in theta, so that the
path of gradient descent is known in advance:

    theta_t - theta_ols = (I - 2 lr X'X / N)^t (theta_0 - theta_ols)

With ``batch_size=None``, the default, an epoch is one such step. The error after many epochs is
the sampling error of least squares, about sigma * sqrt(M / N), and not one of the optimizer.

    python examples/linear_regression_gd.py
"""

import jax.numpy as jnp
import optax

import thetahat as th


def linear_regression_gd(
    N: int = 500,
    M: int = 2,
    sigma: float = 1e-3,
    lr: float = 0.05,
    epochs: int = 200,
    seed: th.Seed = 42,
) -> th.Task:
    """Recover theta in y = x . theta + sigma e, with full batches."""
    draw = th.dgp.linear(N, M, sigma, seed=seed)

    def distance(h):
        return jnp.linalg.norm(h.params["kernel"] - draw.theta)

    return th.Task(
        model=th.models.Linear(M, bias=False, start="zeros"),
        data=th.Data(train=draw),
        metrics={"distance": distance},
        optimizer=optax.sgd(lr),
        epochs=epochs,
        seed=seed,
    )


if __name__ == "__main__":
    result = th.fit(linear_regression_gd)
    print(f"||theta_hat - theta|| = {result.metrics['distance']:.2e}")
