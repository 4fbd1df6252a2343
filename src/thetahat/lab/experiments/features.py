"""When do features that are learned beat features that are fixed?

Polynomials and random ReLU features are fixed: least squares finds their coefficients. A net learns
its features too. All are fitted to 200 observations of a smooth function of one input, of one with
a kink, and of one that has a kink along one direction of five inputs.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import thetahat as th
from thetahat.figures import Panel, draw_panels
from thetahat.lab import MaskedMLP, MaskedTerms, band_line, columns, grid, sample

N, N_TEST, SIGMA = 200, 500, 0.02
TARGETS = {"smooth": 1, "kinked": 1, "kinked, five inputs": 5}
CLASSES = ("polynomials", "random features", "net")


def target(name: str) -> Any:
    """f by name: the last one sees its inputs along one direction."""
    along = jnp.array([1.0, -1.0, 0.5, 0.5, -0.5]) / jnp.sqrt(2.75)
    z = lambda x: x[0] if len(x) == 1 else x @ along  # noqa: E731
    return lambda x: jnp.sin(4 * z(x)) if name == "smooth" else jnp.abs(z(x) - 0.2)


def model(which: str, d: int, size: Any, largest: int, seed: Any) -> Any:
    """A class with ``size`` terms or units inside arrays of the largest."""
    if which == "net":
        return MaskedMLP(d, largest, size, depth=1)
    if which == "polynomials":  # of the inputs one by one, by degree
        powers = jnp.arange(largest - 1) // d + 1
        at = jnp.arange(largest - 1) % d
        terms = lambda x: jnp.append(1.0, jnp.cos(powers * jnp.arccos(x[at])))  # noqa: E731
        return MaskedTerms(terms, largest, size)
    of_kernel, of_bias = jax.random.split(jax.random.fold_in(jax.random.key(seed), 9))
    kernel = jax.random.normal(of_kernel, (d, largest))
    bias = jax.random.uniform(of_bias, (largest,), minval=-1, maxval=1)
    ramps = lambda x: jax.nn.relu(x @ kernel + bias)  # noqa: E731
    return MaskedTerms(ramps, largest, size)


def fitted(
    which: str = "net", f: str = "smooth", size: float = 8.0, largest: int = 24, seed: th.Seed = 0
) -> th.Task:
    """Fit one class of one size; the seed draws data, features and starts."""
    d = TARGETS[f]
    new = sample(target(f), N_TEST, d=d, seed=seed + 1_000_000)
    return th.Task(
        model(which, d, size, largest, seed),
        th.Data(sample(target(f), N, d=d, sigma=SIGMA, seed=seed), new),
        optimizer="lm" if which == "net" else th.optim.gauss_newton(1e-10),
        epochs=60 if which == "net" else 3,
        seed=seed,
        dtype="float64",
    )


def measure(draws: int = 5, largest: int = 24) -> dict[str, Any]:
    """Error in f at new points by class, target and size, draws in columns."""
    sizes = np.array([k for k in (2, 4, 6, 8, 12, 16, 24) if k <= largest], float)
    found: dict[str, Any] = {"size": sizes}
    for f in TARGETS:
        for which in CLASSES:
            shared = {"which": which, "f": f, "largest": largest, "size": sizes}
            fits = th.fit_many(fitted, grid(**shared, seed=range(draws)))
            error = columns(fits, "val_risk")[:, -1]
            found[f"{f} {which}"] = error.reshape(len(sizes), draws)
    return found


def answer(found: Mapping[str, Any]) -> str:
    """Name the medians at the largest size."""
    k, said = -1, []
    for f in TARGETS:
        errors = ", ".join(f"{np.median(found[f'{f} {which}'][k]):.1e}" for which in CLASSES)
        said.append(f"{f}: {errors}")
    of = ", ".join(CLASSES)
    return f"Median error in f with {found['size'][k]:.0f} of {of}; {'; '.join(said)}."


def draw(found: Mapping[str, Any]) -> Any:
    """A panel for each target."""
    panels = []
    for f in TARGETS:
        lines = [band_line(which, found["size"], found[f"{f} {which}"], 1) for which in CLASSES]
        axes = {"x": "terms or units", "y": "mean square", "log_x": True, "log_y": True}
        panels.append(Panel(f.capitalize(), lines, **axes))
    return draw_panels(panels, across=3)
