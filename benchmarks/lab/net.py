"""The nets of the benchmark: widths as a number, on the lectures' one sample."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

import thetahat as th
from thetahat.lab import MaskedMLP


def net_of(
    sample: tuple[Any, ...], widest: int, epochs: int, rate: float
) -> Callable[..., th.Task]:
    """Make the experiment: test loss and error in f after every epoch."""
    x, y, fresh, y_fresh, f_fresh = sample

    def net(width: float = 5.0, lr: float = rate, seed: th.Seed = 0) -> th.Task:
        return th.Task(
            MaskedMLP(5, widest, width, depth=1, initial="uniform"),
            th.Data((x, y), (fresh, y_fresh)),
            metrics={"error_f": lambda h: jnp.mean((jax.vmap(h)(fresh) - f_fresh) ** 2)},
            optimizer=optax.adam(lr),
            epochs=epochs,
            seed=seed,
        )

    return net
