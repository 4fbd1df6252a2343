"""Do ridge, weight decay, early stopping and dropout do the same to a net?

A net with far more parameters than observations learns the noise. Each remedy has a strength, and
the strength with the lowest risk on a val part is taken; the error in f is taken at other points.
Ridge is a penalty of the risk; weight decay shrinks the parameters beside Adam's step.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

import thetahat as th
from thetahat.figures import Line, Panel, draw_panels
from thetahat.lab import band_line, columns, grid, sample

N, N_VAL, N_TEST, D, WIDTH, LR, SIGMA = 40, 40, 500, 4, 64, 0.01, 0.5
STRENGTHS = {
    "ridge": (0.0, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0),
    "weight decay": (0.0, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0),
    "dropout": (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.7),
}
HOWS = ("nothing", "early stopping", *STRENGTHS)


class Net(nnx.Module):
    """One hidden layer with dropout, which is off at evaluation."""

    def __init__(self, rate: Any, rngs: nnx.Rngs) -> None:
        self.hidden, self.last = nnx.Linear(D, WIDTH, rngs=rngs), nnx.Linear(WIDTH, 1, rngs=rngs)
        self.dropout = nnx.Dropout(rate, rngs=rngs)

    def __call__(self, x: Any) -> Any:
        """Predict at one x."""
        return self.last(self.dropout(nnx.tanh(self.hidden(x))))[0]


def target(x: Any) -> Any:
    """A smooth function of four inputs."""
    return jnp.sin(2 * x[0]) + x[1] * x[2]


def fitted(
    how: str = "ridge", strength: float = 0.0, epochs: int = 400, seed: th.Seed = 0
) -> th.Task:
    """Fit with one remedy; the seed draws data and parameters."""
    train, val = (sample(target, n, d=D, sigma=SIGMA, seed=seed + k)
                  for n, k in ((N, 0), (N_VAL, 1_000_000)))  # fmt: skip
    new = sample(target, N_TEST, d=D, seed=seed + 2_000_000)
    decay = strength if how == "weight decay" else 0.0
    return th.Task(
        Net(strength if how == "dropout" else 0.0, nnx.Rngs(jax.random.key(seed))),
        th.Data(train, val),
        metrics={"error_f": lambda h: jnp.mean((jax.vmap(h)(new.x) - new.y) ** 2)},
        optimizer=optax.adamw(LR, weight_decay=decay),
        penalty=th.ridge(strength if how == "ridge" else 0.0),
        epochs=epochs,
        seed=seed,
    )


def measure(draws: int = 12, epochs: int = 400) -> dict[str, Any]:
    """Errors in f by strength after all epochs, and those of the strengths that val chose."""
    found: dict[str, Any] = {"epoch": np.arange(1, epochs + 1)}
    rows = np.arange(draws)
    for how, strengths in STRENGTHS.items():
        fits = th.fit_many(fitted, grid(how=how, epochs=epochs, strength=strengths, seed=rows))
        val, error = (columns(fits, name).reshape(len(strengths), draws, epochs)
                      for name in ("val_risk", "error_f"))  # fmt: skip
        found[f"{how} by strength"] = error[..., -1]
        found[how] = error[val[..., -1].argmin(0), rows, -1]
        if how == "ridge":  # its first strength is none
            found |= {"path": error[0], "nothing": error[0, :, -1]}
            found["early stopping"] = error[0, rows, val[0].argmin(1)]
    return found


def answer(found: Mapping[str, Any]) -> str:
    """Compare the medians."""
    said = ", ".join(f"{how} {np.median(found[how]):.3f}" for how in HOWS)
    return f"Median error in f at the strength that val chose: {said}."


def draw(found: Mapping[str, Any]) -> Any:
    """The error by strength, and by epoch without a remedy."""
    by = []
    for how, strengths in STRENGTHS.items():
        at = [strength / strengths[-1] for strength in strengths[1:]]
        by.append(band_line(how, at, found[f"{how} by strength"][1:], axis=1))
    none = [float(np.median(found["nothing"]))] * 2
    by.append(Line("nothing", [0.003, 1.0], none, look="dashed"))
    path = [band_line("nothing", found["epoch"], found["path"])]
    axes = {"y": "mean square", "log_x": True, "log_y": False}
    return draw_panels([Panel("Error in f by strength", by, x="share of the largest", **axes),
                        Panel("Error in f on the way", path, x="epoch", **axes)])  # fmt: skip
