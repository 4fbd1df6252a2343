"""What are fits worth at points that their data do not reach?

E[y | x] stays what it is, and the distribution of x moves: the data are from [-1, 1], and the
points of use from [-1 + s, 1 + s]. Linear, polynomial and two kinds of nets agree where the data
are; beyond, each goes on as its class does.
"""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

import thetahat as th
from thetahat.figures import Line, Panel, draw_panels
from thetahat.lab import band_line, grid, sample

N, SIGMA = 100, 0.1
X = np.linspace(-1.0, 3.0, 161)
SHIFTS = np.linspace(0.0, 2.0, 9)
CLASSES = ("linear", "polynomial", "tanh net", "ReLU net")


def target(x: Any) -> Any:
    """A wave around a line."""
    return jnp.sin(2.5 * x[0]) + 0.5 * x[0]


def fitted(which: str = "linear", seed: th.Seed = 0) -> th.Task:
    """Fit points from [-1, 1]; a polynomial has degree 6, a net eight units."""
    net = th.models.MLP(1, width=8, depth=1, activation="relu" if "ReLU" in which else "tanh")
    models = {"linear": th.models.Linear(1), "polynomial": th.models.Polynomial(6, "legendre")}
    return th.Task(
        models.get(which, net),
        th.Data(sample(target, N, sigma=SIGMA, seed=seed)),
        optimizer=th.optim.levenberg_marquardt(),
        epochs=60 if "net" in which else 5,
        seed=seed,
        dtype="float64",
    )


def measure(draws: int = 20) -> dict[str, Any]:
    """Functions on [-1, 3], and their errors by shift, draws of the data in rows."""
    truth = np.asarray(target(X[None]))
    found: dict[str, Any] = {"x": X, "truth": truth, "shift": SHIFTS}
    inside = np.abs(X[None] - SHIFTS[:, None]) <= 1 + 1e-9  # (shifts, points)
    for which in CLASSES:
        fits = th.fit_many(fitted, grid(which=which, seed=range(draws)))
        h = fits.predict(X[:, None]).reshape(draws, -1)
        squared = (h - truth) ** 2
        found[which] = h
        found[f"{which} error"] = squared @ inside.T / inside.sum(1)
    return found


def answer(found: Mapping[str, Any]) -> str:
    """Compare medians where the data are and a whole range further."""
    said = ", ".join(
        f"{which} {np.median(found[f'{which} error'][:, 0]):.2g} and"
        f" {np.median(found[f'{which} error'][:, -1]):.2g}"
        for which in CLASSES
    )
    return f"Median squared error on [-1, 1], where the data are, and on [1, 3]: {said}."


def draw(found: Mapping[str, Any]) -> Any:
    """Some fits beyond the data, and the error by shift."""
    some = []
    for k, which in enumerate(CLASSES):
        h = np.where(np.abs(found[which]) < 4, found[which], np.nan)
        some += [Line("", found["x"], one, look="faint", colour=k) for one in h[1:6]]
        some.append(Line(which, found["x"], h[0], colour=k))
    some.append(Line("f", found["x"], found["truth"], look="dashed"))
    lines = [band_line(which, found["shift"], found[f"{which} error"]) for which in CLASSES]
    return draw_panels(
        [
            Panel("Fits to data on [-1, 1]", some, x="x", y="h(x)",
                  log_y=False, mark=(1.0, "end of the data"), limits=(-2.5, 5.0)),
            Panel("Error in f where x is used", lines, x="shift", y="mean square",
                  log_x=False, log_y=True, limits=(1e-4, 1e5)),
        ]
    )  # fmt: skip
