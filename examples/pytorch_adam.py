"""Adam with a split, a scheduler and early stopping, on a PyTorch module.

In a loop of one's own each of these is a place for an error: ``best = model.state_dict()`` keeps
references, so that "load the best" loads the last; a validation loss divided by the number of
training batches is too low; test data choose the epoch. Here the best state is a copy, chosen on
the validation part; every risk is a mean over observations; the test part is used once, at the end.

    python examples/pytorch_adam.py
"""

import torch
from torch import nn

import thetahat as th


def pytorch_adam(
    N: int = 500, M: int = 2, sigma: float = 0.01, width: int = 16, lr: float = 0.01,
    epochs: int = 300, batch_size: int = 32, seed: th.Seed = 42,
) -> th.Task:  # fmt: skip
    """Fit a net to a linear process; halve the rate on plateaus, and stop when nothing improves."""
    draw = th.dgp.linear(N, M, sigma, seed=seed)
    return th.Task(
        model=lambda seed: nn.Sequential(nn.Linear(M, width), nn.ReLU(), nn.Linear(width, 1)),
        data=th.split(draw, train=0.7, val=0.15, test=0.15, seed=seed),
        optimizer=th.optim.plateau("adam", lr, patience=5),
        epochs=epochs,
        batch_size=batch_size,
        stopping=th.Patience(20),
        seed=seed,
    )


if __name__ == "__main__":
    result = th.fit(pytorch_adam)
    print(f"stopped after epoch {result.epochs}: {result.reason}; best {result.best_epoch}")
    print(f"test risk {result.risk['test']:.2e}")
    with torch.no_grad():
        print(result.model(torch.zeros(1, 2)))
