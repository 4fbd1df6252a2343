"""When do learned features beat fixed ones?

Polynomials, random ReLU features and nets with the same number of linear coefficients, on a
smooth target and on one with kinks, from 60 noisy observations. Sizes are masks: one program for
each class.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import thetahat as th
from thetahat.figures import Line, Panel, draw_panels
from thetahat.lab import MaskedMLP, MaskedTerms, grid, mean_se, sample

N, SIGMA = 60, 0.1
CLASSES = ("polynomial", "random features", "net")
TARGETS = {"smooth": "Smooth: sin(3x)", "kinked": "Kinks: two ramps"}


def target(name: str, x: Any) -> Any:
    """The function at one x of shape (1,)."""
    if name == "smooth":
        return jnp.sin(3 * x[0])
    return jnp.abs(x[0] + 0.4) - 2 * jax.nn.relu(x[0] - 0.3)


def model(which: str, size: Any, largest: int, seed: Any) -> Any:
    """A class with ``size`` terms inside arrays of the largest."""
    w, b = jax.random.normal(jax.random.fold_in(jax.random.key(seed), 9), (2, largest))
    terms = {
        "polynomial": lambda x: th.models.Polynomial(largest - 1, "legendre").terms(x[0]),
        "random features": lambda x: jax.nn.relu(x[0] * w + b),
    }
    net = MaskedMLP(1, largest, size, depth=1)
    return net if which == "net" else MaskedTerms(terms[which], largest, size)


def fitted(
    which: str = "net",
    kind: str = "smooth",
    size: float = 8.0,
    largest: int = 24,
    seed: th.Seed = 0,
) -> th.Task:
    """Fit by Levenberg-Marquardt: of linear classes the least squares solution."""
    f = lambda x: target(kind, x)  # noqa: E731
    return th.Task(
        model(which, size, largest, seed),
        th.Data(sample(f, N, sigma=SIGMA, seed=seed)),
        optimizer=th.optim.levenberg_marquardt(),
        epochs=100 if which == "net" else 3,
        seed=seed,
        dtype="float64",
    )


def measure(samples: int = 30, largest: int = 24) -> dict[str, Any]:
    """Error in f by size, class and target."""
    sizes = np.array([k for k in (1, 2, 3, 4, 6, 8, 12, 16, 24) if k <= largest])
    x = np.linspace(-1, 1, 201)[:, None]
    found: dict[str, Any] = {"size": sizes}
    for kind in TARGETS:
        truth = np.asarray(jax.vmap(lambda one, kind=kind: target(kind, one))(x))
        for which in CLASSES:
            shared = {"which": which, "kind": kind, "largest": largest}
            points = grid(**shared, size=sizes.astype(float), seed=range(samples))
            fits = th.fit_many(fitted, points).predict(x)
            error = ((fits - truth) ** 2).mean(1).reshape(len(sizes), samples)
            found[f"{kind} {which}"] = np.median(error, axis=1)
            found[f"{kind} {which} se"] = mean_se(error, axis=1)[1]
    return found


def answer(found: Mapping[str, Any]) -> str:
    """The least error of each class."""
    said = []
    for kind in TARGETS:
        least = ", ".join(
            f"{which} {found[f'{kind} {which}'].min():.4f} at"
            f" {found['size'][found[f'{kind} {which}'].argmin()]}"
            for which in CLASSES
        )
        said.append(f"{kind}: {least}")
    return f"Least median error in f, {'; '.join(said)}."


def draw(found: Mapping[str, Any]) -> Any:
    """Error by size."""
    panels = []
    for kind, title in TARGETS.items():
        lines = [Line(which, found["size"], found[f"{kind} {which}"]) for which in CLASSES]
        panels.append(
            Panel(title, lines, x="terms or units", y="median error in f", log_x=True, log_y=True)
        )
    return draw_panels(panels)
