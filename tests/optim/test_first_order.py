"""Descent against closed forms and the reference numbers."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from sklearn.linear_model import Ridge

from thetahat import optim, risk
from thetahat.core import ConfigError, ShapeError


def iterations(optimizer, hessian, start=(0.9, 0.0), tol=1e-6, most=10_000):
    """Steps until the iterate of x'Hx / 2 is within ``tol`` of the minimum at zero."""
    objective = lambda x: x @ hessian @ x / 2  # noqa: E731

    def step(carry):
        n, x, state = carry
        updates, state = optimizer.update(jax.grad(objective)(x), state, x, value_fn=objective)
        return n + 1, x + updates, state

    def far(carry):
        return (jnp.linalg.norm(carry[1]) >= tol) & (carry[0] < most)

    x = jnp.asarray(start)
    return int(jax.lax.while_loop(far, step, (0, x, optimizer.init(x)))[0])


def quadratic(k, turn):
    """Eigenvalues 1 and 1/k, turned by an angle."""
    c, s = np.cos(turn), np.sin(turn)
    q = np.array([[c, -s], [s, c]])
    return q @ np.diag([1.0, 1 / k]) @ q.T


@pytest.mark.parametrize(("k", "steps"), [(2, 46), (10, 254), (100, 2597)])
def test_gradient_descent_takes_the_reference_number_of_steps(k, steps):
    with jax.enable_x64(True):
        hessian = jnp.asarray(quadratic(k, np.pi / 6))
        assert iterations(optim.named("sgd", lr=0.5), hessian) == steps
        assert iterations(optim.preconditioned(jnp.eye(2), lr=0.5), hessian) == steps


@pytest.mark.parametrize(("turn", "steps"), [(np.pi / 6, 1042), (np.pi / 4, 1344)])
def test_diagonal_preconditioning_takes_the_reference_number_of_steps(turn, steps):
    with jax.enable_x64(True):
        hessian = jnp.asarray(quadratic(100, turn))
        assert iterations(optim.preconditioned(1 / jnp.diag(hessian), lr=0.5), hessian) == steps


def test_the_hessian_is_the_best_preconditioner():
    with jax.enable_x64(True):
        hessian = jnp.asarray(quadratic(100, np.pi / 6))
        assert iterations(optim.preconditioned(jnp.linalg.inv(hessian), lr=1.0), hessian) == 1


# --- least squares --------------------------------------------------------------------------------


def regression(n, d, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, d))
    return x, x @ rng.normal(size=d) + 0.1 * rng.normal(size=n)


def descend(optimizer, objective, theta, steps):
    def step(carry, _):
        theta, state = carry
        value, gradient = jax.value_and_grad(objective)(theta)
        updates, state = optimizer.update(
            gradient, state, theta, value=value, grad=gradient, value_fn=objective
        )
        return (optax.apply_updates(theta, updates), state), value

    return jax.lax.scan(step, (theta, optimizer.init(theta)), None, length=steps)[0][0]


def test_gradient_descent_is_the_matrix_power():
    x, y = regression(50, 4)
    with jax.enable_x64(True):
        got = descend(
            optim.named("sgd", lr=0.05),
            lambda t: jnp.mean((jnp.asarray(x) @ t - y) ** 2),
            jnp.ones(4),
            37,
        )
    best = np.linalg.lstsq(x, y, rcond=None)[0]
    contraction = np.eye(4) - 0.05 * 2 / 50 * x.T @ x
    expected = best + np.linalg.matrix_power(contraction, 37) @ (np.ones(4) - best)
    np.testing.assert_allclose(got, expected, rtol=1e-10)
    assert np.abs(expected - best).max() > 1e-4  # it had not converged


def test_overparameterised_descent_from_zero_is_the_pseudo_inverse():
    x, y = regression(5, 12)
    with jax.enable_x64(True):
        got = descend(
            optim.named("sgd", lr=0.1),
            lambda t: jnp.mean((jnp.asarray(x) @ t - y) ** 2),
            jnp.zeros(12),
            3000,
        )
    np.testing.assert_allclose(got, np.linalg.pinv(x) @ y, atol=1e-8)


@pytest.mark.parametrize("how", ["penalty", "weight decay"])
def test_weight_decay_is_ridge(how):
    x, y = regression(40, 3)
    alpha = 0.7
    mse = lambda t: jnp.mean((jnp.asarray(x) @ t - y) ** 2)  # noqa: E731
    with jax.enable_x64(True):
        if how == "penalty":
            penalty = risk.ridge(alpha)
            objective, optimizer = lambda t: mse(t) + penalty(t), optim.named("sgd", lr=0.1)
        else:
            decay = optax.add_decayed_weights(alpha)
            objective, optimizer = mse, optax.chain(decay, optax.sgd(0.1))
        got = descend(optimizer, objective, jnp.zeros(3), 500)
    closed = np.linalg.solve(2 / 40 * x.T @ x + alpha * np.eye(3), 2 / 40 * x.T @ y)
    np.testing.assert_allclose(got, closed, rtol=1e-10)
    sklearn = Ridge(alpha=alpha * 40 / 2, fit_intercept=False).fit(x, y)
    np.testing.assert_allclose(closed, sklearn.coef_, rtol=1e-10)


def test_lbfgs_is_ordinary_least_squares():
    x, y = regression(60, 5)
    with jax.enable_x64(True):
        got = descend(
            optim.resolve("lbfgs"),
            lambda t: jnp.mean((jnp.asarray(x) @ t - y) ** 2),
            jnp.zeros(5),
            30,
        )
    np.testing.assert_allclose(got, np.linalg.lstsq(x, y, rcond=None)[0], rtol=1e-7)


# --- Nesterov -------------------------------------------------------------------------------------


@pytest.mark.parametrize("schedule", [False, True])
def test_nesterov_is_the_lectures_recursion(schedule):
    hessian = quadratic(10, np.pi / 6)
    eta = (lambda t: 0.3 / (1 + t)) if schedule else (lambda t: 0.3)
    lr = (lambda count: 0.3 / (1 + count)) if schedule else 0.3
    with jax.enable_x64(True):
        got = descend(
            optim.nesterov(lr, beta=0.8),
            lambda x: x @ jnp.asarray(hessian) @ x / 2,
            jnp.array([0.9, 0.2]),
            25,
        )
    before = now = np.array([0.9, 0.2])
    for t in range(25):
        ahead = now + 0.8 * (now - before)
        before, now = now, ahead - eta(t) * hessian @ ahead
    np.testing.assert_allclose(got, now, rtol=1e-12)


def test_nesterov_uses_no_gradient_but_its_own():
    optimizer = optim.nesterov(0.1)
    x = {"a": jnp.array([1.0, 2.0]), "b": jnp.array(3.0)}
    square = lambda p: jnp.sum(p["a"] ** 2) + p["b"] ** 2  # noqa: E731
    useless = jax.tree.map(lambda leaf: leaf * jnp.nan, x)
    updates, state = optimizer.update(useless, optimizer.init(x), x, value_fn=square)
    np.testing.assert_allclose(updates["a"], [-0.2, -0.4], rtol=1e-6)
    assert float(state.learning_rate) == pytest.approx(0.1)


def test_many_rates_in_one_program():
    def fit(lr, beta):
        return descend(optim.nesterov(lr, beta), lambda x: jnp.sum(x**2), jnp.ones(2), 5)

    rates = jnp.array([0.01, 0.1])
    got = jax.jit(jax.vmap(fit))(rates, jnp.array([0.5, 0.9]))
    for n, (lr, beta) in enumerate([(0.01, 0.5), (0.1, 0.9)]):
        np.testing.assert_allclose(got[n], fit(lr, beta), rtol=1e-5)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (
            lambda: optim.nesterov(float("nan")),
            ConfigError,
            "nesterov: lr=nan; give a positive, finite number, such as lr=0.01",
        ),
        (
            lambda: optim.preconditioned(jnp.ones(2), lr=0.0),
            ConfigError,
            "preconditioned: lr=0.0; give a positive, finite number, such as lr=0.01",
        ),
        (
            lambda: optim.preconditioned(jnp.ones((2, 3)), lr=0.1).init(jnp.zeros(3)),
            ShapeError,
            "C has shape (2, 3); with 3 parameters give (3, 3) or (3,)",
        ),
        (
            lambda: optim.nesterov(0.1).update(
                jnp.ones(1), optim.nesterov(0.1).init(jnp.ones(1)), jnp.ones(1)
            ),
            ConfigError,
            "nesterov needs params and value_fn=..., the objective of the params",
        ),
    ],
)
def test_messages(make, error, message):
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        make()
