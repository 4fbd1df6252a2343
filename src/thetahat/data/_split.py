"""Split observations into a train, a validation and a test part."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any

import jax
import numpy as np

from thetahat.core.arguments import arguments_named
from thetahat.core.errors import DataError
from thetahat.data._classes import Classes, coded, whole_labels, y_of
from thetahat.data._column_names import column_names
from thetahat.data._containers import (
    PARTS,
    Data,
    Observations,
    as_pair,
    as_part,
    check_part,
    is_concrete,
    leaves_by_name,
    n_observations,
)
from thetahat.data._partition import cut, shuffled
from thetahat.data._permutation import permutation
from thetahat.data._row_order import check_order
from thetahat.data._rows import Rows, is_streamed
from thetahat.data._scheme import read_scheme, say_unmet
from thetahat.data._table import Table, table_of_arrays
from thetahat.data._transform import standardise
from thetahat.data.keys import SPLIT, role_key


@arguments_named
def split(
    obs: Any,
    train: Any = 0.7,
    val: Any = 0.15,
    test: Any = 0.15,
    seed: Any = 0,
    *,
    groups: Any = None,
    order: Any = None,
    stratify: Any = None,
    standardize: bool | None = None,
    target_scale: bool | None = None,
) -> Data:
    """Split N observations into train, val and test: at random, or by one of three rules.

    Integers count rows. Fractions are cut at their running sums times N, rounded half up, so that
    each part is within one row of its share and 0.7 + 0.15 + 0.15 uses every row. At random, the
    order is ``permutation(role_key(seed, SPLIT), N)``.

    Args:    obs: a pair (x, y) of arrays, ``Observations``, a draw of ``th.dgp``, a ``Table``, or
             any pytree of (N, ...).
             Labels y (text, a categorical) become 0..k-1; the Data remember their classes.
             train, val, test: a fraction (float) or a count (int); val and test also None or 0.
             seed: an int or a traced integer. Without tracing, NumPy arrays stay NumPy and
             streamed ones stay on disk.
             groups: no group is in two parts; sizes are the nearest that whole groups allow.
             order: train takes the earliest rows, test the latest; equal values stay together.
             stratify: every part has the same shares of each level.
             Each of these: the name of a table's column, or one value per row.
             standardize, target_scale: as in ``read_table``, also for a pair of arrays; None: as
             the Table was read, and no for arrays.
    Returns: Data; x is standardised (and imputed) by the train part, and ``transform`` holds these
             numbers, so that predictions are in units of y. ``rows`` are the rows of each part.
    Raises:  DataError: shares that exceed the whole, or leave a part empty; a rule that cannot be
             met.
    >>> data = split((np.ones((20, 1)), np.arange(20.0)), train=0.7, val=0.1, test=0.2)
    >>> [len(part) for part in (data.train, data.val, data.test)]
    [14, 2, 4]
    """
    rules = {"groups": groups, "order": order, "stratify": stratify}
    obs, part, classes = whole(obs, standardize, target_scale, rules)
    n, leaves = n_observations(part), jax.tree.leaves(part)
    bounds = bounds_of(n, {"train": train, "val": val, "test": test})
    scheme = read_scheme(obs, n, rules)
    if scheme is not None:
        wanted = {name: b - a for name, (a, b) in bounds.items() if b > a}
        rows = cut(scheme, list(wanted.values()), int(seed))
        say_unmet(scheme, list(wanted), list(wanted.values()), rows)
        return taken(obs, part, dict(zip(wanted, rows, strict=True)), classes)
    if is_streamed(part):
        seed = int(seed)  # Python orders rows on disk: a traced seed fails as in JAX
    if is_concrete(seed) and all(is_concrete(leaf) for leaf in leaves):
        return taken(obs, part, _parts(shuffled(seed, n), bounds), classes)
    levels = whole_labels(obs.y if isinstance(obs, Table) else y_of(part))
    rows = permutation(role_key(seed, SPLIT), n, once=True)
    if isinstance(obs, Table) or any(isinstance(leaf, np.memmap | Rows) for leaf in leaves):
        return taken(obs, part, _parts(rows, bounds), classes).changed(levels=levels)
    # One gather of all leaves, behind barriers: else XLA on a CPU repeats the draw and the order of
    # the data in the gather of every leaf of every part.
    both = jax.lax.optimization_barrier((jax.tree.map(jax.numpy.asarray, part), rows))
    mixed = jax.lax.optimization_barrier(_take(*both))
    made = {name: _take(mixed, slice(*at)) for name, at in bounds.items() if at[1] > at[0]}
    columns = column_names(obs)
    return Data(**made).changed(classes=classes, columns=columns, levels=levels, rows={})


def whole(
    obs: Any, standardize: bool | None, target_scale: bool | None, rules: Mapping[str, Any]
) -> tuple[Any, Any, Classes | None]:
    """Return what is split, as a Table where it is standardised, its arrays and its classes."""
    classes = None
    if isinstance(obs, Table):
        check_order({"frame": obs.labels, **rules})
    if isinstance(obs, Data):
        raise DataError("these Data are split already; give the observations or the table")
    if not isinstance(obs, Table):
        check_order({**leaves_by_name("obs", obs), **rules})
        found, classes = coded({"obs": obs})
        obs = as_pair(found["obs"])
        part = as_part(obs)
        check_part("obs", part)
        if not (standardize or target_scale):
            return obs, part, classes
        obs, classes = table_of_arrays(part, classes, column_names(obs)), None
    if standardize is not None or target_scale is not None:
        obs = obs.scaled(standardize, target_scale)
    return obs, obs.obs, classes


def _parts(order: Any, bounds: dict[str, tuple[int, int]]) -> dict[str, Any]:
    return {name: order[start:stop] for name, (start, stop) in bounds.items() if stop > start}


def taken(obs: Any, part: Any, rows: dict[str, Any], classes: Classes | None = None) -> Data:
    """Take the rows of each part; those of a Table are standardised by the train part."""
    known = isinstance(rows["train"], np.ndarray)
    concrete = known and all(is_concrete(leaf) for leaf in jax.tree.leaves(part))
    # Also inside a trace: values that Python knows must stay out of the program.
    weight = part.weight if concrete and isinstance(part, Observations) else None
    for name, at in rows.items():
        if isinstance(weight, np.ndarray) and len(at) and not weight[at].any():
            raise DataError(
                f"the weights of the {name} part are all zero; give another seed, or leave out the"
                " observations of weight zero"
            )
    with jax.ensure_compile_time_eval() if concrete else nullcontext():
        if isinstance(obs, Table):
            made = standardise(obs, rows if concrete else jax.tree.map(jax.numpy.asarray, rows))
        else:
            parts = {name: _take(part, at) for name, at in rows.items()}
            made = Data(**parts).changed(classes=classes, columns=column_names(obs))
    if known and isinstance(obs, Table) and obs.rows is not None:
        source, on_disk = obs.rows, isinstance(obs.rows, np.memmap)
        rows = {n: Rows(source, at) if on_disk else source[at] for n, at in rows.items()}
    return made.changed(rows=rows if known else {})


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


def bounds_of(n: int, shares: dict[str, Any]) -> dict[str, tuple[int, int]]:
    """Return start and stop of each part in the order."""
    given = {name: share_of(name, value) for name, value in shares.items()}
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
    if stop == 1 < n and isinstance(given["train"], int):  # and no other part
        raise DataError("train=1 is a count: one row; write train=1.0 for all rows")
    if bounds["train"] == (0, 0):
        raise DataError("empty split: train has no observations; give it a fraction or a count")
    return bounds


def share_of(name: str, value: Any) -> int | float:
    """Read a share as an int (rows) or a float (fraction); a tracer raises JAX's error."""
    if value is None:
        return 0
    if (
        isinstance(value, (bool, str, bytes))
        or np.shape(value) != ()
        or not hasattr(value, "__float__")
    ):
        raise DataError(f"{name}={value!r:.80}; give a fraction such as 0.15, or a count of rows")
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
