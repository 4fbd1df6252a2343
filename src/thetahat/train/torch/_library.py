"""PyTorch, or one message that says how to install it."""

from __future__ import annotations

from thetahat.core import MissingExtra

try:
    import torch as torch
except ModuleNotFoundError as error:
    if error.name != "torch":
        raise
    raise MissingExtra("the PyTorch backend", "torch") from None
