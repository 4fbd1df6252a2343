"""Estimators that others have published: the same minimisers, through ``th.fit``."""

from __future__ import annotations

import numpy as np
import optax
import pytest
import scipy.optimize
import statsmodels.api as sm

import thetahat as th


def sample(n=200, seed=0):
    """Two inputs, and an index x'b + e."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 2))
    return x, 0.3 + x @ np.array([1.0, -0.5]) + rng.standard_t(3, size=n)


def coefficients(result):
    """(bias, kernel) as one vector."""
    return np.append(result.params["bias"], result.params["kernel"])


def linear(x, y, **fields):
    task = {"dtype": "float64", "epochs": 20, "optimizer": th.optim.newton(), **fields}
    return th.fit(th.Task(th.models.Linear(x.shape[1]), th.Data((x, y)), **task))


# --- quantiles ------------------------------------------------------------------------------------


def pinball_risk(tau, theta, x, y):
    r = sm.add_constant(x) @ theta - y
    return np.mean(np.maximum((1 - tau) * r, -tau * r))


def quantile(tau: float = 0.5) -> th.Task:
    """A quantile regression: the loss has kinks, so the rate has to fall."""
    x, y = sample()
    return th.Task(
        th.models.Linear(2, start="zeros"),
        th.Data((x, y)),
        loss=th.pinball(tau),
        optimizer=optax.adam(optax.cosine_decay_schedule(0.1, 3000)),
        epochs=3000,
        dtype="float64",
    )


def test_pinball_risk_is_minimised_by_quantile_regression():
    x, y = sample()
    for result in th.fit_many(quantile, [{"tau": tau} for tau in (0.25, 0.5, 0.9)], mode="vmap"):
        tau = result.config["tau"]
        exact = sm.QuantReg(y, sm.add_constant(x)).fit(q=tau, p_tol=1e-8).params
        np.testing.assert_allclose(coefficients(result), exact, atol=5e-3)
        least = pinball_risk(tau, exact, x, y)
        assert result.risk["train"] == pytest.approx(least, rel=1e-5)
        # The share of observations below the estimated quantile is tau, up to the fitted points.
        assert np.mean(y < result.predict(x)) == pytest.approx(tau, abs=3 / len(y))


# --- classes --------------------------------------------------------------------------------------


def test_logistic_loss_is_logit():
    x, index = sample()
    y = (index > 0).astype(float)
    result = linear(x, y, loss="logistic", optimizer=th.optim.lbfgs(), epochs=60)
    logit = sm.Logit(y, sm.add_constant(x)).fit(disp=0)
    np.testing.assert_allclose(coefficients(result), logit.params, rtol=1e-6)
    assert result.risk["train"] == pytest.approx(-logit.llf / len(y), rel=1e-10)


def test_cross_entropy_is_multinomial_logit():
    x, index = sample()
    classes = np.digitize(index, [-0.5, 1.0])
    task = th.Task(
        th.models.Linear(2, out=3),
        th.Data((x, classes)),
        loss="cross_entropy",
        optimizer=th.optim.newton(damping=1e-6),  # one class too many: H has no inverse
        epochs=20,
        dtype="float64",
    )
    result = th.fit(task)
    exact = sm.MNLogit(classes, sm.add_constant(x)).fit(disp=0)
    # Only differences to the first class are identified.
    theta = np.vstack([result.params["bias"], result.params["kernel"]])
    np.testing.assert_allclose(theta[:, 1:] - theta[:, :1], exact.params, rtol=1e-5)
    assert result.risk["train"] == pytest.approx(-exact.llf / len(classes), rel=1e-9)


# --- robust ---------------------------------------------------------------------------------------


def test_huber_is_the_m_estimator():
    x, y = sample()
    robust = sm.RLM(y, sm.add_constant(x), sm.robust.norms.HuberT(1.345)).fit(tol=1e-12)
    delta = 1.345 * robust.scale
    result = linear(x, y, loss=th.huber(delta))
    np.testing.assert_allclose(coefficients(result), robust.params, rtol=1e-5)

    def objective(theta):
        return np.mean(scipy.special.huber(delta, sm.add_constant(x) @ theta - y))

    least = scipy.optimize.minimize(objective, np.zeros(3), tol=1e-12, method="BFGS")
    assert result.risk["train"] == pytest.approx(least.fun, rel=1e-9)


def test_a_loss_of_ones_own_is_minimised_as_scipy_does():
    x, y = sample()
    # Expectiles: the square, weighted by the sign.
    result = linear(x, y, loss=lambda r: r**2 * (0.8 - 0.6 * (r > 0)))

    def objective(theta):
        r = sm.add_constant(x) @ theta - y
        return np.mean(r**2 * np.where(r > 0, 0.2, 0.8))

    least = scipy.optimize.minimize(objective, np.zeros(3), tol=1e-12, method="BFGS")
    np.testing.assert_allclose(coefficients(result), least.x, rtol=1e-4)
    assert result.risk["train"] == pytest.approx(least.fun, rel=1e-9)


def test_nonlinear_least_squares_are_scipys():
    rng = np.random.default_rng(3)
    t = np.linspace(0, 4, 60)
    y = 2.5 * np.exp(-1.3 * t) + 0.5 + 0.02 * rng.normal(size=60)
    decay = (
        lambda key: np.array([1.0, 0.3, 0.0]),
        lambda p, x: p[0] * np.e ** (-p[1] * x[0]) + p[2],
    )
    task = th.Task(
        decay,
        th.Data((t[:, None], y)),
        optimizer=th.optim.levenberg_marquardt(),
        epochs=20,
        dtype="float64",
    )
    result = th.fit(task)
    exact, _ = scipy.optimize.curve_fit(
        lambda t, a, b, c: a * np.exp(-b * t) + c, t, y, p0=[1.0, 0.3, 0.0]
    )
    np.testing.assert_allclose(result.params, exact, rtol=1e-6)
