"""Which optimizer fits a small net in the fewest passes, and how much does its rate matter?

A net 1-20-1 with tanh, all 100 observations in each step, no noise. First order methods run at
rates from a grid; their best rate is the one with the lowest median risk at the end. L-BFGS and
Levenberg-Marquardt choose their steps, and a step of theirs costs more.
"""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

import thetahat as th
from thetahat.figures import Line, Panel, draw_panels
from thetahat.lab import band_line, columns, grid, sample

N = 100
RATES = np.geomspace(1e-3, 1.0, 7)
FIRST_ORDER = ("sgd", "momentum", "nesterov", "rmsprop", "adam")
OTHERS = ("lbfgs", "lm")
SHOWN = {"sgd": "gradient descent", "lbfgs": "L-BFGS", "lm": "Levenberg-Marquardt", "adam": "Adam",
         "rmsprop": "RMSProp", "nesterov": "Nesterov"}  # fmt: skip


def net(how: str = "adam", lr: float = 0.01, epochs: int = 500, seed: th.Seed = 0) -> th.Task:
    """Fit a wave from one start, by full batches."""
    data = th.Data(sample(lambda x: jnp.sin(4 * x[0]), N, seed=7))
    return th.Task(
        th.models.MLP(1, width=20, depth=1, activation="tanh"),
        data,
        optimizer=how if how in OTHERS else th.optim.named(how, lr),
        epochs=epochs,
        seed=seed,
        dtype="float64",
    )


def measure(starts: int = 8, epochs: int = 500) -> dict[str, Any]:
    """Training risks by epoch at the best rate, and at the end by rate; starts in rows."""
    found: dict[str, Any] = {"epoch": np.arange(1, epochs + 1), "rate": RATES}
    for how in FIRST_ORDER + OTHERS:
        rates = RATES if how in FIRST_ORDER else [0.0]
        fits = th.fit_many(net, grid(how=how, epochs=epochs, lr=rates, seed=range(starts)))
        risk = columns(fits, "train_risk").reshape(len(rates), starts, -1)
        ends = np.median(np.fmin(np.nan_to_num(risk[..., -1], nan=1e9), 1e9), axis=1)
        best = int(ends.argmin())
        found |= {how: risk[best], f"{how} by rate": ends, f"{how} rate": rates[best]}
    return found


def answer(found: Mapping[str, Any]) -> str:
    """Compare the ends, with the rates that gave them."""
    said = []
    for how in FIRST_ORDER + OTHERS:
        at = f" (rate {found[f'{how} rate']:.2g})" if how in FIRST_ORDER else ""
        said.append(f"{SHOWN.get(how, how)} {np.nanmedian(found[how][:, -1]):.0e}{at}")
    return f"Median training risk after {len(found['epoch'])} passes: {', '.join(said)}."


def draw(found: Mapping[str, Any]) -> Any:
    """Paths at the best rate, and the ends by rate."""
    paths, ends = [], []
    for how in FIRST_ORDER + OTHERS:
        name, path = SHOWN.get(how, how), found[how]
        epoch = np.arange(1, path.shape[1] + 1)
        # A fit that has converged ends: its risk stays.
        last = np.where(np.isfinite(path), path, np.nanmin(path, axis=1)[:, None])
        paths.append(band_line(name, epoch, np.maximum(last, 1e-14)))
        if how in FIRST_ORDER:
            far = found[f"{how} by rate"]
            ends.append(Line(name, found["rate"], np.where(far < 10, far, np.nan)))
    axes = {"y": "training risk", "log_x": True, "log_y": True}
    return draw_panels(
        [
            Panel("At the best rate: median and 80 % band", paths, x="pass", **axes),
            Panel(
                f"After {len(found['epoch'])} passes", ends, x="rate", limits=(5e-5, 200.0), **axes
            ),
        ]
    )
