"""Standardisation of a table by its training part, and its inverse for predictions."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from thetahat.core.errors import DataError
from thetahat.data._containers import PARTS, Data, Observations, is_concrete, register
from thetahat.data._encoder import Encoder
from thetahat.data._far_off import say_far_off
from thetahat.data._gaps import say_gone
from thetahat.data._row_order import unmasked
from thetahat.data._rows import Rows, blocks, standardised
from thetahat.data._table import Table

UNSEEN = 1e30
"""The unit of a column that does not vary in train: it is 0 in every row, also where it differs.

Nothing was estimated about such a column, so its random first coefficient must not act later.
"""


@dataclass(frozen=True, eq=False)
class Moved:
    """Traced mean ``centre + unit * part``; the float32 part keeps the digits that vary.

    Args:    centre, unit: numbers, nested as the columns are.   part: an array, perhaps traced.
    """

    centre: Any
    unit: Any
    part: Any

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the mean."""
        return tuple(jnp.shape(self.part))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        part = np.asarray(self.part, np.float64)
        whole = np.asarray(self.centre) + np.asarray(self.unit) * part
        return np.asarray(whole, dtype or np.float64)

    def __jax_array__(self) -> jax.Array:
        return jnp.asarray(np.asarray(self.centre) + np.asarray(self.unit) * self.part)


register(Moved, ("part",), static=("centre", "unit"))


@dataclass(frozen=True, eq=False, repr=False)
class Transform:
    """Map from a table's columns to x, and from y to predictions, in double precision.

        x = (filled columns - x_mean) / x_std,   prediction = y_hat * y_std + y_mean

    Args:    encoder: columns to numbers.   x_mean, x_std: (d,); 0 and 1 if not standardised;
             1e30 of a column that does not vary in train, so that x is 0 in every row.
             y_mean, y_std: ().   x_fill: (d,), in place of missing values, or None.
    """

    encoder: Encoder
    x_mean: Any
    x_std: Any
    y_mean: Any
    y_std: Any
    x_fill: Any = None

    @property
    def plain(self) -> bool:
        """Whether numbers are known to stay as they are: nothing is standardised."""
        means, units = (self.x_mean, self.y_mean), (self.x_std, self.y_std)
        if not all(map(is_concrete, jax.tree.leaves((means, units)))):
            return False
        return all((np.asarray(m) == 0).all() for m in means) and all(
            (np.asarray(u) == 1).all() for u in units
        )

    @property
    def said(self) -> str:
        """The target on the features."""
        names = self.encoder.names
        return f"{self.encoder.target} on {', '.join(names[:8])}{', ...' * (len(names) > 8)}"

    def __repr__(self) -> str:
        return f"Transform({self.said})"

    def encode(self, table: Any) -> np.ndarray:
        """Encode a table with the same columns for the model: (n, d), float64.

        Args:    table: a file, a frame, a mapping of columns, or an (n, d) array in the encoder's
                 order.
        Raises:  DataError: a column or a value unknown to the encoder.
        """
        return self.scaled(self.encoder.encode(_without_mask(table)))

    def rows(self, x: Any) -> tuple[np.ndarray, np.ndarray]:
        """Encode rows of a table for a prediction, (n, d), with a notice where they look wrong.

        Returns: also which rows have no prediction, (n,).
        """
        x = _without_mask(x)
        found, gone, why = self.encoder.rows(x)
        say_gone(gone, why, x)
        scaled = self.scaled(found)
        if not isinstance(x, (str, Path, Mapping)) and not hasattr(x, "columns"):
            say_far_off(found, scaled, self.encoder.names)
        return scaled, gone

    def scaled(self, x: np.ndarray) -> np.ndarray:
        """Fill and standardise encoded rows."""
        fill = None if self.x_fill is None else np.asarray(self.x_fill, np.float64)
        mean, std = np.asarray(self.x_mean, np.float64), np.asarray(self.x_std, np.float64)
        return standardised(x, mean, std, fill)

    def encode_row(self, x: Any) -> Any:
        """Standardise one observation (d,) of the table's numbers; it may be traced."""
        if is_concrete(x):
            return self.encode(np.asarray(x, np.float64)[None])[0]
        x = x if jnp.issubdtype(x.dtype, jnp.inexact) else x.astype(jnp.result_type(float))
        if self.x_fill is not None:
            x = jnp.where(jnp.isnan(x), jnp.asarray(self.x_fill).astype(x.dtype), x)
        mean, std = jnp.asarray(self.x_mean), jnp.asarray(self.x_std)
        return (x - mean.astype(x.dtype)) / std.astype(x.dtype)

    def decode(self, y_hat: Any) -> Any:
        """Convert predictions to units of the target, in double precision unless traced."""
        if is_concrete(y_hat):
            mean, std = np.asarray(self.y_mean, np.float64), np.asarray(self.y_std, np.float64)
            return np.asarray(y_hat, np.float64) * std + mean
        mean, std = jnp.asarray(self.y_mean), jnp.asarray(self.y_std)
        return y_hat * std.astype(y_hat.dtype) + mean.astype(y_hat.dtype)

    @property
    def classes(self) -> tuple[Any, ...] | None:
        """Labels of a target of classes, in the order of y = 0..k-1; None for numbers."""
        return None if self.encoder.classes is None else self.encoder.classes.labels

    def of_scores(self) -> Transform:
        """Return a copy for a target that is not standardised: it keeps predictions unchanged."""
        return replace(self, y_mean=np.float64(0), y_std=np.float64(1))

    def settled(self) -> Transform:
        """Return a copy with NumPy numbers, after tracing."""
        names = ("x_mean", "x_std", "y_mean", "y_std", "x_fill")
        given = {name: getattr(self, name) for name in names}
        return replace(
            self,
            **{n: None if v is None else np.asarray(v, np.float64) for n, v in given.items()},
        )


register(Transform, ("x_mean", "x_std", "y_mean", "y_std", "x_fill"), static=("encoder",))


@dataclass(frozen=True, eq=False)
class TargetUnits:
    """Mean and standard deviation of a standardised target: ``y = y_hat * y_std + y_mean``."""

    y_mean: Any
    y_std: Any


register(TargetUnits, ("y_mean", "y_std"))


def standardise(table: Table, rows: dict[str, Any]) -> Data:
    """Cut a table into parts and standardise them by the rows of "train"; keep its own y.

    NumPy rows give NumPy arrays, or stay on disk. Traced rows give arrays of the program, after
    centring the columns in double precision: a float32 mean of years such as 2003 would lose the
    digits that vary.
    """
    concrete = isinstance(rows["train"], np.ndarray)
    scaled = _scaled if concrete else _traced_scaled
    missing, weight = table.encoder.missing, table.weight
    one_hot = table.encoder.one_hot
    x, x_mean, x_std, x_fill = scaled(table.x, rows, missing, weight, table.standardize, one_hot)
    y, y_mean, y_std, _ = scaled(table.y, rows, "refuse", weight, table.target_scale, alike=1.0)
    if concrete:
        _check_filled(table, x_mean, x_fill)
    weights = {n: None if weight is None else _taken(weight, at) for n, at in rows.items()}
    own = {n: _taken(table.y, at) for n, at in rows.items()} if table.target_scale else None
    parts = {name: Observations(x[name], y[name], weights[name]) for name in rows}
    return Data(
        **parts,
        transform=Transform(table.encoder, x_mean, x_std, y_mean, y_std, x_fill),
        targets=own,
    ).changed(classes=table.encoder.classes)


def robust(data: Data) -> Data:
    """Scale the columns of a table by their median and interquartile range in the train part.

    A column whose quartiles are equal is scaled by half its range, so that most of its values are
    zero. The transform says so: predictions take the table's own numbers, as before.

    Args:    data: from ``split`` of a Table in memory, with known numbers.
    Returns: Data with other x and another transform.
    """
    middle, around = robust_units(np.asarray(data.train.x, np.float64))
    parts = {
        name: replace(part, x=(np.asarray(part.x, np.float64) - middle) / around)
        for name in PARTS
        if (part := getattr(data, name)) is not None
    }
    old = data.transform
    transform = replace(old, x_mean=old.x_mean + old.x_std * middle, x_std=old.x_std * around)
    return data.changed(**parts, transform=transform)


def robust_units(x: np.ndarray, alike: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Return medians and interquartile ranges of columns; half the range where that is zero.

    Args:    alike: in place of a range of 0.
    """
    middle = np.median(x, axis=0)
    low, high = np.quantile(x, [0.25, 0.75], axis=0)
    around = np.where(high > low, high - low, np.ptp(x, axis=0) / 2)
    return middle, np.where(around > 0, around, alike)


class _Units(NamedTuple):
    """Columns are ``centre + unit * near``; ``alike`` is the unit of those that do not vary."""

    centre: np.ndarray
    unit: np.ndarray
    alike: float


def _taken(source: Any, rows: Any) -> Any:
    if isinstance(source, np.memmap):
        return Rows(source, rows)
    return (source if isinstance(rows, np.ndarray) else jnp.asarray(source))[rows]


def _scaled(
    source: Any,
    rows: dict[str, np.ndarray],
    missing: str,
    weight: Any,
    scale: bool,
    one_hot: Sequence[slice] = (),
    alike: float = UNSEEN,
) -> tuple[dict[str, Any], Any, Any, Any]:
    """Return the parts of a column (or of several), with their mean, deviation and fill.

    Args:    alike: the unit of a column that does not vary in train.
    """
    mean, std, fill = _moments(source, rows["train"], missing, weight, one_hot, alike)
    if not scale:
        mean, std = 0 * mean, 0 * std + 1

    def applied(at: np.ndarray) -> Any:
        if isinstance(source, np.memmap):
            return Rows(source, at, mean, std, fill)
        return standardised(source[at], mean, std, fill)

    return {name: applied(at) for name, at in rows.items()}, mean, std, fill


def _traced_scaled(
    source: Any,
    rows: dict[str, Any],
    missing: str,
    weight: Any,
    scale: bool,
    one_hot: Sequence[slice] = (),
    alike: float = UNSEEN,
) -> tuple[dict[str, Any], Any, Any, Any]:
    """Do as ``_scaled`` in a traced program, on (columns - centre) / unit."""
    centre, unit = np.zeros(source.shape[1:]), np.ones(source.shape[1:])
    if isinstance(source, np.ndarray):  # else drawn in the program, where nothing is known of it
        centre, unit = np.nanmean(source, axis=0), np.nanstd(source, axis=0)
        unit = np.where(unit > 0, unit, 1.0)
    near = jnp.asarray((source - centre[None]) / unit[None])
    units = _Units(centre, unit, alike)
    mean, std, fill = _traced_moments(near, rows["train"], missing, weight, units, one_hot)
    moved = None if fill is None else Moved(centre.tolist(), unit.tolist(), fill)
    if scale:
        parts = {name: standardised(near[at], mean, std, fill) for name, at in rows.items()}
        return parts, Moved(centre.tolist(), unit.tolist(), mean), unit * std, moved
    whole, zero = jnp.asarray(source), np.zeros_like(centre)
    fill = None if moved is None else jnp.asarray(moved)
    parts = {name: standardised(whole[at], zero, zero + 1, fill) for name, at in rows.items()}
    return parts, zero, zero + 1, moved


def _moments(
    source: Any,
    rows: np.ndarray,
    missing: str,
    weight: Any,
    one_hot: Sequence[slice] = (),
    alike: float = UNSEEN,
) -> tuple[Any, Any, Any]:
    """Compute weighted mean, standard deviation and fill of rows, in one pass of blocks.

    Data in memory and on disk use the same blocks in the same (sorted) order, for the same bits.
    Blocks are merged as in Chan, Golub & LeVeque (1979).
    """
    rows = np.sort(rows)
    shape = source.shape[1:]
    n, mean, squares = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    low, high = np.full(shape, np.inf), np.full(shape, -np.inf)
    mass = None if weight is None else np.asarray(weight[rows], np.float64)
    at = 0
    for block in blocks(Rows(source, rows)):
        block = block.astype(np.float64, copy=False)
        there = ~np.isnan(block)
        w: Any = None
        if mass is not None:
            w = mass[at : at + len(block)].reshape(-1, *[1] * (block.ndim - 1))
            at += len(block)
        count = there.sum(0) if w is None else (there * w).sum(0)
        counted = there if w is None else there & (w > 0)
        low = np.minimum(low, np.where(counted, block, np.inf).min(0))
        high = np.maximum(high, np.where(counted, block, -np.inf).max(0))
        values = np.where(there, block, 0)
        whole = values.sum(0) if w is None else (values * w).sum(0)
        block_mean = whole / np.where(count > 0, count, 1)
        away = np.where(there, (block - block_mean) ** 2, 0)
        block_squares = away.sum(0) if w is None else (away * w).sum(0)
        total = np.where(n + count > 0, n + count, 1)
        gap = block_mean - mean
        mean = mean + gap * count / total
        squares = squares + block_squares + gap**2 * n * count / total
        n = n + count
    total = len(rows) if mass is None else float(mass.sum())
    mean = np.where(n > 0, mean, np.nan)
    fill = None
    if missing == "median":
        values = np.asarray(source)[rows]
        fill = _with_modes(_median(values, mass), values, mass, one_hot)
    elif missing == "mean":
        fill = mean
    if fill is not None:
        mean, squares = _with_filled(n, total, mean, squares, fill)
    return *_scale(mean, squares / (total or 1), low, high, np, alike), fill


def _median(values: np.ndarray, mass: np.ndarray | None) -> np.ndarray:
    """Compute the weighted median by column, without missing values."""
    if mass is not None:
        return np.asarray(_weighted_median(values, mass, np))
    with warnings.catch_warnings():
        # _check_filled refuses columns with missing values only, by name.
        warnings.simplefilter("ignore", RuntimeWarning)
        return np.nanmedian(values, axis=0)


def _with_modes(
    fill: Any, values: Any, mass: Any, one_hot: Sequence[slice], units: _Units | None = None
) -> Any:
    """Replace the medians of a category's columns by its level of most weight.

    Args:    units: of traced values; None where they are 0 and 1.
    """
    xp: Any = np if units is None else jnp
    for at in one_hot:
        share, zero, one = values[:, at], 0.0, 1.0
        if units is not None:
            zero, one = -units.centre[at] / units.unit[at], 1 / units.unit[at]
            share = (share - zero[None]) / one[None]
        share = xp.nansum(share if mass is None else share * mass[:, None], axis=0)
        level = zero + one * (xp.arange(at.stop - at.start) == xp.argmax(share))
        fill = xp.concatenate([fill[: at.start], level.astype(fill.dtype), fill[at.stop :]])
    return fill


def _weighted_median(values: Any, mass: Any, xp: Any) -> Any:
    """Compute the point with half of the weight on each side, or the middle of a gap; (d,)."""
    order = xp.argsort(values, axis=0)  # NaN last
    values = xp.take_along_axis(values, order, axis=0)
    mass = xp.where(xp.isnan(values), 0.0, mass[order])
    below = xp.cumsum(mass, axis=0)
    half, slack = below[-1] / 2, 1e-6 * below[-1]
    at = [
        xp.argmax(below >= (half - slack)[None], axis=0),
        xp.argmax(below > (half + slack)[None], axis=0),
    ]
    low, high = (xp.take_along_axis(values, i[None], axis=0)[0] for i in at)
    return (low + high) / 2


def _with_filled(n: Any, total: Any, mean: Any, squares: Any, fill: Any) -> tuple[Any, Any]:
    """Return mean and sum of squares after the total - n missing values become the fill."""
    whole = (n * mean + (total - n) * fill) / (total or 1)
    squares = squares + n * (mean - whole) ** 2 + (total - n) * (fill - whole) ** 2
    return whole, squares


def _traced_moments(
    near: Any,
    rows: jax.Array,
    missing: str,
    weight: Any,
    units: _Units,
    one_hot: Sequence[slice],
) -> tuple[Any, Any, Any]:
    one = units.alike / units.unit
    values = near[rows]
    mass = None
    if weight is not None:
        xp = np if is_concrete(weight) else jnp
        mass = jnp.asarray(xp.asarray(weight) / xp.max(weight))[rows]
        mass = mass.reshape(-1, *[1] * (values.ndim - 1))
    counted = ~jnp.isnan(values) & (True if mass is None else mass > 0)
    low = jnp.min(jnp.where(counted, values, jnp.inf), 0)
    high = jnp.max(jnp.where(counted, values, -jnp.inf), 0)
    fill = None
    if missing == "mean":
        gone = jnp.isnan(values)
        share = jnp.where(gone, 0.0, 1.0 if mass is None else mass)
        fill = jnp.sum(jnp.where(gone, 0.0, values) * share, 0) / jnp.sum(share, 0)
    elif missing == "median":
        masses = None if mass is None else jnp.ravel(mass)
        plain = masses is None
        fill = jnp.nanmedian(values, axis=0) if plain else _weighted_median(values, masses, jnp)
        fill = _with_modes(fill, values, masses, one_hot, units)
    if fill is not None:
        values = jnp.where(jnp.isnan(values), fill, values)
    if mass is None:
        return *_scale(values.mean(0), values.var(0), low, high, jnp, one), fill
    mean = jnp.sum(mass * values, 0) / jnp.sum(mass, 0)
    variance = jnp.sum(mass * (values - mean[None]) ** 2, 0) / jnp.sum(mass, 0)
    return *_scale(mean, variance, low, high, jnp, one), fill


def _without_mask(x: Any) -> Any:
    """Return a masked array with NaN in place of what its mask hides; all else as it is."""
    return unmasked(x) if isinstance(x, np.ma.MaskedArray) else x


def _scale(mean: Any, variance: Any, low: Any, high: Any, xp: Any, one: Any) -> tuple[Any, Any]:
    """Return means and standard deviations; of a column that does not vary in train, its value
    and ``one``: the rounded mean of many equal numbers may be another number.

    Args:    low, high: of each column.   one: its unit.
    """
    std = xp.sqrt(variance)
    noise = 10 * xp.finfo(std.dtype).eps * xp.abs(mean)
    same = low == high
    # What is too small to be squared is refused where it is fitted; whole numbers at a level may
    # differ by more than rounding.
    range_ = high - low
    differs = ~same & ((range_**2 == 0) | (range_ > 8 * xp.finfo(std.dtype).eps * xp.abs(mean)))
    unit = xp.where(differs, 1.0, one)
    return xp.where(same, low, mean), xp.where((std > noise) & ~same, std, unit)


def _check_filled(table: Table, x_mean: Any, x_fill: Any) -> None:
    means = x_mean if x_fill is None else x_fill
    lost = [name for name, m in zip(table.names, means, strict=True) if np.isnan(m)]
    if lost:
        raise DataError(
            f"column {lost[0]!r} has no value in the train part, so it cannot be imputed; "
            "leave it out, or give train more rows"
        )
