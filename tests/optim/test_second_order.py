"""Newton, Gauss-Newton and Levenberg-Marquardt against SciPy and optimistix."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import optimistix
import pytest
import scipy.optimize

from thetahat import optim, risk
from thetahat.core import ConfigError
from thetahat.models import MLP
from thetahat.optim import StackedResiduals

SECOND = [optim.gauss_newton, optim.levenberg_marquardt]


def steps(optimizer, params, residual_fn, n, penalty=None, state=None):
    """Run ``n`` steps in one scan; returns params, state and the objective before each."""

    def objective(p):
        beside = 0.0 if penalty is None else penalty(p)
        return jnp.sum(residual_fn(p) ** 2) + beside

    def step(carry, _):
        params, state = carry
        value, gradient = jax.value_and_grad(objective)(params)
        updates, state = optimizer.update(
            gradient,
            state,
            params,
            value=value,
            grad=gradient,
            value_fn=objective,
            residual_fn=residual_fn,
        )
        return (optax.apply_updates(params, updates), state), value

    start = (params, optimizer.init(params) if state is None else state)
    (params, state), values = jax.jit(lambda c: jax.lax.scan(step, c, None, length=n))(start)
    return params, state, values


def regression(n, p, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, p)), rng.normal(size=n)


# --- one step of a linear problem ---------------------------------------------------------------


@pytest.mark.parametrize(("n", "p"), [(30, 4), (6, 15)])
def test_gauss_newton_solves_least_squares_in_one_step(n, p):
    x, y = regression(n, p)
    start = np.linspace(-1, 1, p)
    with jax.enable_x64(True):
        f = lambda t: (jnp.asarray(x) @ t - y) / np.sqrt(n)  # noqa: E731
        got = steps(optim.gauss_newton(), jnp.asarray(start), f, 1)[0]
    nearest = start + np.linalg.pinv(x) @ (y - x @ start)  # least squares, of least distance
    np.testing.assert_allclose(got, nearest, rtol=1e-8, atol=1e-10)


def test_newton_minimises_a_quadratic_in_one_step_and_damping_shortens_it():
    h, b = np.array([[3.0, 1.0], [1.0, 2.0]]), np.array([1.0, -2.0])
    objective = lambda t: t @ h @ t / 2 - b @ t  # noqa: E731
    with jax.enable_x64(True):
        for damping in (0.0, 0.5):
            newton, t = optim.newton(damping=damping), jnp.zeros(2)
            update, _ = newton.update(jax.grad(objective)(t), newton.init(t), t, value_fn=objective)
            np.testing.assert_allclose(
                update, np.linalg.solve(h + damping * np.eye(2), b), rtol=1e-12
            )


def test_newton_is_scipys_logistic_estimate():
    x, u = regression(200, 3)
    y = (u + x[:, 0] > 0).astype(float)
    with jax.enable_x64(True):
        objective = lambda t: jnp.mean(risk.logistic(jnp.asarray(x) @ t, y))  # noqa: E731
        newton, t = optim.newton(), jnp.zeros(3)
        state = newton.init(t)
        for _ in range(7):
            update, state = newton.update(jax.grad(objective)(t), state, t, value_fn=objective)
            t = t + update
        assert float(jnp.linalg.norm(jax.grad(objective)(t))) < 1e-12
    scores = lambda t: x @ t  # noqa: E731
    loss = lambda t: np.mean(np.logaddexp(0, scores(t)) - y * scores(t))  # noqa: E731
    reference = scipy.optimize.minimize(loss, np.zeros(3), tol=1e-12).x
    np.testing.assert_allclose(t, reference, atol=1e-5)


# --- nonlinear problems -------------------------------------------------------------------------

T = np.linspace(0.1, 4, 25)
DECAY = 238.0 * (1 - np.exp(-0.55 * T)) + 0.5 * np.sin(7 * T)


def saturating(p):
    """Two parameters of very different units, as in NIST's Misra1a."""
    t, y = jnp.asarray(T, p.dtype), jnp.asarray(DECAY, p.dtype)
    return p[0] * (1 - jnp.exp(-p[1] * t)) - y


def rosenbrock(p):
    return jnp.array([10 * (p[1] - p[0] ** 2), 1 - p[0]])


@pytest.mark.parametrize(
    ("residual_fn", "start"),
    [(saturating, [500.0, 0.05]), (saturating, [20.0, 3.0]), (rosenbrock, [-1.2, 1.0])],
)
@pytest.mark.parametrize("make", SECOND)
def test_least_squares_is_scipys(make, residual_fn, start):
    with jax.enable_x64(True):
        got, _, values = steps(make(), jnp.asarray(start), residual_fn, 40)
        reference = scipy.optimize.least_squares(
            lambda p: np.asarray(residual_fn(jnp.asarray(p))), start, method="lm", xtol=1e-14
        )
    np.testing.assert_allclose(got, reference.x, rtol=1e-6)
    assert (np.diff(values) <= 0).all()


def test_levenberg_marquardt_is_optimistixs():
    with jax.enable_x64(True):
        got = steps(optim.levenberg_marquardt(), jnp.array([500.0, 0.05]), saturating, 40)[0]
        reference = optimistix.least_squares(
            lambda p, args: saturating(p),
            optimistix.LevenbergMarquardt(rtol=1e-12, atol=1e-12),
            jnp.array([500.0, 0.05]),
        )
    np.testing.assert_allclose(got, reference.value, rtol=1e-7)


@pytest.mark.parametrize("make", SECOND)
def test_the_units_of_a_parameter_do_not_matter(make):
    scale = np.array([1e-3, 1e4])
    with jax.enable_x64(True):
        plain = steps(make(), jnp.array([500.0, 0.05]), saturating, 6)[0]
        scaled = steps(
            make(), jnp.array([500.0, 0.05]) / scale, lambda p: saturating(p * scale), 6
        )[0]
    np.testing.assert_allclose(np.asarray(scaled) * scale, plain, rtol=1e-6)


@pytest.mark.parametrize("make", SECOND)
def test_float32_comes_near_and_stays(make):
    got, _, values = steps(make(), jnp.array([500.0, 0.05]), saturating, 60)
    with jax.enable_x64(True):
        best = steps(make(), jnp.array([500.0, 0.05]), saturating, 60)[0]
    np.testing.assert_allclose(got, best, rtol=1e-3)
    assert values[-1] <= values[-10]


@pytest.mark.parametrize("make", SECOND)
def test_steps_out_of_the_domain_are_taken_back(make):
    f = lambda p: jnp.sqrt(p) - 0.01  # noqa: E731  NaN below zero, where the first step goes
    with jax.enable_x64(True):
        got, _, values = steps(make(), jnp.array([4.0]), f, 60)
    assert jnp.isfinite(values).all()
    np.testing.assert_allclose(got, [1e-4], rtol=1e-3)


def test_a_dead_parameter_stays_where_it_is():
    got = steps(optim.levenberg_marquardt(), jnp.array([3.0, 7.0]), lambda p: p[:1] ** 2 - 2, 12)[0]
    np.testing.assert_allclose(got, [np.sqrt(2), 7.0], rtol=1e-5)
    f = lambda p: jnp.stack([p[0] ** 2 - 2, p[0] - 1.5, 0 * p[1]])  # noqa: E731
    assert float(steps(optim.gauss_newton(), jnp.array([3.0, 7.0]), f, 5)[0][1]) == 7.0


@pytest.mark.parametrize("n", [40, 3])
def test_a_penalty_moves_the_solution_to_the_ridge(n):
    x, y = regression(n, 6)
    alpha = 0.3
    closed = np.linalg.solve(2 / n * x.T @ x + alpha * np.eye(6), 2 / n * x.T @ y)
    with jax.enable_x64(True):
        f = lambda t: (jnp.asarray(x) @ t - y) / np.sqrt(n)  # noqa: E731
        ridge = risk.ridge(alpha)
        got = steps(optim.levenberg_marquardt(), jnp.ones(6), f, 150, penalty=ridge)[0]
        exact = lambda t: jnp.concatenate([f(t), ridge.residuals(t)])  # noqa: E731
        once = steps(optim.gauss_newton(), jnp.ones(6), exact, 1)[0]
    np.testing.assert_allclose(got, closed, rtol=1e-5)
    np.testing.assert_allclose(once, closed, rtol=1e-8)


# --- inside the engine --------------------------------------------------------------------------


def network(n=12):
    model = MLP(1, width=4, depth=1, activation="tanh")
    xs = jnp.linspace(-1, 1, n)[:, None]
    ys = jnp.sin(3 * xs[:, 0])
    weights = jnp.arange(1.0, n + 1)
    scale = jnp.sqrt(weights / weights.sum())
    stacked = StackedResiduals(lambda p, z: (model.apply(p, z[0]) - z[1])[None], (xs, ys), scale)
    return model, stacked


@pytest.mark.parametrize("beside", [None, risk.ridge(0.1).residuals])
def test_stacked_residuals_have_their_own_jacobian(beside):
    model, stacked = network()
    stacked = StackedResiduals(stacked.one, stacked.batch, stacked.scale, beside)
    params = model.init(jax.random.key(0))
    theta, unravel = jax.flatten_util.ravel_pytree(params)
    reference = jax.jacfwd(lambda t: stacked(unravel(t)))(theta)
    np.testing.assert_allclose(stacked.jacobian(params), reference, atol=1e-6)
    alike = StackedResiduals(stacked.one, stacked.batch, jnp.array(0.5), beside)
    reference = jax.jacfwd(lambda t: alike(unravel(t)))(theta)
    np.testing.assert_allclose(alike.jacobian(params), reference, atol=1e-6)
    h = lambda z: model.apply(params, z[0]) - z[1]  # noqa: E731
    total = sum(
        s**2 * h(z) ** 2
        for s, z in zip(stacked.scale, zip(*stacked.batch, strict=True), strict=True)
    )
    expected = total + (0.0 if beside is None else jnp.sum(beside(params) ** 2))
    assert float(jnp.sum(stacked(params) ** 2)) == pytest.approx(float(expected), rel=1e-5)


@pytest.mark.parametrize("n", [30, 6])
def test_members_of_a_vmap_are_the_same_fits_alone(n):
    with jax.enable_x64(True):
        model, stacked = network(n)

        @jax.jit
        def fit(key):
            return steps(optim.levenberg_marquardt(), model.init(key), stacked, 8)[2]

        keys = jax.random.split(jax.random.key(2), 3)
        together = jax.vmap(fit)(keys)
        for key, values in zip(keys, together, strict=True):
            np.testing.assert_allclose(values, fit(key), rtol=1e-6, atol=1e-12)
        assert (together[:, -1] < 0.25 * together[:, 0]).all()


def test_state_is_arrays_and_n_steps_are_k_and_n_minus_k():
    model, stacked = network()
    params = model.init(jax.random.key(1))
    lm = optim.levenberg_marquardt()
    whole, _, values = steps(lm, params, stacked, 9)
    part, state, first = steps(lm, params, stacked, 4)
    assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(state))
    rest, _, second = steps(lm, part, stacked, 5, state=state)
    np.testing.assert_array_equal(jnp.concatenate([first, second]), values)
    for a, b in zip(jax.tree.leaves(whole), jax.tree.leaves(rest), strict=True):
        np.testing.assert_array_equal(a, b)


# --- messages -----------------------------------------------------------------------------------


def call(optimizer, p=2, **extra):
    params = jnp.zeros(p)
    return optimizer.update(params, optimizer.init(params), params, **extra)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: call(optim.levenberg_marquardt(), value_fn=jnp.sum),
            'levenberg_marquardt needs loss="squared", whose residuals it linearises; for another'
            ' loss use optimizer="lbfgs" or "newton"',
        ),
        (
            lambda: call(optim.gauss_newton(), residual_fn=lambda p: p),
            "gauss_newton needs params and value_fn=..., the objective of the params",
        ),
        (
            lambda: call(optim.newton()),
            "newton needs params and value_fn=..., the objective of the params",
        ),
        (
            lambda: optim.newton().init(jnp.zeros(17_025)),
            "newton solves a dense system of 17,025 parameters; the limit is 5,000:"
            ' use optimizer="lbfgs"',
        ),
        (
            lambda: call(optim.gauss_newton(), p=6_000, value_fn=jnp.sum, residual_fn=lambda p: p),
            "gauss_newton solves a dense system of 6,000 equations (the fewer of residuals"
            ' and parameters); the limit is 5,000: use optimizer="lbfgs"',
        ),
        (
            lambda: optim.levenberg_marquardt(damping=0.0),
            "levenberg_marquardt(damping=0.0); give a number above 0",
        ),
        (
            lambda: optim.levenberg_marquardt(factor=1.0),
            "levenberg_marquardt(factor=1.0); give a number above 1",
        ),
    ],
)
def test_messages(make, message):
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        make()
