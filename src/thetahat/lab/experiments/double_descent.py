"""Does the test loss of a net rise and fall again as it trains for longer, or grows wider?

20 observations of f(x) = exp(x_0 - x_1) with five inputs, and nets 5-w-1 trained by Adam. Width
is a mask inside arrays of the largest width, so that all widths and simulations are one program.
Each simulation draws its own data; test loss and error in f are taken at new points.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

import thetahat as th
from thetahat.figures import Heat, Line, Panel, draw_panels
from thetahat.lab import MaskedMLP, columns, grid

N, N_TEST, D = 20, 100, 5
SHOWN = (1, 2, 4, 8, 10)


def net(
    width: float = 5.0,
    sigma: float = 1.5,
    lr: float = 0.1,
    max_width: int = 10,
    epochs: int = 50,
    seed: th.Seed = 0,
) -> th.Task:
    """Fit one net; the seed draws its data and its initial parameters."""
    train = th.dgp.exp_difference(N, D, sigma, seed=seed)
    fresh = th.dgp.exp_difference(N_TEST, D, sigma, seed=seed + 1_000_000)
    return th.Task(
        MaskedMLP(D, max_width, width, depth=1, initial="uniform"),
        th.Data(train.obs, fresh.obs),
        metrics={"error_f": lambda h: jnp.mean((jax.vmap(h)(fresh.x) - fresh.truth(fresh.x)) ** 2)},
        optimizer=optax.adam(lr),
        epochs=epochs,
        seed=seed,
    )


def measure(
    widths: int = 10,
    simulations: int = 100,
    epochs: int = 50,
    sigma: float = 1.5,
    lr: float = 0.1,
) -> dict[str, Any]:
    """Test loss and error in f by width and epoch, means over simulations."""
    w = np.arange(1, widths + 1)
    shared = {"max_width": widths, "epochs": epochs, "sigma": sigma, "lr": lr}
    fits = th.fit_many(net, grid(**shared, width=w.astype(float), seed=range(simulations)))
    shape = (widths, simulations, epochs)
    loss, error = (columns(fits, name).reshape(shape) for name in ("val_risk", "error_f"))
    return {
        "width": w,
        "epoch": np.arange(1, epochs + 1),
        "test_loss": loss.mean(1),
        "error_f": error.mean(1),
        "best_epoch": loss.mean(1).argmin(1) + 1,
        "sigma": sigma,
        "programs": sum(fit.traces for fit in fits[:1]),
    }


def answer(found: Mapping[str, Any]) -> str:
    """State where the test loss is lowest."""
    best, last = found["best_epoch"], int(found["epoch"][-1])
    inside = int((best < last).sum())
    loss = found["test_loss"]
    ends = ", ".join(f"{loss[w - 1, -1]:.2f} at {w}" for w in SHOWN if w <= len(loss))
    return (
        f"At sigma {found['sigma']:g} the test loss is lowest before the last epoch at {inside} of"
        f" {len(best)} widths (epochs {best.min()} to {best.max()} of {last}); after all epochs it"
        f" is, by width, {ends}."
    )


def draw(found: Mapping[str, Any]) -> Any:
    """Four panels: both errors by width and epoch, and as curves."""
    epoch, width = found["epoch"], found["width"]
    panels: list[Any] = [
        Heat(name, found[key], epoch, width, "epoch", "width")
        for name, key in (("Test loss", "test_loss"), ("Error in f", "error_f"))
    ]
    for name, key in (("test loss", "test_loss"), ("error in f", "error_f")):
        lines = [
            Line(f"width {w}", epoch, found[key][w - 1]) for w in SHOWN if w <= len(found[key])
        ]
        panels.append(Panel(f"{name.capitalize()} by epoch", lines, x="epoch", y=name))
    return draw_panels(panels)
