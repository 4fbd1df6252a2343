"""Keras on JAX: ``fit`` as it comes."""

from __future__ import annotations

import os

os.environ.setdefault("KERAS_BACKEND", "jax")

import keras
import numpy as np

from benchmarks.loops.problems import N_VAL, Problem
from benchmarks.loops.rounds import Loop, Mark

NAME = "Keras on JAX, default"


def prepare(problem: Problem, steps_per_execution: int = 1) -> Loop:
    """One fit; the model is compiled once and starts again from its first weights."""
    if keras.backend.backend() != "jax":
        raise RuntimeError(f"Keras runs on {keras.backend.backend()}; set KERAS_BACKEND=jax")
    x, y, x_val, y_val = problem.data
    y, y_val = y[:, None], y_val[:, None]
    keras.utils.set_random_seed(0)
    hidden = [keras.layers.Dense(units, "relu") for units in problem.sizes[1:-1]]
    model = keras.Sequential([keras.Input((2,)), *hidden, keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(problem.lr), "mse", steps_per_execution=steps_per_execution)
    start = model.get_weights()

    def loop(epochs: int, mark: Mark) -> tuple[np.ndarray, np.ndarray]:
        model.set_weights(start)
        marks = keras.callbacks.LambdaCallback(on_epoch_end=lambda e, logs: mark(e + 1))
        history = model.fit(
            x,
            y,
            batch_size=problem.batch or problem.n,
            epochs=epochs,
            validation_data=(x_val, y_val),
            validation_batch_size=N_VAL,
            callbacks=[marks],
            verbose=0,
        ).history
        return np.array(history["loss"]), np.array(history["val_loss"])

    return loop
