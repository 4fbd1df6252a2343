"""Functional equations of economics, solved by minimising residuals: no outcome is observed.

Every equation has many solutions; the one that is wanted does not explode, and is the smooth one
that a net finds. Levenberg-Marquardt in double precision solves each in a few dozen steps.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import fsolve

import thetahat as th

STANDARD_PROGRAMS = True


def pricing(
    c: float = 0.01, g: float = -0.1, beta: float = 0.9, y0: float = 0.08, seed: th.Seed = 0
) -> th.Task:
    """p_t = y_t + beta p_{t+1} at t = 0..28, for the dividend y_{t+1} = c + (1 + g) y_t."""
    dividends = [y0]
    for _ in range(28):
        dividends.append(c + (1 + g) * dividends[-1])

    def residual(p, z):
        t, y = z
        return p(t) - y - beta * p(t + 1)

    return th.Task(
        th.models.MLP(1, width=128, depth=4, activation="tanh", out_activation="softplus"),
        th.Data((np.arange(29.0)[:, None], jnp.stack(jnp.asarray(dividends)))),
        residual=residual,
        optimizer=th.optim.levenberg_marquardt(),
        epochs=30,
        seed=seed,
        dtype="float64",
    )


@pytest.mark.usefixtures("fresh_programs")
def test_asset_pricing_holds_on_the_grid_and_far_beyond_it():
    result = th.fit(pricing)
    t = np.arange(50.0)
    # y_t = .1 - .02 * .9^t, so that p_t = .1 / (1 - .9) - .02 * .9^t / (1 - .81).
    exact = 1 - 0.02 * 0.9**t / 0.19
    assert exact[0] == pytest.approx(0.894736, abs=1e-6)
    assert result.n_params == 2 * 128 + 3 * 129 * 128 + 129
    price = result.predict(t[:, None])
    assert price[0] == pytest.approx(exact[0], abs=1e-4)
    assert np.abs(price / exact - 1)[:29].max() < 1e-3
    assert np.abs(price / exact - 1).max() < 2e-3


# --- growth ---------------------------------------------------------------------------------------

ALPHA, BETA = 1 / 3, 0.9


def growth(
    delta: float = 0.1, low: float = 0.4, high: float = 4.0, points: int = 16, seed: th.Seed = 0
) -> th.Task:
    """Capital tomorrow as a function of capital today, by the Euler equation under log utility.

    u'(c) = beta u'(c') f'(k'),   c = f(k) - k',   f(k) = k^alpha + (1 - delta) k
    """

    def f(k):
        return k**ALPHA + (1 - delta) * k

    def residual(policy, k):
        tomorrow = policy(k)
        now, then = f(k[0]) - tomorrow, f(tomorrow) - policy(tomorrow)
        return BETA * (ALPHA * tomorrow ** (ALPHA - 1) + 1 - delta) * now / then - 1

    return th.Task(
        th.models.MLP(1, width=32, depth=2, activation="tanh", out_activation="softplus"),
        th.Data(jnp.linspace(low, high, points)[:, None]),
        residual=residual,
        optimizer=th.optim.levenberg_marquardt(),
        epochs=30,
        seed=seed,
        dtype="float64",
    )


@pytest.fixture(scope="module")
def economies():
    """Both depreciation rates on their grids: one program, for all that differs is a float.

    With delta = 1 capital settles at (alpha beta)^(1.5) = .164, below .4: that grid lies around it.
    """
    slow = {"delta": 0.1, "low": 0.4, "high": 4.0}
    full = {"delta": 1.0, "low": 0.05, "high": 1.0}
    results = th.fit_many(growth, [slow, full])
    assert {r.traces for r in results} == {1}
    return dict(zip(("slow", "full"), results, strict=True))


def saddle_path(start, steps, delta=0.1):
    """The path that ends in the steady state: Euler equations of 80 dates, solved at once."""
    steady = ((1 / BETA - 1 + delta) / ALPHA) ** (1 / (ALPHA - 1))

    def euler(k):
        k = np.r_[start, k, steady]
        c = k[:-1] ** ALPHA + (1 - delta) * k[:-1] - k[1:]
        return c[1:] - BETA * (ALPHA * k[1:-1] ** (ALPHA - 1) + 1 - delta) * c[:-1]

    k, _, solved, _ = fsolve(euler, np.linspace(start, steady, 82)[1:-1], full_output=True)
    assert solved == 1
    return np.r_[start, k][: steps + 1], steady


def test_growth_follows_the_saddle_path_into_the_steady_state(economies):
    exact, steady = saddle_path(0.5, 50)
    assert steady == pytest.approx(1.984045, abs=1e-6)
    policy = economies["slow"].model
    with jax.enable_x64(True):
        _, path = jax.lax.scan(lambda k, _: (policy(k),) * 2, jnp.asarray(0.5), length=50)
        at_rest = policy(jnp.asarray(steady))
    np.testing.assert_allclose(path, exact[1:], rtol=0.03)
    assert float(path[-1]) == pytest.approx(steady, rel=0.03)
    assert float(at_rest) == pytest.approx(steady, rel=1e-3)


def test_growth_with_full_depreciation_has_a_closed_form(economies):
    k = np.linspace(0.05, 1.0, 201)
    policy = economies["full"].predict(k[:, None])
    np.testing.assert_allclose(policy, ALPHA * BETA * k**ALPHA, rtol=0, atol=1.5e-3)


# --- cake -----------------------------------------------------------------------------------------


def cake(
    gamma: float = 1.5, beta: float = 0.96, R: float = 1.01, net: bool = True, seed: th.Seed = 0
) -> th.Task:
    """Eat c of wealth w: w' = R (w - c), u'(c) = beta R u'(c'), with c / w a function of log w."""

    def residual(share, x):
        now = share(x)
        growth = R * (1 - now)  # w' / w
        then = share(x + jnp.log(growth))
        return beta * R * (growth * then / now) ** -gamma - 1

    flat = (lambda key: {"share": jnp.asarray(0.5)}, lambda p, x: p["share"])
    curved = th.models.MLP(1, width=16, depth=1, activation="tanh", out_activation="sigmoid")
    return th.Task(
        curved if net else flat,
        th.Data(np.linspace(-4.0, 2.0, 25)[:, None]),
        residual=residual,
        optimizer=th.optim.levenberg_marquardt(),
        epochs=40,
        seed=seed,
        dtype="float64",
    )


def share_of_wealth(gamma, beta, R):
    """c = share * w solves the Euler equation: (R (1 - share))^gamma = beta R."""
    return 1 - (beta * R) ** (1 / gamma) / R


def test_a_constant_share_of_the_cake_is_eaten():
    calibrations = [{}, {"gamma": 2.0}, {"gamma": 1.2, "beta": 0.93, "R": 1.03}]
    assert share_of_wealth(1.5, 0.96, 1.01) == pytest.approx(0.030070, abs=5e-7)
    for result in th.fit_many(cake, [{**given, "net": False} for given in calibrations]):
        exact = share_of_wealth(*(result.config[name] for name in ("gamma", "beta", "R")))
        assert result.params["share"] == pytest.approx(exact, abs=1e-9)


def test_a_net_finds_that_the_share_does_not_depend_on_wealth():
    result = th.fit(cake)
    rich = np.linspace(-1.0, 2.0, 31)[:, None]
    np.testing.assert_allclose(result.predict(rich), share_of_wealth(1.5, 0.96, 1.01), rtol=1e-2)
