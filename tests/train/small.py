"""Experiments that the engine's tests share; small, so that each compiles in a second or two."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import optax

import thetahat as th


def draw(n: int = 60, d: int = 2, seed: int = 0, noise: float = 0.1) -> th.Observations:
    """y = x @ (1, -1, ...) + noise, as NumPy arrays in float32."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, d)).astype(np.float32)
    y = x @ np.resize([1.0, -1.0], d) + noise * rng.normal(size=n)
    return th.Observations(x, y.astype(np.float32))


def parts(n: int = 60, d: int = 2, seed: int = 0) -> th.Data:
    """Three parts, none of whose sizes is a multiple of the tests' batches."""
    obs = draw(n, d, seed)
    a, b = int(0.6 * n), int(0.8 * n)
    return th.Data(obs[:a], obs[a:b], obs[b:])


def net(
    lr: float = 0.05,
    seed: th.Seed = 0,
    width: int = 4,
    epochs: int = 7,
    batch_size: int = 16,
) -> th.Task:
    """A small net on fixed data."""
    return th.Task(
        th.models.MLP(2, width=width, depth=1, activation="tanh", seed=seed),
        parts(),
        optimizer=optax.adam(lr),
        epochs=epochs,
        batch_size=batch_size,
        metrics={"norm": lambda h: jnp.sqrt(jnp.sum(h.params["layers"][0]["kernel"] ** 2))},
        seed=seed,
    )
