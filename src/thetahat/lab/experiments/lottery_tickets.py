"""Does a pruned net win because of its mask, or because of the initial parameters under it?

A net is trained, the smallest parameters of each layer are pruned, and what is left is trained
anew: from its own initial parameters (the winning ticket), from others, and under a random mask.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import thetahat as th
from thetahat.figures import Line, Panel, draw_panels
from thetahat.lab import band_line, columns, grid

N, N_TEST, D, WIDTH = 200, 200, 5, 32
KEPT = (0.5, 0.3, 0.2, 0.1)
HOWS = ("winning ticket", "re-initialised", "random mask")
NET = th.models.MLP(D, width=WIDTH, depth=2)


def data(seed: Any) -> th.Data:
    """Observations of exp(x_0 - x_1) with noise, and new points without."""
    new = th.dgp.exp_difference(N_TEST, D, 0.0, seed=seed + 1_000_000)
    return th.Data(th.dgp.exp_difference(N, D, 0.1, seed=seed).obs, new.obs)


def dense(lr: float = 0.005, epochs: int = 300, seed: th.Seed = 0) -> th.Task:
    """Train the whole net."""
    return th.Task(NET, data(seed), optimizer=th.optim.named("adam", lr), epochs=epochs, seed=seed)


def prune(params: Any, kept: float, random: bool) -> Any:
    """Masks of the largest kernels of each layer, or of as many at random; biases stay."""
    rng = np.random.default_rng(0)

    def mask(path, leaf):
        size = np.abs(np.asarray(leaf))
        if path[-1].key == "bias":
            return np.ones_like(size)
        size = rng.permuted(size.ravel()).reshape(size.shape) if random else size
        return (size >= np.quantile(size, 1 - kept)).astype(size.dtype)

    return jax.tree_util.tree_map_with_path(mask, params)


def ticket(masks: list[Any], seeds: int, epochs: int, again: bool) -> Any:
    """Make the experiment that trains what the masks leave."""
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *masks)

    def pruned(share: th.Seed = 0, seed: th.Seed = 0) -> th.Task:
        mask = jax.tree.map(lambda leaf: leaf[share * seeds + seed], stacked)
        own = lambda params: jax.tree.map(jnp.multiply, params, mask)  # noqa: E731
        return th.Task(
            (lambda key: own(NET.init(key)), lambda params, x: NET.apply(own(params), x)),
            data(seed),
            optimizer=th.optim.named("adam", 0.005),
            epochs=epochs,
            seed=seed + 10_000 if again else seed,
        )

    return pruned


def measure(seeds: int = 10, epochs: int = 200) -> dict[str, Any]:
    """Error in f at new points by share of kept parameters, seeds in columns."""
    whole = th.fit_many(dense, grid(epochs=epochs, seed=range(seeds)))
    found: dict[str, Any] = {"kept": np.array(KEPT)}
    found["dense"] = columns(whole, "val_risk")[:, -1]
    for how in HOWS:
        masks = [prune(fit.params, k, how == "random mask") for k in KEPT for fit in whole]
        experiment = ticket(masks, seeds, epochs, how == "re-initialised")
        fits = th.fit_many(experiment, grid(share=range(len(KEPT)), seed=range(seeds)))
        found[how] = columns(fits, "val_risk")[:, -1].reshape(len(KEPT), seeds)
    return found


def answer(found: Mapping[str, Any]) -> str:
    """Compare at a fifth of the kernels."""
    k = KEPT.index(0.2)
    said = ", ".join(f"{how} {np.median(found[how][k]):.4f}" for how in HOWS)
    wins = int((found["winning ticket"][k] < found["re-initialised"][k]).sum())
    return (
        f"Median error in f with 20 % of the kernels: {said}; with all"
        f" {np.median(found['dense']):.4f}. The winning ticket is below the re-initialised mask for"
        f" {wins} of {len(found['dense'])} seeds."
    )


def draw(found: Mapping[str, Any]) -> Any:
    """Error by share of kept parameters."""
    lines = []
    for how in HOWS:
        lines.append(band_line(how, 100 * found["kept"], found[how], axis=1))
    ends = [100 * found["kept"][0], 100 * found["kept"][-1]]
    lines.append(Line("all parameters", ends, [np.median(found["dense"])] * 2, look="dashed"))
    axes = {"x": "kernels kept, %", "y": "mean square", "log_x": True, "log_y": True}
    return draw_panels([Panel("Error in f: median and 80 % band", lines, **axes)])
