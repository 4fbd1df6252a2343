"""A net for tables: an MLP whose defaults do well on small tables of mixed columns."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

from thetahat.core.arguments import arguments_named
from thetahat.core.errors import ConfigError
from thetahat.core.numbers import whole
from thetahat.models._mlp import activation
from thetahat.models._shapes import one_observation, outputs, say_deep

if TYPE_CHECKING:
    from collections.abc import Callable

    from jax.typing import ArrayLike
    from jaxtyping import Array, Float, PRNGKeyArray, Shaped

CLIP = 3.0
"""Inputs approach this bound smoothly, so that outliers have bounded influence."""


@arguments_named
@dataclass(frozen=True)
class TabularMLP:
    """Multilayer perceptron for tables, ``d - width - ... - width - out``.

        a_0 = scale * squash(x),   squash(z) = z / sqrt(1 + (z / 3)^2)
        a_l = dropout(activation(a_{l-1} . kernel_l / sqrt(inputs of layer l) + bias_l))

    and a last layer without activation, which starts at zero. ``scale`` is learned, one number per
    input: inputs that do not help shrink. ``th.data.robust`` gives columns in the units it expects.

    Args:    d: inputs.   width, depth: units of each hidden layer, and the number of these.
             activation: as of ``MLP``.   out: "scalar" for an output of shape (), or k.
             dropout: share of hidden units that a training step leaves out.
             seed: initialises the parameters. None: the Task's seed.
    Raises:  ConfigError: a field outside its range, or an unknown activation.
    Source:  Holzmüller, Grinsztajn & Steinwart (2024), "Better by default" (RealMLP).
    >>> TabularMLP(2, width=8, depth=1).n_params
    35
    """

    d: int
    width: int = 64
    depth: int = 3
    activation: str | Callable[..., Any] = "mish"
    out: str | int = "scalar"
    dropout: float = 0.0
    seed: Any = None

    def __post_init__(self) -> None:
        for name in ("d", "width", "depth"):
            whole(name, getattr(self, name), of="TabularMLP")
        outputs("TabularMLP", self.out)
        say_deep("TabularMLP", self.depth)
        activation(self.activation)
        if not 0 <= self.dropout < 1:
            raise ConfigError(f"TabularMLP: dropout={self.dropout:g}; give a share from 0 to 1")

    @property
    def sizes(self) -> tuple[int, ...]:
        """Units of every layer, from the inputs to the outputs."""
        return (self.d, *(self.width,) * self.depth, outputs("TabularMLP", self.out) or 1)

    @property
    def n_params(self) -> int:
        """Number of parameters."""
        pairs = zip(self.sizes[:-1], self.sizes[1:], strict=True)
        return self.d + sum((into + 1) * units for into, units in pairs)

    def init(self, key: PRNGKeyArray) -> dict[str, Any]:
        """Draw parameters: ``scale`` (d,), and ``layers`` of ``kernel`` and ``bias``."""
        return {"scale": jnp.ones(self.d), "layers": _drawn(key, self.sizes)}

    def init_padded(self, key: PRNGKeyArray, real: Any) -> dict[str, Any]:
        """Draw the parameters of a net with ``real`` of these inputs: all others have zeros."""
        scale = (jnp.arange(self.d) < real).astype(jnp.ones(()).dtype)
        return {"scale": scale, "layers": _drawn(key, self.sizes, real)}

    def apply(
        self,
        params: dict[str, Any],
        x: Shaped[ArrayLike, "*shape"],
        *,
        key: Any = None,
        inputs: Any = None,
    ) -> Float[Array, "*shape"]:
        """Predict at one ``x`` of shape (d,): shape (), or (k,); ``key`` draws the dropout.

        Args:    inputs: how many of the d are not always zero; None: all.
        """
        layers = params["layers"]
        a = one_observation("TabularMLP", self.d, x, layers[0]["kernel"])
        a = params["scale"] * a / jnp.sqrt(1 + (a / CLIP) ** 2)
        between = activation(self.activation)
        for n, layer in enumerate(layers):
            into = layer["kernel"].shape[0] if n or inputs is None else inputs
            a = a @ layer["kernel"] / into**0.5 + layer["bias"]
            if n == len(layers) - 1:
                break
            a = between(a)
            if key is not None and self.dropout:
                kept = jax.random.bernoulli(jax.random.fold_in(key, n), 1 - self.dropout, a.shape)
                a = jnp.where(kept, a / (1 - self.dropout), 0)
        return a[0] if outputs("TabularMLP", self.out) is None else a


@partial(jax.jit, static_argnums=1)
def _drawn(key: PRNGKeyArray, sizes: tuple[int, ...], real: Any = None) -> list[dict[str, Any]]:
    """Draw the layers. JAX keeps its trace, as for MLP.

    Args:    real: how many inputs are not always zero; the kernels of the others are zero, and the
             numbers are those of a net with these inputs alone. None: all.
    """
    shapes = list(itertools.pairwise(sizes))[:-1]
    # Each draw compiles a program, so there is one batched draw, as for MLP.
    most = max((into + 1) * units for into, units in shapes)
    keys = jax.vmap(lambda n: jax.random.fold_in(key, n))(jnp.arange(len(shapes)))
    draws = jax.vmap(lambda k: jax.random.normal(k, (most,)))(keys)
    layers = []
    for n, (into, units) in enumerate(shapes):
        kernel = draws[n, : into * units].reshape(into, units)
        bias = draws[n, into * units :][:units]
        if n == 0 and real is not None:
            kernel = jnp.where(jnp.arange(into)[:, None] < real, kernel, 0)
            bias = jax.lax.dynamic_slice(draws[0], (real * units,), (units,))
        layers.append({"kernel": kernel, "bias": bias})
    layers.append({"kernel": jnp.zeros(sizes[-2:]), "bias": jnp.zeros(sizes[-1:])})
    return layers
