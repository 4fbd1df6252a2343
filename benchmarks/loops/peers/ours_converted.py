"""thetahat with the PyTorch module of the PyTorch contestants, converted to JAX."""

from __future__ import annotations

from typing import Any

import numpy as np
import optax

import thetahat as th
from benchmarks.loops.peers.torch_net import net
from benchmarks.loops.problems import Problem
from benchmarks.loops.rounds import Loop, Mark

NAME = "thetahat, PyTorch module converted"


def experiment(problem: Problem) -> Any:
    """The problem as an experiment."""
    x, y, x_val, y_val = problem.data
    data = th.Data(train=(x, y), val=(x_val, y_val))

    def fit_net(lr: float = problem.lr, epochs: int = 1, seed: th.Seed = 0) -> th.Task:
        return th.Task(lambda: net(problem), data, optimizer=optax.sgd(lr), epochs=epochs,
                       batch_size=problem.batch, seed=seed, backend="jax")  # fmt: skip

    return fit_net


def prepare(problem: Problem) -> Loop:
    """One fit."""
    fit_net = experiment(problem)

    def loop(epochs: int, mark: Mark) -> tuple[np.ndarray, np.ndarray]:
        result = th.fit(fit_net, epochs=epochs, progress=lambda p: mark(p.epoch))
        return result.history["train_risk"], result.history["val_risk"]

    return loop
