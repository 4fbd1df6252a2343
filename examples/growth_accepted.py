"""Solve the growth model with full depreciation, and accept only what is a solution.

The solution is k' = alpha beta k^alpha. A net that gives the share of output that is saved finds
it. A net that gives k' itself finds other functions with small residuals at the training points:
their paths leave the region in which the equation was solved.

python examples/growth_accepted.py
"""

import jax
import jax.numpy as jnp
import numpy as np

import thetahat as th

ALPHA, BETA = 1 / 3, 0.9
LOW, HIGH = 0.05, 0.4
GRID = np.linspace(LOW, HIGH, 201)


def growth(share: bool = True, width: int = 16, seed: th.Seed = 0) -> th.Task:
    """Solve the Euler equation at 16 points by Levenberg-Marquardt: a small least squares."""

    def saved(h, k):
        return k**ALPHA * jax.nn.sigmoid(h(jnp.log(k)[None])) if share else h(k[None])

    def euler(h, x):
        k = x[0]
        after = saved(h, k)
        c, next_c = k**ALPHA - after, after**ALPHA - saved(h, after)
        return next_c / c - BETA * ALPHA * after ** (ALPHA - 1)

    def paths(h):
        def step(k, _):
            k = jax.vmap(lambda one: saved(h, one))(k)
            return k, k

        return {"k": jax.lax.scan(step, jnp.array([0.1, 0.3]), None, 50)[1]}

    out = None if share else "softplus"
    return th.Task(
        th.models.MLP(1, width=width, depth=1, activation="tanh", out="scalar", out_activation=out),
        th.Data(np.linspace(LOW, HIGH, 16)[:, None]),
        residual=euler,
        optimizer=th.optim.levenberg_marquardt(),
        epochs=100,
        seed=seed,
        dtype="float64",
        accept=[
            th.accept.residual(GRID[:, None], quantile=0.99, below=1e-3),
            th.accept.inside(paths, {"k": (LOW, HIGH)}),
        ],
    )


if __name__ == "__main__":
    for share in (True, False):
        fits = th.fit_many(growth, [{"share": share, "seed": seed} for seed in range(20)])
        accepted = [fit for fit in fits if fit.accepted]
        print(f"{'share' if share else 'level'}: {len(accepted)} of {len(fits)} seeds accepted")
        if share:
            shares = [1 / (1 + np.exp(-fit.predict(np.log(GRID)[:, None]))) for fit in accepted]
            error = np.abs(np.array(shares) - ALPHA * BETA).max()
            print(f"largest error of the saving rate, {ALPHA * BETA:.2f}: {error:.1e}")
