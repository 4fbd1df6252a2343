"""Price an asset from its dividends: over dates, and as a function of the dividend.

    p = y + beta p',   y' = c + (1 + g) y

Many price paths satisfy the equation; one has no bubble, b beta^(-t). Both forms are solved at 29
points: of the dividend, and of e^(-t / 20), in which dates are from 1 down to 0 and a bubble has no
limit. In t itself nets with errors of 1e-5 have bubbles of 5 % at date 28.

Optimizer: Levenberg-Marquardt. The residuals are few, smooth and linear in p, so that each step
nearly solves a small least squares problem; double precision, since errors shall be below 1e-3.

    python examples/equations/asset_prices.py --config=examples/equations/asset_prices.yaml
    thetahat sweep examples/equations/asset_prices_sweep.yaml --run
"""

import jax
import jax.numpy as jnp
import numpy as np

import thetahat as th

QUANTILES = np.array([0.5, 0.9, 0.99, 1.0])


def asset_prices(
    recursive: bool = False,
    beta: float = 0.9,
    c: float = 0.01,
    g: float = -0.1,
    y0: float = 0.08,
    width: int = 16,
    epochs: int = 100,
    seed: th.Seed = 0,
) -> th.Task:
    """Solve p = y + beta p' for the price of an asset.

    Args:
        recursive: whether the price is a function of the dividend, and not of the date.
        beta: discount factor.
        c: constant of the dividend.
        g: its growth.
        y0: its value at date 0.
    """
    rest = -c / g
    low, high = (0.05, 0.15) if recursive else (0.0, 1.0)
    points = np.linspace(low, high, 29)[:, None]
    off = np.linspace(low, high, 281)[1:, None]

    def dividend(z):  # of a date t, z is e^(-t / 20)
        return z if recursive else rest + z ** (-20 * jnp.log(1 + g)) * (y0 - rest)

    def later(z):
        return c + (1 + g) * z if recursive else z * np.exp(-1 / 20)

    def price(h, z):  # inputs of the net are about 1 in size
        return h((z - (low + high) / 2) / (high - low) * 4)

    def euler(h, z):
        return price(h, z) - dividend(z[0]) - beta * price(h, later(z))

    def share(h, z):
        return euler(h, z) / price(h, z)

    def value(y):  # the present value of all dividends
        return rest / (1 - beta) + (y - rest) / (1 - beta * (1 + g))

    def first(h):
        return price(h, jnp.array([y0 if recursive else 1.0]))

    def prices(h):
        y, found = dividend(off[:, 0]), jax.vmap(lambda z: price(h, z))(off)
        date = -20 * np.log(off[:, 0])
        return {"date": date, "dividend": y, "price": found, "exact": value(y)}

    def errors(h):
        found = jnp.abs(jax.vmap(lambda z: share(h, z))(off))
        return {"quantile": QUANTILES, "error": jnp.quantile(found, QUANTILES)}

    return th.Task(
        th.models.MLP(1, width=width, depth=1, activation="tanh"),
        th.Data(points),
        residual=euler,
        optimizer=th.optim.levenberg_marquardt(),
        epochs=epochs,
        seed=seed,
        dtype="float64",
        tables={"prices": prices, "errors": errors},
        accept=[
            th.accept.residual(off, quantile=0.99, below=1e-3, residual=share),
            th.accept.solution(first, {"no bubble": value(y0)}, within=1e-3),
        ],
    )


if __name__ == "__main__":
    th.main(asset_prices)
