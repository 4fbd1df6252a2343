"""The floor: a whole-epoch ``lax.scan`` by hand, one call of one jitted function an epoch."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.loops.peers import by_hand
from benchmarks.loops.problems import Problem
from benchmarks.loops.rounds import Loop, Mark

NAME = "epoch scan, by hand (the floor)"


def prepare(problem: Problem) -> Loop:
    """One fit."""
    data = tuple(map(jnp.asarray, problem.data))
    lr = problem.lr

    @jax.jit
    def one_epoch(params: by_hand.Params, key: jax.Array, data: tuple[jax.Array, ...]):
        key, subkey = jax.random.split(key)
        order = None if problem.batch is None else jax.random.permutation(subkey, problem.n)
        return by_hand.epoch(problem, params, data, order, lr), key

    def loop(epochs: int, mark: Mark) -> tuple[np.ndarray, np.ndarray]:
        params, key = by_hand.init(problem, jax.random.key(0)), jax.random.key(1)
        jax.block_until_ready(params)
        mark(0)
        train, val = [], []
        for _ in range(epochs):
            (params, train_risk, val_risk), key = one_epoch(params, key, data)
            train.append(float(train_risk))
            val.append(float(val_risk))
        jax.block_until_ready(params)
        mark(epochs)
        return np.array(train), np.array(val)

    return loop
