"""The linear regressions of examples/ against the closed forms of least squares and descent."""

from __future__ import annotations

import numpy as np
import pytest

import thetahat as th


def sample(result):
    """x, y and theta of the draw that the example made, in double precision."""
    config = result.config
    draw = th.dgp.linear(config["N"], config["M"], config["sigma"], seed=config["seed"])
    return (np.asarray(a, np.float64) for a in (draw.x, draw.y, draw.theta))


def error_of_ols(result):
    """||theta_ols - theta||."""
    x, y, theta = sample(result)
    return np.linalg.norm(np.linalg.lstsq(x, y)[0] - theta)


@pytest.mark.parametrize(("lr", "epochs"), [(0.05, 1), (0.05, 40), (0.3, 7)])
def test_gradient_descent_is_the_matrix_power(example, path, lr, epochs):
    result = th.fit(example("linear_regression_gd").linear_regression_gd, lr=lr, epochs=epochs)
    x, y, theta = sample(result)
    there = path(x, y, np.zeros(2), lr, epochs)
    np.testing.assert_allclose(result.params["kernel"], there, rtol=1e-5, atol=1e-6)
    expected = np.linalg.norm(there - theta)
    assert result.metrics["distance"] == pytest.approx(expected, rel=1e-4, abs=1e-6)


def test_gradient_descent_ends_at_the_error_of_least_squares(example):
    result = th.fit(example("linear_regression_gd").linear_regression_gd)
    # 0.9 ** 200 = 7e-10 of the start is left; single precision resolves 1e-6.
    assert result.metrics["distance"] == pytest.approx(error_of_ols(result), abs=1e-6)
    assert result.epochs == 200


def test_stochastic_gradient_descent_comes_as_near(example):
    result = th.fit(example("linear_regression_sgd").linear_regression_sgd)
    # N ||error of least squares||^2 / sigma^2 is about chi^2 with M = 2 degrees of freedom, which
    # exceeds 50 once in 10**10; what the start leaves, (1 - 2 lr)^(201 N / B) = 3e-6, is less.
    bound = 5 * result.config["sigma"] * np.sqrt(2 / 500)
    assert result.metrics["distance"] < bound
    assert result.history["epoch"][-1] == 201


def test_every_observation_of_an_epoch_weighs_the_same(example, path):
    """With a small rate, an epoch of minibatches is N / B steps of gradient descent."""
    result = th.fit(example("linear_regression_sgd").linear_regression_sgd, epochs=20)
    x, y, _ = sample(result)
    start = np.asarray(th.models.adapt(result.task.model, 42).params["kernel"], np.float64)
    there = path(x, y, start, 1e-3, 20 * 500 / 16)
    # The two differ by the order of the batches, to second order in lr: below one percent here.
    assert np.linalg.norm(result.params["kernel"] - there) < 0.01 * np.linalg.norm(start - there)


def test_a_falling_rate_reaches_least_squares_and_a_constant_one_does_not(example):
    module = example("linear_regression_residual")
    falling, constant = (
        th.fit(module.linear_regression_residual, decay=decay) for decay in (True, False)
    )
    # The stationary cloud of constant-rate SGD has radius about sigma sqrt(lr M / (2 B)) = 0.056;
    # shuffling without replacement makes it smaller, a rate of zero makes it a point.
    assert falling.metrics["distance"] < 2e-3
    assert falling.metrics["distance"] < 0.2 * constant.metrics["distance"]
    rates = falling.history["learning_rate"]
    steps = np.arange(1, 201) * 32 - 1  # the rate of an epoch is that of its last step
    np.testing.assert_allclose(
        rates, 0.025 * (1 + np.cos(np.pi * steps / 6_400)), rtol=1e-4, atol=1e-8
    )


@pytest.mark.parametrize(
    ("name", "kernel"),
    [
        ("linear_regression_nnx", lambda model: model.kernel[:, 0]),
        ("custom_module", lambda model: model.kernel[0]),
        ("linear_regression_equinox", lambda model: model.weight[0]),
    ],
)
def test_modules_are_trained_as_they_are(example, path, name, kernel):
    result = th.fit(getattr(example(name), name))
    x, y, theta = sample(result)
    start = np.asarray(kernel(result.task.model), np.float64)
    steps = result.epochs * 500 / 64
    expected = np.linalg.norm(path(x, y, start, result.config["lr"], steps) - theta)
    # As above: equal up to the order of the batches.
    assert result.metrics["distance"] == pytest.approx(expected, rel=0.02)
    assert type(result.model) is type(result.task.model)
    np.testing.assert_allclose(
        np.linalg.norm(np.asarray(kernel(result.model)) - theta),
        result.metrics["distance"],
        rtol=1e-5,
    )


def test_lbfgs_is_least_squares(example):
    result = th.fit(example("linear_regression_lbfgs").linear_regression_lbfgs)
    x, y, theta = sample(result)
    ols = np.linalg.lstsq(x, y)[0]
    np.testing.assert_allclose(result.params["kernel"][:, 0], ols, rtol=1e-7)
    assert result.metrics["distance"] == pytest.approx(np.linalg.norm(ols - theta), rel=1e-3)
