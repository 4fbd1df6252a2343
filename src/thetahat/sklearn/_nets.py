"""Fitted nets as NumPy arrays: the forward pass of a bag, without JAX."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

BLOCK = 1 << 22
"""Hidden units of all nets that are computed at once: bounds the memory of many rows."""


@dataclass(frozen=True, eq=False)
class Nets:
    """K nets of one shape, with the units of their inputs and outputs.

    Args:    scale: (K, d).   kernels, biases: layer by layer, (K, in, out) and (K, out).
             x_mean, x_std: (d,).   y_mean, y_std: of the outputs.
             clip: the bound that inputs approach.   activation: its name.
    """

    scale: np.ndarray
    kernels: tuple[np.ndarray, ...]
    biases: tuple[np.ndarray, ...]
    x_mean: np.ndarray
    x_std: np.ndarray
    y_mean: np.ndarray
    y_std: np.ndarray
    clip: float
    activation: str

    def outputs(self, x: np.ndarray) -> np.ndarray:
        """Compute the outputs of every net, (K, N, out), in units of the target; float64."""
        n_nets, width = len(self.scale), max(kernel.shape[2] for kernel in self.kernels)
        rows = max(1, BLOCK // (n_nets * width))
        blocks = [self._block(x[at : at + rows]) for at in range(0, max(len(x), 1), rows)]
        return np.concatenate(blocks, axis=1) * self.y_std + self.y_mean

    def _block(self, x: np.ndarray) -> np.ndarray:
        z = (x - self.x_mean) / self.x_std
        a = self.scale[:, None] * (z / np.sqrt(1 + (z / self.clip) ** 2))
        last = len(self.kernels) - 1
        for layer, (kernel, bias) in enumerate(zip(self.kernels, self.biases, strict=True)):
            a = a @ kernel / math.sqrt(kernel.shape[1]) + bias[:, None]
            a = a if layer == last else ACTIVATIONS[self.activation](a)
        return a


def sigmoid(a: np.ndarray) -> np.ndarray:
    """Turn scores into probabilities.

    >>> float(sigmoid(np.array(0.0)))
    0.5
    """
    return np.exp(-np.logaddexp(0, -a))


def _expm1(a: np.ndarray) -> np.ndarray:
    return np.expm1(np.minimum(a, 0))


def _selu(a: np.ndarray) -> np.ndarray:
    alpha, scale = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946
    return scale * np.where(a > 0, a, alpha * _expm1(a))


def _gelu(a: np.ndarray) -> np.ndarray:
    return a * (1 + np.tanh(math.sqrt(2 / math.pi) * (a + 0.044715 * a**3))) / 2


def _mish(a: np.ndarray) -> np.ndarray:
    u = np.exp(np.minimum(a, 20))
    n = u * (u + 2)
    return a * (n / (n + 2))


ACTIVATIONS: Mapping[str, Callable[[np.ndarray], np.ndarray]] = {
    "mish": _mish,
    "selu": _selu,
    "relu": lambda a: np.maximum(a, 0),
    "tanh": np.tanh,
    "sigmoid": sigmoid,
    "softplus": lambda a: np.logaddexp(0, a),
    "gelu": _gelu,
    "silu": lambda a: a * sigmoid(a),
    "elu": lambda a: np.where(a > 0, a, _expm1(a)),
    "leaky_relu": lambda a: np.where(a > 0, a, 0.01 * a),
    "identity": lambda a: a,
}
"""The activations of ``th.models``, by name."""


def mean_probabilities(scores: np.ndarray) -> np.ndarray:
    """Average the nets' probabilities of classes: scores (K, N, 1) or (K, N, k) to (N, k)."""
    if scores.shape[2] == 1:
        one = sigmoid(scores[..., 0]).mean(0)
        return np.stack([1 - one, one], axis=1)
    logs = scores - scores.max(axis=2, keepdims=True)
    shares = np.exp(logs)
    return (shares / shares.sum(axis=2, keepdims=True)).mean(0)
