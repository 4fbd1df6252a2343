"""Solve investment under uncertainty of 128 firms by one symmetric policy, a deep set.

    gamma u = beta E[1 - mean(X') + gamma (1 - delta) u'],   X' = (1 - delta) X + u + e + w

The state X is the capital of all firms, and u(X) = rho(mean_i phi(X_i)) with nets phi and rho is
the same if firms are exchanged. The solution is linear in mean(X); the deep set is not told so.

Optimizer: Levenberg-Marquardt in double precision. Residuals are smooth and parameters few; an
error of 1 % in u is one of 0.15 % in the equation, which Adam takes thousands of steps to see.

Points are simulated anew every few epochs by the current policy (``th.Redraw``), inside one
program. The first ones differ in mean(X) as those paths do: a policy that was fitted at one mean
has any slope in it, and its first simulated paths may explode.

    python examples/equations/investment.py --firms=32
    thetahat sweep examples/equations/investment_sweep.yaml --run
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

import thetahat as th

QUANTILES = np.array([0.5, 0.9, 0.99, 1.0])
GAMMA, BETA, DELTA, SIGMA, ETA, PATHS, DATES = 90.0, 0.95, 0.05, 0.005, 0.001, 4, 30
LEVEL, SLOPE = 0.06872, -0.05046  # of the linear policy, u = LEVEL + SLOPE mean(X)


def deep_set(width):
    """Make the (init, apply) pair of u(X) = rho(mean_i phi(X_i))."""
    phi = th.models.MLP(1, width, depth=1, activation="tanh", out=4)
    rho = th.models.MLP(4, width, depth=1, activation="tanh")

    def init(key):
        return {"phi": phi.init(key), "rho": rho.init(jax.random.fold_in(key, 1))}

    def apply(params, x):
        of_firms = jax.vmap(lambda one: phi.apply(params["phi"], one[None]))(2 * x - 1)
        return rho.apply(params["rho"], of_firms.mean(axis=0)) / 10

    return init, apply


def investment(
    firms: int = 128, width: int = 8, every: int = 5, epochs: int = 40, seed: th.Seed = 0
) -> th.Task:
    """Solve for the policy of all firms, on 4 paths of 30 dates that are simulated again."""
    own = np.random.default_rng(9).normal(size=firms)  # the firms' shocks in the expectation

    def euler(h, x):
        def gain(w):
            later = (1 - DELTA) * x + h(x) + SIGMA * (own - own.mean()) + w
            return 1 - later.mean() + GAMMA * (1 - DELTA) * h(later)

        return GAMMA * h(x) - BETA * th.quadrature.gauss_hermite(3, std=ETA)(gain)

    def simulate(h, key):
        first, level, walk = jax.random.split(key, 3)
        x = 0.5 + 0.15 * jax.random.normal(first, (PATHS, firms))
        x = x + jax.random.uniform(level, (PATHS, 1), minval=-0.3, maxval=0.3)

        def step(x, key):
            e = jax.random.normal(key, (PATHS, firms + 1)) * jnp.r_[jnp.full(firms, SIGMA), ETA]
            return (1 - DELTA) * x + jax.vmap(h)(x)[:, None] + e[:, :firms] + e[:, firms:], x

        return jax.lax.scan(step, x, jax.random.split(walk, DATES))[1].reshape(-1, firms)

    def policy(h):
        x = simulate(h, jax.random.key(99))
        mean = x.mean(axis=1)
        return {"mean": mean, "u": jax.vmap(h)(x), "exact": LEVEL + SLOPE * mean}

    def share(h, x):
        return euler(h, x) / (GAMMA * h(x))

    def errors(h):
        found = jnp.abs(jax.vmap(partial(share, h))(simulate(h, jax.random.key(99))))
        return {"quantile": QUANTILES, "error": jnp.quantile(found, QUANTILES)}

    rng = np.random.default_rng(0)
    means = rng.uniform(0.2, 0.8, (PATHS * DATES, 1))
    return th.Task(
        deep_set(width),
        th.Data(rng.normal(means, 0.15, (PATHS * DATES, firms))),
        residual=euler,
        optimizer=th.optim.levenberg_marquardt(),
        epochs=epochs,
        seed=seed,
        dtype="float64",
        redraw=th.Redraw(simulate, every=every),
        tables={"policy": policy, "errors": errors},
        accept=lambda h: errors(h)["error"][2] < 1e-3,
    )


if __name__ == "__main__":
    th.main(investment)
