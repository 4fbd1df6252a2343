"""The precision of a Task, float32 or float64: it holds within its fit, and only there."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from thetahat.core.errors import DataError
from thetahat.data import UNSEEN, Rows, Transform, jax_setting, weights_of as th_weights
from thetahat.risk import inputs_and_target
from thetahat.train.jax._constants import convert_anew

_PARTS = ("train", "val", "test")
ON_DISK = (Rows, np.memmap)
"""Leaves that are read batch by batch."""
_HOPELESS = 1e150
"""Beyond it squares overflow double precision too."""


def precision(dtype: str) -> AbstractContextManager[Any]:
    """A context in which new arrays and products of matrices have the Task's precision.

    Accelerators multiply float32 with fewer digits (TF32, bfloat16) unless they are asked not to.
    NumPy arrays that a program closes over are converted anew.
    """
    convert_anew()
    wide = jax.enable_x64(dtype == "float64")
    if jax.default_backend() == "cpu" or asked_products() is not None:
        return wide
    both = ExitStack()
    both.enter_context(wide)
    both.enter_context(jax.default_matmul_precision(FULL))
    return both


FULL = "highest"
"""The precision of products of matrices on accelerators, unless the user sets another one."""


def asked_products() -> str | None:
    """The precision of products that the user has set by ``jax.default_matmul_precision`` or
    JAX_DEFAULT_MATMUL_PRECISION; None: none."""
    return jax_setting("jax_default_matmul_precision")


def cast(tree: Any, dtype: str) -> Any:
    """Floating leaves in the Task's dtype; integers, booleans and keys as they are."""
    return jax.tree.map(lambda leaf: cast_leaf(leaf, dtype), tree)


def cast_leaf(leaf: Any, dtype: str) -> Any:
    """One leaf, as ``cast``. NumPy stays NumPy, so that nothing is copied to a device twice; what
    is streamed stays on disk, and is cast batch by batch."""
    if isinstance(leaf, ON_DISK):
        return leaf
    if isinstance(leaf, (np.ndarray, np.generic, float, int, bool, list)):
        array = np.asarray(leaf)
        with np.errstate(over="ignore"):  # refuse_overflow has checked it, in the Task's own dtype
            return array.astype(dtype) if array.dtype.kind == "f" else array
    if leaf.dtype == dtype and not getattr(leaf, "weak_type", False):
        return leaf  # a cast takes long to trace
    return leaf.astype(dtype) if jnp.issubdtype(leaf.dtype, jnp.floating) else leaf


def refuse_overflow(data: Any, dtype: str) -> None:
    """Check that finite observations are finite in the Task's dtype too.

    Raises:  DataError: some are not; it says which array, or which column of a table.
    """
    for path, leaf in jax.tree_util.tree_flatten_with_path(data)[0]:
        if isinstance(leaf, ON_DISK) or not isinstance(leaf, (np.ndarray, np.generic, float)):
            continue
        array = np.asarray(leaf)
        if array.dtype.kind != "f" or array.dtype.itemsize <= np.dtype(dtype).itemsize:
            continue
        limit = np.finfo(dtype).max
        # What is not finite was refused before. No copy is made of what may be large.
        if array.size and (array.max() > limit or array.min() < -limit):
            size = np.abs(array)
            wider = ", or give dtype='float64' (--dtype float64)" if size.max() < _HOPELESS else ""
            raise DataError(
                f"{_reaches(data, jax.tree_util.keystr(path), size)}, which overflows single"
                f" precision; rescale it{wider}"
            )


COARSE = 1e-3
"""Share of a column's spread that rounding to the Task's dtype may cost."""
_CONSTANT = 1e-12
"""Relative spread up to which a column is constant but for its own rounding."""
_LOOKED_AT, _READ = 1 << 17, 1 << 12
"""Numbers from which columns' means and spreads are taken; rows, of what lies on disk."""


def refuse_rounding(data: Any, dtype: str, *, whole: bool) -> None:
    """Check that the Task's dtype holds the spread of the training observations, not their level
    alone, that it holds the square of that spread, and that it holds integers.

    Rounding at a level m costs about 0.3 eps |m|. Weights may be of any level whose sums the dtype
    holds. Integers and weights are looked at in every part.

    Args:    whole: integers are used as numbers too.
    Raises:  DataError: it does not; it says which array, or which column of a table.
    """
    for name in _PARTS:
        _refuse_part(f"data.{name}", getattr(data, name), dtype)
    kinds = (jnp.floating, jnp.integer)[: 1 + whole]
    weight = th_weights(data.train)
    for path, leaf in jax.tree_util.tree_flatten_with_path(data.train)[0]:
        if leaf is weight or not isinstance(leaf, (np.ndarray, jax.Array, *ON_DISK)):
            continue
        if isinstance(leaf, Tracer) or not len(leaf):
            continue
        where = "data.train" + jax.tree_util.keystr(path)
        if not any(jnp.issubdtype(leaf.dtype, kind) for kind in kinds):
            continue
        if not math.prod(leaf.shape[1:]):
            raise DataError(f"{where} has the shape {leaf.shape}, and no column; give at least one")
        rows = _READ if isinstance(leaf, ON_DISK) else _LOOKED_AT // math.prod(leaf.shape[1:])
        some = np.array(leaf[:: -(-len(leaf) // max(rows, 2))], np.float64)
        if leaf is getattr(data.train, "x", None) and np.any(unseen := _unseen(data.transform)):
            some[:, unseen] = 0.0
        _refuse_spread(lambda at, where=where: _column(data, where, at), some, dtype)


def _unseen(transform: Any) -> Any:
    """The columns of a table that do not vary in train; none where that is not known."""
    x_std = getattr(transform, "x_std", None)
    if not isinstance(x_std, (np.ndarray, float)):
        return []
    return np.asarray(x_std) >= UNSEEN


def refuse_uncentred(data: Any, dtype: str) -> None:
    """See that a method that solves equations in the curvature can, where inputs have a level.

    At the level m and the spread s of an input, the condition of J'J is about (m / s)^2: once that
    exceeds 1 / eps, no digit of a solution is right.

    Raises:  DataError: it cannot; it says which array, or which column of a table.
    """
    inputs, _ = inputs_and_target(data.train)
    eps = float(np.finfo(dtype).eps)
    wider = " or give dtype='float64' (--dtype float64)" if dtype == "float32" else ""
    for path, leaf in jax.tree_util.tree_flatten_with_path(data.train)[0]:
        mine = any(leaf is one for one in jax.tree.leaves(inputs))
        if not mine or isinstance(leaf, Tracer) or not isinstance(leaf, (np.ndarray, jax.Array)):
            continue
        rows = max(_LOOKED_AT // math.prod(leaf.shape[1:]), 2)
        some = np.asarray(leaf[:: -(-len(leaf) // rows)], np.float64)
        mean, std = some.mean(0), some.std(0)
        lost = (std > _CONSTANT * np.abs(mean)) & (eps * mean**2 > std**2)
        if np.any(lost):
            at = _first(lost)
            name = _column(data, "data.train" + jax.tree_util.keystr(path), at)
            raise DataError(
                f"{name} has the mean {mean[at]:.6g} and the standard deviation {std[at]:.3g}: in"
                f" {dtype} the equations that this optimizer solves have no right digit left;"
                f" subtract its mean{',' * bool(wider)}{wider}"
            )


def _refuse_spread(name: Callable[[Any], str], some: np.ndarray, dtype: str) -> None:
    """Refuse columns whose spread is lost beside their level, or too small to be squared."""
    info, mean = np.finfo(dtype), some.mean(0)
    unit = np.maximum(np.abs(some - mean).max(0), np.finfo(np.float64).tiny)
    std = ((some - mean) / unit).std(0) * unit  # squares of small numbers are rounded to zero
    wider = " or give dtype='float64' (--dtype float64)" if dtype == "float32" else ""
    varies = std > _CONSTANT * np.abs(mean)
    tiny = varies & (std < math.sqrt(float(info.tiny)))
    if np.any(tiny):
        at = _first(tiny)
        raise DataError(
            f"{name(at)} has the standard deviation {std[at]:.3g}, whose square {dtype} rounds to"
            f" zero; rescale it{',' * bool(wider)}{wider}"
        )
    lost = varies & (0.3 * float(info.eps) * np.abs(mean) > COARSE * std)
    if np.any(lost):
        at = _first(lost)
        raise DataError(
            f"{name(at)} has the mean {mean[at]:.6g} and the standard deviation {std[at]:.3g},"
            f" which {dtype} rounds to steps of {float(info.eps) * abs(float(mean[at])):.2g};"
            f" subtract its mean{',' * bool(wider)}{wider}"
        )


def _first(found: Any) -> tuple[Any, ...]:
    """The position of the first true."""
    return np.unravel_index(int(np.argmax(found)), np.shape(found)) if np.ndim(found) else ()


def refuse_level(y: Any, dtype: str) -> None:
    """Check that targets (N,) or (N, k) which were drawn in the Task's dtype still vary.

    Raises:  DataError: all are one number, and a large one: their spread was rounded away.
    """
    low, high = np.asarray(y, np.float64).min(0), np.asarray(y, np.float64).max(0)
    one = (low == high) & (np.abs(low) * np.finfo(dtype).eps > COARSE)
    if np.any(one):
        raise DataError(
            f"every target that was drawn is {float(np.ravel(low)[int(np.argmax(one))]):.6g}:"
            f" {dtype} has no room for what varies at that level; leave the level out, or give"
            " dtype='float64' (--dtype float64)"
        )


def _refuse_part(name: str, part: Any, dtype: str) -> None:
    """Refuse what a part loses in the dtype whatever is computed from it."""
    weight = None if part is None else th_weights(part)
    for path, leaf in jax.tree_util.tree_flatten_with_path(part)[0]:
        if not isinstance(leaf, np.ndarray) or not len(leaf):
            continue
        where = name + jax.tree_util.keystr(path)
        if dtype == "float32":
            _refuse_long(where, leaf, is_weight=leaf is weight)
        if leaf is weight and leaf.dtype.kind == "f":
            _refuse_weights(where, float(np.mean(leaf, dtype=np.float64)), dtype)


def _refuse_weights(where: str, mean: float, dtype: str) -> None:
    """Weights whose sums overflow, or are rounded to zero."""
    info = np.finfo(dtype)
    if not math.sqrt(float(info.tiny)) <= mean <= math.sqrt(float(info.max)):
        raise DataError(
            f"{where} are weights of mean {mean:.3g}, whose sums {dtype} does not hold; divide them"
            " by their mean: only their ratios count"
        )


def _refuse_long(where: str, leaf: np.ndarray, *, is_weight: bool) -> None:
    """Integers beyond 32 bits, which JAX would wrap around."""
    if leaf.dtype.kind in "iu" and leaf.dtype.itemsize == 8:
        info = np.iinfo(np.int32 if leaf.dtype.kind == "i" else np.uint32)
        low, high = int(leaf.min()), int(leaf.max())
        if low < info.min or high > info.max:
            fix = "give them as floats" if is_weight else "subtract an offset"
            raise DataError(
                f"{where} holds integers from {low} to {high}, and 32 bits hold {info.min} to"
                f" {info.max}; {fix}, or give dtype='float64' (--dtype float64)"
            )


def _column(data: Any, where: str, at: tuple[Any, ...]) -> str:
    if isinstance(data.transform, Transform):
        encoder = data.transform.encoder
        if where.endswith(".y"):
            return f"target {(encoder.targets[int(at[-1])] if at else encoder.target)!r}"
        return f"column {encoder.names[int(at[-1])]!r}"
    return where + (f"[:, {', '.join(map(str, at))}]" if at else "")


def _reaches(data: Any, where: str, size: np.ndarray) -> str:
    """Where numbers are too large, and how large: ``.transform`` holds those of a table."""
    top = f"{size.max():.3g}"
    if not where.startswith(".transform."):
        return f"data{where} reaches {top}"
    which, number = where.removeprefix(".transform.").split("_")
    what = {"mean": "mean", "std": "standard deviation", "fill": "imputed value"}[number]
    encoder = data.transform.encoder
    if which == "y":
        name = encoder.targets[int(size.argmax())] if encoder.targets else encoder.target
        return f"target {name!r} has the {what} {top}"
    return f"column {encoder.names[int(size.argmax())]!r} has the {what} {top}"
