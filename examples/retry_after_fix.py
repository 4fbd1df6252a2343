"""Run the points of a sweep again that failed because of a bug, after it is fixed.

python examples/retry_after_fix.py
"""

from pathlib import Path

import optax

import thetahat as th


def growth(depth: int = 1, epochs: int = 30, seed: th.Seed = 0) -> th.Task:
    """Fit a line by a net; its activation is read from a file that may be wrong."""
    data = th.split(th.dgp.linear(80, 1, 0.1, seed=seed), train=0.7, val=0.3, test=0, seed=seed)
    activation = Path("activation.txt").read_text() if depth == 2 else "tanh"
    net = th.models.MLP(1, width=4, depth=depth, activation=activation, seed=seed)
    return th.Task(net, data, optimizer=optax.adam(0.05), epochs=epochs, seed=seed)


if __name__ == "__main__":
    Path("activation.txt").write_text("tahn")
    sweep = th.run_sweep(growth, {"method": "grid", "parameters": {"depth": {"values": [1, 2]}}})
    print(sweep.frame()[["depth", "status", "attempt"]])
    Path("activation.txt").write_text("tanh")  # the fix
    sweep.retry_failed()
    print(sweep.frame()[["depth", "status", "attempt"]])
