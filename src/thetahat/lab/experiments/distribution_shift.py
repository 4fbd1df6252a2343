"""What happens to a fit where the inputs are distributed otherwise than in training?

Fitted on [-1, 1] and judged on intervals of the same length that are moved to the right: a line,
a polynomial and two nets, over samples. The truth is nearly linear on the right.
"""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

import thetahat as th
from thetahat.figures import Line, Panel, draw_panels
from thetahat.lab import band_line, grid, sample

CLASSES = ("line", "polynomial", "tanh net", "ReLU net")
SHIFTS = np.linspace(0, 1.5, 7)


def f(x: Any) -> Any:
    """A line with a wave that fades to the right."""
    return x[0] + 0.5 * jnp.sin(4 * x[0]) / (1 + jnp.exp(3 * x[0]))


def fitted(which: str = "line", n: int = 100, seed: th.Seed = 0) -> th.Task:
    """Fit on [-1, 1]."""
    models = {
        "line": th.models.Linear(1),
        "polynomial": th.models.Polynomial(7, "chebyshev"),
        "tanh net": th.models.MLP(1, width=16, depth=1, activation="tanh"),
        "ReLU net": th.models.MLP(1, width=16, depth=2),
    }
    net = "net" in which
    return th.Task(
        models[which],
        th.Data(sample(f, n, sigma=0.1, seed=seed)),
        optimizer=th.optim.named("adam", 0.01) if net else th.optim.gauss_newton(),
        epochs=1500 if net else 3,
        seed=seed,
        dtype="float32" if net else "float64",
    )


def measure(samples: int = 20, n: int = 100) -> dict[str, Any]:
    """Error in f by shift, samples in rows."""
    unit = np.linspace(-1, 1, 101)
    found: dict[str, Any] = {"shift": SHIFTS, "x": np.linspace(-1, 2.5, 141)}
    found["truth"] = np.asarray(f(found["x"][None]))
    for which in CLASSES:
        fits = th.fit_many(fitted, grid(which=which, n=n, seed=range(samples)))
        errors = []
        for shift in SHIFTS:
            x = unit + shift
            errors.append(((fits.predict(x[:, None]) - np.asarray(f(x[None]))) ** 2).mean(1))
        found[which] = np.array(errors)
        found[f"{which} h"] = np.median(fits.predict(found["x"][:, None]), axis=0)
    return found


def answer(found: Mapping[str, Any]) -> str:
    """Errors without and with the largest shift."""
    said = ", ".join(
        f"{which} {np.median(found[which][0]):.3g} and {np.median(found[which][-1]):.3g}"
        for which in CLASSES
    )
    return f"Median error in f on [-1, 1] and on [{SHIFTS[-1] - 1:g}, {SHIFTS[-1] + 1:g}]: {said}."


def draw(found: Mapping[str, Any]) -> Any:
    """The functions, and their error by shift."""
    functions = [Line(which, found["x"], found[f"{which} h"]) for which in CLASSES]
    functions.append(Line("f", found["x"], found["truth"], look="dashed"))
    lines = []
    for which in CLASSES:
        lines.append(band_line(which, found["shift"], found[which], axis=1))
    mark = (1.0, "training ends")
    return draw_panels(
        [
            Panel(
                "Median functions",
                functions,
                x="x",
                y="h(x)",
                log_y=False,
                limits=(-1.5, 4),
                mark=mark,
            ),
            Panel(
                "Error in f: median and 80 % band", lines, x="shift", y="mean square", log_y=True
            ),
        ]
    )
