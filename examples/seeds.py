"""Fit one hundred seeds as one program, to see how much of a result is chance.

The risk of a net depends on its initial parameters. A ``th.Seed`` is traced, so one hundred fits
that differ only in it train together as one compiled program; report the quantiles of the risk
over seeds. The sample does not depend on ``seed`` here, so that the spread comes from the initial
parameters only.

    python examples/seeds.py
"""

import numpy as np
import optax

import thetahat as th


def sine_bump(width: int = 16, lr: float = 0.02, epochs: int = 1000, seed: th.Seed = 0) -> th.Task:
    """Fit sin(x) + exp(-x^2) / (1 + |x|), observed with noise, by a small net.

    Args:
        seed: of the initial parameters.
    """
    draw = th.dgp.sine_bump(N=1_200, sigma=0.1, seed=1)
    return th.Task(
        model=th.models.MLP(1, width=width, depth=2, activation="tanh", seed=seed),
        data=th.split(draw, train=100, val=100, test=1_000, seed=1),
        optimizer=optax.adam(lr),
        epochs=epochs,
        seed=seed,
    )


def ensemble(n=100, **config):
    """Return the test risks of n seeds, (n,), and the number of traces."""
    results = th.fit_many(sine_bump, [{**config, "seed": seed} for seed in range(n)])
    return np.array([r.risk["test"] for r in results]), results[0].traces


if __name__ == "__main__":
    risks, traces = ensemble()
    low, median, high = np.quantile(risks, [0.05, 0.5, 0.95])
    print(f"test risk over 100 seeds: median {median:.4f}, 90 % in [{low:.4f}, {high:.4f}]")
