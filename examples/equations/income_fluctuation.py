"""Save against bad income, with a borrowing limit that binds now and then.

    u'(c) >= beta R E u'(c'),   c <= x,   one of them with equality;   x' = R (x - c) + y'

x is cash on hand and log y is normal. The Fischer-Burmeister function of the slack, 1 - c / x, and
of the Euler error is zero exactly where one of both holds: one smooth residual for two cases.

Optimizer: Levenberg-Marquardt in double precision; first order methods reach such errors slowly.
The kink where the limit begins to bind is in the form of the policy, c = x exp(-max(kept, 0)) with
a maximum that is smooth, and the net gives kept, which is smooth. 80 of the points are near it.

    python examples/equations/income_fluctuation.py --gamma=3
    thetahat sweep examples/equations/income_fluctuation_sweep.yaml --run
"""

import jax
import jax.numpy as jnp
import numpy as np

import thetahat as th

QUANTILES = np.array([0.5, 0.9, 0.99, 1.0])
LOW, HIGH = np.log(0.4), np.log(6.0)
NEAR = np.linspace(np.log(0.8), np.log(1.3), 80)
GRID = np.concatenate([np.linspace(LOW, HIGH, 120), NEAR])[:, None]
OFF = np.linspace(LOW, HIGH, 401)[:, None]


def income_fluctuation(
    gamma: float = 2.0,
    beta: float = 0.94,
    R: float = 1.02,
    sigma: float = 0.2,
    width: int = 16,
    epochs: int = 150,
    seed: th.Seed = 0,
) -> th.Task:
    """Solve for the share of cash that is consumed, as a function of log cash on hand.

    Args:
        gamma: relative risk aversion.
        beta: discount factor; beta R is below 1.
        R: gross rate of interest.
        sigma: standard deviation of log income, whose mean income is 1.
    """
    incomes = th.quadrature.gauss_hermite(5, mean=-(sigma**2) / 2, std=sigma)

    def share(h, x):
        kept = (h(4 * x - 0.4) + x[0] - LOW) / 5  # the net corrects a first guess
        return jnp.exp(-jax.nn.softplus(500 * kept) / 500)

    def limited(h, x):
        now, cash = share(h, x), jnp.exp(x[0])
        c = now * cash

        def marginal(log_income):
            later = R * (cash - c) + jnp.exp(log_income)
            return (c / (share(h, jnp.log(later)[None]) * later)) ** gamma

        return th.risk.fischer_burmeister(1 - now, 1 - beta * R * incomes(marginal))

    def policy(h):
        cash = np.exp(OFF[:, 0])
        return {"cash": cash, "c": cash * jax.vmap(lambda x: share(h, x))(jnp.asarray(OFF))}

    def errors(h):
        found = jnp.abs(jax.vmap(lambda x: limited(h, x))(jnp.asarray(OFF)))
        return {"quantile": QUANTILES, "error": jnp.quantile(found, QUANTILES)}

    def cash(h):
        """Simulate log cash of 200 households for 100 years."""

        def step(x, key):
            y = jnp.exp(sigma * jax.random.normal(key, (200,)) - sigma**2 / 2)
            kept = jax.vmap(lambda one: jnp.exp(one) * (1 - share(h, one[None])))(x)
            return (jnp.log(R * kept + y),) * 2

        return jax.lax.scan(step, jnp.zeros(200), jax.random.split(jax.random.key(7), 100))[1]

    return th.Task(
        th.models.MLP(1, width=width, depth=2, activation="tanh"),
        th.Data(GRID),
        residual=limited,
        optimizer=th.optim.levenberg_marquardt(),
        epochs=epochs,
        seed=seed,
        dtype="float64",
        tables={"policy": policy, "errors": errors},
        accept=[
            th.accept.residual(OFF, quantile=0.99, below=1e-3),
            th.accept.inside(cash, (LOW, HIGH)),
        ],
    )


if __name__ == "__main__":
    th.main(income_fluctuation)
