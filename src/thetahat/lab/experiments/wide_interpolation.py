"""Does a model fit worst where its parameters just suffice to interpolate, and better far beyond?

On the left only the last layer is estimated, on random ReLU features: the least squares solution
of least norm. On the right all of a net is trained by Adam. Width is a mask: one program for each
side.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import thetahat as th
from thetahat.figures import Line, Panel, draw_panels
from thetahat.lab import MaskedMLP, MaskedTerms, columns, grid, mean_se

N, N_TEST, D = 40, 100, 5
SIZES = np.array([1, 2, 3, 4, 6, 8, 12, 16, 24, 40, 70, 100], float)


def features(max_width: int, width: Any, seed: Any) -> MaskedTerms:
    """Random ReLU features, of which the first ``width`` count."""
    key = jax.random.fold_in(jax.random.key(seed), 9)
    kernel = jax.random.normal(key, (D + 1, max_width))
    relu = lambda x: jax.nn.relu(jnp.append(x - 0.5, 1.0) @ kernel)  # noqa: E731
    return MaskedTerms(lambda x: relu(x) / jnp.sqrt(width), max_width, width)


def fitted(
    width: float = 10.0,
    learned: bool = False,
    max_width: int = 400,
    epochs: int = 3,
    sigma: float = 0.3,
    seed: th.Seed = 0,
) -> th.Task:
    """Fit the head by least squares, or a whole net by Adam."""
    train = th.dgp.exp_difference(N, D, sigma, seed=seed)
    fresh = th.dgp.exp_difference(N_TEST, D, 0.0, seed=seed + 1_000_000)
    net = MaskedMLP(D, max_width, width, depth=1)
    return th.Task(
        net if learned else features(max_width, width, seed),
        th.Data(train.obs, fresh.obs),
        optimizer=th.optim.named("adam", 0.02) if learned else th.optim.gauss_newton(1e-10),
        epochs=epochs,
        seed=seed,
        dtype="float32" if learned else "float64",
    )


def measure(simulations: int = 15, widest: int = 400, epochs: int = 300) -> dict[str, Any]:
    """Error in f at new points by width, on random features and of trained nets."""
    found: dict[str, Any] = {}
    for side, most, passes in (("random", widest, 3), ("trained", min(widest, 100), epochs)):
        w = (
            np.unique(np.geomspace(1, most, 25).round())
            if side == "random"
            else SIZES[most >= SIZES]
        )
        if side == "random":
            w = np.unique(np.append(w, [N]))
        shared = {"learned": side == "trained", "max_width": most, "epochs": passes}
        runs = max(2, simulations // (1 if side == "random" else 3))
        fits = th.fit_many(fitted, grid(**shared, width=w, seed=range(runs)))
        error, risk = (
            columns(fits, name)[:, -1].reshape(len(w), runs) for name in ("val_risk", "train_risk")
        )
        found |= {f"{side}_width": w, f"{side}_risk": risk.mean(1)}
        found[f"{side}_error"], found[f"{side}_se"] = mean_se(error, axis=1)
    return found


def answer(found: Mapping[str, Any]) -> str:
    """Compare the peak with the ends."""
    w, error = found["random_width"], found["random_error"]
    peak, net = int(w[error.argmax()]), found["trained_error"]
    small = error[w < N].min()
    return (
        f"On random features the error in f peaks at {peak} features for {N} observations"
        f" ({error.max():.2g}; at best {small:.2g} before, {error[-1]:.2g} at {w[-1]:.0f}). Trained"
        f" nets have no such peak: {net.max():.2g} at most, {net[-1]:.2g} at the widest."
    )


def draw(found: Mapping[str, Any]) -> Any:
    """Error in f by width, with two standard errors."""
    panels = []
    for side, title in (("random", "Random features, last layer only"), ("trained", "All trained")):
        w, error, se = (found[f"{side}_{name}"] for name in ("width", "error", "se"))
        low = np.maximum(error - 2 * se, error / 3)
        lines = [
            Line("error in f, new points", w, error, low, error + 2 * se),
            Line("training risk", w, np.maximum(found[f"{side}_risk"], 1e-4)),
        ]
        mark = (float(N), f"{N} observations") if side == "random" else None
        panels.append(Panel(title, lines, x="width", y="mean square", log_x=True, mark=mark))
    return draw_panels(panels)
