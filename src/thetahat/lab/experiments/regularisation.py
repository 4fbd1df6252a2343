"""Are weight decay, early stopping and dropout worth what ridge is worth?

A wide net on 60 noisy observations, with a ridge penalty, the decoupled decay of AdamW, dropout,
or fewer epochs. The strength is the best one on average over samples, which flatters each a
little.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

import thetahat as th
from thetahat.figures import Panel, draw_panels
from thetahat.lab import columns, grid, mean_line

N, D, WIDTH = 60, 5, 64
STRENGTHS = {
    "ridge": (0.0, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1),
    "weight decay": (0.0, 0.1, 0.3, 1.0, 3.0, 10.0),
    "dropout": (0.0, 0.05, 0.1, 0.2, 0.4, 0.6),
}


def dropped(rate: Any) -> Any:
    """A net with dropout on its hidden layer: in training, where there is a key."""
    net = th.models.MLP(D, width=WIDTH, depth=1)

    def apply(params, x, key=None):
        first, last = params["layers"]
        a = jax.nn.relu(x @ first["kernel"] + first["bias"])
        if key is not None:
            a = jnp.where(jax.random.uniform(key, a.shape) < rate, 0, a / (1 - rate))
        return (a @ last["kernel"] + last["bias"])[0]

    return net.init, apply


def fitted(
    how: str = "ridge", strength: float = 0.0, epochs: int = 1000, seed: th.Seed = 0
) -> th.Task:
    """Fit with one kind of regularisation."""
    decay = strength if how == "weight decay" else 0.0
    return th.Task(
        dropped(strength) if how == "dropout" else th.models.MLP(D, width=WIDTH, depth=1),
        th.Data(
            th.dgp.exp_difference(N, D, 0.5, seed=seed).obs,
            th.dgp.exp_difference(500, D, 0.0, seed=seed + 1_000_000).obs,
        ),
        penalty=th.ridge(strength) if how == "ridge" else None,
        optimizer=optax.adamw(0.01, weight_decay=decay),
        epochs=epochs,
        seed=seed,
    )


def measure(seeds: int = 20, epochs: int = 1000) -> dict[str, Any]:
    """Error in f by strength, and along the epochs without any."""
    found: dict[str, Any] = {}
    for how, strengths in STRENGTHS.items():
        points = grid(how=how, epochs=epochs, strength=strengths, seed=range(seeds))
        fits = th.fit_many(fitted, points)
        error = columns(fits, "val_risk").reshape(len(strengths), seeds, -1)
        found[how] = error[:, :, -1]
        if how == "ridge":
            found["early stopping"] = error[0]
    return found | {"least": {how: _least(how, found) for how in (*STRENGTHS, "early stopping")}}


def _least(how: str, found: Mapping[str, Any]) -> float:
    """The mean error in f at the best strength, which is one for all seeds."""
    error = found[how].T if how == "early stopping" else found[how]
    return float(error.mean(1).min())


def answer(found: Mapping[str, Any]) -> str:
    """The least mean error of each."""
    none = found["ridge"][0].mean()
    said = ", ".join(f"{how} {least:.3f}" for how, least in found["least"].items())
    return f"Mean error in f without regularisation {none:.3f}; at the best strength: {said}."


def draw(found: Mapping[str, Any]) -> Any:
    """Error by strength, and by epoch."""
    panels = []
    for how, strengths in STRENGTHS.items():
        line = mean_line(how, range(len(strengths)), found[how], axis=1)
        title = f"{how.capitalize()}: {', '.join(f'{s:g}' for s in strengths)}"
        panels.append(Panel(title, [line], x="strength, by position", y="error in f", log_y=False))
    epochs = np.arange(1, found["early stopping"].shape[1] + 1)
    line = mean_line("early stopping", epochs, found["early stopping"])
    panels.append(
        Panel("Epochs, without any", [line], x="epoch", y="error in f", log_x=True, log_y=False)
    )
    return draw_panels(panels)
