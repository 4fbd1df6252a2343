"""A whole fit as one scan of scans, by hand: no number before the end. For information."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.loops.peers import by_hand
from benchmarks.loops.problems import Problem
from benchmarks.loops.rounds import Loop, Mark

NAME = "fit scan, by hand"

CHUNK = 256
"""Epochs of one call: other numbers of epochs must not compile anew inside a round."""


def prepare(problem: Problem) -> Loop:
    """One fit, in calls of up to CHUNK epochs."""
    data = tuple(map(jnp.asarray, problem.data))
    lr = problem.lr

    @jax.jit
    def fit(params: by_hand.Params, key: jax.Array, n: jax.Array, data: tuple[jax.Array, ...]):
        def one(loop):
            i, params, train, val = loop
            k = jax.random.fold_in(key, i)
            order = None if problem.batch is None else jax.random.permutation(k, problem.n)
            params, t, v = by_hand.epoch(problem, params, data, order, lr)
            return i + 1, params, train.at[i].set(t), val.at[i].set(v)

        start = (jnp.int32(0), params, jnp.zeros(CHUNK), jnp.zeros(CHUNK))
        return jax.lax.while_loop(lambda loop: loop[0] < n, one, start)[1:]

    def loop(epochs: int, mark: Mark) -> tuple[np.ndarray, np.ndarray]:
        params, key = by_hand.init(problem, jax.random.key(0)), jax.random.key(1)
        jax.block_until_ready(params)
        mark(0)
        train, val = [], []
        for done in range(0, epochs, CHUNK):
            n = min(CHUNK, epochs - done)
            params, t, v = fit(params, jax.random.fold_in(key, done), np.int32(n), data)
            train.append(np.asarray(t)[:n])
            val.append(np.asarray(v)[:n])
        jax.block_until_ready(params)
        mark(epochs)
        return np.concatenate(train), np.concatenate(val)

    return loop
