"""Does a net that fits its data know anything, or would it fit any data?

A net of 64 units is trained on 60 observations whose outcomes are a function of x, partly
permuted or all permuted. It interpolates all of them; only the error at new points tells them
apart.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import thetahat as th
from thetahat.figures import Panel, draw_panels
from thetahat.lab import band_line, columns, grid, sample

N, D = 60, 4
SHARES = (0.0, 0.25, 0.5, 1.0)


def f(x: Any) -> Any:
    """The function, of mean zero and variance one."""
    return (jnp.sin(2 * x[0]) + x[1] * x[2]) / 0.75


def fitted(share: float = 0.0, lr: float = 0.003, epochs: int = 2000, seed: th.Seed = 0) -> th.Task:
    """Permute this share of the outcomes and fit all."""
    obs = sample(f, N, d=D, seed=seed)
    key = jax.random.fold_in(jax.random.key(seed), 11)
    mixed = jax.random.permutation(key, obs.y)
    y = jnp.where(jnp.arange(N) < share * N, mixed, obs.y)
    return th.Task(
        th.models.MLP(D, width=64, depth=2),
        th.Data((obs.x, y), sample(f, 300, d=D, seed=seed + 1_000_000)),
        optimizer=th.optim.named("adam", lr),
        epochs=epochs,
        seed=seed,
    )


def measure(seeds: int = 10, epochs: int = 2000) -> dict[str, Any]:
    """Risks by epoch and share, seeds in the middle axis."""
    fits = th.fit_many(fitted, grid(epochs=epochs, share=SHARES, seed=range(seeds)))
    shape = (len(SHARES), seeds, -1)
    train, test = (columns(fits, name).reshape(shape) for name in ("train_risk", "val_risk"))
    variance = float(np.var(np.asarray(sample(f, 10_000, d=D, seed=1).y)))
    return {
        "share": np.array(SHARES),
        "train": train,
        "test": test,
        "variance": variance,
        "interpolated": np.where(
            (train < 0.01 * variance).any(2), (train < 0.01 * variance).argmax(2), -1
        ),
    }


def answer(found: Mapping[str, Any]) -> str:
    """Compare true and permuted outcomes."""
    first, last = (np.median(found["test"][k, :, -1]) / found["variance"] for k in (0, -1))
    epochs = [int(np.median(found["interpolated"][k])) for k in (0, -1)]
    trained = np.median(found["train"][-1, :, -1]) / found["variance"]
    return (
        f"Permuted outcomes are fitted to {trained:.1e} of their variance (true ones need"
        f" {epochs[0]} epochs to 1 %, permuted {epochs[1]}). At new points the error is {first:.2f}"
        f" of the variance with true outcomes, {last:.2f} with permuted ones."
    )


def draw(found: Mapping[str, Any]) -> Any:
    """Risks by epoch: medians and bands over seeds."""
    panels = []
    epochs = np.arange(1, found["train"].shape[2] + 1)
    for name in ("train", "test"):
        lines = []
        for k, share in enumerate(found["share"]):
            lines.append(band_line(f"{100 * share:.0f} % permuted", epochs, found[name][k]))
        title = {"train": "Training risk", "test": "Error at new points"}[name]
        limits = (1e-6, 5.0) if name == "train" else None
        panels.append(
            Panel(title, lines, x="epoch", y="mean square", log_x=True, log_y=True, limits=limits)
        )
    return draw_panels(panels)
