"""The lecture's program: a hand-written loop that logs to Weights & Biases.

This file does not use thetahat. As in a first course, a function has the command line as its
signature, with a Flax NNX net, a loop over minibatches, and ``wandb.log``. ``thetahat sweep``
runs it unchanged, offline and without an account, with one process per run:

    python examples/mlp_regression_logging.py --width=64 --lr=0.005 --num_epochs=300
    thetahat sweep examples/mlp_regression_logging_sweep.yaml --run --count 4

``mlp_regression.py`` estimates the same net as an experiment: many times faster, tuned on a
validation set. The metric here is the loss on the TEST set, as in the lecture; so the
sweep is marked as contaminated everywhere.
"""

import os

import jax
import jax.numpy as jnp
import jsonargparse
import optax
import wandb
from flax import nnx


class MLP(nnx.Module):
    """Two hidden layers of rectified linear units."""

    def __init__(self, n_in: int, width: int, *, rngs: nnx.Rngs):
        self.first = nnx.Linear(n_in, width, rngs=rngs)
        self.second = nnx.Linear(width, width, rngs=rngs)
        self.last = nnx.Linear(width, 1, rngs=rngs)

    def __call__(self, x):
        return self.last(nnx.relu(self.second(nnx.relu(self.first(x)))))


def risk(model, x, y):
    """Compute the mean squared residual."""
    return jnp.mean((model(x)[:, 0] - y) ** 2)


@nnx.jit
def step(model, optimizer, x, y):
    """Take one step of gradient descent."""
    loss, gradient = nnx.value_and_grad(risk)(model, x, y)
    optimizer.update(model, gradient)
    return loss


def fit_model(
    N: int = 500,
    M: int = 2,
    sigma: float = 0.0001,
    width: int = 128,
    lr: float = 0.001,
    num_epochs: int = 2000,
    batch_size: int = 512,
    seed: int = 42,
    wandb_project: str = "grad_econ_ML",
    wandb_mode: str = "offline",
):
    """Draw a linear process, fit a net to it, log the losses."""
    # The environment decides first: without an account the mode "online" fails.
    wandb.init(project=wandb_project, mode=os.environ.get("WANDB_MODE", wandb_mode))
    rngs = nnx.Rngs(seed)
    theta = jax.random.normal(rngs(), (M,))
    x, x_test = jax.random.normal(rngs(), (N, M)), jax.random.normal(rngs(), (N, M))
    y = x @ theta + sigma * jax.random.normal(rngs(), (N,))
    y_test = x_test @ theta + sigma * jax.random.normal(rngs(), (N,))

    model = MLP(M, width, rngs=rngs)
    optimizer = nnx.Optimizer(model, optax.sgd(lr), wrt=nnx.Param)
    test_risk = nnx.jit(risk)
    num_params = sum(leaf.size for leaf in jax.tree.leaves(nnx.state(model, nnx.Param)))
    wandb.run.summary["num_params"] = num_params

    for epoch in range(num_epochs):
        order = jax.random.permutation(rngs(), N)
        for start in range(0, N, batch_size):
            batch = order[start : start + batch_size]
            train_loss = step(model, optimizer, x[batch], y[batch])
        test_loss = test_risk(model, x_test, y_test)
        wandb.log({"epoch": epoch, "train_loss": train_loss, "test_loss": test_loss})

    print(f"{num_params} parameters, test loss {test_loss:.3e}")
    wandb.finish()


if __name__ == "__main__":
    jsonargparse.CLI(fit_model)
