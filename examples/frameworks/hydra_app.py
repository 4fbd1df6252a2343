"""A Hydra application, swept: config groups and dotted overrides, without hyphens.

python examples/frameworks/hydra_app.py optimizer=momentum optimizer.lr=0.05
thetahat sweep examples/frameworks/hydra_sweep.yaml --run
"""

import hydra
import numpy as np

import thetahat as th


@hydra.main(version_base=None, config_path="hydra_conf", config_name="config")
def main(config) -> None:
    """Gradient descent for least squares."""
    rng = np.random.default_rng(config.seed)
    x = rng.normal(size=(config.n, 3))
    y = x @ [1.0, -1.0, 0.5] + 0.1 * rng.normal(size=config.n)
    theta, speed = np.zeros(3), np.zeros(3)
    for epoch in range(config.epochs):
        speed = config.optimizer.momentum * speed - 2 * x.T @ (x @ theta - y) / config.n
        theta += config.optimizer.lr * speed
        th.log({"train_risk": np.mean((x @ theta - y) ** 2)}, step=epoch)


if __name__ == "__main__":
    main()
