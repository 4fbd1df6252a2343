"""Train a Flax module of your own, with dropout: on in training, off in evaluation.

python examples/dropout.py
"""

import jax
from flax import nnx

import thetahat as th


class Net(nnx.Module):
    """One hidden layer with dropout; takes one observation (d,) and returns a scalar."""

    def __init__(self, d: int, width: int, rate: float, rngs: nnx.Rngs):
        self.hidden, self.last = nnx.Linear(d, width, rngs=rngs), nnx.Linear(width, 1, rngs=rngs)
        self.dropout = nnx.Dropout(rate, rngs=rngs)

    def __call__(self, x):
        return self.last(self.dropout(nnx.relu(self.hidden(x))))[0]


def noisy(rate: float = 0.2, epochs: int = 100, seed: th.Seed = 0) -> th.Task:
    net = Net(3, 64, rate, nnx.Rngs(jax.random.key(seed)))
    data = th.split(th.dgp.linear(N=1100, M=3, sigma=1.0, seed=1), train=100, val=0, test=1000)
    return th.Task(net, data, epochs=epochs, batch_size=20)


if __name__ == "__main__":
    print({rate: round(th.fit(noisy, rate=rate).risk["test"], 2) for rate in (0.0, 0.5)})
