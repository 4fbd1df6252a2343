"""skorch, swept: its own names of parameters, such as ``module__width``, are the flags.

python examples/frameworks/skorch_net.py --optimizer__lr=0.1
thetahat sweep examples/frameworks/skorch_sweep.yaml --run
"""

import sys

import numpy as np
import torch
from skorch import NeuralNetRegressor

import thetahat as th


class Net(torch.nn.Module):
    """One hidden layer."""

    def __init__(self, width: int = 16):
        super().__init__()
        self.net = torch.nn.Sequential(
            torch.nn.Linear(2, width), torch.nn.Tanh(), torch.nn.Linear(width, 1)
        )

    def forward(self, x):
        return self.net(x)


def train(params: dict) -> None:
    """Fit log wages to schooling and experience; skorch holds out a fifth."""
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 2)).astype("float32")
    y = 0.5 * x[:, :1] + 0.3 * x[:, 1:] - 0.2 * x[:, 1:] ** 2
    y = (y + 0.1 * rng.normal(size=(400, 1))).astype("float32")
    net = NeuralNetRegressor(Net, optimizer=torch.optim.Adam, max_epochs=5, verbose=0)
    net.set_params(**params).fit(x, y)
    n_params = sum(p.numel() for p in net.module_.parameters())
    for row in net.history:
        losses = {name: row[name] for name in ("train_loss", "valid_loss")}
        th.log({**losses, "n_params": n_params})


if __name__ == "__main__":
    pairs = [word.removeprefix("--").split("=", 1) for word in sys.argv[1:]]
    train({name: float(v) if "." in v else int(v) for name, v in pairs})
