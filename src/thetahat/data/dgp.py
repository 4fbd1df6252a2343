"""Simulated data-generating processes with a known truth.

A seed gives the same draws in single and double precision (drawn in single). Parameters, inputs and
noise have separate keys, so that N and sigma do not change theta.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from thetahat.core.errors import DataError
from thetahat.core.numbers import whole
from thetahat.data._cache import jax_setting
from thetahat.data._containers import Observations, register
from thetahat.data.keys import DATA, role_key

_THETA, _X, _NOISE = 0, 1, 2
_LITTLE = 1 << 16
"""Size up to which one draw serves all parts, including unused numbers."""


@dataclass(frozen=True, eq=False)
class Draw:
    """A simulated sample and its truth without noise.

    Args:    obs: the observations.   f: the truth, ``f(x, theta)``.   theta: parameters or None.
    """

    obs: Observations
    f: Callable[[Any, Any], jax.Array]
    theta: Any = None

    @property
    def x(self) -> Any:
        """Inputs, (N, d)."""
        return self.obs.x

    @property
    def y(self) -> Any:
        """Outcomes, (N,)."""
        return self.obs.y

    def truth(self, x: Any) -> jax.Array:
        """Compute f(x) without noise: (d,) gives (), (N, d) gives (N,)."""
        return self.f(jnp.asarray(x), self.theta)

    def __len__(self) -> int:
        return len(self.obs)


register(Draw, ("obs", "theta"), static=("f",))


def linear(N: int = 500, M: int = 2, sigma: Any = 1e-4, seed: Any = 0) -> Draw:
    """Draw from a linear model with Gaussian inputs, parameters and noise.

        y = x'theta + sigma e,   theta ~ N(0, I_M),   x ~ N(0, I_M),   e ~ N(0, 1)

    Args:    N: observations.   M: inputs.   sigma: noise, may be traced.   seed: may be traced.
    Returns: a Draw with ``theta`` (M,), which depends on seed and M only.
    Raises:  DataError: N or M below 1, or not integers.
    >>> draw = linear(N=3, M=2, sigma=0.0, seed=1)
    >>> bool((draw.truth(draw.x) == draw.y).all())
    True
    """
    N, M = _count("N", N), _count("M", M)
    theta, x, e = _normal(seed, {_THETA: (M,), _X: (N, M), _NOISE: (N,)})
    return _noisy(_linear, x, sigma * e, theta)


def sine_bump(N: int = 100, sigma: Any = 0.1, seed: Any = 0) -> Draw:
    """Draw from a sine with a bump of one Gaussian input.

        y = sin(x) + exp(-x^2) / (1 + |x|) + sigma e,   x ~ N(0, 1),   e ~ N(0, 1)

    Args:    N: observations.   sigma: noise, may be traced.   seed: may be traced.
    Returns: a Draw with x (N, 1).
    Raises:  DataError: N below 1, or not an integer.
    >>> float(sine_bump(N=1).truth(jnp.zeros(1)))
    1.0
    """
    N = _count("N", N)
    x, e = _normal(seed, {_X: (N, 1), _NOISE: (N,)})
    return _noisy(_sine_bump, x, sigma * e)


def exp_difference(N: int = 20, d: int = 5, sigma: Any = 1.5, seed: Any = 0) -> Draw:
    """Draw an outcome of two among d uniform inputs.

        y = exp(x_0 - x_1) + sigma e,   x ~ U[0, 1]^d,   e ~ N(0, 1)

    Args:    N: observations.   d: inputs, at least 2.   sigma, seed: may be traced.
    Raises:  DataError: N below 1, d below 2, or not integers.
    >>> exp_difference(N=7, d=3).x.shape
    (7, 3)
    """
    N, d = _count("N", N), _count("d", d, least=2)
    key = jax.random.fold_in(role_key(seed, DATA), _X)
    x = jax.random.uniform(key, (N, d), jnp.float32).astype(_float())
    (e,) = _normal(seed, {_NOISE: (N,)})
    return _noisy(_exp_difference, x, sigma * e)


def xor(N: int | None = None, sigma: Any = 0.0, seed: Any = 0) -> Draw:
    """Draw an exclusive or, whose best linear function is 1/2 everywhere (risk 1/4).

    Args:    N: None gives the four corners of the unit square, once each; a number gives that many
             corners at random, plus sigma e with e ~ N(0, I_2); y is that of the corner.
             sigma: may be traced.   seed: may be traced.
    Returns: a Draw with x (N, 2) and y in {0, 1}; ``truth(x)`` is y of the nearest corner.
    Raises:  DataError: N below 1, or not an integer.
    >>> xor().y.tolist()
    [0.0, 1.0, 1.0, 0.0]
    """
    corners = jnp.array([[0, 0], [0, 1], [1, 0], [1, 1]], _float())
    if N is not None:
        key = jax.random.fold_in(role_key(seed, DATA), _X)
        corners = corners[jax.random.randint(key, (_count("N", N),), 0, 4)]
    (e,) = _normal(seed, {_NOISE: corners.shape})
    x = corners + sigma * e
    return Draw(Observations(x, _xor(corners, None)), _xor)


def _linear(x: jax.Array, theta: jax.Array) -> jax.Array:
    # On a GPU the default precision would round the truth itself to eleven bits.
    return jnp.matmul(x, theta, precision="highest")


def _sine_bump(x: jax.Array, theta: None) -> jax.Array:
    x = x[..., 0]
    return jnp.sin(x) + jnp.exp(-(x**2)) / (1 + jnp.abs(x))


def _exp_difference(x: jax.Array, theta: None) -> jax.Array:
    return jnp.exp(x[..., 0] - x[..., 1])


def _xor(x: jax.Array, theta: None) -> jax.Array:
    return ((x[..., 0] > 0.5) != (x[..., 1] > 0.5)).astype(x.dtype)


def _noisy(f: Callable[..., jax.Array], x: jax.Array, noise: jax.Array, theta: Any = None) -> Draw:
    return Draw(Observations(x, f(x, theta) + noise), f, theta)


def _normal(seed: Any, shapes: Mapping[int, tuple[int, ...]]) -> list[jax.Array]:
    """Draw standard normals in these shapes, with a key for each part."""
    sizes = [math.prod(shape) for shape in shapes.values()]
    key = role_key(seed, DATA)
    # With partitionable keys the first numbers of a key do not depend on how many are drawn. So
    # small draws are made at once, since each draw takes .1 s to compile.
    if len(sizes) * max(sizes) <= _LITTLE and jax_setting("jax_threefry_partitionable"):
        keys = jax.vmap(lambda part: jax.random.fold_in(key, part))(jnp.array(list(shapes)))
        rows = jax.vmap(lambda key: jax.random.normal(key, (max(sizes),), jnp.float32))(keys)
        drawn = [row[:size] for row, size in zip(rows, sizes, strict=True)]
    else:
        keys = [jax.random.fold_in(key, part) for part in shapes]
        drawn = [
            jax.random.normal(key, (size,), jnp.float32)
            for key, size in zip(keys, sizes, strict=True)
        ]
    return [
        row.reshape(shape).astype(_float())
        for row, shape in zip(drawn, shapes.values(), strict=True)
    ]


def _float() -> Any:
    return jax.dtypes.canonicalize_dtype(float)


def _count(name: str, value: Any, least: int = 1) -> int:
    return whole(name, value, least, error=DataError)
