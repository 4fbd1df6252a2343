"""Solve stochastic growth (Brock and Mirman 1972), at points on its own simulated paths.

    u'(c) = beta E[u'(c') alpha e^z' k'^(alpha - 1)],   c = e^z k^alpha - k',   z' = rho z + e

With log utility and full depreciation a constant share alpha beta of output is saved, so that each
error can be measured. The expectation is a Gauss-Hermite sum over five shocks.

Optimizer: Levenberg-Marquardt, as for any equation of few, smooth residuals. Every ten epochs the
points are drawn anew from paths of the policy (``th.Redraw``): the net is right where the economy
is, with no grid to choose.

    python examples/equations/growth_stochastic.py --sigma=0.05
    thetahat sweep examples/equations/growth_stochastic_sweep.yaml --run
"""

import jax
import jax.numpy as jnp
import numpy as np

import thetahat as th

QUANTILES = np.array([0.5, 0.9, 0.99, 1.0])
ALPHA, RHO = 1 / 3, 0.9


def growth_stochastic(
    beta: float = 0.96,
    sigma: float = 0.04,
    width: int = 16,
    points: int = 64,
    every: int = 10,
    epochs: int = 60,
    seed: th.Seed = 0,
) -> th.Task:
    """Solve for the share of output that is saved; the state is (log capital, log productivity).

    Args:
        sigma: standard deviation of the shock.
        points: economies that are simulated.
        every: epochs between two simulations.
    """
    shocks = th.quadrature.gauss_hermite(5, std=sigma)
    middle = jnp.stack([jnp.log(ALPHA * beta) / (1 - ALPHA), 0.0])

    def saving(h, state):
        return jax.nn.sigmoid(h(state - middle))

    def policy(h, state):
        log_output = state[1] + ALPHA * state[0]
        saved = saving(h, state)
        return log_output + jnp.log(saved), (1 - saved) * jnp.exp(log_output)

    def euler(h, state):
        k1, c = policy(h, state)

        def gain(shock):
            later = jnp.stack([k1, RHO * state[1] + shock])
            return ALPHA * jnp.exp(later[1] + (ALPHA - 1) * k1) * c / policy(h, later)[1]

        return beta * shocks(gain) - 1

    def simulate(h, key, n=points):
        start, walk = jax.random.split(key)
        states = middle + jnp.array([0.5, 0.0]) * jax.random.normal(start, (n, 2))

        def step(states, shock):
            k1 = jax.vmap(lambda one: policy(h, one)[0])(states)
            return jnp.column_stack([k1, RHO * states[:, 1] + shock]), None

        return jax.lax.scan(step, states, sigma * jax.random.normal(walk, (8, n)))[0]

    def paths(h):
        k = jnp.linspace(-2.5, -0.7, 101)
        after = jax.vmap(lambda one: policy(h, jnp.stack([one, 0.0]))[0])(k)
        return {"k": k, "next k": after, "exact": jnp.log(ALPHA * beta) + ALPHA * k}

    def errors(h):
        found = jnp.abs(jax.vmap(lambda s: euler(h, s))(simulate(h, jax.random.key(9), 1_000)))
        return {"quantile": QUANTILES, "error": jnp.quantile(found, QUANTILES)}

    def small(h):
        return errors(h)["error"][2] < 1e-3

    first = np.random.default_rng(0).uniform([-2.5, -0.3], [-0.7, 0.3], (points, 2))
    return th.Task(
        th.models.MLP(2, width=width, depth=1, activation="tanh"),
        th.Data(first),
        residual=euler,
        optimizer=th.optim.levenberg_marquardt(),
        epochs=epochs,
        seed=seed,
        dtype="float64",
        redraw=th.Redraw(simulate, every=every),
        tables={"paths": paths, "errors": errors},
        accept=small,
    )


if __name__ == "__main__":
    th.main(growth_stochastic)
