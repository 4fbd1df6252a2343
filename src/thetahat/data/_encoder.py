"""Encoding of a table's named columns as the numbers of x."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from thetahat.core.errors import DataError, did_you_mean
from thetahat.data._cells import PLAIN, Cells, as_number
from thetahat.data._classes import Classes
from thetahat.data._columns import TableColumn
from thetahat.data._readers import table_columns, table_names


@dataclass(frozen=True)
class Feature:
    """One column of the table: a number, or a category with its levels in order."""

    name: str
    levels: tuple[Any, ...] | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Names of its columns of x."""
        if self.levels is None:
            return (self.name,)
        return tuple(f"{self.name}={level}" for level in self.levels)


@dataclass(frozen=True)
class Encoder:
    """Map from the columns of a table to x: numbers unchanged, levels one-hot.

    Args:    features: columns in order.   target: the name of y.
             missing: "refuse" and "drop" refuse missing values; "mean" and "median" leave NaN
             for the split to fill.
             classes: those of a target of labels: y is their position, 0..k-1.
             dtype: of a target of numbers, for labels: "bool", "int64" or "float64".
             of_arrays: whether the columns are those of an array.
             targets: the names of several targets, the columns of y; then ``target`` lists them.
             cells: how cells were written, also in later tables.
    >>> Encoder((Feature("educ"), Feature("region", ("east", "west"))), "wage").names
    ('educ', 'region=east', 'region=west')
    """

    features: tuple[Feature, ...]
    target: str
    missing: str = "refuse"
    classes: Classes | None = None
    dtype: str = "float64"
    of_arrays: bool = False
    targets: tuple[str, ...] = ()
    cells: Cells = PLAIN

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns of x."""
        return tuple(name for feature in self.features for name in feature.names)

    @property
    def unnamed(self) -> bool:
        """Whether the columns are those of an array without names."""
        return self.of_arrays and self.names == names_of_array(len(self.names))

    @property
    def one_hot(self) -> tuple[slice, ...]:
        """The columns of x of each feature with levels."""
        found, at = [], 0
        for feature in self.features:
            end = at + len(feature.names)
            if feature.levels is not None:
                found.append(slice(at, end))
            at = end
        return tuple(found)

    def encode(self, table: Any) -> np.ndarray:
        """Encode a table as x, (n, d), float64.

        Args:    table: a file, a pandas or polars frame, a mapping from names to columns, or an
                 (n, d) array whose columns are ``names``.
        Raises:  DataError: an absent column, text, an unknown level, infinite or missing values, or
                 an array of another width.
        >>> encoder = Encoder((Feature("educ"), Feature("region", ("east", "west"))), "wage")
        >>> encoder.encode({"educ": [8, 12], "region": ["west", "east"]})
        array([[ 8.,  0.,  1.],
               [12.,  1.,  0.]])
        """
        x = self._array(table) if _is_array(table) else self.numbers(self._columns(table))
        self._check(x)
        return x

    def rows(self, table: Any) -> tuple[np.ndarray, np.ndarray, list[str]]:
        """Encode the rows of a table that can be.

        Returns: x (n, d), with zeros in the other rows; which these are, (n,); and why.
        Raises:  DataError: as ``encode``, but for values of single rows.
        """
        if _is_array(table):
            x = self._array(table)
            nan, inf = np.isnan(x).any(1) & (not self.imputes), np.isinf(x).any(1)
            said = [(int(nan.sum()), "a missing value"), (int(inf.sum()), "an infinite one")]
            gone = np.asarray(nan | inf)
            why = [f"{n:,} with {what}" for n, what in said if n]
            return np.where(gone[:, None], 0.0, x), gone, why
        columns = self._columns(table)
        good = self.readable(columns)
        x = np.zeros((len(good), len(self.names)))
        x[good] = self.numbers({n: c.take(good) for n, c in columns.items()})
        return x, ~good, self.reasons(columns)

    @property
    def imputes(self) -> bool:
        """Whether missing values are filled."""
        return self.missing in ("mean", "median")

    def readable(self, found: Mapping[str, TableColumn]) -> np.ndarray:
        """Tell which rows have the features that a prediction needs, (n,)."""
        lacking, unknown = self._lacking(found)
        return ~np.any([lacking, *unknown.values()], axis=0)

    def reasons(self, found: Mapping[str, TableColumn]) -> list[str]:
        """Say why rows have no prediction, each reason with its number of rows."""
        lacking, unknown = self._lacking(found)
        n = int(lacking.sum())
        said = [f"{n:,} lack{'s' * (n == 1)} a feature"] if n else []
        for name, rows in unknown.items():
            if n := int(rows.sum()):
                has = "has" if n == 1 else "have"
                if found[name].kind == "number" and np.isinf(found[name].values[rows]).all():
                    said.append(f"{n:,} {has} an infinite {name!r}")
                    continue
                feature = next(feature for feature in self.features if feature.name == name)
                values = zip(_levels(feature, found[name]), rows, strict=True)
                new = list(dict.fromkeys(value for value, here in values if here))
                shown = ", ".join(map(repr, new[:3])) + ", ..." * (len(new) > 3)
                said.append(f"{n:,} {has} a {name!r} that the fit has not seen ({shown})")
        return said

    def _lacking(
        self, found: Mapping[str, TableColumn]
    ) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Tell which rows lack a feature, (n,), and by feature which have an unknown level or an
        infinite number."""
        lacking = np.zeros(len(next(iter(found.values())).values), bool)
        unknown = {}
        for feature in self.features:
            column = found[feature.name]
            if not self.imputes:
                lacking |= column.gone()
            if feature.levels is not None:
                known = {None, *feature.levels}
                unknown[feature.name] = np.array(
                    [level not in known for level in _levels(feature, column)], bool
                )
            elif column.kind == "number":
                unknown[feature.name] = np.isinf(column.values)
        return lacking, unknown

    def _columns(self, table: Any) -> dict[str, TableColumn]:
        known = Counter(map(str, table_names(table)))
        if twice := [f.name for f in self.features if known[f.name] > 1]:
            raise DataError(f"the table has two columns {twice[0]!r}; rename one")
        names = [f.name for f in self.features if f.name in known]
        columns = table_columns(table, names, self.cells)
        for feature in self.features:
            if feature.name not in columns and self.unnamed:
                raise DataError(no_names(len(self.features), "got a table"))
            if feature.name not in columns:
                hint = did_you_mean(feature.name, columns)
                raise DataError(f"the table has no column {feature.name!r} (feature){hint}")
        return columns

    def numbers(self, columns: dict[str, TableColumn]) -> np.ndarray:
        """Encode checked columns of the table as x."""
        blocks = [_encoded(feature, columns[feature.name]) for feature in self.features]
        return np.concatenate(blocks, axis=1)

    def outcome(self, columns: dict[str, TableColumn]) -> np.ndarray:
        """Return y from checked columns: numbers (n,) or (n, K), or positions of classes."""
        if self.targets:
            return np.stack([columns[name].values for name in self.targets], axis=1)
        column = columns[self.target]
        if self.classes is None:
            return column.values
        return _codes(Feature(self.target, self.classes.labels), column)

    def _array(self, table: Any) -> np.ndarray:
        d = len(self.names)
        if np.iscomplexobj(table):
            raise DataError("got an array of complex numbers; give real ones")
        try:
            x = np.asarray(table, np.float64)
        except (TypeError, ValueError):
            given = getattr(table, "dtype", type(table).__name__)
            raise DataError(
                f"got an array of {given} for {d} columns of numbers ({', '.join(self.names)});"
                " give numbers, or a table with named columns"
            ) from None
        if x.ndim != 2 or x.shape[1] != d:
            raise DataError(
                f"got an array of shape {x.shape} for {d} columns ({', '.join(self.names)}); "
                f"give shape (n, {d})"
            )
        return x

    def _check(self, x: np.ndarray) -> None:
        for name, column in zip(self.names, x.T, strict=True):
            if not self.imputes and (gone := int(np.isnan(column).sum())):
                raise DataError(
                    f"column {name!r} has {gone} missing value{'s' * (gone > 1)}; "
                    "drop or fill them first"
                )
            if np.isinf(column).any():
                raise DataError(f"column {name!r} has infinite values; drop or fix those rows")


def names_of_array(d: int) -> tuple[str, ...]:
    """Return what the d columns of an array without names are called: x0, x1, ..."""
    return tuple(f"x{j}" for j in range(d))


def no_names(d: int, what: str) -> str:
    """Write the message to a table where an array without names was fitted."""
    return (
        f"{what}, and the fit is of an array of {d} columns without names; give an array with its"
        " columns in the order of the fit, such as frame[[...]].to_numpy(), or fit a frame"
    )


def _is_array(table: Any) -> bool:
    array = hasattr(table, "shape") and hasattr(table, "__array__")
    return array and not hasattr(table, "columns")


def _no_number(column: TableColumn) -> str:
    """Say what stands in a column that held numbers when it was fitted."""
    cells = [value for value in column.values.tolist() if value is not None]
    odd = [c for c in cells if not isinstance(c, str) or as_number(c.strip()) is None]
    example = odd[0] if odd else column.example
    said = f"column {column.name!r} holds {column.what}, e.g. {example!r}"
    if 0 < len(odd) < len(cells):
        are = "cell is no number" if len(odd) == 1 else "cells are no numbers"
        said += f" ({len(odd):,} {are}, {len(cells) - len(odd):,} are)"
    return f"{said}; it was a column of numbers"


def _encoded(feature: Feature, column: TableColumn) -> np.ndarray:
    if feature.levels is None:
        if column.kind != "number":
            raise DataError(_no_number(column))
        return column.values[:, None]
    codes = _codes(feature, column)
    onehot = (codes[:, None] == np.arange(len(feature.levels))).astype(np.float64)
    onehot[np.isnan(codes)] = np.nan
    return onehot


def _codes(feature: Feature, column: TableColumn) -> np.ndarray:
    """Return the position of each value among the levels, NaN if missing: (n,)."""
    levels = feature.levels or ()
    position = {level: i for i, level in enumerate(levels)}
    codes = np.empty(len(column.values), np.float64)
    for row, value in enumerate(_levels(feature, column)):
        if value is not None and value not in position:
            known = ", ".join(map(repr, levels))
            raise DataError(f"column {column.name!r} has the level {value!r}; known: {known}")
        codes[row] = np.nan if value is None else position[value]
    return codes


def _levels(feature: Feature, column: TableColumn) -> list[Any]:
    """Return a column's values as the levels of a feature are: numbers, or text such as 007."""
    if not any(isinstance(level, str) for level in feature.levels or ()):
        column = replace(column, written=None)
    return column.levels_or_none()


def feature_codes(feature: Feature, column: TableColumn, rows: np.ndarray) -> np.ndarray:
    """Return one number for each of some rows: its value, or the position of its level."""
    some = column.take(rows)
    return some.values if feature.levels is None else _codes(feature, some)
