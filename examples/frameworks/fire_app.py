"""A Fire program, swept: a function as a command line, lists as Python literals.

python examples/frameworks/fire_app.py --degrees '[1,2]' --ridge 0.1
thetahat sweep examples/frameworks/fire_sweep.yaml --run
"""

import fire
import numpy as np

import thetahat as th


def polynomial(degrees: list, ridge: float = 0.0, n: int = 100, seed: int = 0) -> None:
    """Ridge regression on powers of x, judged on new draws."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, 2 * n)
    y = np.sin(3 * x) + 0.1 * rng.normal(size=2 * n)
    powers = np.stack([np.ones_like(x), *(x**d for d in degrees)], axis=1)
    train, val = slice(n), slice(n, None)
    gram = powers[train].T @ powers[train] + ridge * np.eye(powers.shape[1])
    theta = np.linalg.solve(gram, powers[train].T @ y[train])
    th.log({"val_risk": np.mean((powers[val] @ theta - y[val]) ** 2)})


if __name__ == "__main__":
    fire.Fire(polynomial)
