"""The lectures' loop: ``nnx.jit`` train step, generator data loader, JAX batches.

As it is taught, with one fault fixed: the loader is made anew in every epoch, since a generator is
exhausted after its first. A full batch goes through the loader too, as one batch of N.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from benchmarks.loops.problems import Problem
from benchmarks.loops.rounds import Loop, Mark

NAME = "the lectures' NNX loop"


class Net(nnx.Module):
    """Linear layers with ReLU between them."""

    def __init__(self, sizes: tuple[int, ...], rngs: nnx.Rngs) -> None:
        pairs = itertools.pairwise(sizes)
        self.layers = nnx.List([nnx.Linear(a, b, rngs=rngs) for a, b in pairs])

    def __call__(self, x: jax.Array) -> jax.Array:
        for layer in self.layers[:-1]:
            x = nnx.relu(layer(x))
        return self.layers[-1](x)[..., 0]


def residuals_loss(model: Net, X: jax.Array, Y: jax.Array) -> jax.Array:
    """Mean squared residual, observation by observation."""
    return jnp.mean(jax.vmap(lambda x, y: (model(x) - y) ** 2)(X, Y))


@nnx.jit
def train_step(model: Net, optimizer: nnx.Optimizer, X: jax.Array, Y: jax.Array) -> jax.Array:
    """One step, and the loss before it."""
    loss, grads = nnx.value_and_grad(lambda m: residuals_loss(m, X, Y))(model)
    optimizer.update(model, grads)
    return loss


val_risk = nnx.jit(residuals_loss)


def data_loader(
    key: jax.Array, X: jax.Array, Y: jax.Array, batch_size: int
) -> Iterator[tuple[jax.Array, jax.Array]]:
    """Batches of one epoch."""
    indices = jax.random.permutation(key, jnp.arange(X.shape[0]))
    for i in range(0, X.shape[0], batch_size):
        rows = indices[i : i + batch_size]
        yield X[rows], Y[rows]


def prepare(problem: Problem) -> Loop:
    """One fit."""
    X, Y, X_val, Y_val = map(jnp.asarray, problem.data)
    batch_size = problem.batch or problem.n
    tx = optax.sgd(problem.lr)  # made once: another transformation is another program to nnx.jit

    def loop(epochs: int, mark: Mark) -> tuple[np.ndarray, np.ndarray]:
        model, key = Net(problem.sizes, nnx.Rngs(0)), jax.random.key(1)
        optimizer = nnx.Optimizer(model, tx, wrt=nnx.Param)
        mark(0)
        train, val = [], []
        for _ in range(epochs):
            key, subkey = jax.random.split(key)
            losses = []
            for X_batch, Y_batch in data_loader(subkey, X, Y, batch_size):
                losses.append((train_step(model, optimizer, X_batch, Y_batch), len(Y_batch)))
            train.append(sum(float(loss) * n for loss, n in losses) / problem.n)
            val.append(float(val_risk(model, X_val, Y_val)))
        mark(epochs)
        return np.array(train), np.array(val)

    return loop
