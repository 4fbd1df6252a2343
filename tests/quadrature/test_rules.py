"""Rules against closed forms of moments, NumPy and SciPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate

import thetahat as th
from thetahat.core import ConfigError

Q = th.quadrature
COV = np.array([[0.5, 0.2, 0.0], [0.2, 0.3, -0.1], [0.0, -0.1, 0.4]])
MEAN = np.array([1.0, -2.0, 0.5])


def total(rule, f):
    """The weighted sum in double precision by NumPy."""
    return sum(w * f(x) for w, x in zip(np.asarray(rule.weights), rule.nodes, strict=True))


@pytest.mark.parametrize("n", [1, 3, 7, 12])
def test_gauss_hermite_has_the_moments_of_the_normal_up_to_2n_minus_1(n):
    rule = Q.gauss_hermite(n, mean=0.0, std=0.7)
    for k in range(2 * n):
        exact = 0.7**k * np.prod(np.arange(k - 1, 0, -2)) if k % 2 == 0 else 0.0
        assert total(rule, lambda x, k=k: x**k) == pytest.approx(exact, rel=1e-10, abs=1e-9)


def test_gauss_hermite_in_several_dimensions_has_the_mean_and_the_covariance():
    for rule in (Q.gauss_hermite(3, MEAN, cov=COV), Q.monomial(MEAN, cov=COV)):
        np.testing.assert_allclose(total(rule, lambda x: x), MEAN, atol=1e-12)
        centred = total(rule, lambda x: np.outer(x - MEAN, x - MEAN))
        np.testing.assert_allclose(centred, COV, atol=1e-12)


@pytest.mark.parametrize("d", [1, 2, 5, 9])
def test_monomial_rules_have_all_moments_up_to_their_degree(d):
    # Isserlis: E x_i^2 x_j^2 = 1 off the diagonal, E x_i^4 = 3, odd moments 0.
    rule = Q.monomial(np.zeros(d), np.ones(d), degree=5)
    assert len(rule) == 2 * d**2 + 1
    assert rule.weights.sum() == pytest.approx(1)
    fourth = total(rule, lambda x: np.outer(x**2, x**2))
    np.testing.assert_allclose(fourth, 1 + 2 * np.eye(d), atol=1e-10)
    assert total(rule, lambda x: x[0] * x[-1] ** 2 + x[0] ** 3) == pytest.approx(0, abs=1e-10)
    assert len(Q.monomial(np.zeros(d), np.ones(d))) == 2 * d


def test_gauss_legendre_is_scipys_integral_on_an_interval_and_on_a_box():
    one = Q.gauss_legendre(12, 0.5, 2.0)
    expected, _ = integrate.quad(lambda x: np.log(x) * np.cos(x), 0.5, 2.0)
    assert total(one, lambda x: np.log(x) * np.cos(x)) == pytest.approx(expected, rel=1e-10)
    box = Q.gauss_legendre(8, [0.0, 1.0], [1.0, 3.0])
    expected, _ = integrate.dblquad(lambda y, x: np.exp(-x * y), 0, 1, 1, 3)
    assert total(box, lambda x: np.exp(-x[0] * x[1])) == pytest.approx(expected, rel=1e-10)
    cube = Q.gauss_legendre(2, [0.0, 0.0, 0.0], 2.0)
    assert cube.weights.sum() == pytest.approx(8)


def test_draws_are_common_and_antithetic_ones_have_the_mean():
    first, second = Q.monte_carlo(1000, MEAN, cov=COV), Q.monte_carlo(1000, MEAN, cov=COV)
    np.testing.assert_array_equal(first.nodes, second.nodes)
    assert not np.array_equal(first.nodes, Q.monte_carlo(1000, MEAN, cov=COV, seed=1).nodes)
    np.testing.assert_allclose(np.cov(np.asarray(first.nodes).T), COV, atol=0.08)
    pairs = Q.monte_carlo(1000, MEAN, cov=COV, antithetic=True)
    np.testing.assert_allclose(np.mean(pairs.nodes, axis=0), MEAN, atol=1e-5)


def test_a_rule_sums_a_function_of_any_shape_and_parameters_may_be_traced():
    @jax.jit
    def moments(std):
        expect = Q.gauss_hermite(9, std=std)
        return expect(lambda e: {"level": jnp.exp(e), "both": jnp.stack([e, e**2])})

    found = moments(0.3)
    assert float(found["level"]) == pytest.approx(np.exp(0.3**2 / 2), rel=1e-5)
    np.testing.assert_allclose(found["both"], [0, 0.09], atol=1e-6)
    slope = jax.grad(lambda s: Q.gauss_hermite(9, std=s)(lambda e: e**2))(0.3)
    assert float(slope) == pytest.approx(0.6, rel=1e-5)
    cov = jax.jit(lambda c: Q.monomial(cov=c)(lambda x: jnp.outer(x, x)))(jnp.asarray(COV))
    np.testing.assert_allclose(cov, COV, atol=1e-6)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda: Q.gauss_hermite(0), "at least 1"),
        (lambda: Q.gauss_hermite(3, std=-1.0), "at least 0"),
        (lambda: Q.gauss_hermite(3, std=float("nan")), "at least 0"),
        (lambda: Q.gauss_hermite(3, [0.0, 0.0], [1.0, 1.0, 1.0]), "one length"),
        (lambda: Q.gauss_hermite(10, np.zeros(10), 1.0), "monomial"),
        (lambda: Q.gauss_hermite(3, cov=[[1.0, 2.0], [2.0, 1.0]]), "positive eigenvalues"),
        (lambda: Q.gauss_hermite(3, cov=[[1.0, 0.5], [0.2, 1.0]]), "symmetric"),
        (lambda: Q.gauss_hermite(3, std=2.0, cov=COV), "one of them"),
        (lambda: Q.gauss_legendre(3, 1.0, 1.0), "low below high"),
        (lambda: Q.monomial(degree=4), "3 or 5"),
        (lambda: Q.monte_carlo(3, antithetic=True), "even"),
        (lambda: Q.gauss_hermite(points=3), "points"),
    ],
)
def test_wrong_arguments_are_refused_with_the_fix(wrong, said):
    with pytest.raises(ConfigError, match=said):
        wrong()
