"""Draw a policy function with a band over 20 seeds, beside the exact one.

The net solves the Euler equation of log utility and full depreciation, whose policy is known:
consumption is (1 - alpha beta) k^alpha.

python examples/policy_bands.py
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax

import thetahat as th

ALPHA, BETA = 0.36, 0.95
GRID = np.linspace(0.05, 0.35, 61)


def consumption(h, k):
    """A share of output between 0 and 1, given by the net."""
    return jax.nn.sigmoid(h(jnp.atleast_1d(k))) * k**ALPHA


def euler(h, z):
    """beta c / c' alpha k'^(alpha - 1) - 1."""
    k = z[0]
    c = consumption(h, k)
    after = k**ALPHA - c
    return BETA * c / consumption(h, after) * ALPHA * after ** (ALPHA - 1) - 1


def policy(h):
    """The table that each run leaves: the policy on a grid, and the exact one."""
    exact = (1 - ALPHA * BETA) * GRID**ALPHA
    c = jax.vmap(lambda k: consumption(h, k))(jnp.asarray(GRID, jnp.float32))
    return {"k": GRID, "c": c, "exact": exact}


def growth(lr: float = 0.01, epochs: int = 300, seed: th.Seed = 0) -> th.Task:
    """Solve the growth model on 64 draws of capital."""
    k = np.random.default_rng(0).uniform(0.05, 0.35, (64, 1))
    net = th.models.MLP(1, width=16, depth=1, out="scalar", seed=seed)
    return th.Task(
        net,
        th.Data(k, val=k[:16]),
        residual=euler,
        optimizer=optax.adam(lr),
        epochs=epochs,
        seed=seed,
        tables={"policy": policy},
    )


SPEC = {
    "method": "grid",
    "metric": {"name": "val_risk", "goal": "minimize"},
    "parameters": {"lr": {"values": [0.003, 0.03]}},
}

if __name__ == "__main__":
    sweep = th.run_sweep(growth, SPEC, replicates=20)
    frame = sweep.table("policy")
    best = frame[frame.lr == sweep.best.config["lr"]]
    bands = best.quantiles(by="k", q=(0.05, 0.5, 0.95))
    print(bands[["k", "c q5", "c q50", "c q95", "exact q50", "n"]].iloc[::15].round(4))
    print(f"largest error of the median: {(bands['c q50'] - bands['exact q50']).abs().max():.4f}")
    frame.plot("k", "c", exact="exact", path="policy.pdf")
