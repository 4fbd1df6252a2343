"""The multilayer perceptron and its activations."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import jax
import jax.numpy as jnp
import numpy as np

from thetahat.core.arguments import arguments_named
from thetahat.core.errors import ConfigError, check_choice
from thetahat.core.numbers import whole
from thetahat.models._shapes import one_observation, outputs, say_deep

if TYPE_CHECKING:
    from jax.typing import ArrayLike
    from jaxtyping import Array, Float, PRNGKeyArray, Shaped

Params = dict[str, list[dict[str, jax.Array]]]


TRUNCATED_STD = 0.87962566
"""Standard deviation of a standard normal cut at two."""


@arguments_named
@dataclass(frozen=True)
class MLP:
    """Multilayer perceptron ``d - width - ... - width - out``.

        a_0 = x,   a_l = activation(a_{l-1} . kernel_l + bias_l),   h(x) = out_activation(a_L)

    where the last layer, L, has ``out_activation`` only.

    Args:    d: inputs.
             width, depth: units of each hidden layer, and the number of hidden layers (0: linear).
             widths: units layer by layer, such as (64, 32), in place of width and depth.
             activation: "relu", "tanh", "sigmoid", "softplus", "gelu", "silu", "elu", "leaky_relu",
             "mish", "selu", "identity", or any function of an array.
             out: "scalar" for an output of shape (), or k for shape (k,).
             out_activation: of the last layer; None is the identity.
             bias: whether layers have a bias.
             seed: initialises the kernels (LeCun normal; biases are zero). None: the Task's seed.
    Raises:  ConfigError: a field outside its range, or an unknown activation.
    >>> MLP(2, width=128, depth=2).n_params
    17025
    """

    d: int
    width: int = 128
    depth: int = 2
    widths: Sequence[int] | None = None
    activation: str | Callable[..., Any] = "relu"
    out: str | int = "scalar"
    out_activation: str | Callable[..., Any] | None = None
    bias: bool = True
    seed: Any = None

    def __post_init__(self) -> None:
        whole("d", self.d, of="MLP")
        whole("width", self.width, of="MLP")
        whole("depth", self.depth, least=0, of="MLP")
        for width in self.widths or ():
            whole("widths", width, of="MLP")
        say_deep("MLP", len(self.sizes) - 1)
        activation(self.activation)
        activation(self.out_activation)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Units of every layer, from the inputs to the outputs."""
        hidden = (self.width,) * self.depth if self.widths is None else tuple(self.widths)
        return (self.d, *hidden, outputs("MLP", self.out) or 1)

    @property
    def n_params(self) -> int:
        """Number of parameters."""
        pairs = zip(self.sizes[:-1], self.sizes[1:], strict=True)
        return sum((into + bool(self.bias)) * units for into, units in pairs)

    def init(self, key: PRNGKeyArray) -> Params:
        """Draw parameters ``{"layers": [{"kernel": (in, units), "bias": (units,)}, ...]}``."""
        return _drawn(key, self.sizes, bool(self.bias))

    def init_padded(self, key: PRNGKeyArray, real: Any) -> Params:
        """Draw the parameters of a net with ``real`` of these inputs: all others have zeros."""
        return _drawn(key, self.sizes, bool(self.bias), real)

    def apply(self, params: Params, x: Shaped[ArrayLike, "*shape"]) -> Float[Array, "*shape"]:
        """Predict at one ``x`` of shape (d,): shape (), or (k,)."""
        between, last = activation(self.activation), activation(self.out_activation)
        a = one_observation("MLP", self.d, x, params["layers"][0]["kernel"])
        scalar = outputs("MLP", self.out) is None
        known = not callable(self.activation) and not callable(self.out_activation)
        layers = _kept_layers if known else _layers
        a = layers(params["layers"], a, between, last, bool(self.bias))
        return a[0] if scalar else a


def _layers(layers: Any, a: Any, between: Any, last: Any, bias: bool) -> Any:
    for n, layer in enumerate(layers):
        a = a @ layer["kernel"]
        if bias:
            a = a + layer["bias"]
        a = between(a) if n < len(layers) - 1 else last(a)
    return a


# JAX keeps its trace; not that of a user's function, which may compute something else by now.
_kept_layers = jax.jit(_layers, static_argnums=(2, 3, 4), inline=True)


@partial(jax.jit, static_argnums=(1, 2))
def _drawn(key: PRNGKeyArray, sizes: tuple[int, ...], bias: bool, real: Any = None) -> Params:
    """Draw the parameters of layers. JAX keeps its trace, which takes longer than a small fit.

    Args:    real: how many inputs are not always zero; the kernels of the others are zero, and the
             numbers are those of a net with these inputs alone. None: all.
    """
    shapes = list(itertools.pairwise(sizes))
    most = max(into * units for into, units in shapes)
    # A key per position keeps the first layers when the depth changes. Each draw compiles
    # a program, so there is one batched draw; a layer uses as many numbers as it needs.
    keys = jax.vmap(lambda n: jax.random.fold_in(key, n))(jnp.arange(len(shapes)))
    draws = jax.vmap(lambda k: jax.random.truncated_normal(k, -2, 2, (most,)))(keys)
    layers = []
    for n, (into, units) in enumerate(shapes):
        kernel = draws[n, : into * units].reshape(into, units)
        if n == 0 and real is not None:
            kernel = jnp.where(jnp.arange(into)[:, None] < real, kernel, 0)
            layer = {"kernel": kernel * _shrinkage(into, draws.dtype)[real - 1]}
        else:
            layer = {"kernel": kernel / (TRUNCATED_STD * into**0.5)}
        if bias:
            layer["bias"] = jnp.zeros((units,))
        layers.append(layer)
    return {"layers": layers}


def _shrinkage(most: int, dtype: Any) -> Array:
    """Return the factor of a kernel for 1 to ``most`` inputs.

    XLA divides by a constant as it multiplies by its reciprocal: this is that reciprocal.
    """
    return jnp.asarray(1 / (TRUNCATED_STD * np.arange(1, most + 1) ** 0.5).astype(dtype))


Activation = Callable[[jax.Array], jax.Array]


def mish(x: Array) -> Array:
    """Mish by one exponential: nets for tables spend most of their training in it.

        x tanh(log(1 + e^x)) = x n / (n + 2),   n = e^x (e^x + 2)

    Above 20 the quotient is 1 in float32 and in float64.
    Source:  Misra (2019), "Mish: a self regularized non-monotonic activation function".
    """
    u = jnp.exp(jnp.minimum(x, 20.0))
    n = u * (u + 2)
    return x * (n / (n + 2))


_NAMED: dict[str, Activation] = {
    "relu": jax.nn.relu,
    "tanh": jnp.tanh,
    "sigmoid": jax.nn.sigmoid,
    "softplus": jax.nn.softplus,
    "gelu": jax.nn.gelu,
    "silu": jax.nn.silu,
    "elu": jax.nn.elu,
    "leaky_relu": jax.nn.leaky_relu,
    "mish": mish,
    "selu": jax.nn.selu,
    "identity": lambda x: x,
}
ACTIVATIONS = tuple(_NAMED)


def activation_name(function: Any) -> str | None:
    """Return the name of an activation; None for any other function."""
    if function is jax.nn.mish:
        return "mish"
    return next((name for name, known in _NAMED.items() if known is function), None)


def activation(given: Any) -> Activation:
    """Return an activation by name, or the given function of an array; None is the identity.

    Raises:  ConfigError: an unknown name, or another value than a function.
    >>> float(activation("relu")(jnp.array(-1.0)))
    0.0
    """
    if given is None:
        return _NAMED["identity"]
    if isinstance(given, str):
        check_choice("activation", given, _NAMED)
        return _NAMED[given]
    if not callable(given) or isinstance(given, type):
        raise ConfigError(
            f"activation={given!r} is not a function; give one, or one of {', '.join(ACTIVATIONS)}"
        )
    return cast(Activation, given)
