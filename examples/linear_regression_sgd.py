"""Linear regression by stochastic gradient descent: a minibatch at every step.

The risk is a mean over observations, so the mean over B of them, drawn at random, is an
unbiased estimate of it, and its gradient costs N / B times less. An epoch shuffles the
sample and passes through it once: here 32 steps of 16 observations, the last of 4. Those 4
count as 4 and not as 16: all observations of an epoch have the same weight.

The noise of the gradient is small at theta if the residuals are, so that with a small sigma
even a constant learning rate gives an estimate as good as least squares.

    python examples/linear_regression_sgd.py
"""

import jax.numpy as jnp
import optax

import thetahat as th


def linear_regression_sgd(
    N: int = 500,
    M: int = 2,
    sigma: float = 1e-3,
    lr: float = 1e-3,
    epochs: int = 201,
    batch_size: int = 16,
    seed: th.Seed = 42,
) -> th.Task:
    """Recover theta in y = x . theta + sigma e, with minibatches."""
    draw = th.dgp.linear(N, M, sigma, seed=seed)

    def distance(h):
        return jnp.linalg.norm(h.params["kernel"] - draw.theta)

    return th.Task(
        model=th.models.Linear(M, bias=False),
        data=th.Data(train=draw),
        metrics={"distance": distance},
        optimizer=optax.sgd(lr),
        epochs=epochs,
        batch_size=batch_size,
        seed=seed,
    )


if __name__ == "__main__":
    result = th.fit(linear_regression_sgd)
    print(f"||theta_hat - theta|| = {result.metrics['distance']:.2e}")
