"""Keras 3 on JAX, swept: flags by argparse, numbers by a callback.

python examples/frameworks/keras_jax.py --lr=0.1
thetahat sweep examples/frameworks/keras_sweep.yaml --run
"""

import argparse
import os

os.environ["KERAS_BACKEND"] = "jax"

import keras
import numpy as np

import thetahat as th


def train(lr: float, width: int, epochs: int, seed: int) -> None:
    """Fit log wages to schooling and experience."""
    keras.utils.set_random_seed(seed)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 2)).astype("float32")
    y = 0.5 * x[:, 0] + 0.3 * x[:, 1] - 0.2 * x[:, 1] ** 2 + 0.1 * rng.normal(size=400)
    model = keras.Sequential(
        [keras.Input((2,)), keras.layers.Dense(width, "tanh"), keras.layers.Dense(1)]
    )
    model.compile(keras.optimizers.Adam(lr), "mse")
    log = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: th.log(
            {**logs, "lr": float(model.optimizer.learning_rate)}
        )
    )
    model.fit(x, y, 50, epochs, verbose=0, validation_split=0.5, callbacks=[log])


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--lr", type=float, default=0.01)
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    train(**vars(parser.parse_args()))
