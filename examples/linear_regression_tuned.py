"""Choose batch size and learning rate on a validation part.

A small batch takes many cheap steps per epoch, a large rate long ones. A sweep finds the best pair
for a given number of epochs: the sweep file beside this program names the pairs, and the
validation risk decides. The test part is used once for each run, after the choice.

    thetahat sweep examples/linear_regression_sweep.yaml --run
    python examples/linear_regression_tuned.py --batch_size=8 --lr=0.01
"""

import jax.numpy as jnp
import optax

import thetahat as th


def linear_regression(
    N: int = 500,
    M: int = 2,
    sigma: float = 0.01,
    lr: float = 1e-3,
    batch_size: int = 32,
    epochs: int = 50,
    seed: th.Seed = 42,
) -> th.Task:
    """Recover theta in y = x . theta + sigma e by stochastic gradient descent.

    Args:
        lr: length of a step.
        batch_size: observations a step.
    """
    draw = th.dgp.linear(N, M, sigma, seed=seed)

    def distance(h):
        return jnp.linalg.norm(h.params["kernel"] - draw.theta)

    return th.Task(
        model=th.models.Linear(M, bias=False),
        data=th.split(draw, train=0.7, val=0.15, test=0.15, seed=seed),
        metrics={"distance": distance},
        optimizer=optax.sgd(lr),
        epochs=epochs,
        batch_size=batch_size,
        seed=seed,
    )


if __name__ == "__main__":
    th.main(linear_regression)
