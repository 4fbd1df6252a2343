"""The lecture's nets in PyTorch: a single-layer perceptron with its own parameters, and an MLP.

Both estimate f(x) = sin(x) + exp(-x^2) / (1 + |x|) from 100 noisy points. The perceptron is a
class with ``nn.Parameter``, started from standard normals and trained by gradient descent; the MLP
is a ``Sequential`` made in a loop, trained by Adam. With x of shape (N, 1) and y of shape (N,), a
loss ``(net(x) - y) ** 2`` would compare every prediction with every y, without a message; here
shapes that do not fit are an error.

    python examples/pytorch_nets.py
"""

import numpy as np
import torch
from torch import nn

import thetahat as th


class SingleLayerPerceptron(nn.Module):
    """h(x) = relu(x w0 + b0) w1 + b1 with m units."""

    def __init__(self, d, m):
        super().__init__()
        self.w0, self.b0 = nn.Parameter(torch.randn(d, m)), nn.Parameter(torch.randn(m))
        self.w1, self.b1 = nn.Parameter(torch.randn(m)), nn.Parameter(torch.randn(1))

    def forward(self, x):
        return torch.relu(x @ self.w0 + self.b0) @ self.w1 + self.b1


def multilayer(d, width, depth):
    """Make depth hidden layers of the same width."""
    layers = [nn.Linear(d, width), nn.ReLU()]
    for _ in range(depth - 1):
        layers += [nn.Linear(width, width), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(width, 1))


def truth(x):
    """Compute f."""
    return np.sin(x) + np.exp(-(x**2)) / (1 + np.abs(x))


def points(n=100, sigma=0.1):
    """Draw x (n, 1) and y (n,)."""
    rng = np.random.default_rng(987)
    x = rng.normal(size=(n, 1))
    return x, truth(x[:, 0]) + sigma * rng.normal(size=n)


def perceptron(m: int = 20, lr: float = 0.02, epochs: int = 2000, seed: th.Seed = 0) -> th.Task:
    """Descend the full risk of a perceptron with m units."""
    optimizer = th.optim.named("sgd", lr)
    model = lambda seed: SingleLayerPerceptron(1, m)  # noqa: E731
    return th.Task(model, points(), optimizer=optimizer, epochs=epochs, seed=seed)


def mlp(width: int = 4, depth: int = 4, lr: float = 0.01, epochs: int = 2000,
        seed: th.Seed = 0) -> th.Task:  # fmt: skip
    """Fit a deep and narrow net by Adam."""
    optimizer = th.optim.named("adam", lr)
    model = lambda seed: multilayer(1, width, depth)  # noqa: E731
    return th.Task(model, points(), optimizer=optimizer, epochs=epochs, seed=seed)


if __name__ == "__main__":
    at = np.linspace(-2, 2, 81)
    for experiment in (perceptron, mlp):
        results = th.fit_many(experiment, [{"seed": seed} for seed in range(8)])
        error = np.sqrt(np.mean((results.predict(at[:, None]) - truth(at)) ** 2, axis=-1))
        print(f"{experiment.__name__}: {results[0].n_params} parameters, error of the best of 8"
              f" seeds {np.min(error):.3f}")  # fmt: skip
