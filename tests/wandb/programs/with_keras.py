"""Keras 3 on JAX, with a callback of its own."""

import os

os.environ.setdefault("KERAS_BACKEND", "jax")

import keras
import numpy as np
import wandb


class Log(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        wandb.log({**logs, "epoch": epoch})


run = wandb.init(project="wages", config={"lr": 0.1, "epochs": 2})
keras.utils.set_random_seed(1)
model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
model.compile(keras.optimizers.SGD(run.config.lr), loss="mse")
x = np.arange(8.0).reshape(4, 2) / 8
model.fit(x, x.sum(1), epochs=run.config.epochs, verbose=0, callbacks=[Log()])
run.finish()
