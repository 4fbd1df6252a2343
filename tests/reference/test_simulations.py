"""Lessons that a lecture teaches by simulation; each is one cohort."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import thetahat as th

STANDARD_PROGRAMS = True

# --- exclusive or ---------------------------------------------------------------------------------


def xor(lr: float = 0.03, hidden: bool = True, seed: th.Seed = 0) -> th.Task:
    """The four corners: linearly, or with four hidden units."""
    net = th.models.MLP(2, width=4, depth=1, activation="tanh")
    return th.Task(
        net if hidden else th.models.Linear(2),
        th.Data(th.dgp.xor().obs),
        optimizer=optax.adam(lr) if hidden else th.optim.newton(),
        epochs=1000 if hidden else 1,
        seed=seed,
        dtype="float32" if hidden else "float64",
    )


def test_no_line_separates_exclusive_or():
    result = th.fit(xor, hidden=False)
    assert result.risk["train"] == pytest.approx(0.25, rel=1e-12)
    np.testing.assert_allclose(result.predict(result.data.train.x), 0.5, rtol=1e-12)


@pytest.mark.usefixtures("fresh_programs")
def test_four_hidden_units_solve_exclusive_or_from_nearly_every_start():
    results = th.fit_many(xor, [{"seed": seed} for seed in range(20)], mode="vmap")
    assert {r.traces for r in results} == {1}
    solved = [r.risk["train"] < 1e-3 for r in results]
    assert sum(solved) >= 18
    corners = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)
    best = results[solved.index(True)]
    assert (best.predict(corners) > 0.5).tolist() == [False, True, True, False]


# --- symmetric functions --------------------------------------------------------------------------


def dispersion(n, seed):
    """Ten uniform draws, and their deviation over their mean: in whatever order they come."""
    x = np.random.default_rng(seed).uniform(size=(n, 10))
    return x, x.std(axis=1) / (0.5 + x.mean(axis=1))


def deep_set(features=8):
    """rho(mean_i phi(x_i)), as an ``(init, apply)`` pair made of two of our own."""
    phi = th.models.MLP(1, width=16, depth=1, activation="tanh", out=features)
    rho = th.models.MLP(features, width=16, depth=1, activation="tanh")

    def init(key):
        first, second = jax.random.split(key)
        return {"phi": phi.init(first), "rho": rho.init(second)}

    def apply(params, x):
        each = jax.vmap(lambda one: phi.apply(params["phi"], one))(x)
        return rho.apply(params["rho"], each.mean(axis=0))

    return init, apply


def symmetric(symmetry: bool = True, lr: float = 0.01, seed: th.Seed = 0) -> th.Task:
    """Fifty observations of a symmetric function of ten inputs; many more to look at."""
    mlp = th.models.MLP(10, width=32, depth=2, activation="tanh")
    return th.Task(
        deep_set() if symmetry else mlp,
        th.Data(dispersion(50, seed=0), dispersion(200, seed=1)),
        optimizer=optax.adam(optax.cosine_decay_schedule(lr, 4000)),
        epochs=4000,
        seed=seed,
    )


@pytest.mark.slow
def test_a_net_that_knows_the_symmetry_needs_fewer_observations():
    _, y = dispersion(200, seed=1)
    sets, nets = (
        th.fit_many(symmetric, [{"symmetry": s, "seed": n} for n in range(2)], mode="vmap")
        for s in (True, False)
    )
    r2 = [1 - np.mean([r.history["val_risk"][-1] for r in rs]) / y.var() for rs in (sets, nets)]
    assert r2[0] > 0.9
    assert r2[0] > r2[1] + 0.3
    # It is no lack of flexibility: the other net comes near every outcome of the training part.
    assert max(r.history["train_risk"][-1] for r in nets) < 0.01 * y.var()
    x = dispersion(5, seed=2)[0]
    there = sets[0].predict(np.concatenate([x, x[:, ::-1]]))
    np.testing.assert_allclose(there[:5], there[5:], rtol=1e-4, atol=1e-5)


# --- double descent -------------------------------------------------------------------------------

WIDEST = 10


def padded(width):
    """5 - width - 1 with ReLU inside the ten-unit net: the width is a number of the program.

    Initialised as the narrow net is, and masked after the activation: units beyond the width get no
    gradient and give nothing.
    """
    net = th.models.MLP(5, width=WIDEST, depth=1)
    mask = (jnp.arange(WIDEST) < width).astype(float)

    def init(key):
        hidden, out = net.init(key)["layers"]
        return [hidden, {**out, "kernel": out["kernel"] * jnp.sqrt(WIDEST / width)}]

    def apply(params, x):
        hidden, out = params
        a = mask * jax.nn.relu(x @ hidden["kernel"] + hidden["bias"])
        return a @ out["kernel"][:, 0] + out["bias"][0]

    return init, apply


def overfit(width: float = 1.0, sigma: float = 1.5, lr: float = 0.1, seed: th.Seed = 0) -> th.Task:
    """Twenty observations in five dimensions; the validation part is another draw."""
    train = th.dgp.exp_difference(20, 5, sigma, seed=seed)
    another = th.dgp.exp_difference(100, 5, sigma, seed=seed + 1000)
    return th.Task(
        padded(width),
        th.Data(train.obs, another.obs),
        optimizer=optax.adam(lr),
        epochs=50,
        seed=seed,
    )


@pytest.mark.usefixtures("fresh_programs")
def test_double_descent():
    widths, seeds = range(1, WIDEST + 1), range(20)
    noisy, clean = {"sigma": 1.5, "lr": 0.1}, {"sigma": 0.01, "lr": 0.05}
    configs = [
        {**noise, "width": float(w), "seed": s}
        for noise in (noisy, clean)
        for w in widths
        for s in seeds
    ]
    results = th.fit_many(overfit, configs, mode="vmap")
    assert {r.traces for r in results} == {1}
    risks = np.array([r.history["val_risk"] for r in results]).reshape(2, WIDEST, 20, 50)
    noisy_best, clean_best = risks.mean(axis=2).argmin(axis=-1) + 1
    assert noisy_best.min() > 1
    assert noisy_best.max() < 50
    assert (clean_best == 50).all()
    # The best state of every simulation is the one of its own best epoch.
    assert [r.best_epoch for r in results] == (risks.argmin(axis=-1).ravel() + 1).tolist()
