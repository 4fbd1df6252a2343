"""Report a band over 100 seeds for each setting of a sweep, in one program per width.

python examples/seed_bands.py
"""

import optax

import thetahat as th


def sine_bump(width: int = 8, lr: float = 0.02, epochs: int = 100, seed: th.Seed = 0) -> th.Task:
    """Fit a noisy curve; the sample does not depend on the seed."""
    data = th.split(th.dgp.sine_bump(N=300, sigma=0.1, seed=1), train=100, val=100, seed=1)
    net = th.models.MLP(1, width=width, depth=1, seed=seed)
    return th.Task(net, data, optimizer=optax.adam(lr), epochs=epochs, seed=seed)


SPEC = {
    "method": "grid",
    "metric": {"name": "val_risk", "goal": "minimize"},
    "parameters": {"lr": {"values": [0.02, 0.1]}},
}

if __name__ == "__main__":
    sweep = th.run_sweep(sine_bump, SPEC, replicates=100)
    bands = sweep.groups(over="seed")
    print(bands[["lr", "n", "val_risk q10", "val_risk median", "val_risk q90"]])
