"""Save a model, and predict with it in another process.

python examples/saved_model.py
"""

import subprocess
import sys

import numpy as np

import thetahat as th

LATER = """
import thetahat as th
model = th.load("curve.theta")
print(model.predict([[-1.0], [0.0], [1.0]]).tolist())
"""


def curve(width: int = 16, seed: th.Seed = 0) -> th.Task:
    """Fit a noisy curve."""
    data = th.split(th.dgp.sine_bump(N=300, sigma=0.1, seed=1), train=200, val=100, test=0)
    return th.Task(th.models.MLP(1, width=width, depth=1, seed=seed), data, epochs=50, seed=seed)


if __name__ == "__main__":
    result = th.fit(curve)
    result.save("curve.theta")
    there = subprocess.run([sys.executable, "-c", LATER], capture_output=True, check=True).stdout
    print(np.array_equal(eval(there), result.predict([[-1.0], [0.0], [1.0]])))
