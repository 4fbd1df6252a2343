"""How does the fitted function move while a net trains?

The lectures' perceptron (20 ReLU units, gradient descent at rate 0.1) and a deep net of
1-4-4-4-4-1 (Adam at 0.01) fit 100 noisy observations. The functions at chosen epochs are metrics
of the fit.
"""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

import thetahat as th
from thetahat.figures import Line, Panel, draw_panels
from thetahat.lab import columns

GRID = np.linspace(-3, 3, 41)
NETS = {"perceptron": "Perceptron, 20 units", "deep": "Four layers of 4 units"}


def at(x: float) -> Any:
    """Make the metric h(x)."""
    return lambda h: h(jnp.array([x]))


def bump(which: str = "perceptron", epochs: int = 1000, seed: th.Seed = 0) -> th.Task:
    """Fit a sine with a bump; h at each point of the grid is a metric."""
    draw = th.dgp.sine_bump(N=100, sigma=0.1, seed=987)
    shallow = which == "perceptron"
    return th.Task(
        th.models.MLP(1, width=20 if shallow else 4, depth=1 if shallow else 4),
        th.Data(draw.obs),
        metrics={f"at_{k}": at(x) for k, x in enumerate(GRID.tolist())},
        optimizer=th.optim.named("sgd", 0.1) if shallow else th.optim.named("adam", 0.01),
        epochs=epochs,
        seed=seed,
    )


def measure(epochs: int = 1000, seed: int = 1) -> dict[str, Any]:
    """The functions by epoch, and their distance to the truth."""
    draw = th.dgp.sine_bump(N=100, sigma=0.1, seed=987)
    truth = np.asarray(draw.truth(GRID[:, None]))
    found: dict[str, Any] = {"x": np.asarray(draw.x)[:, 0], "y": np.asarray(draw.y), "truth": truth}
    for which in NETS:
        fit = th.fit(bump, which=which, epochs=epochs, seed=seed)
        path = np.stack([columns([fit], f"at_{k}")[0] for k in range(len(GRID))], axis=1)
        found |= {which: path, f"{which} risk": columns([fit], "train_risk")[0]}
        found[f"{which} params"] = fit.n_params
        found[f"{which} error"] = np.sqrt(((path - truth) ** 2).mean(1))
    return found


def answer(found: Mapping[str, Any]) -> str:
    """State the distance to f at the beginning and at the end."""
    said = [
        f"{which} ({found[f'{which} params']} parameters) from {found[f'{which} error'][0]:.2f} to"
        f" {found[f'{which} error'][-1]:.2f}"
        for which in NETS
    ]
    return f"Root mean squared distance to f on [-3, 3]: {'; '.join(said)}."


def draw(found: Mapping[str, Any]) -> Any:
    """Functions on the way, and at the end."""
    panels = []
    for which, title in NETS.items():
        path = found[which]
        at = np.unique(np.geomspace(1, len(path), 14).astype(int)) - 1
        lines = [Line("", GRID, path[k], look="faint", colour=0) for k in at]
        lines += [
            Line("after all epochs", GRID, path[-1], colour=0),
            Line("f", GRID, found["truth"], look="dashed"),
            Line("observations", found["x"], found["y"], look="points", colour=1),
        ]
        panels.append(Panel(title, lines, x="x", y="h(x)", log_y=False, limits=(-1.8, 2.0)))
    return draw_panels(panels)
