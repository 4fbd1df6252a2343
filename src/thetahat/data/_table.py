"""Tables: x, y and weights from the named columns of a file or a frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from thetahat.core.arguments import arguments_named
from thetahat.core.errors import DataError, did_you_mean
from thetahat.data._cells import cells_of
from thetahat.data._checks import Scan, TablePlan, look, plan, verdict
from thetahat.data._classes import Classes
from thetahat.data._column_names import ColumnNames
from thetahat.data._columns import TableColumn, index_names, refuse_merged, table_kind
from thetahat.data._containers import Observations, is_concrete
from thetahat.data._encoder import Encoder, Feature, names_of_array
from thetahat.data._leaks import say_suspicious
from thetahat.data._readers import table_columns, table_names


@dataclass(frozen=True, eq=False)
class Table:
    """A table as numbers in its own units; ``th.split`` standardises it.

    Args:    x: (N, d), with one-hot columns; NaN for values that the split imputes.   y: (N,).
             weight: (N,) or None.   encoder: from later tables to x.
             standardize, target_scale: whether the split standardises x and y.
             rows: (N,), rows of the source, from 0; None: all.
             source: the file or frame, for columns that ``th.split`` looks up; None: unknown.
             unweighted: how many rows of weight 0 are left out.
    """

    x: Any
    y: Any
    weight: Any
    encoder: Encoder
    standardize: bool = True
    target_scale: bool = True
    rows: Any = None
    source: Any = field(default=None, repr=False)
    unweighted: int = 0

    def __repr__(self) -> str:
        names = ", ".join(self.names[:8]) + (", ..." if len(self.names) > 8 else "")
        return f"Table({self.target} on {names}; {len(self):,} rows)"

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns of x."""
        return self.encoder.names

    @property
    def target(self) -> str:
        """Name of y; of several targets, their names in one text."""
        return self.encoder.target

    @property
    def classes(self) -> tuple[Any, ...] | None:
        """Labels of a target of classes, in the order of y = 0..k-1; None for numbers."""
        return None if self.encoder.classes is None else self.encoder.classes.labels

    @property
    def obs(self) -> Observations:
        """x, y and weight, not standardised."""
        return Observations(self.x, self.y, self.weight)

    @property
    def labels(self) -> Any:
        """The rows of a frame of pandas, with their labels and without columns; else None."""
        if table_kind(self.source) != "pandas":
            return None
        return self.source.iloc[slice(None) if self.rows is None else self.rows, :0]

    def __len__(self) -> int:
        return len(self.y)

    def scaled(self, standardize: bool | None, target_scale: bool | None) -> Table:
        """Return a copy that the split standardises otherwise; None for no change.

        As in ``read_table``, the target follows ``standardize`` unless ``target_scale`` is given.
        """
        if target_scale is None:
            target_scale = standardize
        x = self.standardize if standardize is None else standardize
        y = self.target_scale if target_scale is None else target_scale
        return replace(self, standardize=x, target_scale=y and self.classes is None)

    def column(self, name: str, role: str) -> TableColumn:
        """Read a column of the source at the table's rows, whether or not it is in x.

        Raises:  DataError: no such column, or a source that has changed.
        """
        if self.source is None:
            raise DataError(f"{role}={name!r}: give one value per row; this table has no source")
        names = [*table_names(self.source), *index_names(self.source)]
        if name not in names:
            raise DataError(f"the table has no column {name!r} ({role}){did_you_mean(name, names)}")
        column = table_columns(self.source, [name], self.encoder.cells)[name]
        rows = np.arange(len(self)) if self.rows is None else np.asarray(self.rows)
        if len(column.values) <= rows.max() or (self.rows is None) != (
            len(column.values) == len(rows)
        ):
            raise DataError("the table has changed since it was read; read it again")
        return column.take(rows)

    def rows_before(self) -> int:
        """Count the rows of the source, with those that were left out."""
        if self.rows is None or self.source is None:
            return len(self)
        name = self.encoder.features[0].name
        return len(table_columns(self.source, [name])[name].values)


@arguments_named
def read_table(
    source: Any,
    target: Sequence[str] | str,
    features: Sequence[str] | str | None = None,
    weights: str | None = None,
    missing: str = "refuse",
    standardize: bool = True,
    target_scale: bool | None = None,
    categorical: Sequence[str] | str | None = None,
    *,
    ignore: Sequence[str] | str | None = None,
    na_values: Sequence[str | float] | str | float | None = None,
    thousands: str | None = None,
    decimal: str = ".",
    not_missing: Sequence[str] | str | None = None,
) -> Table:
    """Read a table with named columns.

    Args:    source: a CSV (also compressed), Parquet, Stata or Excel file, a pandas or polars
             frame, or a mapping of columns.
             target: the column to estimate; of several, y is (N, K).   features: columns to
             estimate from; by default all others that have a name.
             weights: a column of observation weights.
             missing: "refuse"; "drop" the rows; or impute features by the "mean" or "median" of
             the train part (a category by the shares of its levels, or the most frequent).
             standardize: whether the split standardises features (train mean 0, deviation 1).
             target_scale: the same for the target; as ``standardize`` by default.
             categorical: columns to encode as one 0/1 column per sorted level. Columns of
             categorical dtype need no mention; other text is an error. The levels of a target of
             text, or named here, become classes: y = 0..k-1.
             ignore: columns that are no features, such as ids; ``th.split`` may use them.
             na_values: more values that mean missing, such as "." or -99.
             thousands, decimal: marks in numbers, such as "." and "," in 1.234,5.
             not_missing: words that are labels in columns of text, although a CSV or Excel file
             means a missing value by them elsewhere: "None", "NA", "null", ...
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
        ignore,
        index_names(source),
    )
    roles = replace(roles, cells=cells_of(na_values, thousands, decimal, not_missing))
    columns = table_columns(source, roles.used, roles.cells)
    scan = Scan()
    keep = look(scan, columns, roles)
    encoder = verdict(scan, roles)
    x, y, weight = arrays(encoder, columns, keep, roles)
    scaled = roles.target_scale and encoder.classes is None
    rows = None if keep.all() else np.flatnonzero(keep)
    say_suspicious(encoder, columns, keep, y, chosen=features is not None)
    return Table(x, y, weight, encoder, roles.standardize, scaled, rows, source, scan.unweighted)


def table_of_arrays(part: Any, classes: Classes | None, columns: ColumnNames | None) -> Table:
    """Return arrays as a Table of the columns of x and y, to be standardised by a split.

    Args:    columns: names in the part, if x was a frame; else they are x0, x1, ...
    Raises:  DataError: neither a pair (x, y) nor Observations, or x is not (N, d).
    """
    if not isinstance(part, Observations) or not hasattr(part.x, "shape"):
        raise DataError(
            "standardize=True needs a pair (x, y) of arrays, or th.Observations(x, y, weight)"
        )
    if part.x.ndim != 2:
        raise DataError(
            f"standardize=True needs x of shape (N, d); got {part.x.shape}"
            + ("; give x[:, None]" if part.x.ndim == 1 else "")
        )
    x, y, weight = (_as_floats(k, getattr(part, k)) for k in ("x", "y", "weight"))
    inputs = None if columns is None else columns.of_inputs(part)
    names = None if inputs is None else inputs.single
    features = tuple(map(Feature, names or names_of_array(part.x.shape[1])))
    dtype = {"b": "bool", "i": "int64", "u": "int64"}.get(part.y.dtype.kind, "float64")
    encoder = Encoder(features, "y", classes=classes, dtype=dtype, of_arrays=True)
    return Table(x, y, weight, encoder, standardize=False, target_scale=False)


def _as_floats(name: str, values: Any) -> Any:
    if values is None or isinstance(values, np.memmap):
        return values
    if isinstance(values, np.ndarray):
        refuse_merged(name, values)
    return np.asarray(values, np.float64) if is_concrete(values) else values.astype(float)


def arrays(
    encoder: Encoder, columns: dict[str, TableColumn], keep: np.ndarray, roles: TablePlan
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Return x, y and weight of the kept rows of a block of checked columns."""
    # Dropped rows may have levels that kept rows lack.
    kept = {name: column.take(keep) for name, column in columns.items()}
    x = encoder.numbers(kept)
    y = encoder.outcome(kept)
    weight = None if roles.weights is None else columns[roles.weights].values[keep]
    return x, y, weight
