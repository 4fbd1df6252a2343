"""Which optimizer brings a small net furthest in as many passes?

A net 1-16-1 fits 100 points of a smooth function without noise, from three starts, on the full
batch. Each first-order rate is the best of four, chosen by the median of the last risks.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

import thetahat as th
from thetahat.figures import Panel, draw_panels
from thetahat.lab import band_line, columns, grid

RATES = {
    "sgd": (0.03, 0.1, 0.3, 1.0),
    "momentum": (0.01, 0.03, 0.1, 0.3),
    "nesterov": (0.01, 0.03, 0.1, 0.3),
    "rmsprop": (0.001, 0.003, 0.01, 0.03),
    "adam": (0.003, 0.01, 0.03, 0.1),
}
OTHERS = ("lbfgs", "levenberg_marquardt")


def wave(how: str = "adam", lr: float = 0.01, epochs: int = 500, seed: th.Seed = 0) -> th.Task:
    """Fit sin(3x) on [-2, 2]."""
    x = np.linspace(-2, 2, 100)[:, None]
    return th.Task(
        th.models.MLP(1, width=16, depth=1, activation="tanh"),
        th.Data((x, np.sin(3 * x[:, 0]))),
        optimizer=how if how in OTHERS else th.optim.named(how, lr),
        epochs=epochs,
        seed=seed,
        dtype="float64",
    )


def measure(starts: int = 3, epochs: int = 200) -> dict[str, Any]:
    """Training risk by pass and start of each optimizer, at its best rate."""
    found: dict[str, Any] = {"pass": np.arange(1, epochs + 1)}
    for how, rates in {**RATES, **dict.fromkeys(OTHERS, (1.0,))}.items():
        fits = th.fit_many(wave, grid(how=how, epochs=epochs, lr=rates, seed=range(starts)))
        risk = columns(fits, "train_risk").reshape(len(rates), starts, -1)
        ends = np.where(np.isfinite(risk[:, :, -1]), risk[:, :, -1], np.inf)
        best = int(np.median(ends, axis=1).argmin())
        found[how], found[f"{how} rate"] = risk[best], rates[best]
        found[f"{how} end"] = float(np.median(ends[best]))
    return found


def answer(found: Mapping[str, Any]) -> str:
    """Compare the ends."""
    ends = ", ".join(f"{how} {found[f'{how} end']:.1e}" for how in (*RATES, *OTHERS))
    return f"Median training risk after {len(found['pass'])} passes: {ends}."


def draw(found: Mapping[str, Any]) -> Any:
    """Medians and bands over starts."""
    first, second = [], []
    for how in (*RATES, *OTHERS):
        rate = f", rate {found[f'{how} rate']:g}" if how in RATES else ""
        name = f"{how.replace('levenberg_marquardt', 'lm')}{rate}"
        line = band_line(name, found["pass"], found[how])
        (first if how in ("sgd", "momentum", "nesterov") else second).append(line)
    return draw_panels(
        [
            Panel(title, lines, x="pass", y="training risk", log_x=True, log_y=True)
            for title, lines in (("Momentum", first), ("Adaptive, and second order", second))
        ]
    )
