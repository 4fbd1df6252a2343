"""PyTorch: batches indexed by hand."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from benchmarks.loops.peers.torch_net import net, tensors
from benchmarks.loops.problems import Problem
from benchmarks.loops.rounds import Loop, Mark

NAME = "PyTorch, indexed by hand"


def prepare(problem: Problem) -> Loop:
    """One fit."""
    x, y, x_val, y_val = tensors(problem)
    n, batch = problem.n, problem.batch
    loss_of = nn.MSELoss()

    def loop(epochs: int, mark: Mark) -> tuple[np.ndarray, np.ndarray]:
        model = net(problem)
        optimizer = torch.optim.SGD(model.parameters(), lr=problem.lr)
        mark(0)
        train, val = [], []
        for _ in range(epochs):
            total = 0.0
            parts = [...] if batch is None else torch.randperm(n).split(batch)
            for rows in parts:
                y_batch = y[rows]
                optimizer.zero_grad()
                loss = loss_of(model(x[rows]), y_batch)
                loss.backward()
                optimizer.step()
                total += loss.item() * len(y_batch)
            train.append(total / n)
            with torch.no_grad():
                val.append(loss_of(model(x_val), y_val).item())
        mark(epochs)
        return np.array(train), np.array(val)

    return loop
