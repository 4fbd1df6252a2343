"""How many steps does descent take on a badly conditioned quadratic, and what shortens them?

The objective is theta'H theta / 2 with eigenvalues 1 and 1/k of H, turned by an angle: the risk
of two observations, rows of the root of H. Steps are counted until theta is within 1e-6 of the
minimum.
"""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

import thetahat as th
from thetahat.figures import Line, Panel, draw_panels
from thetahat.lab import columns, grid

METHODS = ("gradient descent", "preconditioned", "heavy ball", "nesterov", "newton")
CONDITIONS = (2.0, 5.0, 10.0, 20.0, 50.0, 100.0)
TOLERANCE = 1e-6


def method(name: str, k: Any, hessian: Any) -> Any:
    """An optimizer: with Polyak's and Nesterov's rates and momenta for a known k."""
    root = jnp.sqrt(k)
    beta = (root - 1) / (root + 1)
    if name == "preconditioned":
        return th.optim.preconditioned(1 / jnp.diag(hessian), 0.5)
    if name == "heavy ball":
        return th.optim.named("momentum", (2 * root / (root + 1)) ** 2, momentum=beta**2)
    if name == "nesterov":
        return th.optim.nesterov(1.0, beta)
    return th.optim.newton() if name == "newton" else th.optim.named("sgd", 0.5)


def descent(
    how: str = "gradient descent",
    k: float = 100.0,
    turn: float = np.pi / 6,
    epochs: int = 3000,
) -> th.Task:
    """Minimise theta'H theta / 2 from (0.9, 0)."""
    c, s = jnp.cos(turn), jnp.sin(turn)
    basis = jnp.array([[c, -s], [s, c]])
    rows = jnp.sqrt(jnp.array([1.0, 1 / k]))[:, None] * basis.T
    start = lambda key: jnp.array([0.9, 0.0])  # noqa: E731
    return th.Task(
        (start, lambda theta, x: x @ theta),
        th.Data((rows, jnp.zeros(2))),
        metrics={
            "distance": lambda h: jnp.linalg.norm(h.params),
            "theta_1": lambda h: h.params[0],
            "theta_2": lambda h: h.params[1],
        },
        optimizer=method(how, k, rows.T @ rows),
        epochs=epochs,
        dtype="float64",
    )


def measure(epochs: int = 3000, turn: float = np.pi / 6) -> dict[str, Any]:
    """Steps of each method by condition number, and the paths at k = 10."""
    found: dict[str, Any] = {"k": np.array(CONDITIONS)}
    for how in METHODS:
        fits = th.fit_many(descent, grid(how=how, epochs=epochs, turn=turn, k=CONDITIONS))
        distance = columns(fits, "distance")
        near = distance < TOLERANCE
        found[how] = np.where(near.any(1), near.argmax(1) + 1, -1)
        path = np.stack([columns(fits, f"theta_{i}")[CONDITIONS.index(10.0)] for i in (1, 2)])
        found[f"{how} path"] = np.concatenate([[[0.9], [0.0]], path], axis=1)
        found[f"{how} distance"] = distance[-1]
    return found


def answer(found: Mapping[str, Any]) -> str:
    """Steps at the largest condition number."""
    steps = ", ".join(f"{how} {found[how][-1]:,}" for how in METHODS)
    return f"Steps at condition number {found['k'][-1]:.0f}: {steps}."


def draw(found: Mapping[str, Any]) -> Any:
    """The distance by step, the number of steps by condition, and three paths."""
    until = []
    for how in METHODS:
        far = np.where(found[f"{how} distance"] > 1e-9, found[f"{how} distance"], np.nan)
        until.append(Line(how, range(1, len(far) + 1), far))
    steps = [Line(how, found["k"], found[how]) for how in METHODS]
    shown = ("gradient descent", "heavy ball", "nesterov")
    paths = [Line(how, *found[f"{how} path"][:, :60], colour=METHODS.index(how)) for how in shown]
    last = f"Distance at condition number {found['k'][-1]:.0f}"
    return draw_panels(
        [
            Panel(last, until, x="step", y="distance from the minimum", log_x=True, log_y=True),
            Panel("Steps to 1e-6", steps, x="condition number", y="steps", log_x=True, log_y=True),
            Panel("Paths at condition number 10", paths, x="theta 1", y="theta 2", log_y=False),
        ],
        across=3,
    )
