"""One number per observation, and no broadcast."""

import re
from collections import namedtuple
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from thetahat import risk
from thetahat.core import ConfigError, ShapeError
from thetahat.risk import per_observation, residual_vector, resolve_loss

SQUARED = resolve_loss("squared")
Row = namedtuple("Row", ["x", "y", "weight"])


def value(residual, h, z, loss=SQUARED):
    return per_observation(residual, loss)(h, z)


@pytest.mark.parametrize(
    "z",
    [
        (2.0, 5.0),
        [2.0, 5.0],
        {"x": 2.0, "y": 5.0},
        {"x": 2.0, "y": 5.0, "weight": 9.0},
        Row(2.0, 5.0, 9.0),
        SimpleNamespace(x=2.0, y=5.0, weight=None),
    ],
)
def test_observations_in_every_form(z):
    assert float(value(None, jnp.asarray, z)) == 9.0


@pytest.mark.parametrize(
    ("h", "y", "expected"),
    [((), (), 9.0), ((1,), (), 9.0), ((1,), (1,), 9.0), ((3,), (3,), 9.0), ((3, 1), (3,), 9.0)],
)
def test_equal_shapes_and_a_trailing_axis_of_one(h, y, expected):
    got = value(None, lambda x: jnp.full(h, 5.0), (0.0, jnp.full(y, 2.0)))
    assert got.shape == ()
    assert float(got) == expected


@settings(max_examples=60, deadline=None)
@given(
    h=st.lists(st.integers(1, 3), max_size=3).map(tuple),
    y=st.lists(st.integers(1, 3), max_size=3).map(tuple),
)
def test_any_other_shapes_raise_and_name_both(h, y):
    f = per_observation(None, SQUARED)
    call = lambda: f(lambda x: jnp.ones(h), (0.0, jnp.zeros(y)))  # noqa: E731
    if h in (y, (*y, 1)):
        assert float(call()) == 1.0
    else:
        start = (
            f"h(x) has shape {h} and y has shape {y}; they must be equal, no shape is broadcast."
        )
        with pytest.raises(ShapeError, match=f"^{re.escape(start)} "):
            call()


@pytest.mark.parametrize(
    ("h", "y", "fix"),
    [
        ((3,), (), 'Give the model out="scalar", or a residual that uses all 3 outputs.'),
        ((), (1,), "Give y as (N,), not (N, 1)."),
        ((2,), (3,), "Use a model with out=3, or give a residual."),
        ((2, 2), (), "Give a residual that compares them."),
    ],
)
def test_the_fix_fits_the_mismatch(h, y, fix):
    with pytest.raises(ShapeError, match=f" {re.escape(fix)}$"):
        value(None, lambda x: jnp.ones(h), (0.0, jnp.zeros(y)))


def test_vector_residuals_average_over_components():
    got = value(lambda h, z: jnp.array([1.0, 2.0, 3.0]), None, None)
    assert float(got) == pytest.approx(14 / 3)
    got = value(lambda h, z: jnp.array([1.0, -2.0]), None, None, resolve_loss("absolute"))
    assert float(got) == 1.5


def test_a_users_loss_is_taken_as_it_is():
    r = lambda h, z: jnp.array([1.0, 2.0])  # noqa: E731
    assert float(value(r, None, None, resolve_loss(lambda r: r**4))) == 8.5
    assert float(value(r, None, None, resolve_loss(jnp.max))) == 2.0
    message = (
        "the loss shapes of a residual of shape (2,) has shape (2, 2);"
        " return one number, or one per component"
    )

    def shapes(r):
        return r[:, None] * r[None]

    with pytest.raises(ShapeError, match=f"^{re.escape(message)}$"):
        value(r, None, None, resolve_loss(shapes))


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (
            jnp.ones(1),
            "residual must return a scalar per observation; got shape (1,)."
            ' Use h(x)[0], or MLP(..., out="scalar").',
        ),
        (
            jnp.ones((4, 1)),
            "residual must return a scalar or a vector (k,) per observation; got shape (4, 1)."
            " Use jnp.ravel if all entries are residuals; else look for a broadcast.",
        ),
        (None, "residual must be one array per observation; got None. Does the function return?"),
        (
            (jnp.ones(()), jnp.ones(())),
            "residual must be one array per observation; got a tuple of 2."
            " Use jnp.stack or jnp.concatenate to make it one vector.",
        ),
        (
            jnp.array(True),
            "residual must be real numbers; got bool of shape ()."
            " Use .astype(float), or look for a comparison.",
        ),
    ],
)
def test_residuals_of_the_wrong_kind(returned, message):
    with pytest.raises(ShapeError, match=f"^{re.escape(message)}$"):
        value(lambda h, z: returned, None, None)
    with pytest.raises(ShapeError, match=f"^{re.escape(message)}$"):
        residual_vector(lambda h, z: returned)(None, None)


@pytest.mark.parametrize(
    ("z", "came"),
    [
        ((1.0,), "a tuple of 1"),
        ({"a": 1.0, "y": 2.0}, "a dict with keys 'a', 'y'"),
        (jnp.ones(3), "a ArrayImpl"),
    ],
)
def test_observations_without_x_and_y(z, came):
    message = (
        f"an observation is {came}; the default residual h(x) - y needs x and y:"
        " give residual=lambda h, z: ..., or data with x and y"
    )
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        value(None, None, z)


def test_residuals_that_cannot_be_called():
    def one(h):
        return h

    message = (
        "the residual one(h) cannot be called as residual(h, z); write it with exactly two arguments, a hypothesis h and"
        " one observation z"
    )
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        per_observation(one, SQUARED)
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        residual_vector(one)
    with pytest.raises(ConfigError, match=r"^residual=3 is not a function; give residual\(h, z\)$"):
        per_observation(3, SQUARED)


def test_losses_of_predictions():
    logistic, entropy = resolve_loss("logistic"), resolve_loss("cross_entropy")
    assert float(value(None, lambda x: jnp.zeros(1), (0.0, 1), logistic)) == pytest.approx(
        np.log(2)
    )
    assert float(value(None, lambda x: jnp.zeros(4), (0.0, 3), entropy)) == pytest.approx(np.log(4))
    own = lambda h, z: (2 * h(z[0]), z[1])  # noqa: E731
    got = value(own, lambda x: x, (jnp.array(1.5), 0), logistic)
    assert float(got) == pytest.approx(np.log1p(np.exp(3.0)), rel=1e-6)
    message = "with loss='logistic' residual must return the pair (score, target); got shape ()"
    with pytest.raises(ShapeError, match=f"^{re.escape(message)}$"):
        value(lambda h, z: h(z[0]), lambda x: x, (jnp.array(1.5), 0), logistic)
    with pytest.raises(
        ShapeError, match=r"^h\(x\) has shape \(2,\) and y has shape \(\); they must"
    ):
        value(None, lambda x: jnp.zeros(2), (0.0, 1), logistic)


@pytest.mark.parametrize("k", [1, 4])
def test_residual_vector_squares_to_the_squared_loss(k):
    r = jnp.arange(1.0, k + 1) if k > 1 else jnp.array(3.0)
    given_residual = lambda h, z: r  # noqa: E731
    vector = residual_vector(given_residual)(None, None)
    assert vector.shape == (k,)
    np.testing.assert_allclose(jnp.sum(vector**2), value(given_residual, None, None), rtol=1e-6)


def test_per_observation_runs_in_vmap_and_grad():
    xs, ys = jnp.arange(6.0).reshape(3, 2), jnp.array([1.0, 2.0, 3.0])

    def total(w):
        f = per_observation(None, SQUARED)
        return jnp.mean(jax.vmap(lambda z: f(lambda x: x @ w, z))({"x": xs, "y": ys}))

    w = jnp.array([0.5, -1.0])
    expected = 2 / 3 * xs.T @ (xs @ w - ys)
    np.testing.assert_allclose(jax.grad(total)(w), expected, rtol=1e-6)


def test_names_are_exported():
    for name in ("squared", "absolute", "huber", "pinball", "logistic", "cross_entropy", "ridge"):
        assert callable(getattr(risk, name))


def test_fischer_burmeister_is_zero_exactly_on_the_complementarity_set_and_has_finite_gradients():
    a, b = jnp.array([0.0, 2.0, 0.0, -1.0, 1.0]), jnp.array([3.0, 0.0, 0.0, 0.0, 1.0])
    found = risk.fischer_burmeister(a, b)
    np.testing.assert_allclose(found, [0, 0, 0, -2, 2 - np.sqrt(2)], atol=1e-6)
    slope = jax.vmap(jax.grad(risk.fischer_burmeister, argnums=(0, 1)))(a, b)
    root = np.sqrt(a**2 + b**2)
    expected = 1 - np.divide(a, root, out=np.zeros(5, np.float32), where=root > 0)
    np.testing.assert_allclose(slope[0], expected, atol=1e-6)
    with pytest.raises(ShapeError, match="one shape"):
        risk.fischer_burmeister(a, b[:, None])
