"""Simulated processes against their formulas, and the keys that keep their draws apart."""

from __future__ import annotations

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from thetahat.core.errors import DataError
from thetahat.data import dgp


def test_linear_is_the_formula() -> None:
    draw = dgp.linear(N=50, M=3, sigma=0.0, seed=1)
    assert (draw.x.shape, draw.y.shape, draw.theta.shape) == ((50, 3), (50,), (3,))
    x, theta = np.asarray(draw.x, np.float64), np.asarray(draw.theta, np.float64)
    np.testing.assert_allclose(draw.y, x @ theta, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(draw.truth(draw.x), draw.y)
    assert draw.truth(draw.x[0]).shape == ()


def test_noise_has_the_scale_asked_for() -> None:
    for draw in (
        dgp.linear(N=20_000, M=2, sigma=0.5, seed=0),
        dgp.sine_bump(N=20_000, sigma=0.5, seed=0),
        dgp.exp_difference(N=20_000, sigma=0.5, seed=0),
    ):
        noise = np.asarray(draw.y - draw.truth(draw.x)) / 0.5
        assert stats.kstest(noise, "norm").pvalue > 1e-3


def test_inputs_have_their_distribution() -> None:
    assert stats.kstest(np.ravel(dgp.linear(N=5000, M=4).x), "norm").pvalue > 1e-3
    assert stats.kstest(np.ravel(dgp.sine_bump(N=20_000).x), "norm").pvalue > 1e-3
    assert stats.kstest(np.ravel(dgp.exp_difference(N=4000).x), "uniform").pvalue > 1e-3


def test_draws_have_separate_keys() -> None:
    base = dgp.linear(N=100, M=2, sigma=1.0, seed=3)
    longer = dgp.linear(N=200, M=2, sigma=1.0, seed=3)
    quieter = dgp.linear(N=100, M=2, sigma=0.1, seed=3)
    np.testing.assert_array_equal(base.theta, longer.theta)
    np.testing.assert_array_equal(base.x, quieter.x)
    noise, less = base.y - base.truth(base.x), quieter.y - quieter.truth(quieter.x)
    np.testing.assert_allclose(less, 0.1 * noise, atol=1e-6)
    assert abs(np.corrcoef(base.x[:, 0], noise)[0, 1]) < 0.4
    assert not np.array_equal(base.x, dgp.linear(N=100, M=2, seed=4).x)


def test_sine_bump_and_exp_difference_are_their_formulas() -> None:
    x = np.linspace(-3, 3, 31)[:, None]
    expected = np.sin(x[:, 0]) + np.exp(-(x[:, 0] ** 2)) / (1 + np.abs(x[:, 0]))
    draw = dgp.sine_bump(N=5, seed=0)
    assert draw.x.shape == (5, 1)
    np.testing.assert_allclose(draw.truth(x), expected, rtol=1e-5, atol=1e-6)
    assert draw.truth(x[3]).shape == ()

    draw = dgp.exp_difference(N=6, seed=0)
    assert draw.x.shape == (6, 5)
    np.testing.assert_allclose(draw.truth(draw.x), np.exp(draw.x[:, 0] - draw.x[:, 1]), rtol=1e-6)


def test_xor_has_no_linear_solution_better_than_a_quarter() -> None:
    draw = dgp.xor()
    design = np.c_[np.ones(4), draw.x]
    fitted = design @ np.linalg.lstsq(design, np.asarray(draw.y), rcond=None)[0]
    assert np.mean((fitted - draw.y) ** 2) == pytest.approx(0.25)
    np.testing.assert_array_equal(draw.truth(draw.x), draw.y)


def test_noisy_xor() -> None:
    draw = dgp.xor(N=2000, sigma=0.1, seed=1)
    assert draw.x.shape == (2000, 2)
    corners = np.round(np.asarray(draw.x))
    np.testing.assert_array_equal(draw.y, np.logical_xor(corners[:, 0], corners[:, 1]))
    assert np.std(draw.x - corners) == pytest.approx(0.1, rel=0.05)
    assert np.mean(draw.y) == pytest.approx(0.5, abs=0.05)


def test_draws_are_traceable_and_mappable() -> None:
    draws = jax.jit(jax.vmap(lambda s, e: dgp.linear(N=8, M=2, sigma=e, seed=s)))(
        jnp.arange(3), jnp.array([0.0, 0.1, 0.2])
    )
    alone = dgp.linear(N=8, M=2, sigma=0.1, seed=1)
    np.testing.assert_allclose(draws.y[1], alone.y, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(draws.theta[1], alone.theta)


def test_double_precision_sees_the_same_data() -> None:
    single = dgp.linear(N=20, M=3, sigma=0.3, seed=2)
    with jax.enable_x64(True):
        double = dgp.linear(N=20, M=3, sigma=0.3, seed=2)
        assert double.y.dtype == np.float64
        np.testing.assert_array_equal(np.asarray(double.x, np.float32), np.asarray(single.x))
        np.testing.assert_allclose(np.asarray(double.y), np.asarray(single.y), atol=1e-5)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: dgp.linear(N=0), "N=0; give an integer of at least 1"),
        (lambda: dgp.linear(N=10, M=0), "M=0; give an integer of at least 1"),
        (lambda: dgp.linear(N=500.0), "N=500.0; give an integer of at least 1"),
        (lambda: dgp.sine_bump(N=-3), "N=-3; give an integer of at least 1"),
        (lambda: dgp.exp_difference(d=1), "d=1; give an integer of at least 2"),
        (lambda: dgp.xor(N=True), "N=True; give an integer of at least 1"),
    ],
)
def test_message(call, text: str) -> None:
    with pytest.raises(DataError, match=f"^{re.escape(text)}$"):
        call()
