"""How often do 95 % intervals of th.dml cover the truth?

The partially linear model of DoubleML's ``make_plr_CCDDHNR2018`` (Chernozhukov et al. 2018), with 5
correlated controls, n = 500 and theta = 0.5:

    d = x_0 + 0.25 s(x_2) + v,   y = 0.5 d + s(x_0) + 0.25 x_2 + u,   s the logistic function

Nets are the default ones, with 5 folds and one repetition. The nets of 50 simulations train
together: their rows are stacked, and each fold trains on rows of its own simulation.

    python -m benchmarks.crossfit.coverage [--simulations 500]
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np

THETA, N, CONTROLS, TOGETHER = 0.5, 500, 5, 50


def simulated(seed: int) -> tuple[Any, Any, Any]:
    """(x, d, y) of one simulation."""
    rng = np.random.default_rng([1, seed])
    at = np.arange(CONTROLS)
    root = np.linalg.cholesky(0.7 ** np.abs(at[:, None] - at))
    x = rng.normal(size=(N, CONTROLS)) @ root.T
    s = 1 / (1 + np.exp(-x))
    d = x[:, 0] + 0.25 * s[:, 2] + rng.normal(size=N)
    y = THETA * d + s[:, 0] + 0.25 * x[:, 2] + rng.normal(size=N)
    return x, d, y


def covered(seeds: range, nets: int) -> list[tuple[float, float, bool]]:
    """(theta, se, whether its interval covers the truth) of each simulation."""
    import thetahat as th

    drawn = [simulated(seed) for seed in seeds]
    x, d, y = (np.concatenate(part) for part in zip(*drawn, strict=True))
    pairs = []
    for k, seed in enumerate(seeds):
        for data in th.folds(np.arange(N), k=5, seed=seed):
            pairs.append((data.rows["train"] + k * N, data.rows["test"] + k * N))
    stages = th.crossfit(th.causal.net, x, {"l": y, "m": d}, folds=[pairs], nets=nets)
    found = []
    for k, (own_x, own_d, own_y) in enumerate(drawn):
        given = {name: s.predictions[k * N : (k + 1) * N] for name, s in stages.items()}
        one = th.dml(own_y, own_d, own_x, predictions=given, repetitions=1)
        found.append((one.theta, one.se, one.ci[0] < THETA < one.ci[1]))
    return found


def main() -> None:
    """Simulate, and print after every batch."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.crossfit.coverage")
    parser.add_argument("--simulations", type=int, default=500)
    parser.add_argument("--nets", type=int, default=4, help="that are averaged in each fold")
    asked, began = parser.parse_args(), time.process_time()
    found: list[tuple[float, float, bool]] = []
    for start in range(0, asked.simulations, TOGETHER):
        found += covered(range(start, min(start + TOGETHER, asked.simulations)), asked.nets)
        thetas, errors, inside = (np.array(part) for part in zip(*found, strict=True))
        print(
            f"{len(found)} simulations: coverage {inside.mean():.1%}, mean theta"
            f" {thetas.mean():.4f}, its sd {thetas.std():.4f}, mean se {errors.mean():.4f}; CPU"
            f" {time.process_time() - began:.0f} s",
            flush=True,
        )


if __name__ == "__main__":
    main()
