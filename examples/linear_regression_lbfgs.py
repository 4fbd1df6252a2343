"""L-BFGS, with a module split by hand.

An NNX module is a structure and a state. ``nnx.split`` separates the two and ``nnx.merge``
joins them; a split module is a pair of pure functions, ``init(key) -> params`` and
``apply(params, x) -> h(x)``. Any such pair is a model here.

L-BFGS estimates the curvature of the risk from successive gradients and searches along each
direction. It needs the same risk at every step, so use the full batch. A quadratic in M
parameters takes a few steps, and two hundred of plain gradient descent.

    python examples/linear_regression_lbfgs.py
"""

import jax.numpy as jnp
from flax import nnx

import thetahat as th


def linear_pair(M):
    """Split nnx.Linear into an (init, apply) pair."""

    def build(key):
        return nnx.Linear(M, 1, use_bias=False, rngs=nnx.Rngs(key))

    graphdef = nnx.graphdef(nnx.eval_shape(lambda: build(0)))

    def init(key):
        return nnx.to_pure_dict(nnx.state(build(key)))

    def apply(params, x):
        model = nnx.merge(graphdef, nnx.State(params))
        return model(x)

    return init, apply


def linear_regression_lbfgs(
    N: int = 500, M: int = 2, sigma: float = 1e-3, epochs: int = 10, seed: th.Seed = 42
) -> th.Task:
    """Fit least squares by L-BFGS, in double precision."""
    draw = th.dgp.linear(N, M, sigma, seed=seed)

    def distance(h):
        return jnp.linalg.norm(h.params["kernel"][:, 0] - draw.theta)

    return th.Task(
        model=linear_pair(M),
        data=th.Data(train=draw),
        metrics={"distance": distance},
        optimizer="lbfgs",
        epochs=epochs,
        seed=seed,
        dtype="float64",
    )


if __name__ == "__main__":
    result = th.fit(linear_regression_lbfgs)
    print(f"||theta_hat - theta|| = {result.metrics['distance']:.2e}")
