"""Standardising a table by its training part, and undoing it in predictions."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from thetahat.core.errors import DataError
from thetahat.data._containers import Observations, register
from thetahat.data._encoder import Encoder
from thetahat.data._rows import Rows, blocks, standardised
from thetahat.data._table import Table


@dataclass(frozen=True, eq=False)
class Transform:
    """How a table's columns became x, and y its predictions.

        x = (filled columns - x_mean) / x_std,   prediction = y_hat * y_std + y_mean

    Args:    encoder: columns to numbers.   x_mean, x_std: (d,); 0 and 1 where not standardised.
             y_mean, y_std: ().   x_fill: (d,), what a missing value becomes, or None.
    """

    encoder: Encoder
    x_mean: Any
    x_std: Any
    y_mean: Any
    y_std: Any
    x_fill: Any = None

    def encode(self, table: Any) -> np.ndarray:
        """Any table with the same columns, as the model wants it: (n, d), float64.

        Args:    table: a frame, a mapping of columns, or an (n, d) array in the encoder's order.
        Raises:  DataError: a column or a value that the encoder does not know.
        """
        x = self.encoder.encode(table)
        fill = None if self.x_fill is None else np.asarray(self.x_fill, np.float64)
        mean, std = np.asarray(self.x_mean, np.float64), np.asarray(self.x_std, np.float64)
        return standardised(x, mean, std, fill)

    def decode(self, y_hat: Any) -> Any:
        """Predictions in units of the target."""
        return y_hat * self.y_std + self.y_mean


register(Transform, ("x_mean", "x_std", "y_mean", "y_std", "x_fill"), static=("encoder",))


def standardise(table: Table, rows: dict[str, Any]) -> tuple[dict[str, Any], Transform]:
    """The parts of a table by their rows, standardised by the rows of "train".

    Rows that are NumPy give NumPy, or stay on disk where the table does. Traced rows give arrays
    of the program: the columns are centred in double precision first, since a float32 mean of
    years such as 2003 would already lose the digits that vary.
    """
    concrete = isinstance(rows["train"], np.ndarray)
    moments = _moments if concrete else _traced_moments
    x_mean, x_std, x_fill = moments(table.x, rows["train"], table.encoder.missing)
    y_mean, y_std, _ = moments(table.y, rows["train"], "refuse")
    if concrete:
        _check_filled(table, x_mean)
    if not table.standardize:
        x_mean, x_std = 0 * x_mean, 0 * x_std + 1
    if not table.target_scale:
        y_mean, y_std = 0 * y_mean, 0 * y_std + 1
    transform = Transform(table.encoder, x_mean, x_std, y_mean, y_std, x_fill)
    parts = {
        name: Observations(
            _applied(table.x, x_mean, x_std, x_fill, at),
            _applied(table.y, y_mean, y_std, None, at),
            None if table.weight is None else _applied(table.weight, None, None, None, at),
        )
        for name, at in rows.items()
    }
    return parts, transform


def _applied(source: Any, mean: Any, std: Any, fill: Any, rows: Any) -> Any:
    if isinstance(source, np.memmap):
        return Rows(source, rows, mean, std, fill)
    if not isinstance(rows, np.ndarray):
        source = jnp.asarray(source)
    return standardised(source[rows], mean, std, fill)


def _moments(source: Any, rows: np.ndarray, missing: str) -> tuple[Any, Any, Any]:
    """Mean, standard deviation (over N) and fill of a column's rows, in one pass of blocks.

    In memory and on disk take the same blocks in the same (sorted) order, so the same bits come
    out. Blocks are merged as in Chan, Golub & LeVeque (1979).
    """
    rows = np.sort(rows)
    shape = source.shape[1:]
    n, mean, squares = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    for block in blocks(Rows(source, rows)):
        block = block.astype(np.float64, copy=False)
        there = ~np.isnan(block)
        count = there.sum(0)
        block_mean = np.where(there, block, 0).sum(0) / np.maximum(count, 1)
        block_squares = np.where(there, (block - block_mean) ** 2, 0).sum(0)
        total = np.maximum(n + count, 1)
        gap = block_mean - mean
        mean = mean + gap * count / total
        squares = squares + block_squares + gap**2 * n * count / total
        n = n + count
    mean = np.where(n > 0, mean, np.nan)
    fill = None
    if missing == "median":
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore", RuntimeWarning
            )  # no value at all: refused by name below
            fill = np.nanmedian(np.asarray(source)[rows], axis=0)
    elif missing == "mean":
        fill = mean
    if fill is not None:
        mean, squares = _with_filled(n, len(rows), mean, squares, fill)
    return mean, _spread(mean, squares / len(rows), np), fill


def _with_filled(n: Any, total: int, mean: Any, squares: Any, fill: Any) -> tuple[Any, Any]:
    """Mean and sum of squares once the total - n missing values are the fill."""
    whole = (n * mean + (total - n) * fill) / total
    squares = squares + n * (mean - whole) ** 2 + (total - n) * (fill - whole) ** 2
    return whole, squares


def _traced_moments(source: np.ndarray, rows: jax.Array, missing: str) -> tuple[Any, Any, Any]:
    centre = np.nanmean(source, axis=0)
    unit = np.nanstd(source, axis=0)
    unit = np.where(unit > 0, unit, 1.0)
    values = jnp.asarray((source - centre) / unit)[rows]
    fill = None
    if missing in ("mean", "median"):
        fill = (jnp.nanmean if missing == "mean" else jnp.nanmedian)(values, axis=0)
        values = jnp.where(jnp.isnan(values), fill, values)
        fill = centre + unit * fill
    mean, variance = values.mean(0), values.var(0)
    return centre + unit * mean, unit * _spread(mean, variance, jnp), fill


def _spread(mean: Any, variance: Any, xp: Any) -> Any:
    """Standard deviation; one where a column does not vary in the train part."""
    std = xp.sqrt(variance)
    noise = 10 * xp.finfo(std.dtype).eps * xp.abs(mean)
    return xp.where(std > noise, std, 1.0)


def _check_filled(table: Table, x_mean: np.ndarray) -> None:
    lost = [name for name, m in zip(table.names, x_mean, strict=True) if np.isnan(m)]
    if lost:
        raise DataError(
            f"column {lost[0]!r} has no value in the train part, so it cannot be imputed; "
            "leave it out, or give train more rows"
        )
