"""Losses against their formulas and against scikit-learn, SciPy and optax."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given, settings, strategies as st
from scipy import special
from sklearn.metrics import log_loss, mean_pinball_loss

from thetahat import risk
from thetahat.core import ConfigError, ShapeError, choices
from thetahat.risk import _losses  # the table of functions is private

RESIDUALS = np.linspace(-3, 3, 25).astype(np.float32)


def test_losses_of_residuals_are_their_formulas():
    r = jnp.asarray(RESIDUALS)
    np.testing.assert_allclose(risk.squared(r), RESIDUALS**2)
    np.testing.assert_allclose(risk.absolute(r), np.abs(RESIDUALS))
    np.testing.assert_allclose(risk.huber(0.7)(r), special.huber(0.7, RESIDUALS), rtol=1e-5)
    np.testing.assert_allclose(risk.huber()(r), optax.huber_loss(r, delta=1.0), rtol=1e-5)


@pytest.mark.parametrize("tau", [0.1, 0.5, 0.9])
def test_pinball_is_scikit_learns_and_its_minimiser_the_quantile(tau):
    y = np.random.default_rng(0).normal(size=401)
    at = lambda q: float(jnp.mean(risk.pinball(tau)(q - jnp.asarray(y))))  # noqa: E731
    assert at(0.3) == pytest.approx(mean_pinball_loss(y, np.full_like(y, 0.3), alpha=tau), rel=1e-5)
    grid = np.quantile(y, tau) + np.linspace(-0.5, 0.5, 41)
    assert abs(grid[np.argmin([at(q) for q in grid])] - np.quantile(y, tau)) < 0.03


def test_logistic_is_scikit_learns_log_loss_and_does_not_overflow():
    scores, y = np.array([-2.0, 0.3, 1.5, -0.4]), np.array([0, 1, 1, 1])
    got = jnp.mean(risk.logistic(jnp.asarray(scores), jnp.asarray(y)))
    assert float(got) == pytest.approx(log_loss(y, special.expit(scores)), rel=1e-5)
    assert float(risk.logistic(jnp.array(1e4), 0)) == 1e4
    assert float(risk.logistic(jnp.array(-1e4), 0)) == 0.0


def test_cross_entropy_takes_classes_and_one_hot():
    logits = np.random.default_rng(1).normal(size=(5, 3)).astype(np.float32)
    labels = np.array([0, 2, 1, 1, 0])
    got = [float(risk.cross_entropy(s, y)) for s, y in zip(logits, labels, strict=True)]
    assert np.mean(got) == pytest.approx(
        log_loss(labels, special.softmax(logits, axis=1)), rel=1e-5
    )
    hot = [float(risk.cross_entropy(s, np.eye(3)[y])) for s, y in zip(logits, labels, strict=True)]
    np.testing.assert_allclose(hot, got, rtol=1e-5)


@settings(max_examples=40, deadline=None)
@given(r=st.floats(-50, 50, width=32), tau=st.floats(0.01, 0.99), delta=st.floats(0.1, 5))
def test_losses_are_nonnegative_and_zero_at_zero(r, tau, delta):
    for loss in (risk.resolve_loss("squared"), risk.pinball(tau), risk.huber(delta)):
        assert float(loss(jnp.array(r))) >= 0
        assert float(loss(jnp.array(0.0))) == 0


def test_parameters_of_losses_may_be_traced():
    values = jax.jit(jax.vmap(lambda t: risk.pinball(t)(jnp.array(-2.0))))(jnp.array([0.25, 0.5]))
    np.testing.assert_allclose(values, [0.5, 1.0])
    values = jax.jit(lambda d: risk.huber(d)(jnp.array(3.0)))(1.0)
    assert float(values) == 2.5


@pytest.mark.parametrize("name", risk.LOSSES)
def test_names_resolve_and_a_loss_resolves_to_itself(name):
    loss = risk.resolve_loss(name)
    assert loss.name == name
    assert risk.resolve_loss(loss) is loss
    assert loss.of in (risk.RESIDUAL, risk.PREDICTION)
    assert risk.resolve_loss(getattr(risk, name)).name == name


OF_RESIDUALS = [n for n in risk.LOSSES if risk.resolve_loss(n).of == risk.RESIDUAL]


@pytest.mark.parametrize("name", OF_RESIDUALS)
def test_the_gradient_of_a_loss_lies_between_its_slopes_on_both_sides(name):
    """At zero and where two formulas meet too: half a slope, or NaN, is wrong there."""
    loss, h = risk.resolve_loss(name), 2.0**-10
    at = jnp.array([-1e4, -3.0, -1.0, -0.5, -1e-6, 0.0, 1e-6, 0.5, 1.0, 3.0, 1e4])
    slope = jax.vmap(jax.grad(loss))(at)
    left, right = (np.asarray(loss(at) - loss(at - h)) / h, np.asarray(loss(at + h) - loss(at)) / h)
    near = 2 * h + 1e-4 * np.abs(slope) + 1e-3 * np.abs(np.asarray(loss(at)))  # of rounding
    assert (np.minimum(left, right) - near <= slope).all(), slope
    assert (slope <= np.maximum(left, right) + near).all(), slope


def test_the_list_of_losses_names_those_that_have_a_function():
    assert set(choices.LOSSES) == set(_losses._NAMED), "core/choices.py and risk/_losses.py"


def test_a_users_function_is_a_loss_of_a_residual():
    loss = risk.resolve_loss(lambda r: r**4)
    assert loss.of == "residual"
    assert float(loss(2.0)) == 16.0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: risk.resolve_loss("pinbal"),
            "loss='pinbal' is unknown; did you mean 'pinball'?",
        ),
        (
            lambda: risk.resolve_loss(None),
            "loss=None is not a loss; give a function of a residual, or one of "
            + ", ".join(risk.LOSSES),
        ),
        (
            lambda: risk.pinball(1.0),
            "pinball(tau=1.0); give a tau between 0 and 1, such as tau=0.5",
        ),
        (lambda: risk.huber(0.0), "huber(delta=0.0); give a delta above 0, such as delta=1.0"),
        (
            lambda: risk.huber(float("nan")),
            "huber(delta=nan); give a delta above 0, such as delta=1.0",
        ),
        (
            lambda: risk.ridge(-1.0),
            "ridge(alpha=-1.0); give an alpha of at least 0, such as alpha=1e-3",
        ),
    ],
)
def test_losses_that_do_not_exist(make, message):
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        make()


@pytest.mark.parametrize(
    ("logits", "label", "message"),
    [
        (
            jnp.array(0.3),
            1,
            "cross_entropy needs logits h(x) of shape (k,), one per class; got shape ()."
            ' Use MLP(..., out=k), or loss="logistic" for two classes.',
        ),
        (
            jnp.zeros(3),
            jnp.zeros(2),
            "cross_entropy needs y to be an integer class of shape () or one-hot of shape (3,);"
            " got float32 of shape (2,)",
        ),
    ],
)
def test_cross_entropy_names_the_shapes(logits, label, message):
    with pytest.raises(ShapeError, match=f"^{re.escape(message)}$"):
        risk.cross_entropy(logits, label)


# --- means and penalties --------------------------------------------------------------------------


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.floats(-10, 10), st.integers(1, 4)), min_size=1, max_size=8))
def test_integer_weights_are_repetitions(rows):
    values, weights = np.array([v for v, _ in rows]), np.array([w for _, w in rows])
    got = risk.weighted_mean(jnp.asarray(values), jnp.asarray(weights, jnp.float32))
    assert float(got) == pytest.approx(np.repeat(values, weights).mean(), abs=1e-4)


def test_weight_zero_counts_for_nothing():
    v = jnp.array([1.0, jnp.nan, 3.0])
    assert float(risk.weighted_mean(v, jnp.array([1.0, 0.0, 1.0]))) == 2.0
    assert jnp.isnan(risk.weighted_mean(v, jnp.ones(3)))
    assert float(risk.weighted_mean(jnp.array([1.0, 2.0]))) == 1.5


def test_ridge_is_half_alpha_times_the_square_and_its_residuals_square_to_it():
    params = {"layers": [{"kernel": jnp.array([[1.0, 2.0]]), "bias": jnp.array([3.0])}]}
    penalty = risk.ridge(0.4)
    assert float(penalty(params)) == pytest.approx(0.2 * 14)
    assert float(jnp.sum(penalty.residuals(params) ** 2)) == pytest.approx(0.2 * 14)
    np.testing.assert_allclose(
        jax.grad(penalty)(params)["layers"][0]["kernel"], [[0.4, 0.8]], rtol=1e-6
    )
    assert float(risk.ridge(0.4, skip="bias")(params)) == pytest.approx(0.2 * 5)
    assert float(risk.lasso(0.5, skip=("bias",))(params)) == pytest.approx(1.5)
    assert float(jax.jit(lambda a: risk.ridge(a)(params))(0.4)) == pytest.approx(0.2 * 14)


def test_a_compiled_cross_entropy_is_never_below_zero() -> None:
    logits = np.random.default_rng(0).normal(size=(4000, 3)).astype("float32") * 40
    label = logits.argmax(1)
    both = jax.jit(jax.vmap(jax.value_and_grad(risk.cross_entropy)))
    values, slopes = both(logits, label)
    assert (np.asarray(values) >= 0).all()
    chances = np.exp(logits - logits.max(1, keepdims=True))
    chances /= chances.sum(1, keepdims=True)
    np.testing.assert_allclose(slopes, chances - np.eye(3)[label], atol=1e-6)
