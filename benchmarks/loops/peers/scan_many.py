"""64 fits by hand: the epoch scan under ``vmap`` over initial parameters and rates, one order."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.loops.peers import by_hand
from benchmarks.loops.problems import Problem
from benchmarks.loops.rounds import Loop, Mark

NAME = "epoch scan under vmap, by hand"


def prepare(problem: Problem) -> Loop:
    """All fits at once: the data and the order of the observations are shared."""
    data = tuple(map(jnp.asarray, problem.data))
    rates = jnp.asarray(problem.rates)

    @jax.jit
    def one_epoch(params: by_hand.Params, key: jax.Array, data: tuple[jax.Array, ...]):
        key, subkey = jax.random.split(key)
        order = jax.random.permutation(subkey, problem.n)
        one = jax.vmap(lambda p, lr: by_hand.epoch(problem, p, data, order, lr))
        return one(params, rates), key

    def loop(epochs: int, mark: Mark) -> tuple[np.ndarray, np.ndarray]:
        keys, key = jax.random.split(jax.random.key(0), problem.fits), jax.random.key(1)
        params = jax.vmap(lambda k: by_hand.init(problem, k))(keys)
        jax.block_until_ready(params)
        mark(0)
        train, val = [], []
        for _ in range(epochs):
            (params, train_risk, val_risk), key = one_epoch(params, key, data)
            train.append(np.asarray(train_risk))
            val.append(np.asarray(val_risk))
        jax.block_until_ready(params)
        mark(epochs)
        return np.stack(train), np.stack(val)

    return loop
