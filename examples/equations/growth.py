"""Solve neoclassical growth: capital as a function of capital, and capital over time.

    u'(c) = beta u'(c') f'(k'),   c = f(k) - k',   f(k) = k^alpha + (1 - delta) k,   u = log

The recursive form k' = k'(k) is solved at 48 stocks of capital; the sequential form k(t) at 100
times, from k(0) = k0. With delta = 1 the solution is k' = alpha beta k^alpha.

Optimizer: Levenberg-Marquardt. The residuals are few and smooth, and errors shall be small; first
order methods need thousands of epochs. Investment is a share of output, given by the net: a net
that gives k' itself finds other functions with small residuals.

    python examples/equations/growth.py --config=examples/equations/growth.yaml
    thetahat sweep examples/equations/growth_sweep.yaml --run
"""

import jax
import jax.numpy as jnp
import numpy as np

import thetahat as th

QUANTILES = np.array([0.5, 0.9, 0.99, 1.0])
TIMES, BETWEEN = (-20 * np.log(np.linspace(1.0, 0.08, n))[:, None] for n in (100, 397))


def growth(
    recursive: bool = True,
    beta: float = 0.9,
    alpha: float = 1 / 3,
    delta: float = 0.1,
    k0: float = 0.5,
    width: int = 16,
    epochs: int = 400,
    seed: th.Seed = 0,
) -> th.Task:
    """Solve the growth model, around its steady state or from k0.

    Args:
        recursive: whether capital is a function of capital, and not of the date.
        k0: capital at date 0, in the sequential form and in the accepted path.
    """
    steady = ((1 / beta - 1 + delta) / alpha) ** (1 / (alpha - 1))
    grid, off = (steady * jnp.geomspace(0.2, 2.0, n)[:, None] for n in (48, 201))

    def wealth(k):
        return k**alpha + (1 - delta) * k

    def after(h, k):  # off the grid, the share that is saved is that at its edge
        log_k = jnp.clip(jnp.log(k / steady), *np.log([0.2, 2.0]))
        kept = steady / wealth(steady)
        return wealth(k) * jax.nn.sigmoid(h(log_k[None]) / 5 + jnp.log(kept / (1 - kept)))

    def at(h, t):
        x = jnp.exp(-t / 20)  # the net corrects a first guess, from k0 to the steady state
        return steady * jnp.exp(jnp.log(k0 / steady) * x[0] ** 2 + h(2 * x - 1) / 10)

    def capital(h, z):
        if recursive:
            k1 = after(h, z[0])
            return z[0], k1, after(h, k1)
        return at(h, z), at(h, z + 1), at(h, z + 2)

    def euler(h, z):
        k, k1, k2 = capital(h, z)
        return 1 - beta * jax.grad(wealth)(k1) * (wealth(k) - k1) / (wealth(k1) - k2)

    def path(h):
        k = jnp.asarray(k0, float)
        if recursive:
            k = jax.lax.scan(lambda k, _: (after(h, k), k), k, length=51)[1]
        else:
            k = jax.vmap(lambda t: at(h, t))(jnp.arange(51.0)[:, None])
        return {"date": np.arange(51), "k": k}

    def errors(h):
        points = off if recursive else BETWEEN
        found = jnp.abs(jax.vmap(lambda z: euler(h, z))(points))
        return {"quantile": QUANTILES, "error": jnp.quantile(found, QUANTILES)}

    initial = {} if recursive else {"initial": np.zeros((1, 1))}
    return th.Task(
        th.models.MLP(1, width=width, depth=1, activation="tanh"),
        th.Data({"euler": grid if recursive else TIMES, **initial}),
        residual={"euler": euler, **({n: lambda h, t: at(h, t) / k0 - 1 for n in initial})},
        optimizer=th.optim.levenberg_marquardt(),
        epochs=epochs,
        seed=seed,
        dtype="float64",
        tables={"path": path, "errors": errors},
        accept=[
            th.accept.residual(off if recursive else BETWEEN, below=1e-3, block="euler"),
            th.accept.solution(lambda h: path(h)["k"][-1] / steady, {"steady state": 1.0}, 0.03),
        ],
    )


if __name__ == "__main__":
    th.main(growth)
