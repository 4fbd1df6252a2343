"""What the PyTorch contestants share: the network and the tensors."""

from __future__ import annotations

import itertools

import torch
from torch import nn

from benchmarks.loops.problems import Problem


def net(problem: Problem) -> nn.Sequential:
    """Linear layers with ReLU between them; the output has shape (B, 1)."""
    torch.manual_seed(0)
    sizes = problem.sizes
    layers: list[nn.Module] = []
    for a, b in itertools.pairwise(sizes):
        layers += [nn.Linear(a, b), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def tensors(problem: Problem) -> tuple[torch.Tensor, ...]:
    """x (N, 2) and y (N, 1) of the training part, then of the validation part."""
    x, y, x_val, y_val = (torch.from_numpy(a) for a in problem.data)
    return x, y[:, None], x_val, y_val[:, None]
