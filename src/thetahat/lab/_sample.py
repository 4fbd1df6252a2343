"""Samples of a known function at uniform points, and the columns of many fits as arrays."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from thetahat.core.errors import ConfigError, DataError
from thetahat.core.numbers import whole
from thetahat.data import Observations
from thetahat.data.keys import DATA, role_key

if TYPE_CHECKING:
    from thetahat.train import Result

_NOISE = 2


def sample(
    f: Callable[[Any], Any],
    N: int,
    *,
    d: int = 1,
    sigma: Any = 0.0,
    low: Any = -1.0,
    high: Any = 1.0,
    seed: Any = 0,
) -> Observations:
    """Draw N observations of a function at uniform points, with noise.

        y = f(x) + sigma e,   x ~ U[low, high]^d,   e ~ N(0, 1)

    Args:    f: ``f(x)`` of one x of shape (d,), a scalar or (k,).
             sigma, low, high, seed: may be traced.
    Returns: observations, x (N, d) and y (N,) or (N, k). Points and noise have keys of their own:
             sigma does not move the points.
    Raises:  DataError: N or d below 1, or not integers.
    >>> sample(lambda x: x[0] ** 2, 5, seed=1).y.shape
    (5,)
    """
    N, d = whole("N", N, error=DataError), whole("d", d, error=DataError)
    key = role_key(seed, DATA)
    kind = jnp.result_type(float)
    unit = jax.random.uniform(jax.random.fold_in(key, 1), (N, d), jnp.float32).astype(kind)
    x = low + (high - low) * unit
    y = jax.vmap(f)(x)
    e = jax.random.normal(jax.random.fold_in(key, _NOISE), y.shape, jnp.float32).astype(kind)
    return Observations(x, y + sigma * e)


def grid(**axes: Any) -> list[dict[str, Any]]:
    """List the configs of a grid, the last axis fastest, for ``th.fit_many``.

    Args:    axes: by parameter its values; a number, a text or None is the only value.
    >>> grid(width=[1, 2], lr=0.1, seed=range(2))[:2]
    [{'width': 1, 'lr': 0.1, 'seed': 0}, {'width': 1, 'lr': 0.1, 'seed': 1}]
    """
    values = [
        axis if isinstance(axis, Iterable) and not isinstance(axis, str) else (axis,)
        for axis in axes.values()
    ]
    return [dict(zip(axes, point, strict=True)) for point in itertools.product(*values)]


def columns(results: Sequence[Result], name: str) -> np.ndarray:
    """Stack a column of the histories: (C, epochs), NaN where a fit has ended.

    Raises:  ConfigError: no results.
    """
    if not results:
        raise ConfigError("columns() got no results; fit_many gives one for each config")
    rows = [result.history[name] for result in results]
    found = np.full((len(rows), max(map(len, rows))), np.nan)
    for into, row in zip(found, rows, strict=True):
        into[: len(row)] = row
    return found


def mean_se(values: Any, axis: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Mean over independent draws, and its standard error.

    >>> [float(v) for v in mean_se([1.0, 3.0])]
    [2.0, 1.0]
    """
    values = np.asarray(values, np.float64)
    n = values.shape[axis]
    se = values.std(axis, ddof=1) / np.sqrt(n) if n > 1 else np.full_like(values.sum(axis), np.nan)
    return values.mean(axis), se


def quantile_band(values: Any, axis: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Quantiles .1, .5 and .9 over draws; a value that is not finite counts as infinite."""
    values = np.asarray(values, np.float64)
    low, middle, high = np.quantile(
        np.where(np.isfinite(values), values, np.inf), (0.1, 0.5, 0.9), axis=axis, method="nearest"
    )
    return low, middle, high
