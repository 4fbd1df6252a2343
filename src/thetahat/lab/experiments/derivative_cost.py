"""What does a derivative cost, forward and in reverse, beside the function itself?

A chain f(g(h(theta))) of linear maps R^p -> R^q -> R^j -> R, whose Jacobians are known: forward
mode multiplies j q p + j p numbers, reverse mode j q + q p. XLA counts the floating-point
operations of the programs: a multiplication and an addition each.
"""

import math
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from thetahat.figures import Line, Panel, draw_panels
from thetahat.models import MLP

Q, J = 16, 8


def operations(function: Any, *args: Any) -> float:
    """Floating-point operations of a function, as XLA counts them."""
    found = jax.jit(function).lower(*args).cost_analysis()
    return float(found["flops"]) if found else math.nan


def chain(p: int) -> dict[str, float]:
    """Operations of both orders of multiplying the Jacobians of a chain."""
    draws = jax.random.split(jax.random.key(p), 3)
    shapes = ((1, J), (J, Q), (Q, p))
    f, g, h = (jax.random.normal(k, s) for k, s in zip(draws, shapes, strict=True))
    return {
        "forward": operations(lambda f, g, h: f @ (g @ h), f, g, h),
        "reverse": operations(lambda f, g, h: (f @ g) @ h, f, g, h),
    }


def of_net(width: int) -> dict[str, float]:
    """Operations of a net's mean squared output, and of its derivatives."""
    net = MLP(2, width=width, depth=2, activation="relu")
    params = net.init(jax.random.key(0))
    x = jnp.ones((64, 2))

    def risk(params):
        return jnp.mean(jax.vmap(lambda one: net.apply(params, one))(x) ** 2)

    primal = operations(risk, params)
    jvp = operations(lambda p, t: jax.jvp(risk, (p,), (t,)), params, params)
    vjp = operations(jax.value_and_grad(risk), params)
    return {"params": net.n_params, "primal": primal, "jvp": jvp / primal, "vjp": vjp / primal}


def measure(largest: int = 256) -> dict[str, Any]:
    """Counts of the chain by p, and of a net by width."""
    ps = [p for p in (4, 8, 16, 32, 64, 128, 256, 512) if p <= largest]
    counts = [chain(p) for p in ps]
    found: dict[str, Any] = {"p": np.array(ps)}
    for mode in ("forward", "reverse"):
        found[mode] = np.array([one[mode] for one in counts])
    p = found["p"]
    found["forward formula"] = 2.0 * (J * Q * p + J * p)
    found["reverse formula"] = 2.0 * (J * Q + Q * p)
    widths = [w for w in (8, 16, 32, 64, 128) if w <= largest]
    nets = [of_net(w) for w in widths]
    found["width"] = np.array(widths)
    for name in ("params", "jvp", "vjp"):
        found[name] = np.array([one[name] for one in nets])
    return found


def answer(found: Mapping[str, Any]) -> str:
    """Ratios at the largest size."""
    ratio = found["forward"][-1] / found["reverse"][-1]
    return (
        f"With {found['p'][-1]} parameters forward mode takes {ratio:.1f} times the operations of"
        f" reverse mode. A net's whole gradient costs {found['vjp'][-1]:.1f} times the function,"
        f" one directional derivative {found['jvp'][-1]:.1f}; forward mode would need"
        f" {found['params'][-1]:,} of these."
    )


def draw(found: Mapping[str, Any]) -> Any:
    """Counts of the chain, and ratios of the net."""
    lines = []
    for mode in ("forward", "reverse"):
        lines.append(Line(mode, found["p"], found[mode], look="points"))
        lines.append(Line("", found["p"], found[f"{mode} formula"], look="dashed"))
    ratios = [
        Line("gradient (reverse, one VJP)", found["width"], found["vjp"]),
        Line("one JVP", found["width"], found["jvp"]),
    ]
    return draw_panels(
        [
            Panel("Operations of a chain (dashed: formula)", lines, x="parameters p", log_x=True,
                  y="operations", log_y=True),
            Panel("A net, relative to the function", ratios, x="width", y="ratio", log_x=True,
                  log_y=False, limits=(0, 5)),
        ]
    )  # fmt: skip
