"""Eat a cake: consumption out of wealth, when nothing is earned but interest.

    u'(c) = beta R u'(c'),   w' = R (w - c),   u(c) = c^(1 - gamma) / (1 - gamma)

The solution is a constant share of wealth, 1 - (beta R)^(1 / gamma) / R. The net gives the share as
a function of log wealth and must find that it is constant.

Optimizer: Levenberg-Marquardt: few, smooth residuals, relative to marginal utility, so that they
have no units. The share is between 0 and 1 by a sigmoid.

    python examples/equations/cake_eating.py --gamma=2
    thetahat sweep examples/equations/cake_eating_sweep.yaml --run
"""

import jax
import jax.numpy as jnp
import numpy as np

import thetahat as th

QUANTILES = np.array([0.5, 0.9, 0.99, 1.0])
GRID = np.linspace(-4.0, 2.0, 25)[:, None]
OFF = np.linspace(-4.0, 2.0, 241)[:, None]


def cake_eating(
    gamma: float = 1.5,
    beta: float = 0.96,
    R: float = 1.01,
    width: int = 16,
    epochs: int = 60,
    seed: th.Seed = 0,
) -> th.Task:
    """Solve for the share of wealth that is eaten, at 25 levels of log wealth.

    Args:
        gamma: relative risk aversion.
        beta: discount factor.
        R: gross rate of interest.
    """

    def share(h, x):
        return jax.nn.sigmoid(h(x / 3))

    def euler(h, x):
        now = share(h, x)
        growth = R * (1 - now)  # w' / w
        then = share(h, x + jnp.log(growth))
        return beta * R * (growth * then / now) ** -gamma - 1

    def shares(h):
        exact = 1 - (beta * R) ** (1 / gamma) / R
        found = jax.vmap(lambda x: share(h, x))(jnp.asarray(OFF))
        return {"wealth": np.exp(OFF[:, 0]), "share": found, "exact": exact}

    def errors(h):
        found = jnp.abs(jax.vmap(lambda x: euler(h, x))(jnp.asarray(OFF)))
        return {"quantile": QUANTILES, "error": jnp.quantile(found, QUANTILES)}

    def eaten(h):
        """Simulate log wealth for 60 years, from one unit."""
        step = lambda x, _: (x + jnp.log(R * (1 - share(h, x[None]))),) * 2  # noqa: E731
        return jax.lax.scan(step, jnp.zeros(()), length=60)[1]

    return th.Task(
        th.models.MLP(1, width=width, depth=1, activation="tanh"),
        th.Data(GRID),
        residual=euler,
        optimizer=th.optim.levenberg_marquardt(),
        epochs=epochs,
        seed=seed,
        dtype="float64",
        tables={"shares": shares, "errors": errors},
        accept=[
            th.accept.residual(OFF, quantile=0.99, below=1e-3),
            th.accept.inside(eaten, (-4.0, 2.0)),
        ],
    )


if __name__ == "__main__":
    th.main(cake_eating)
