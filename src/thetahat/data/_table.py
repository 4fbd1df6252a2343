"""Tables: x, y and weights from the named columns of a file or a frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from thetahat.data._checks import Scan, TablePlan, look, plan, verdict
from thetahat.data._columns import TableColumn
from thetahat.data._containers import Observations
from thetahat.data._encoder import Encoder
from thetahat.data._readers import table_columns, table_names


@dataclass(frozen=True, eq=False)
class Table:
    """A table as numbers in its own units; ``th.split`` standardises it.

    Args:    x: (N, d), with one-hot columns; NaN for values that the split imputes.   y: (N,).
             weight: (N,) or None.   encoder: from later tables to x.
             standardize, target_scale: whether the split standardises x and y.
             rows: (N,), rows of the source, from 0; None: all.
    """

    x: Any
    y: Any
    weight: Any
    encoder: Encoder
    standardize: bool = True
    target_scale: bool = True
    rows: Any = None

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns of x."""
        return self.encoder.names

    @property
    def target(self) -> str:
        """Name of y."""
        return self.encoder.target

    @property
    def classes(self) -> tuple[Any, ...] | None:
        """Labels of a target of classes, in the order of y = 0..k-1; None for numbers."""
        return None if self.encoder.classes is None else self.encoder.classes.labels

    @property
    def obs(self) -> Observations:
        """x, y and weight, not standardised."""
        return Observations(self.x, self.y, self.weight)

    def __len__(self) -> int:
        return len(self.y)


def read_table(
    source: Any,
    target: str,
    features: Sequence[str] | str | None = None,
    weights: str | None = None,
    missing: str = "refuse",
    standardize: bool = True,
    target_scale: bool | None = None,
    categorical: Sequence[str] | str | None = None,
) -> Table:
    """Read a table with named columns.

    Args:    source: a CSV, TSV or Parquet file, a pandas or polars frame, a mapping of columns.
             target: the column to estimate.   features: columns to estimate from; by
             default all others.   weights: a column of observation weights.
             missing: "refuse"; "drop" the rows; or impute features by the "mean" or "median" of
             the train part (levels by their shares).
             standardize: whether the split standardises features (train mean 0, deviation 1).
             target_scale: the same for the target; as ``standardize`` by default.
             categorical: columns to encode as one 0/1 column per sorted level. Columns of
             categorical dtype need no mention; other text is an error. The levels of a target of
             text, or named here, become classes: y = 0..k-1.
    Returns: a Table; ``th.split(table, ...)`` makes Data of it.
    Raises:  DataError: a file or a column that cannot be used.
             MissingExtra: Parquet without pyarrow or polars.
    >>> table = read_table({"wage": [3.1, 3.2, 8.0], "educ": [11, 12, 16]}, target="wage")
    >>> table.names, table.x.shape
    (('educ',), (3, 1))
    """
    roles = plan(
        table_names(source),
        target,
        features,
        weights,
        missing,
        standardize,
        target_scale,
        categorical,
    )
    columns = table_columns(source, roles.used)
    scan = Scan()
    keep = look(scan, columns, roles)
    encoder = verdict(scan, roles)
    x, y, weight = arrays(encoder, columns, keep, roles)
    scaled = roles.target_scale and encoder.classes is None
    rows = None if keep.all() else np.flatnonzero(keep)
    return Table(x, y, weight, encoder, roles.standardize, scaled, rows)


def arrays(
    encoder: Encoder, columns: dict[str, TableColumn], keep: np.ndarray, roles: TablePlan
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Return x, y and weight of the kept rows of a block of checked columns."""
    # Dropped rows may have levels that kept rows lack.
    kept = {name: replace(column, values=column.values[keep]) for name, column in columns.items()}
    x = encoder.numbers(kept)
    y = encoder.outcome(kept)
    weight = None if roles.weights is None else columns[roles.weights].values[keep]
    return x, y, weight
