"""Solve growth with a concave-convex technology, and name the steady state that a path reaches.

    f(k) = A max(k^alpha, b1 k^alpha - b2),   u'(c) = beta u'(c') (f'(k') + 1 - delta)

There are two steady states, .701 and 3.645, and the start k0 decides between them. The path k(t)
is solved at 120 times; ``th.accept.solution`` compares its end with both, and names it.

Optimizer: Levenberg-Marquardt, as for any equation of few, smooth residuals. The net gives
log k(t) / k0, so that it begins on the side of the kink on which k0 lies.

    python examples/equations/growth_two_states.py --k0=3
    thetahat sweep examples/equations/growth_two_states_sweep.yaml --run
"""

import jax
import jax.numpy as jnp
import numpy as np

import thetahat as th

QUANTILES = np.array([0.5, 0.9, 0.99, 1.0])
TIMES = np.arange(0.0, 60.0, 0.5)[:, None]
A, ALPHA, B1, B2, DELTA = 0.5, 1 / 3, 3.0, 2.5, 0.1


def output(k):
    """Output f(k), with a kink where the second technology becomes better."""
    return A * jnp.maximum(k**ALPHA, B1 * k**ALPHA - B2)


def slope(k):
    """Gross return to capital, f'(k) + 1 - delta."""
    better = jnp.where(k**ALPHA * (B1 - 1) > B2, B1, 1.0)
    return A * ALPHA * better * k ** (ALPHA - 1) + 1 - DELTA


def steady_states(beta):
    """Capital at which the return is 1 / beta, under either technology."""
    needed = 1 / beta - 1 + DELTA
    low, high = ((needed / (A * ALPHA * b)) ** (1 / (ALPHA - 1)) for b in (1.0, B1))
    return {"low": low, "high": high}


def growth_two_states(
    k0: float = 1.0, beta: float = 0.9, width: int = 24, epochs: int = 150, seed: th.Seed = 0
) -> th.Task:
    """Solve the path of capital from k0.

    Args:
        k0: capital at date 0.
        beta: discount factor.
    """

    def capital(h, t):
        return k0 * jnp.exp(h(2 * jnp.exp(-t / 20) - 1) / 5)

    def euler(h, t):
        k, k1, k2 = capital(h, t), capital(h, t + 1), capital(h, t + 2)
        c, c1 = (output(a) + (1 - DELTA) * a - b for a, b in ((k, k1), (k1, k2)))
        return 1 - beta * slope(k1) * c / c1

    def path(h):
        return {"date": TIMES[:, 0], "k": jax.vmap(lambda t: capital(h, t))(jnp.asarray(TIMES))}

    def end(h):
        return capital(h, jnp.asarray(TIMES[-1]))

    def errors(h):
        found = jnp.abs(jax.vmap(lambda t: euler(h, t))(jnp.asarray(TIMES + 0.25)))
        return {"quantile": QUANTILES, "error": jnp.quantile(found, QUANTILES)}

    return th.Task(
        th.models.MLP(1, width=width, depth=1, activation="tanh"),
        th.Data({"euler": TIMES, "initial": TIMES[:1]}),
        residual={"euler": euler, "initial": lambda h, t: capital(h, t) / k0 - 1},
        optimizer=th.optim.levenberg_marquardt(),
        epochs=epochs,
        seed=seed,
        dtype="float64",
        tables={"path": path, "errors": errors},
        accept=[
            th.accept.residual(TIMES + 0.25, quantile=0.99, below=1e-3, block="euler"),
            th.accept.solution(end, steady_states(beta), within=0.1),
        ],
    )


if __name__ == "__main__":
    th.main(growth_two_states)
