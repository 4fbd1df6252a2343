"""Models whose size may be traced: fits of many sizes train as one program."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from thetahat.core.arguments import arguments_named
from thetahat.core.errors import ConfigError, check_choice
from thetahat.core.numbers import is_traced, whole
from thetahat.models import TRUNCATED_STD, activation, one_observation

if TYPE_CHECKING:
    from jax.typing import ArrayLike
    from jaxtyping import Array, Float, PRNGKeyArray, Shaped

INITIAL = ("lecun_normal", "uniform")


@arguments_named
@dataclass(frozen=True)
class MaskedMLP:
    """Multilayer perceptron ``d - width - ... - width - 1`` inside arrays of ``max_width`` units.

        a_l = mask * activation(a_{l-1} . kernel_l + bias_l),   mask_u = 1 for u < width, else 0

    A unit outside the mask has no output and no gradient. The fit is that of ``th.models.MLP`` of
    this width and seed, by optimizers that treat each number by itself (SGD, momentum, Adam) or
    solve for all; Muon and clipping by blocks see the masked units.

    Args:    d: inputs.   max_width: units of the arrays.
             width: units that count, 1 to ``max_width``; may be traced, also as a float.
             depth: number of hidden layers.   activation: as in ``th.models.MLP``.
             initial: "lecun_normal" (kernels; biases are zero) or "uniform" (kernels and biases
             from U(-1, 1) / sqrt(inputs), PyTorch's default).
             seed: initialises the parameters; None is the Task's seed.
    Raises:  ConfigError: a field outside its range. A traced width cannot be checked: outside 1 to
             ``max_width`` all parameters are NaN, and the fit ends as diverged.
    >>> MaskedMLP(5, max_width=10, width=2).n_params
    21
    """

    d: int
    max_width: int
    width: Any = None
    depth: int = 2
    activation: str = "relu"
    initial: str = "lecun_normal"
    seed: Any = None

    def __post_init__(self) -> None:
        whole("d", self.d, of="MaskedMLP")
        whole("max_width", self.max_width, of="MaskedMLP")
        whole("depth", self.depth, of="MaskedMLP")
        activation(self.activation)
        check_choice("initial", self.initial, INITIAL)
        _check_size("MaskedMLP", "width", self.width, "max_width", self.max_width)

    @property
    def n_params(self) -> int:
        """Number of parameters inside the mask; ``width`` must not be traced."""
        w = int(self.max_width if self.width is None else self.width)
        return (self.d + 1) * w + (self.depth - 1) * (w + 1) * w + w + 1

    def init(self, key: PRNGKeyArray) -> dict[str, Any]:
        """Draw ``{"layers": [{"kernel": (in, units), "bias": (units,)}, ...]}``, zero outside."""
        width = _count(self.width, self.max_width)
        inside = (width >= 1) & (width <= self.max_width)
        layers = []
        for n in range(self.depth + 1):
            into = self.d if n == 0 else width
            units = 1 if n == self.depth else width
            shape = (
                self.d if n == 0 else self.max_width,
                1 if n == self.depth else self.max_width,
            )
            layer = self._layer(jax.random.fold_in(key, n), shape, into, units)
            layers.append(jax.tree.map(lambda leaf: jnp.where(inside, leaf, jnp.nan), layer))
        return {"layers": layers}

    def apply(
        self, params: dict[str, Any], x: Shaped[ArrayLike, "*shape"]
    ) -> Float[Array, "*shape"]:
        """Predict at one ``x`` of shape (d,): shape ()."""
        layers = params["layers"]
        a = one_observation("MaskedMLP", self.d, x, layers[0]["kernel"])
        mask, between = (
            self._mask(_count(self.width, self.max_width), self.max_width),
            activation(self.activation),
        )
        for layer in layers[:-1]:
            # Outside the mask an activation may not be zero: softplus(0) is log 2.
            a = jnp.where(mask, between(a @ layer["kernel"] + layer["bias"]), 0)
        return (a @ layers[-1]["kernel"] + layers[-1]["bias"])[0]

    @staticmethod
    def _mask(count: Any, size: int) -> jax.Array:
        return jnp.arange(size) < count

    def _layer(self, key: jax.Array, shape: tuple[int, int], into: Any, units: Any) -> Any:
        """Draw a layer of (into, units) at the beginning of arrays of ``shape``."""
        rows, columns = jnp.arange(shape[0])[:, None], jnp.arange(shape[1])[None, :]
        inside = (rows < into) & (columns < units)
        # The place of each number in the smaller kernel: a draw does not depend on how many others
        # are drawn, so that the parameters are those of a net of this width.
        at = jnp.clip(rows * units + columns, 0, shape[0] * shape[1] - 1)
        scale = _scale(self.initial, into, shape[0])
        if self.initial == "uniform":
            of_kernel, of_bias = jax.random.split(key)
            drawn = jax.random.uniform(of_kernel, (shape[0] * shape[1],), minval=-1, maxval=1)
            shift = jax.random.uniform(of_bias, (shape[1],), minval=-1, maxval=1) * scale
        else:
            drawn = jax.random.truncated_normal(key, -2, 2, (shape[0] * shape[1],))
            shift = jnp.zeros(shape[1])
        kernel = jnp.where(inside, drawn[at] * scale[:, None], 0)
        return {"kernel": kernel, "bias": jnp.where(self._mask(units, shape[1]), shift, 0)}


def _scale(initial: str, into: Any, most: int) -> Float[Array, " one"]:
    """Return the factor of a layer's draws: one over the root of its inputs, of 1 to ``most``.

    It is taken from a table, and not computed of a traced number, so that the host can draw a first
    state: XLA has a function of its own for the reciprocal of a root.
    """
    spread = 1.0 if initial == "uniform" else TRUNCATED_STD
    roots = spread * np.arange(1, most + 1) ** 0.5
    table = jnp.asarray(1 / roots.astype(jnp.result_type(float)))
    return table[jnp.clip(jnp.asarray(into)[None] - 1, 0, most - 1)]


@arguments_named
@dataclass(frozen=True)
class MaskedTerms:
    """Linear in the first ``size`` of given terms: ``h(x) = sum_{k < size} beta_k terms(x)_k``.

    The coefficients start at zero, so that least squares finds the solution of least norm.

    Args:    terms: ``terms(x)`` of one x, shape (largest,).   largest: number of terms.
             size: how many count, 1 to ``largest``; may be traced, also as a float.
    Raises:  ConfigError: a field outside its range. A traced size outside it gives NaN, as a width
             of ``MaskedMLP``.
    >>> MaskedTerms(lambda x: x ** jnp.arange(3), 3, 2).init(None).tolist()
    [0.0, 0.0, 0.0]
    """

    terms: Callable[[Any], Any]
    largest: int
    size: Any = None

    def __post_init__(self) -> None:
        whole("largest", self.largest, of="MaskedTerms")
        _check_size("MaskedTerms", "size", self.size, "largest", self.largest)

    def init(self, key: PRNGKeyArray | None) -> Float[Array, " largest"]:
        """Return coefficients of zero."""
        del key
        size = _count(self.size, self.largest)
        start = jnp.where((size >= 1) & (size <= self.largest), 0.0, jnp.nan)
        return jnp.full(self.largest, start)

    def apply(
        self, params: Float[Array, " largest"], x: Shaped[ArrayLike, "*shape"]
    ) -> Float[Array, ""]:
        """Predict at one ``x``: shape ()."""
        mask = jnp.arange(self.largest) < _count(self.size, self.largest)
        return jnp.where(mask, self.terms(x), 0) @ params


def _count(size: Any, largest: int) -> jax.Array:
    return jnp.round(jnp.asarray(largest if size is None else size)).astype(jnp.int32)


def _check_size(model: str, name: str, size: Any, of: str, largest: int) -> None:
    """Refuse a size that is no whole number from 1 to the largest; a traced one is not known."""
    if size is None or is_traced(size):
        return
    try:
        known = float(size)
    except (TypeError, ValueError):
        known = 0.0
    if not (known.is_integer() and 1 <= known <= largest):
        raise ConfigError(f"{model}({name}={size!r}); give a whole number from 1 to {of}={largest}")
