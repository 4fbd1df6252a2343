"""Fine-tune on a small sample: start from a fitted net, and train its last layer alone.

python examples/frozen_layer.py
"""

import numpy as np

import thetahat as th


def sample(n: int, level: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw a curve at a level that differs between the large and the small sample."""
    x = np.random.default_rng(seed).uniform(-2, 2, (n, 1))
    return x, level + np.sin(2 * x[:, 0])


def curve(n: int = 500, level: float = 0.0, start=None, train: str = "*") -> th.Task:
    """Fit the curve; ``train`` names the parameters that are trained."""
    net = th.trainable(th.models.MLP(1, width=32, depth=2), train)
    data = th.split(sample(n, level, n), train=0.7, val=0.3, test=0, seed=0)
    return th.Task(net, data, optimizer="lbfgs", epochs=200, start=start)


if __name__ == "__main__":
    large = th.fit(curve)
    alone = th.fit(curve, n=20, level=1.0)
    tuned = th.fit(curve, n=20, level=1.0, start=large, train="layers/2")
    x, y = sample(1000, 1.0, 1)
    for name, result in {"small sample alone": alone, "last layer tuned": tuned}.items():
        print(f"{name}: {np.mean((result.predict(x) - y) ** 2):.4f}")
