"""How do approximation and estimation error change as a hypothesis class grows?

Three classes on one target: linear in k cosines, polynomials of k terms, nets of k units. Each is
fitted to many data sets of 50 observations; the best of a class is its fit to the target itself, of
nets the best of several starts. Sizes are masks, so that each class is one program.
"""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

import thetahat as th
from thetahat.figures import Line, Panel, draw_panels
from thetahat.lab import MaskedMLP, MaskedTerms, decompose, grid, sample

N, N_GRID = 50, 200
CLASSES = ("cosines", "polynomials", "nets")


def target(x: Any) -> Any:
    """A bump beside a wave."""
    return jnp.sin(3 * x[0]) + jnp.exp(-20 * (x[0] - 0.4) ** 2)


def model(which: str, size: Any, largest: int) -> Any:
    """A class of the given size inside arrays of the largest."""
    if which == "nets":
        return MaskedMLP(1, largest, size, depth=1, activation="tanh")
    legendre = lambda x: th.models.Polynomial(largest - 1, "legendre").terms(x[0])  # noqa: E731
    cosines = lambda x: jnp.cos(jnp.pi * jnp.arange(largest) * (x[0] + 1) / 2)  # noqa: E731
    return MaskedTerms(cosines if which == "cosines" else legendre, largest, size)


def fitted(
    which: str = "nets",
    size: float = 4.0,
    largest: int = 12,
    population: bool = False,
    sigma: float = 0.3,
    seed: th.Seed = 0,
) -> th.Task:
    """Fit to a sample, or to the target on a grid."""
    points = jnp.linspace(-1, 1, N_GRID)[:, None]
    whole = (points, target(points.T))
    return th.Task(
        model(which, size, largest),
        th.Data(whole if population else sample(target, N, sigma=sigma, seed=seed)),
        optimizer=th.optim.levenberg_marquardt(),
        epochs=100 if which == "nets" else 3,
        seed=seed,
        dtype="float64",
    )


def measure(samples: int = 20, starts: int = 4, largest: int = 12) -> dict[str, Any]:
    """Both errors by class and size."""
    x = np.linspace(-1, 1, N_GRID)[:, None]
    truth, sizes = np.asarray(target(x.T), float), np.arange(1, largest + 1)
    found: dict[str, Any] = {"size": sizes}
    for which in CLASSES:
        shared = {"which": which, "largest": largest, "size": sizes.astype(float)}
        fits = th.fit_many(fitted, grid(**shared, seed=range(samples)))
        fits = fits.predict(x).reshape(len(sizes), samples, -1)
        tries = starts if which == "nets" else 1
        whole = th.fit_many(fitted, grid(**shared, population=True, seed=range(tries)))
        whole = whole.predict(x).reshape(len(sizes), tries, -1)
        best = [one[((one - truth) ** 2).mean(1).argmin()] for one in whole]
        parts = [decompose(h, star, truth) for h, star in zip(fits, best, strict=True)]
        for name in ("approximation", "estimation", "estimation_se"):
            found[f"{which}_{name}"] = np.array([getattr(part, name) for part in parts])
    return found


def answer(found: Mapping[str, Any]) -> str:
    """State the size with the least error of each class."""
    said = []
    for which in CLASSES:
        app, est = found[f"{which}_approximation"], found[f"{which}_estimation"]
        k = (app + est).argmin()
        se = found[f"{which}_estimation_se"][k]
        said.append(f"{which} {found['size'][k]} ({app[k]:.3f} + {est[k]:.3f}, s.e. {se:.3f})")
    return f"Least error (approximation + estimation) at size: {'; '.join(said)}."


def draw(found: Mapping[str, Any]) -> Any:
    """A panel for each class, with two standard errors."""
    panels, k = [], found["size"]
    for which, axis in zip(CLASSES, ("k", "terms", "units"), strict=True):
        app, est = found[f"{which}_approximation"], found[f"{which}_estimation"]
        se = found[f"{which}_estimation_se"]
        lines = [
            Line("approximation error", k, np.maximum(app, 1e-6)),
            Line("estimation error", k, est, np.maximum(est - 2 * se, est / 5), est + 2 * se),
            Line("sum", k, app + est, look="dashed"),
        ]
        panels.append(Panel(which.capitalize(), lines, x=axis, y="mean square", log_y=True))
    return draw_panels(panels, across=3)
