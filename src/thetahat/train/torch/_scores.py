"""What a module's outputs are, by the last step of its forward pass: probabilities or scores."""

from __future__ import annotations

import math
from typing import Any

from thetahat import risk
from thetahat.core import ConfigError
from thetahat.risk import Loss, check_scores
from thetahat.train.torch._library import torch

_SAME = (
    *("View", "UnsafeView", "ReshapeAlias", "Squeeze", "Unsqueeze", "Clone", "ToCopy", "Alias"),
    *("T", "Transpose", "Permute", "Expand", "Contiguous", "Select", "Slice", "AsStrided"),
)
"""Steps that change the shape or the type of a tensor, and not its numbers."""
_RANGES = {
    "Sigmoid": (0.0, 1.0, "sigmoid"),
    "Hardsigmoid": (0.0, 1.0, "hard sigmoid"),
    "Softmax": (0.0, 1.0, "softmax"),
    "SafeSoftmax": (0.0, 1.0, "softmax"),
    "Tanh": (-1.0, 1.0, "tanh"),
    "Hardtanh": (-1.0, 1.0, "hardtanh"),
    "Softsign": (-1.0, 1.0, "softsign"),
    "Sin": (-1.0, 1.0, "sine"),
    "Cos": (-1.0, 1.0, "cosine"),
    "Relu": (0.0, math.inf, "ReLU"),
    "Softplus": (0.0, math.inf, "softplus"),
    "LogSigmoid": (-math.inf, 0.0, "log-sigmoid"),
}
_LOG_SUM = 1e-3
"""Tolerance of the logarithm of the sum of a row of probabilities."""


def last_step(outputs: Any) -> str:
    """Return the last step that changed numbers, such as "Sigmoid"; "" if it is not known.

    Args:    outputs: of a module, with their gradient graph.
    """
    node = outputs.grad_fn
    while node is not None:
        name = type(node).__name__.partition("Backward")[0].strip("_")
        if name not in _SAME:
            return name
        node = node.next_functions[0][0]
    return ""


def check_outputs(outputs: Any, loss: Loss | None, name: str) -> None:
    """Check that outputs are what the loss takes.

    Args:    outputs: at some observations, (n, ...), with their gradient graph.
             loss: thetahat's; None of one that is PyTorch's own.   name: of the loss.
    Raises:  ConfigError: probabilities where scores are needed, or scores where logarithms are.
    """
    if name in _READ_AS:
        loss = risk.resolve_loss(_READ_AS[name])
    k = outputs.shape[1] if outputs.ndim == 2 else None
    if loss is not None and (found := _RANGES.get(last_step(outputs))) is not None:
        check_scores(loss, *found, k)
    if name not in _LOGS or k is None:
        return
    sums = torch.logsumexp(outputs.detach(), dim=1)
    if bool((sums.abs() > _LOG_SUM).any()):
        last = last_step(outputs)
        what = "probabilities" if last in ("Softmax", "SafeSoftmax") else "scores"
        raise ConfigError(
            f"the module's outputs are {what}, and the loss {name} takes log-probabilities, which"
            f" it does not make: give loss=torch.nn.CrossEntropyLoss() and a module that ends in"
            " scores, or end the module in torch.nn.LogSoftmax(dim=1)"
        )


_READ_AS = {
    **dict.fromkeys(("CrossEntropyLoss", "cross_entropy"), "cross_entropy"),
    **dict.fromkeys(("BCEWithLogitsLoss", "binary_cross_entropy_with_logits"), "logistic"),
}
"""Losses of PyTorch, with arguments of their own, that read outputs as losses here do."""
_LOGS = ("NLLLoss", "nll_loss")
"""Losses of PyTorch that take logarithms of probabilities."""
