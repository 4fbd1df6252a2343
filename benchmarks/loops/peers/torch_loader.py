"""PyTorch: the usual loop over a ``DataLoader``."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.loops.peers.torch_net import net, tensors
from benchmarks.loops.problems import Problem
from benchmarks.loops.rounds import Loop, Mark

NAME = "PyTorch, DataLoader"


def prepare(problem: Problem) -> Loop:
    """One fit."""
    x, y, x_val, y_val = tensors(problem)
    loader = DataLoader(TensorDataset(x, y), batch_size=problem.batch or problem.n, shuffle=True)
    loss_of = nn.MSELoss()

    def loop(epochs: int, mark: Mark) -> tuple[np.ndarray, np.ndarray]:
        model = net(problem)
        optimizer = torch.optim.SGD(model.parameters(), lr=problem.lr)
        mark(0)
        train, val = [], []
        for _ in range(epochs):
            total = 0.0
            for x_batch, y_batch in loader:
                optimizer.zero_grad()
                loss = loss_of(model(x_batch), y_batch)
                loss.backward()
                optimizer.step()
                total += loss.item() * len(y_batch)
            train.append(total / problem.n)
            with torch.no_grad():
                val.append(loss_of(model(x_val), y_val).item())
        mark(epochs)
        return np.array(train), np.array(val)

    return loop
