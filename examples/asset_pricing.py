"""The price of an asset, for every discount factor of a sweep file.

Dividends follow y' = c + (1 + g) y, and the price p(t) without a bubble satisfies

    p(t) = y(t) + beta p(t + 1).

Prices are not observed: the residual is the error of the equation, at 29 dates. It closes over
beta, a float parameter and therefore traced, so that all discount factors of a grid are members
of one compiled program. With the long-run dividend
y* = -c / g the equation has the closed form

    p(t) = y* / (1 - beta) + (1 + g)^t (y0 - y*) / (1 - beta (1 + g)),

which stands beside the estimate in the table of runs.

    thetahat sweep examples/discount_sweep.yaml --run
    python examples/asset_pricing.py --beta=0.95
"""

import jax.numpy as jnp
import numpy as np

import thetahat as th


def asset_pricing(
    beta: float = 0.9,
    c: float = 0.01,
    g: float = -0.1,
    y0: float = 0.08,
    width: int = 16,
    epochs: int = 60,
    seed: th.Seed = 0,
) -> th.Task:
    """Solve p(t) = y(t) + beta p(t + 1) with a small net.

    Args:
        beta: discount factor.
        c: constant of the dividend.
        g: its growth.
        y0: its value at date 0.
    """
    rest = -c / g

    def dividend(t):
        return rest + (1 + g) ** t * (y0 - rest)

    def residual(p, t):
        return p(t) - dividend(t[0]) - beta * p(t + 1)

    def price(p):
        return p(jnp.zeros(1))

    def closed_form(_):
        return rest / (1 - beta) + (y0 - rest) / (1 - beta * (1 + g))

    return th.Task(
        model=th.models.MLP(1, width=width, depth=1, activation="tanh"),
        data=th.Data(train=np.arange(29.0)[:, None]),
        residual=residual,
        metrics={"price": price, "closed_form": closed_form},
        optimizer=th.optim.levenberg_marquardt(),
        epochs=epochs,
        seed=seed,
        dtype="float64",
    )


if __name__ == "__main__":
    th.main(asset_pricing)
