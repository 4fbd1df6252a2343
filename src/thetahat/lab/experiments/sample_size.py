"""How many more observations make up for noise that is twice as strong?

Least squares with p coefficients has an error in f of sigma^2 p / N: four times as many.
Polynomials and a net are fitted over a grid of noise levels and sample sizes. N is a mask of
weights and sigma a number, so that each class is one program.
"""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

import thetahat as th
from thetahat.figures import Line, Panel, draw_panels
from thetahat.lab import grid, sample

SIZES = (25, 50, 100, 200, 400, 800)
SIGMAS = (0.05, 0.1, 0.2, 0.4, 0.8)
X = np.linspace(-1, 1, 101)[:, None]
CLASSES = ("polynomial", "net")
TERMS = 6


def target(x: Any) -> Any:
    """A polynomial of degree three, so that the polynomials have no approximation error."""
    return 2 * x[0] ** 3 - x[0]


def fitted(
    which: str = "net", n: float = 100.0, sigma: float = 0.2, largest: int = 800, seed: th.Seed = 0
) -> th.Task:
    """Fit the first n of the drawn observations."""
    obs = sample(target, largest, sigma=sigma, seed=seed)
    weight = (jnp.arange(largest) < n).astype(float)
    net = th.models.MLP(1, width=5, depth=1, activation="tanh")
    return th.Task(
        net if which == "net" else th.models.Polynomial(TERMS - 1, "legendre"),
        th.Data(th.Observations(obs.x, obs.y, weight)),
        optimizer=th.optim.levenberg_marquardt(),
        epochs=80 if which == "net" else 5,
        seed=seed,
        dtype="float64",
    )


def measure(draws: int = 15, largest: int = 800) -> dict[str, Any]:
    """Median error in f by noise and sample size, and its slopes on log scales."""
    n, sigma = np.array([n for n in SIZES if n <= largest], float), np.array(SIGMAS)
    found: dict[str, Any] = {"n": n, "sigma": sigma}
    truth = np.asarray(target(X.T))
    slopes = [[1.0, np.log(s), np.log(size)] for s in sigma for size in n]
    for which in CLASSES:
        shared = {"which": which, "largest": largest, "sigma": sigma, "n": n}
        h = th.fit_many(fitted, grid(**shared, seed=range(draws))).predict(X)
        error = ((h.reshape(len(sigma), len(n), draws, -1) - truth) ** 2).mean(-1)
        found[which] = np.median(error, axis=2)
        logs = np.linalg.lstsq(np.array(slopes), np.log(found[which]).ravel(), rcond=None)[0]
        found[f"{which} slopes"] = logs[1:]
    return found


def answer(found: Mapping[str, Any]) -> str:
    """State the factor of N that offsets a factor of two in sigma, by the fitted slopes."""
    said = []
    for which in CLASSES:
        of_sigma, of_n = found[f"{which} slopes"]
        said.append(
            f"{which} {2 ** (-of_sigma / of_n):.1f} times as many (error of sigma to the power"
            f" {of_sigma:.2f}, N to {of_n:.2f})"
        )
    return f"Noise twice as strong needs, of a {' and of a '.join(said)}."


def draw(found: Mapping[str, Any]) -> Any:
    """The net's error by size, and both classes by sigma^2 / N."""
    n, sigma = found["n"], found["sigma"]
    by_size = [Line(f"sigma {s:g}", n, row) for s, row in zip(sigma, found["net"], strict=True)]
    ratio = (sigma[:, None] ** 2 / n).ravel()
    lines = [Line(which, ratio, found[which].ravel(), look="points") for which in CLASSES]
    ends = np.sort(ratio)[[0, -1]]
    lines.append(Line(f"{TERMS} sigma^2 / N", ends, TERMS * ends, look="dashed"))
    axes = {"y": "median square", "log_x": True, "log_y": True}
    return draw_panels(
        [
            Panel("Error in f of the net", by_size, x="observations", limits=(5e-5, 5.0), **axes),
            Panel("Error in f of both classes", lines, x="sigma^2 / N", **axes),
        ]
    )
