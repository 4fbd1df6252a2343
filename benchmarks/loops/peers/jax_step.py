"""Raw JAX: a jitted step, batches cut by NumPy."""

from __future__ import annotations

import jax
import numpy as np

from benchmarks.loops.peers import by_hand
from benchmarks.loops.problems import Problem
from benchmarks.loops.rounds import Loop, Mark

NAME = "JAX, jitted step, NumPy batches"


def prepare(problem: Problem) -> Loop:
    """One fit."""
    x, y, x_val, y_val = problem.data
    n, batch, lr = problem.n, problem.batch, problem.lr
    step = jax.jit(lambda params, x, y: by_hand.sgd(params, x, y, lr))
    risk = jax.jit(by_hand.risk)

    def loop(epochs: int, mark: Mark) -> tuple[np.ndarray, np.ndarray]:
        params, rng = by_hand.init(problem, jax.random.key(0)), np.random.default_rng(1)
        jax.block_until_ready(params)
        mark(0)
        train, val = [], []
        for _ in range(epochs):
            if batch is None:
                params, value = step(params, x, y)
                total = float(value) * n
            else:
                order, values = rng.permutation(n), []
                for i in range(0, n, batch):
                    rows = order[i : i + batch]
                    params, value = step(params, x[rows], y[rows])
                    values.append((value, len(rows)))
                total = sum(float(value) * rows for value, rows in values)
            train.append(total / n)
            val.append(float(risk(params, x_val, y_val)))
        jax.block_until_ready(params)
        mark(epochs)
        return np.array(train), np.array(val)

    return loop
