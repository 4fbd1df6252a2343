"""Rules: nodes and weights for expectations under a normal distribution, and for integrals.

    E f(x) ~ sum_q w_q f(x_q),       x ~ N(mean, cov)

Nodes are constants of the compiled program; a mean, a standard deviation or a covariance may be a
traced parameter. Sources: Abramowitz and Stegun (1964), chapter 25; Judd, Maliar and Maliar (2011),
Quantitative Economics 2, appendix B.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from thetahat.core.arguments import arguments_named
from thetahat.core.errors import ConfigError
from thetahat.core.numbers import is_traced, whole
from thetahat.data.keys import DATA, role_key

MOST = 1_000_000
"""Nodes of a rule, at most: more is a mistake in the number of dimensions."""
_DRAWS = 7
"""Folded into the key, so that draws differ from those of a DGP with the same seed."""


@dataclass(frozen=True, eq=False)
class Quadrature:
    """Nodes and weights.

    Args:    nodes: (Q,) in one dimension given as numbers, else (Q, d).   weights: (Q,). They sum
             to 1 for an expectation, and to the volume for an integral.
    >>> E = gauss_hermite(5, mean=1.0, std=2.0)
    >>> round(float(E(lambda x: x**2)), 4)
    5.0
    """

    nodes: Any
    weights: Any

    def __len__(self) -> int:
        return len(self.weights)

    def __call__(self, f: Callable[[Any], Any]) -> Any:
        """Compute the weighted sum of ``f`` over the nodes.

        Args:    f: of one node, () or (d,); arrays or a pytree of arrays of any shape.
        Returns: what ``f`` returns, summed.
        """

        def total(values: Any) -> jax.Array:
            weights = jnp.asarray(self.weights, jnp.result_type(values, jnp.float32))
            return jnp.tensordot(weights, values, 1, precision="highest")

        return jax.tree.map(total, jax.vmap(f)(jnp.asarray(self.nodes)))


jax.tree_util.register_dataclass(Quadrature, ["nodes", "weights"], [])


@arguments_named
def gauss_hermite(n: int = 7, mean: Any = 0.0, std: Any = 1.0, *, cov: Any = None) -> Quadrature:
    """Make a rule for normal expectations: the product of Gauss-Hermite rules.

    It is exact for polynomials of degree 2n - 1 in each dimension.

    Args:    n: nodes in each dimension; n**d in all.
             mean, std: numbers; or (d,), of independent components.
             cov: (d, d), in place of ``std``.
    Raises:  ConfigError: sizes that do not fit, a covariance that is not one, too many nodes.
    >>> len(gauss_hermite(3, std=[0.1, 0.2]))
    9
    """
    n = whole("n", n, of="gauss_hermite")
    d = _dimensions("gauss_hermite", mean, std, cov)
    nodes, weights = np.polynomial.hermite_e.hermegauss(n)
    z, w = _product("gauss_hermite", nodes, weights / weights.sum(), d)
    return Quadrature(_moved(z, mean, std, cov), w)


@arguments_named
def gauss_legendre(n: int = 7, low: Any = -1.0, high: Any = 1.0) -> Quadrature:
    """Make a rule for integrals over an interval or a box: the product of Gauss-Legendre rules.

    It is exact for polynomials of degree 2n - 1 in each dimension.

    Args:    n: nodes in each dimension; n**d in all.
             low, high: bounds: numbers; or (d,), of a box.
    Raises:  ConfigError: sizes that do not fit, ``low`` not below ``high``, too many nodes.
    >>> round(float(gauss_legendre(4, 0.0, 1.0)(lambda x: x**3)), 6)
    0.25
    """
    n = whole("n", n, of="gauss_legendre")
    shape = _common_shape("gauss_legendre", low=np.shape(low), high=np.shape(high))
    known = not (is_traced(low) or is_traced(high))
    if known and not np.all(np.asarray(low) < np.asarray(high)):
        raise ConfigError(
            f"gauss_legendre(low={low}, high={high}); give bounds with low below high"
        )
    nodes, weights = np.polynomial.legendre.leggauss(n)
    z, w = _product("gauss_legendre", nodes, weights, shape[0] if shape else None)
    half, middle = (_array(high) - _array(low)) / 2, (_array(high) + _array(low)) / 2
    volume = half.prod() if shape and np.ndim(half) else half ** (shape[0] if shape else 1)
    return Quadrature(middle + half * z, w * volume)


@arguments_named
def monomial(mean: Any = 0.0, std: Any = 1.0, *, cov: Any = None, degree: int = 3) -> Quadrature:
    """Make a rule for normal expectations whose nodes grow slowly with the dimension.

    It is exact for polynomials of total degree ``degree``: 2d nodes for 3, 2d^2 + 1 for 5.

    Args:    mean, std, cov: as in ``gauss_hermite``.   degree: 3 or 5.
    Raises:  ConfigError: as ``gauss_hermite``; another degree.
    >>> len(monomial(std=[0.1] * 10)), len(monomial(std=[0.1] * 10, degree=5))
    (20, 201)
    """
    if degree not in (3, 5):
        raise ConfigError(f"monomial(degree={degree!r}); give 3 or 5")
    numbers = (d := _dimensions("monomial", mean, std, cov)) is None
    k = 1 if d is None else d
    unit = np.eye(k)
    if degree == 3:
        z = np.concatenate([unit, -unit]) * np.sqrt(k)
        w = np.full(2 * k, 1 / (2 * k))
    else:
        pairs = [
            a * unit[i] + b * unit[j]
            for i, j in itertools.combinations(range(k), 2)
            for a in (1, -1)
            for b in (1, -1)
        ]
        z = np.concatenate(
            [
                np.zeros((1, k)),
                np.concatenate([unit, -unit]) * np.sqrt(k + 2),
                np.reshape(pairs, (-1, k)) * np.sqrt((k + 2) / 2),
            ]
        )
        each = [2 / (k + 2), (4 - k) / (2 * (k + 2) ** 2), 1 / (k + 2) ** 2]
        w = np.repeat(each, [1, 2 * k, len(pairs)])
    return Quadrature(_moved(z[:, 0] if numbers else z, mean, std, cov), w)


@arguments_named
def monte_carlo(
    n: int = 100,
    mean: Any = 0.0,
    std: Any = 1.0,
    *,
    cov: Any = None,
    seed: Any = 0,
    antithetic: bool = False,
) -> Quadrature:
    """Make a rule for normal expectations from random draws, the same at every point and epoch.

    Its error falls as 1 / sqrt(n) in any dimension. Common draws make a residual a function that
    a fit can minimise exactly; the error of the draws then stays in the solution.

    Args:    n: draws.   mean, std, cov: as in ``gauss_hermite``.   seed: may be traced.
             antithetic: each draw with its negative, so that odd moments are exact; n is even.
    Raises:  ConfigError: as ``gauss_hermite``; an odd n with ``antithetic``.
    >>> len(monte_carlo(100, antithetic=True))
    100
    """
    n = whole("n", n, of="monte_carlo")
    if antithetic and n % 2:
        raise ConfigError(f"monte_carlo(n={n}, antithetic=True); give an even n")
    d = _dimensions("monte_carlo", mean, std, cov)
    _check_count("monte_carlo", n)
    key = jax.random.fold_in(role_key(seed, DATA), _DRAWS)
    drawn = (n // 2 if antithetic else n, *(() if d is None else (d,)))
    z = jax.random.normal(key, drawn, jnp.float32)
    z = jnp.concatenate([z, -z]) if antithetic else z
    return Quadrature(_moved(z, mean, std, cov), np.full(n, 1 / n))


def _dimensions(of: str, mean: Any, std: Any, cov: Any) -> int | None:
    """The dimension of a normal distribution; None if its nodes are numbers."""
    if cov is None:
        shape = _common_shape(of, mean=np.shape(mean), std=np.shape(std))
        if not is_traced(std) and not np.all(np.asarray(std, float) >= 0):
            raise ConfigError(f"{of}(std={std}); give standard deviations of at least 0")
        return shape[0] if shape else None
    if not (isinstance(std, float) and std == 1.0):
        raise ConfigError(f"{of}(std={std}, cov=...); give one of them")
    shape = np.shape(cov)
    if len(shape) != 2 or shape[0] != shape[1] or shape[0] == 0:
        raise ConfigError(f"{of}(cov=...) has shape {shape}; give (d, d)")
    _common_shape(of, mean=np.shape(mean), cov=shape[:1])
    if not is_traced(cov):
        given = np.asarray(cov, float)
        scale = np.abs(given).max()
        alike = np.allclose(given, given.T, rtol=0, atol=1e-6 * scale)
        if not alike or np.linalg.eigvalsh(given).min() <= 0:
            raise ConfigError(
                f"{of}(cov=...) is no covariance of full rank; give a symmetric matrix with"
                " positive eigenvalues, and leave out components that follow from others"
            )
    return shape[0]


def _common_shape(of: str, **shapes: tuple[int, ...]) -> tuple[int, ...]:
    """() if all are numbers, (d,) if the others are vectors of one length."""
    vectors = {shape for shape in shapes.values() if shape}
    if len(vectors) > 1 or any(len(shape) != 1 or shape[0] == 0 for shape in vectors):
        told = ", ".join(f"{name} of shape {shape}" for name, shape in shapes.items())
        raise ConfigError(f"{of}() was given {told}; give numbers, or vectors of one length d")
    return vectors.pop() if vectors else ()


def _product(of: str, nodes: Any, weights: Any, d: int | None) -> tuple[np.ndarray, np.ndarray]:
    """The product of a rule with itself, (Q, d) and (Q,); (Q,) twice if d is None."""
    if d is None:
        return nodes, weights
    _check_count(of, len(nodes) ** d, f": n={len(nodes)} in each of {d} dimensions")
    z = np.stack([axis.ravel() for axis in np.meshgrid(*[nodes] * d, indexing="ij")], axis=1)
    w = np.stack([axis.ravel() for axis in np.meshgrid(*[weights] * d, indexing="ij")])
    return z, w.prod(axis=0)


def _check_count(of: str, count: int, why: str = "") -> None:
    if count > MOST:
        raise ConfigError(
            f"{of}() would have {count:,} nodes{why}; give at most {MOST:,}. For many dimensions"
            " there is th.quadrature.monomial"
        )


def _moved(z: Any, mean: Any, std: Any, cov: Any) -> Any:
    """Nodes of the standard normal, moved to N(mean, std^2) or N(mean, cov)."""
    if cov is None:
        return _array(mean) + _array(std) * z
    factor = jnp.linalg.cholesky(cov) if is_traced(cov) else np.linalg.cholesky(np.asarray(cov))
    if is_traced(factor) or is_traced(z):
        return _array(mean) + jnp.matmul(z, factor.T, precision="highest")
    return _array(mean) + np.asarray(z) @ np.asarray(factor).T


def _array(value: Any) -> Any:
    """Numbers and lists as NumPy's, in double precision; traced values as they are."""
    return value if is_traced(value) else np.asarray(value, float)
