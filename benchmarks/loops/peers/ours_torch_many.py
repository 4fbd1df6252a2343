"""thetahat with ``backend="torch"``: ``th.fit_many``, 64 seeds and rates as one cohort."""

from __future__ import annotations

import numpy as np

import thetahat as th
from benchmarks.loops.peers.ours_torch import experiment
from benchmarks.loops.problems import Problem
from benchmarks.loops.rounds import Loop, Mark

NAME = "thetahat, PyTorch backend, fit_many"


def prepare(problem: Problem) -> Loop:
    """All fits as one cohort."""
    fit_net = experiment(problem)
    configs = [{"lr": float(lr), "seed": seed} for seed, lr in enumerate(problem.rates)]

    def loop(epochs: int, mark: Mark) -> tuple[np.ndarray, np.ndarray]:
        given = [{**c, "epochs": epochs} for c in configs]
        results = th.fit_many(fit_net, given, mode="vmap", progress=lambda p: mark(p.epoch))
        train = np.stack([r.history["train_risk"] for r in results], axis=1)
        return train, np.stack([r.history["val_risk"] for r in results], axis=1)

    return loop
