"""A functional equation for a whole grid of discount factors at once.

A project that pays u(x) = x^2 in state x, which decays as x' = rho x, is worth

    v(x) = u(x) + beta v(rho x),        solved by  v(x) = x^2 / (1 - beta rho^2).

Values of v are not observed. The observations are points x, and the residual is the error of the
equation at x. It closes over beta, a float parameter of the experiment and therefore traced: the
experiment is called inside the compiled program, so that all betas of the grid are members of one
program, with one compilation.

    python examples/discount.py
"""

import jax.numpy as jnp
import numpy as np

import thetahat as th

BETAS = np.linspace(0.80, 0.98, 10)


def discount(
    beta: float = 0.95, rho: float = 0.9, width: int = 16, epochs: int = 200, seed: th.Seed = 0
) -> th.Task:
    """Solve v(x) = x^2 + beta v(rho x) on [0, 1] with a small net."""

    def residual(v, x):
        return v(x) - x[0] ** 2 - beta * v(rho * x)

    def error(v):
        """Compute the relative error at x = 1, where v(1) = 1 / (1 - beta rho^2)."""
        return jnp.abs(v(jnp.ones(1)) * (1 - beta * rho**2) - 1)

    return th.Task(
        model=th.models.MLP(1, width=width, depth=1, activation="tanh"),
        data=th.Data(train=np.linspace(0, 1, 33)[:, None]),
        residual=residual,
        metrics={"error": error},
        optimizer=th.optim.levenberg_marquardt(),
        epochs=epochs,
        seed=seed,
        dtype="float64",
    )


def solve(betas=BETAS, **config):
    """Return one Result per discount factor."""
    return th.fit_many(discount, [{**config, "beta": float(beta)} for beta in betas])


if __name__ == "__main__":
    worst = max(result.metrics["error"] for result in solve())
    print(f"largest relative error over {len(BETAS)} discount factors: {worst:.1e}")
