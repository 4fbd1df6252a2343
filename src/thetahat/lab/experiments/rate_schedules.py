"""Must the rate of stochastic gradient descent fall, and how fast?

Least squares with noise, one observation a step, drawn with replacement. A constant rate stops at
a distance in proportion to the rate. Rates with an infinite sum and a finite sum of squares
(Robbins and Monro, 1951) converge.
"""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
import optax

import thetahat as th
from thetahat.figures import Panel, draw_panels
from thetahat.lab import band_line, columns, grid

N, D = 256, 4
SCHEDULES = {
    "constant": "lr",
    "1 / t": "lr / (1 + t / 100): Robbins-Monro",
    "1 / sqrt t": "lr / sqrt(1 + t / 100): the squares have no finite sum",
    "cosine": "lr to 0 over all steps",
}


def regression(
    schedule: str = "constant", lr: float = 0.05, epochs: int = 60, seed: th.Seed = 0
) -> th.Task:
    """Fit by single observations; the seed draws their order."""
    draw = th.dgp.linear(N, D, 1.0, seed=3)
    x, y = draw.x, draw.y
    theta = jnp.linalg.solve(x.T @ x, x.T @ y)
    rates = {
        "constant": lambda t: lr * jnp.ones(()),
        "1 / t": lambda t: lr / (1 + t / 100),
        "1 / sqrt t": lambda t: lr / jnp.sqrt(1 + t / 100),
        "cosine": optax.cosine_decay_schedule(lr, epochs * N),
    }
    return th.Task(
        th.models.Linear(D, bias=False, start="zeros"),
        th.Data((x, y)),
        metrics={"excess": lambda h: jnp.mean((x @ (h.params["kernel"] - theta)) ** 2)},
        optimizer=optax.sgd(rates[schedule]),
        epochs=epochs,
        batch_size=1,
        sampling=th.Shuffle(seed=seed),
        seed=seed,
    )


def measure(seeds: int = 10, epochs: int = 40, lr: float = 0.05) -> dict[str, Any]:
    """Excess risk over the least squares solution by pass."""
    found: dict[str, Any] = {"pass": np.arange(1, epochs + 1)}
    for name in SCHEDULES:
        shared = {"schedule": name, "epochs": epochs, "lr": lr}
        fits = th.fit_many(regression, grid(**shared, seed=range(seeds)))
        found[name] = columns(fits, "excess")
        found[f"{name} end"] = float(np.median(found[name][:, -1]))
    return found


def answer(found: Mapping[str, Any]) -> str:
    """Compare the ends."""
    ends = ", ".join(f"{name} {found[f'{name} end']:.1e}" for name in SCHEDULES)
    return f"Median excess risk after {len(found['pass'])} passes: {ends}."


def draw(found: Mapping[str, Any]) -> Any:
    """Medians and bands over seeds."""
    lines = []
    for name in SCHEDULES:
        lines.append(band_line(name, found["pass"], found[name]))
    title = "Excess risk: median and 80 % band"
    return draw_panels([Panel(title, lines, x="pass", y="excess risk", log_x=True, log_y=True)])
