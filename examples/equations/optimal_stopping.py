"""Decide when to invest: stop a random walk at the right moment.

    v(x) = max(e^x - 1, q(x)),   q(x) = beta E v(x'),   x' = rho x + e

The value v has a kink where waiting ends; the value q of waiting is smooth. The net gives q, the
maximum stays inside the expectation, and the project is started where e^x - 1 exceeds q.

Optimizer: Levenberg-Marquardt: few residuals, smooth almost everywhere, and a q that is positive
by a softplus.

    python examples/equations/optimal_stopping.py --beta=0.9
    thetahat sweep examples/equations/optimal_stopping_sweep.yaml --run
"""

import jax
import jax.numpy as jnp
import numpy as np

import thetahat as th

QUANTILES = np.array([0.5, 0.9, 0.99, 1.0])
GRID, OFF = (np.linspace(-1.2, 1.2, n)[:, None] for n in (48, 401))


def optimal_stopping(
    beta: float = 0.95,
    rho: float = 0.9,
    sigma: float = 0.15,
    width: int = 16,
    epochs: int = 200,
    seed: th.Seed = 0,
) -> th.Task:
    """Solve for the value of waiting, at 48 states.

    Args:
        beta: discount factor.
        rho, sigma: persistence of the state, and standard deviation of its shock.
    """
    shocks = th.quadrature.gauss_hermite(31, std=sigma)

    def bellman(q, x):
        def value(shock):
            later = rho * x + shock
            return jnp.maximum(jnp.exp(later[0]) - 1, q(later))

        return q(x) - beta * shocks(value)

    def values(q):
        waiting = jax.vmap(q)(jnp.asarray(OFF))
        return {"x": OFF[:, 0], "waiting": waiting, "stopping": np.exp(OFF[:, 0]) - 1}

    def errors(q):
        found = jnp.abs(jax.vmap(lambda x: bellman(q, x))(jnp.asarray(OFF)))
        return {"quantile": QUANTILES, "error": jnp.quantile(found, QUANTILES)}

    def threshold(q):
        """The lowest state in which to stop, between two of the states off the grid."""
        gain = jnp.exp(OFF[:, 0]) - 1 - values(q)["waiting"]
        at = jnp.argmax(gain > 0)
        before, after = gain[at - 1], gain[at]
        step = OFF[1, 0] - OFF[0, 0]
        return {"threshold": jnp.asarray(OFF[:, 0])[at] - step * after / (after - before)}

    return th.Task(
        th.models.MLP(1, width=width, depth=1, activation="tanh", out_activation="softplus"),
        th.Data(GRID),
        residual=bellman,
        optimizer=th.optim.levenberg_marquardt(),
        epochs=epochs,
        seed=seed,
        dtype="float64",
        tables={"values": values, "threshold": threshold, "errors": errors},
        accept=[
            th.accept.residual(OFF, quantile=0.99, below=1e-3),
            th.accept.inside(lambda q: values(q)["waiting"], (0.0, np.exp(1.2))),
        ],
    )


if __name__ == "__main__":
    th.main(optimal_stopping)
