"""Least squares, ridge, polynomials and the recursions of optimizers, through ``th.fit``."""

from __future__ import annotations

import numpy as np
import optax
import pytest
from sklearn.linear_model import LinearRegression, Ridge

import thetahat as th

STANDARD_PROGRAMS = True


def regression(n=40, d=3, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, d)) * np.array([1.0, 3.0, 0.5, 2.0])[np.arange(d) % 4]
    return x, 0.7 + x @ rng.normal(size=d) + 0.3 * rng.normal(size=n)


def fitted(x, y, *, weight=None, model=None, **fields):
    """A linear model in double precision."""
    fields = {"dtype": "float64", "epochs": 30, **fields}
    model = th.models.Linear(x.shape[1]) if model is None else model
    return th.fit(th.Task(model, th.Data(th.Observations(x, y, weight)), **fields))


def stacked(result):
    """(bias, kernel) as one vector."""
    return np.append(result.params["bias"], result.params["kernel"])


def with_ones(x):
    return np.column_stack([np.ones(len(x)), x])


# --- the minimum ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("optimizer", "epochs"),
    [
        (th.optim.lbfgs(), 40),
        (th.optim.newton(), 1),
        (th.optim.gauss_newton(), 1),
        (th.optim.levenberg_marquardt(), 6),
    ],
    ids=["lbfgs", "newton", "gauss_newton", "lm"],
)
def test_least_squares(optimizer, epochs):
    x, y = regression()
    result = fitted(x, y, optimizer=optimizer, epochs=epochs)
    ols = np.linalg.lstsq(with_ones(x), y)[0]
    np.testing.assert_allclose(stacked(result), ols, rtol=1e-8)
    assert result.risk["train"] == pytest.approx(np.mean((y - with_ones(x) @ ols) ** 2), rel=1e-10)


def test_weighted_least_squares():
    x, y = regression()
    weight = np.random.default_rng(1).exponential(size=len(y))
    weight[:5] = 0
    result = fitted(x, y, weight=weight, optimizer=th.optim.newton(), epochs=1)
    wls = LinearRegression().fit(x, y, sample_weight=weight)
    np.testing.assert_allclose(stacked(result), [wls.intercept_, *wls.coef_], rtol=1e-8)
    squares = (y - wls.predict(x)) ** 2
    assert result.risk["train"] == pytest.approx(np.average(squares, weights=weight), rel=1e-10)


def test_several_outcomes_are_as_many_regressions():
    x, y = regression()
    both = np.column_stack([y, x[:, 0] - y**2])
    model = th.models.Linear(3, out=2)
    result = fitted(x, both, model=model, optimizer=th.optim.gauss_newton(), epochs=1)
    ols = np.linalg.lstsq(with_ones(x), both)[0]
    np.testing.assert_allclose(result.params["bias"], ols[0], rtol=1e-8)
    np.testing.assert_allclose(result.params["kernel"], ols[1:], rtol=1e-8)
    residuals = both - with_ones(x) @ ols
    assert result.risk["train"] == pytest.approx(np.mean(residuals**2), rel=1e-10)


@pytest.mark.parametrize("weighted", [False, True])
def test_ridge(weighted):
    x, y = regression()
    weight = np.random.default_rng(1).exponential(size=len(y)) if weighted else None
    if weighted:
        weight[:10] = 0  # these count for nothing, in the penalty neither
    alpha = 0.3
    fields = {"weight": weight, "penalty": th.ridge(alpha, skip="bias")}
    result = fitted(x, y, optimizer=th.optim.newton(), epochs=1, **fields)
    total = len(y) if weight is None else weight.sum()
    ridge = Ridge(alpha * total / 2).fit(x, y, sample_weight=weight)
    np.testing.assert_allclose(stacked(result), [ridge.intercept_, *ridge.coef_], rtol=1e-6)
    # The penalty is no part of the risk.
    risk = np.average((y - ridge.predict(x)) ** 2, weights=weight)
    assert result.risk["train"] == pytest.approx(risk, rel=1e-6)


def test_decayed_weights_are_the_ridge_of_every_parameter():
    x, y = regression(d=2)
    decay = optax.chain(optax.add_decayed_weights(0.3), optax.sgd(0.05))
    result = fitted(x, y, optimizer=decay, epochs=400)
    X = with_ones(x)
    closed = np.linalg.solve(2 / len(y) * X.T @ X + 0.3 * np.eye(3), 2 / len(y) * X.T @ y)
    np.testing.assert_allclose(stacked(result), closed, rtol=1e-6)


@pytest.mark.parametrize(
    ("optimizer", "epochs"),
    [(optax.sgd(0.02), 4000), (th.optim.levenberg_marquardt(), 8)],
    ids=["sgd", "lm"],
)
def test_with_more_parameters_than_observations_the_nearest_solution_is_found(optimizer, epochs):
    x, y = regression(n=5, d=12)
    start = np.linspace(-1, 1, 12)
    nearest = start + np.linalg.pinv(x) @ (y - x @ start)
    for theta, there in ((np.zeros(12), np.linalg.pinv(x) @ y), (start, nearest)):
        pair = (lambda key, theta=theta: theta, lambda p, z: z @ p)
        result = fitted(x, y, model=pair, optimizer=optimizer, epochs=epochs)
        np.testing.assert_allclose(result.params, there, atol=1e-7)
        assert result.risk["train"] < 1e-14


@pytest.mark.parametrize(
    ("basis", "numpys"),
    [
        ("monomial", np.polynomial.Polynomial),
        ("chebyshev", np.polynomial.Chebyshev),
        ("legendre", np.polynomial.Legendre),
    ],
)
def test_polynomials_are_numpys_fits(basis, numpys):
    rng = np.random.default_rng(2)
    x = rng.uniform(0, 4, 50)
    y = np.sin(2 * x) + 0.1 * rng.normal(size=50)
    model = th.models.Polynomial(6, basis, domain=(0.0, 4.0))
    result = fitted(x[:, None], y, model=model, optimizer=th.optim.newton(), epochs=2)
    series = numpys.fit(x, y, 6, domain=[0.0, 4.0])
    np.testing.assert_allclose(result.params["coefficients"], series.coef, rtol=1e-7)
    np.testing.assert_allclose(result.predict(x[:, None]), series(x), rtol=1e-7)


# --- the way there --------------------------------------------------------------------------------


def descent(lr: float = 0.05, alpha: float = 0.0, momentum: float = 0.0) -> th.Task:
    """Weighted least squares with a ridge penalty, from zero, by gradient descent."""
    x, y = regression(d=2)
    weight = np.linspace(0.5, 2.0, len(y))
    return th.Task(
        th.models.Linear(2, start="zeros"),
        th.Data(th.Observations(x, y, weight)),
        penalty=th.ridge(alpha),
        optimizer=optax.sgd(lr, momentum=momentum),
        epochs=37,
        dtype="float64",
    )


def test_the_whole_path_of_gradient_descent_is_the_matrix_power():
    x, y = regression(d=2)
    X, w = with_ones(x), np.linspace(0.5, 2.0, len(y)) / np.linspace(0.5, 2.0, len(y)).sum()
    rates = [{}, {"lr": 0.02, "alpha": 0.5}, {"momentum": 0.8}]
    for result in th.fit_many(descent, rates):
        lr, alpha, momentum = (result.config[k] for k in ("lr", "alpha", "momentum"))
        hessian = 2 * (X.T * w) @ X + alpha * np.eye(3)
        best = np.linalg.solve(hessian, 2 * (X.T * w) @ y)
        # (theta, velocity) after t steps: a linear map, t times.
        map_ = np.block(
            [
                [np.eye(3) - lr * hessian, -lr * momentum * np.eye(3)],
                [hessian, momentum * np.eye(3)],
            ]
        )
        theta = [
            best + (np.linalg.matrix_power(map_, t) @ np.append(-best, np.zeros(3)))[:3]
            for t in range(38)
        ]
        np.testing.assert_allclose(stacked(result), theta[-1], rtol=1e-9)
        assert np.abs(theta[-1] - best).max() > 1e-3  # it had not arrived
        # The record of an epoch is the risk before its step; the Result's is after the last.
        risks = [w @ (y - X @ t) ** 2 for t in theta]
        np.testing.assert_allclose(result.history["train_risk"], risks[:-1], rtol=1e-9)
        assert result.risk["train"] == pytest.approx(risks[-1], rel=1e-9)


def adam(lr, b1=0.9, b2=0.999, eps=1e-8):
    m = v = t = 0

    def step(g):
        nonlocal m, v, t
        t, m, v = t + 1, b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
        return -lr * (m / (1 - b1**t)) / (np.sqrt(v / (1 - b2**t)) + eps)

    return step


def momentum(lr, beta=0.9):
    v = 0

    def step(g):
        nonlocal v
        v = beta * v + g
        return -lr * v

    return step


def rmsprop(lr, decay=0.9, eps=1e-8):
    v = 0

    def step(g):
        nonlocal v
        v = decay * v + (1 - decay) * g**2
        return -lr * g / np.sqrt(v + eps)

    return step


@pytest.mark.parametrize(
    ("given", "by_hand"),
    [
        ("adam", adam(1e-3)),
        (th.optim.named("momentum", lr=0.02), momentum(0.02)),
        (th.optim.named("rmsprop", lr=0.02), rmsprop(0.02)),
    ],
    ids=["adam", "momentum", "rmsprop"],
)
def test_minibatch_steps_are_the_published_recursions(given, by_hand):
    x, y = regression(n=22, d=2)
    X, theta = with_ones(x), np.zeros(3)
    model = th.models.Linear(2, start="zeros")
    fields = {"epochs": 5, "batch_size": 8, "sampling": "sequential"}
    result = fitted(x, y, model=model, optimizer=given, **fields)
    risks = []
    for _ in range(5):
        total = 0.0
        for rows in (slice(0, 8), slice(8, 16), slice(16, 22)):
            residuals = X[rows] @ theta - y[rows]
            total += np.sum(residuals**2)
            # Each observation weighs 1/8, the six of the last batch too.
            theta = theta + by_hand(2 * X[rows].T @ residuals / 8)
        risks.append(total / 22)
    np.testing.assert_allclose(stacked(result), theta, rtol=1e-9)
    np.testing.assert_allclose(result.history["train_risk"], risks, rtol=1e-9)
