"""What do activation functions look like, and how much of a gradient do they let through?

Seven activations and their derivatives. A signal that passes through many layers is multiplied by
a derivative in each: a sigmoid lets through at most a quarter.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from thetahat.figures import Line, Panel, draw_panels
from thetahat.models import activation

SHOWN = ("relu", "tanh", "sigmoid", "softplus", "gelu", "silu", "mish")


def measure(depth: int = 10, draws: int = 10_000) -> dict[str, Any]:
    """Values, derivatives, their maxima, and the mean product of derivatives over layers."""
    x = np.linspace(-4, 4, 401)
    z = np.random.default_rng(0).normal(size=(draws, depth))
    found: dict[str, Any] = {"x": x, "depth": depth}
    for name in SHOWN:
        f = activation(name)
        slope = jax.jit(jax.vmap(jax.grad(f)))
        found[name] = np.asarray(f(jnp.asarray(x)))
        found[f"{name} slope"] = np.asarray(slope(x))
        found[f"{name} most"] = float(found[f"{name} slope"].max())
        through = np.asarray(slope(z.ravel()), float).reshape(z.shape)
        found[f"{name} through"] = float(np.abs(through).prod(1).mean())
    return found


def answer(found: Mapping[str, Any]) -> str:
    """State the largest derivatives."""
    most = ", ".join(f"{name} {found[f'{name} most']:.2f}" for name in SHOWN)
    return (
        f"Largest derivatives: {most}. Through {found['depth']} layers of standard normal inputs a"
        f" sigmoid passes on {found['sigmoid through']:.0e} of a gradient, ReLU"
        f" {found['relu through']:.0e}, tanh {found['tanh through']:.0e}."
    )


def draw(found: Mapping[str, Any]) -> Any:
    """Functions and derivatives."""
    values = [Line(name, found["x"], found[name]) for name in SHOWN]
    slopes = [Line(name, found["x"], found[f"{name} slope"]) for name in SHOWN]
    return draw_panels(
        [
            Panel("Activations", values, x="z", y="a", log_y=False, limits=(-1.2, 3)),
            Panel("Derivatives", slopes, x="z", y="da / dz", log_y=False),
        ]
    )
