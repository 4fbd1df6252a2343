"""How do noise and sample size trade off in the error of a fit?

Least squares with nine coefficients and a net of eight units, from 20 to 640 observations with
three sizes of noise. For least squares the error in f is sigma^2 d / n.
"""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

import thetahat as th
from thetahat.figures import Line, Panel, draw_panels
from thetahat.lab import grid, mean_se, sample

SIGMAS = (0.1, 0.3, 1.0)
SIZES = (20, 40, 80, 160, 320, 640)
DEGREE = 8


def f(x: Any) -> Any:
    """A cubic: inside the class of polynomials, not in that of nets."""
    return x[0] ** 3 - x[0]


def fitted(
    which: str = "polynomial",
    n: float = 40.0,
    sigma: float = 0.3,
    largest: int = 640,
    seed: th.Seed = 0,
) -> th.Task:
    """Fit the first n of the drawn observations: a mask of weights."""
    obs = sample(f, largest, sigma=sigma, seed=seed)
    weight = (jnp.arange(largest) < n).astype(obs.y.dtype)
    net = th.models.MLP(1, width=8, depth=1, activation="tanh")
    return th.Task(
        net if which == "net" else th.models.Polynomial(DEGREE, "legendre", start="zeros"),
        th.Data(th.Observations(obs.x, obs.y, weight)),
        optimizer=th.optim.levenberg_marquardt() if which == "net" else th.optim.gauss_newton(),
        epochs=50 if which == "net" else 3,
        seed=seed,
        dtype="float64",
    )


def measure(samples: int = 30, largest: int = 640) -> dict[str, Any]:
    """Mean error in f by sigma and n, with standard errors."""
    sizes = [n for n in SIZES if n <= largest]
    x = np.linspace(-1, 1, 401)
    truth = np.asarray(f(x[None]))
    found: dict[str, Any] = {"n": np.array(sizes), "sigma": np.array(SIGMAS)}
    for which in ("polynomial", "net"):
        shared = {"which": which, "largest": largest, "sigma": SIGMAS}
        fits = th.fit_many(fitted, grid(**shared, n=map(float, sizes), seed=range(samples)))
        error = ((fits.predict(x[:, None]) - truth) ** 2).mean(1)
        error = error.reshape(len(SIGMAS), len(sizes), samples)
        found[which], found[f"{which} se"] = mean_se(error, axis=2)
        slope = np.polyfit(np.log(sizes[1:]), np.log(found[which][:, 1:]).T, 1)[0]
        found[f"{which} slope"] = slope
    found["theory"] = np.array(SIGMAS)[:, None] ** 2 * (DEGREE + 1) / np.array(sizes)
    return found


def answer(found: Mapping[str, Any]) -> str:
    """Rates in n, and the level of least squares."""
    ratio = found["polynomial"][:, -1] / found["theory"][:, -1]
    slopes = {w: ", ".join(f"{s:.2f}" for s in found[f"{w} slope"]) for w in ("polynomial", "net")}
    return (
        f"Slopes of log error in log n at sigma 0.1, 0.3 and 1: least squares"
        f" {slopes['polynomial']}; net {slopes['net']}. At n = {found['n'][-1]} least squares have"
        f" {ratio.min():.2f} to {ratio.max():.2f} of sigma^2 d / n."
    )


def draw(found: Mapping[str, Any]) -> Any:
    """Error by sample size, a line for each noise."""
    panels = []
    for which, title in (("polynomial", "Least squares, 9 coefficients"), ("net", "Net, 8 units")):
        lines = []
        for k, sigma in enumerate(found["sigma"]):
            mean, se = found[which][k], found[f"{which} se"][k]
            lines.append(Line(f"sigma {sigma:g}", found["n"], mean, mean - 2 * se, mean + 2 * se))
            if which == "polynomial":
                lines.append(Line("", found["n"], found["theory"][k], look="dashed"))
        panels.append(Panel(title, lines, x="observations", y="error in f", log_x=True, log_y=True))
    return draw_panels(panels)
