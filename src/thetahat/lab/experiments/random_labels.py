"""Can a net fit outcomes that mean nothing, and what has it learned then?

A share of the outcomes is permuted among the observations, as in Zhang et al. (2017). The same net
is trained on all of them: a training risk of zero says how much a class can hold, and not how much
of f it found. The share is a number of the experiment, so that all fits are one program.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

import thetahat as th
from thetahat.figures import Panel, draw_panels
from thetahat.lab import band_line, columns, grid, sample

N, N_TEST, D = 60, 300, 5
SHARES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)


def target(x: Any) -> Any:
    """A smooth function of five inputs."""
    return jnp.sin(2 * x[0]) + x[1] * x[2]


def labelled(share: float = 0.0, net: bool = True, epochs: int = 600, seed: th.Seed = 0) -> th.Task:
    """Fit data without noise; the outcomes of the first rows are permuted."""
    obs = sample(target, N, d=D, seed=seed)
    new = sample(target, N_TEST, d=D, seed=seed + 1_000_000)
    mixed = jax.random.permutation(jax.random.fold_in(jax.random.key(seed), 5), obs.y)
    y = jnp.where(jnp.arange(N) < share * N, mixed, obs.y)
    return th.Task(
        th.models.MLP(D, width=64, depth=2) if net else th.models.Linear(D),
        th.Data((obs.x, (y - y.mean()) / y.std()), (new.x, (new.y - y.mean()) / y.std())),
        optimizer=optax.adam(optax.cosine_decay_schedule(0.003, epochs)) if net else "newton",
        epochs=epochs if net else 3,  # a recorded risk is that before the step
        seed=seed,
    )


def measure(draws: int = 10, epochs: int = 600) -> dict[str, Any]:
    """Training risks and R2 at new points by share, draws of the data in columns."""
    found: dict[str, Any] = {"share": np.array(SHARES), "epoch": np.arange(1, epochs + 1)}
    for which in ("net", "linear"):
        shared = {"net": which == "net", "epochs": epochs, "share": SHARES}
        fits = th.fit_many(labelled, grid(**shared, seed=range(draws)))
        risk, new = (
            columns(fits, name)[:, -1].reshape(len(SHARES), draws)
            for name in ("train_risk", "val_risk")
        )  # after the last epoch: the best one would be chosen at the new points
        found |= {f"{which} fitted": 1 - risk, f"{which} new": 1 - new}
        if which == "net":
            found["path"] = columns(fits, "train_risk").reshape(len(SHARES), draws, -1)
    reached = found["path"] < 0.1
    found["epochs"] = np.where(reached.any(-1), reached.argmax(-1) + 1, epochs)
    return found


def answer(found: Mapping[str, Any]) -> str:
    """Compare true outcomes with permuted ones."""
    fitted, new, until = (np.median(found[k], 1) for k in ("net fitted", "net new", "epochs"))
    return (
        f"The net explains {100 * fitted[0]:.1f} % of the variance of true outcomes (90 % after"
        f" {until[0]:.0f} epochs), and {100 * fitted[-1]:.1f} % of permuted ones (90 % after"
        f" {until[-1]:.0f}). At new points its R2 is {new[0]:.2f} and {new[-1]:.2f}."
    )


def draw(found: Mapping[str, Any]) -> Any:
    """Training risks by epoch, and R2 by share."""
    paths = [
        band_line(f"{100 * share:.0f} % permuted", found["epoch"], np.maximum(path, 1e-7))
        for share, path in zip(SHARES, found["path"], strict=True)
        if share in (0.0, 0.4, 1.0)
    ]
    share = 100 * found["share"]
    lines = [
        band_line("net, its observations", share, found["net fitted"], axis=1),
        band_line("net, new points", share, np.maximum(found["net new"], -2.0), axis=1),
        band_line("linear, its observations", share, found["linear fitted"], axis=1),
    ]
    axes = {"x": "permuted outcomes, %", "y": "R2", "log_x": False, "log_y": False}
    return draw_panels(
        [
            Panel("Training risk of the net", paths, x="epoch", y="share of the variance",
                  log_x=True, log_y=True, limits=(1e-6, 3.0)),
            Panel("What is explained", lines, **axes),
        ]
    )  # fmt: skip
