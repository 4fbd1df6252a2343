"""Split observations into a train, a validation and a test part."""

from __future__ import annotations

import math
from typing import Any

import jax
import numpy as np

from thetahat.core.errors import DataError
from thetahat.data._classes import coded
from thetahat.data._containers import (
    PARTS,
    Data,
    as_part,
    check_part,
    is_concrete,
    n_observations,
)
from thetahat.data._permutation import permutation
from thetahat.data._rows import Rows, is_streamed
from thetahat.data._table import Table
from thetahat.data._transform import standardise
from thetahat.data.keys import SPLIT, role_key


def split(
    obs: Any,
    train: Any = 0.7,
    val: Any = 0.15,
    test: Any = 0.15,
    seed: Any = 0,
) -> Data:
    """Split N observations at random into train, val and test.

    The order is ``permutation(role_key(seed, SPLIT), N)``; train takes its first rows, then val,
    then test. Integers count rows. Fractions are cut at their running sums times N, rounded half
    up, so that each part is within one row of its share and 0.7 + 0.15 + 0.15 uses every row.

    Args:    obs: ``Observations``, a draw of ``th.dgp``, a ``Table``, or any pytree of (N, ...).
             Labels y (text, a categorical) become 0..k-1; the Data remember their classes.
             train, val, test: a fraction (float) or a count (int); val and test also None or 0.
             seed: an int or a traced integer. Without tracing, NumPy arrays stay NumPy and
             streamed ones stay on disk.
    Returns: Data; the columns of a Table are imputed and standardised by the train part, and its
             ``transform`` holds these numbers.
    Raises:  DataError: shares that exceed the whole, or leave a part empty.
    >>> data = split((np.ones((20, 1)), np.arange(20.0)), train=0.7, val=0.1, test=0.2)
    >>> [n_observations(part) for part in (data.train, data.val, data.test)]
    [14, 2, 4]
    """
    shares = {"train": train, "val": val, "test": test}
    if isinstance(obs, Table):
        return _divided(obs, shares, seed)
    found, classes = coded({"obs": obs})
    return _divided(found["obs"], shares, seed).changed(classes=classes)


def _divided(obs: Any, shares: dict[str, Any], seed: Any) -> Data:
    part = as_part(obs)
    if not isinstance(obs, Table):  # read_table checked it; it may have missing values
        check_part("obs", part)
    n, leaves = n_observations(part), jax.tree.leaves(part)
    bounds = _bounds(n, shares)
    if is_streamed(part):
        seed = int(seed)  # Python orders rows on disk: a traced seed fails as in JAX
    if is_concrete(seed) and all(is_concrete(leaf) for leaf in leaves):
        # Also inside a trace: values that Python knows must stay out of the program.
        with jax.ensure_compile_time_eval():
            order: Any = np.asarray(permutation(role_key(seed, SPLIT), n, once=True))
            return _cut(obs, part, order, bounds)
    order = permutation(role_key(seed, SPLIT), n, once=True)
    if isinstance(obs, Table) or any(isinstance(leaf, np.memmap | Rows) for leaf in leaves):
        return _cut(obs, part, order, bounds)
    # One gather of all leaves, behind barriers: else XLA on a CPU repeats the draw and the order of
    # the data in the gather of every leaf of every part.
    whole = jax.lax.optimization_barrier((jax.tree.map(jax.numpy.asarray, part), order))
    shuffled = jax.lax.optimization_barrier(_take(*whole))
    return Data(
        **{name: _take(shuffled, slice(*at)) for name, at in bounds.items() if at[1] > at[0]}
    )


def _cut(obs: Any, part: Any, order: Any, bounds: dict[str, tuple[int, int]]) -> Data:
    rows = {name: order[start:stop] for name, (start, stop) in bounds.items() if stop > start}
    known = isinstance(order, np.ndarray)
    if isinstance(obs, Table):
        made, source = standardise(obs, rows), obs.rows
        if known and source is not None:
            return made.changed(rows={name: Rows(source, at) for name, at in rows.items()})
    else:
        made = Data(**{name: _take(part, rows[name]) for name in rows})
    return made.changed(rows=rows) if known else made


def _take(part: Any, rows: Any) -> Any:
    """Take rows of every leaf: lazily from disk, at once in memory, by JAX if traced."""

    def take(leaf: Any) -> Any:
        if isinstance(leaf, Rows):
            return leaf.narrowed(rows)
        if isinstance(leaf, np.memmap):
            return Rows(leaf, rows)
        if isinstance(leaf, np.ndarray) and not isinstance(rows, np.ndarray):
            return jax.numpy.asarray(leaf)[rows]
        return leaf[rows]

    return jax.tree.map(take, part)


def _bounds(n: int, shares: dict[str, Any]) -> dict[str, tuple[int, int]]:
    """Return start and stop of each part in the order."""
    given = {name: _share(name, value) for name, value in shares.items()}
    total = math.fsum(v for v in given.values() if isinstance(v, float))
    if total > 1 + 1e-9:
        said = " + ".join(f"{k}={v:g}" for k, v in given.items() if isinstance(v, float) and v)
        raise DataError(f"{said} is {total:g} of the observations; fractions must sum to at most 1")
    bounds: dict[str, tuple[int, int]] = {}
    stop, fraction, counted = 0, 0.0, 0
    for name in PARTS:
        share, start = given[name], stop
        if isinstance(share, float):
            fraction += share
        else:
            counted += share
        stop = counted + math.floor(fraction * n + 0.5 + 1e-9)
        if share and stop == start:
            raise DataError(
                f"empty split: {name}={share:g} of {n} observations gives 0 rows;"
                " give a larger share, or 0"
            )
        bounds[name] = (start, stop)
    if stop > n:
        said = ", ".join(f"{k} {b - a}" for k, (a, b) in bounds.items())
        raise DataError(f"the parts need {stop} observations ({said}); there are {n}")
    if bounds["train"] == (0, 0):
        raise DataError("empty split: train has no observations; give it a fraction or a count")
    return bounds


def _share(name: str, value: Any) -> int | float:
    """Read a share as an int (rows) or a float (fraction); a tracer raises JAX's error."""
    if value is None:
        return 0
    if isinstance(value, (bool, str)):
        raise DataError(f"{name}={value!r}; give a fraction such as 0.15, or a count of rows")
    dtype = getattr(value, "dtype", None)
    if isinstance(value, int) or (dtype is not None and np.issubdtype(dtype, np.integer)):
        share: int | float = int(value)
    else:
        share = float(value)
    if not 0 <= share < math.inf:
        raise DataError(f"{name}={share:g}; give a fraction from 0 to 1, or a count of rows")
    if isinstance(share, float) and share > 1:
        raise DataError(
            f"{name}={share:g} is more than the whole; write {int(share)} for a count of rows"
        )
    return share
