"""Does a net that knows a symmetry need fewer observations?

The outcome is std(x) / (0.5 + mean(x)) of ten uniform draws, in whatever order they come. A deep
set rho(mean_i phi(x_i)) is symmetric by construction; an MLP has to learn it. The number of
observations is a mask of weights, so that all sample sizes of a net are one program.
"""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

import thetahat as th
from thetahat.figures import Line, Panel, draw_panels
from thetahat.lab import Composed, columns, grid, sample

D, N_TEST = 10, 200
PHI = th.models.MLP(1, width=16, depth=1, activation="tanh", out=8)
RHO = th.models.MLP(8, width=16, depth=1, activation="tanh")
SIZES = (25, 50, 100, 200, 400)


def dispersion(x: Any) -> Any:
    """A symmetric function of ten numbers."""
    return x.std() / (0.5 + x.mean())


def symmetric(
    symmetry: bool = True,
    n: float = 50.0,
    largest: int = 200,
    epochs: int = 60,
    seed: th.Seed = 0,
) -> th.Task:
    """Fit n of the drawn observations, and look at others; the seed draws data and parameters."""
    obs = sample(dispersion, largest, d=D, low=0.0, seed=seed)
    new = sample(dispersion, N_TEST, d=D, low=0.0, seed=seed + 1_000_000)
    weight = (jnp.arange(largest) < n).astype(float)
    mlp = th.models.MLP(D, width=32, depth=2, activation="tanh")
    return th.Task(
        Composed(PHI, RHO, each=True) if symmetry else mlp,
        th.Data(
            th.Observations(obs.x, obs.y, weight),
            th.Observations(new.x, new.y, jnp.ones(N_TEST)),
        ),
        optimizer=th.optim.levenberg_marquardt(),
        epochs=epochs,
        seed=seed,
    )


def measure(draws: int = 5, epochs: int = 60, largest: int = 100) -> dict[str, Any]:
    """R2 at new points by sample size, draws of the data in rows."""
    sizes = [n for n in SIZES if n <= largest]
    y = sample(dispersion, 10_000, d=D, low=0.0, seed=999).y
    found: dict[str, Any] = {"n": np.array(sizes)}
    for name, symmetry in (("deep set", True), ("MLP", False)):
        shared = {"symmetry": symmetry, "largest": largest, "epochs": epochs}
        fits = th.fit_many(symmetric, grid(**shared, n=map(float, sizes), seed=range(draws)))
        risk = columns(fits, "val_risk")[:, -1].reshape(len(sizes), draws)
        found[name] = 1 - risk / float(np.var(y))
    return found


def answer(found: Mapping[str, Any]) -> str:
    """Compare both at 50 observations."""
    k = int(np.searchsorted(found["n"], 50))
    sets, nets = (float(found[name][k].mean()) for name in ("deep set", "MLP"))
    n = found["n"][k]
    return f"With {n} observations the deep set has an R2 of {sets:.3f}, the MLP {nets:.3f}."


def draw(found: Mapping[str, Any]) -> Any:
    """R2 by sample size: means, and the range over draws."""
    lines = [
        Line(name, found["n"], found[name].mean(1), found[name].min(1), found[name].max(1))
        for name in ("deep set", "MLP")
    ]
    title = "R2 at new points: mean and range"
    return draw_panels([Panel(title, lines, x="observations", y="R2", log_x=True, log_y=False)])
