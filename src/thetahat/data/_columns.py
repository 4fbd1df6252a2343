"""Columns of any kind of table as NumPy: numbers, categories, text, or other values.

pandas, polars and pyarrow are recognised by name and imported only for a table of theirs.
"""

from __future__ import annotations

import decimal
import numbers
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from thetahat.core.errors import DataError
from thetahat.data._row_order import check_order, unmasked

WHOLE = 2**53
"""Whole numbers up to it are exact in double precision."""


@dataclass(frozen=True, eq=False)
class TableColumn:
    """One column: float64 with NaN for missing values, or objects with None for them.

    Args:    name: as in the table.   kind: "number", "category" (declared by its dtype), "text" or
             "other".   values: (n,).   what: its contents, in words.
             dtype: "bool", "int64" or "float64" of numbers, as they were given; None of others.
             order: categories in the order of their dtype, where it has one.
             words: how often each word of text was read as a missing value, such as None.
             written: (n,), the text of whole numbers of which some begin with a zero, as codes
             do: 007 and 7 are one number, and two labels. None of other columns.
    """

    name: str
    kind: str
    values: np.ndarray
    what: str = "numbers"
    dtype: str | None = None
    order: tuple[Any, ...] | None = None
    words: Mapping[str, int] = field(default_factory=dict)
    written: np.ndarray | None = None

    @property
    def example(self) -> Any:
        """First value that is not missing; in a mixed column, first that is not a number."""
        there = [value for value in self.values.tolist() if value is not None]
        odd = [value for value in there if not isinstance(value, numbers.Real)]
        return next(iter(odd or there), None)

    def gone(self) -> np.ndarray:
        """Return which rows are missing, (n,)."""
        if self.kind == "number":
            return np.isnan(self.values)
        return np.array([value is None for value in self.values], bool)

    def take(self, rows: np.ndarray) -> TableColumn:
        """Return the column of some rows."""
        written = None if self.written is None else self.written[rows]
        return replace(self, values=self.values[rows], written=written)

    def labels(self) -> TableColumn:
        """Return the column as labels: codes such as 007 are text."""
        if self.written is None:
            return self
        text = self.written.copy()
        text[self.gone()] = None
        return TableColumn(self.name, "text", text, "text", words=self.words)

    def levels_or_none(self) -> list[Any]:
        """Return values as levels; whole numbers become integers: 1.0 and 1 are one level."""
        if self.written is not None:
            return self.labels().values.tolist()
        if self.kind != "number":
            return self.values.tolist()
        values = self.values.tolist()
        return [None if v != v else int(v) if v.is_integer() else v for v in values]


def table_kind(source: Any) -> str | None:
    """Return "pandas", "polars", "arrow" or "mapping"; None for other values."""
    library = type(source).__module__.split(".")[0]
    if library in ("pandas", "polars") and hasattr(type(source), "columns"):
        return library
    if library == "pyarrow" and hasattr(source, "column_names"):
        return "arrow"
    return "mapping" if isinstance(source, Mapping) else None


def named_row(x: Any) -> dict[str, list[Any]] | None:
    """Return a row with named values (a pandas Series) as a table of one row, else None."""
    names = getattr(x, "index", None)
    if np.ndim(x) != 1 or callable(names) or not hasattr(x, "to_frame"):
        return None
    if names is None or not all(isinstance(name, str) for name in names):
        return None
    return {name: [value] for name, value in zip(names, x, strict=True)}


def names_of(table: Any) -> list[str]:
    """List the names of a table's columns, in order.

    Raises:  DataError: not a table.
    """
    kind = table_kind(table)
    if kind is None:
        raise DataError(
            f"a {type(table).__name__} is not a table; give a path, a pandas or polars frame, "
            "or a mapping of columns"
        )
    if kind == "arrow":
        return list(table.column_names)
    if kind == "mapping":
        return [str(name) for name in table]
    if kind == "polars" and hasattr(table, "collect_schema"):
        return table.collect_schema().names()
    return [str(name) for name in table.columns]


def index_names(table: Any) -> list[str]:
    """List the named levels of a pandas frame's index; they are columns if they are asked for."""
    if table_kind(table) != "pandas":
        return []
    there = set(names_of(table))
    named = [str(name) for name in table.index.names if name is not None]
    return [name for name in named if name not in there]


def columns_of(table: Any, wanted: Sequence[str] | None = None) -> dict[str, TableColumn]:
    """Return the wanted columns of a table that exist (all by default).

    Raises:  DataError: not a table, columns of different lengths.
    >>> columns_of({"a": [1, 2], "b": [True, None]})["b"].values
    array([ 1., nan])
    """
    kind, names = table_kind(table), names_of(table)
    if kind == "polars" and hasattr(table, "collect"):
        table = table.collect()
    chosen = None if wanted is None else set(wanted)
    names = [name for name in names if chosen is None or name in chosen]
    if kind == "pandas":
        by_name = {str(name): i for i, name in enumerate(table.columns)}
        columns = {name: _from_pandas(name, table.iloc[:, by_name[name]]) for name in names}
        levels = index_names(table) if chosen and not chosen.issubset(columns) else []
        for at, name in enumerate(table.index.names):
            if name is not None and str(name) in levels and str(name) in (chosen or ()):
                values = table.index.get_level_values(at).to_series()
                columns[str(name)] = _from_pandas(str(name), values)
    elif kind == "polars":
        columns = {name: _from_polars(name, table.get_column(name)) for name in names}
    elif kind == "arrow":
        declared = _categories_of_pandas(table)
        columns = {name: _from_arrow(name, table.column(name), declared) for name in names}
    else:
        check_order({"": {name: table[name] for name in names}})
        columns = {name: column_of(name, table[name]) for name in names}
    if len({len(column.values) for column in columns.values()}) > 1:
        said = ", ".join(f"{name} {len(column.values)}" for name, column in columns.items())
        raise DataError(f"columns differ in length: {said}")
    return columns


def column_of(name: str, values: Any) -> TableColumn:
    """Return values of any library, (n,), as a column."""
    library = type(values).__module__.split(".")[0]
    if library == "pandas":
        return _from_pandas(name, values)
    if library == "polars":
        return _from_polars(name, values)
    values = np.atleast_1d(unmasked(values))
    if values.ndim > 1:
        raise DataError(
            f"column {name!r} has shape {values.shape}; give one value per row, and each of its"
            " columns a name"
        )
    if values.dtype.kind in "fiub":
        refuse_merged(name, values)
        return _numbers(name, values.astype(np.float64), values.dtype.kind)
    if values.dtype.kind in "mMc":
        return _other(name, values.tolist(), str(values.dtype))
    return from_objects(name, values.tolist())


def _from_pandas(name: str, series: Any) -> TableColumn:
    dtype, words = series.dtype, str(series.dtype)
    missing = np.asarray(series.isna(), bool)
    if hasattr(dtype, "categories"):
        return _categories(name, _objects(series.tolist(), missing), dtype.categories.tolist())
    kind = getattr(dtype, "kind", "O")
    if kind in "fiub" and words not in ("str", "string"):
        if kind in "iu":
            refuse_merged(name, np.asarray(series[~missing].tolist(), object))
        values = series.to_numpy(dtype=np.float64, na_value=np.nan)
        return _numbers(name, np.where(missing, np.nan, values), kind)
    if kind in "mMc" or words.startswith(("datetime", "timedelta", "period", "interval")):
        return _other(name, _objects(series.tolist(), missing).tolist(), words)
    return from_objects(name, _objects(series.tolist(), missing).tolist())


def _from_polars(name: str, series: Any) -> TableColumn:
    import polars

    dtype = series.dtype
    if dtype == polars.Categorical or dtype == polars.Enum:
        order = dtype.categories.to_list() if dtype == polars.Enum else None
        return _categories(name, _objects(series.to_list()), order)
    if dtype == polars.Boolean or dtype.is_numeric() or dtype == polars.Null:
        kind = "b" if dtype == polars.Boolean else "i" if dtype.is_integer() else "f"
        if kind == "i":
            refuse_merged(name, series.drop_nulls().to_numpy())
        return _numbers(name, np.array(series.cast(polars.Float64).to_numpy(), np.float64), kind)
    if dtype == polars.String or dtype == polars.Object:
        return from_objects(name, series.to_list())
    return _other(name, series.to_list(), str(dtype))


def _categories_of_pandas(table: Any) -> set[str]:
    """Names of the columns that were categories in pandas: a Parquet file keeps their values only,
    and this beside."""
    try:
        columns = (table.schema.pandas_metadata or {}).get("columns", [])
        return {str(c["name"]) for c in columns if c.get("pandas_type") == "categorical"}
    except (ValueError, KeyError, TypeError, AttributeError):  # text that pandas did not write
        return set()


def _from_arrow(name: str, column: Any, declared: Collection[str] = ()) -> TableColumn:
    import pyarrow
    from pyarrow import types

    kind = column.type
    if types.is_dictionary(kind):
        return _categories(name, _objects(column.to_pylist()), _order_of(column))
    if name in declared:
        return _categories(name, _objects(column.to_pylist()), None)
    if types.is_null(kind):
        return _numbers(name, np.full(len(column), np.nan), "f")
    if types.is_boolean(kind):
        values = column.cast(pyarrow.int8()).cast(pyarrow.float64()).to_numpy()
        return _numbers(name, np.array(values, np.float64), "b")
    if types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind):
        if types.is_integer(kind):
            refuse_merged(name, column.drop_null().to_numpy())
        values = column.cast(pyarrow.float64(), safe=False).to_numpy()
        whole = "i" if types.is_integer(kind) else "f"
        return _numbers(name, np.array(values, np.float64), whole)
    if types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind):
        return from_objects(name, column.to_pylist())
    return _other(name, column.to_pylist(), str(kind))


def from_objects(name: str, values: Iterable[Any]) -> TableColumn:
    """Make a column of Python objects: numbers (and booleans), text, or other."""
    values = [None if v is None or v != v else v for v in values]
    there = [v for v in values if v is not None]
    if all(isinstance(v, (bool, np.bool_, numbers.Real, decimal.Decimal)) for v in there):
        whole = [v for v in there if isinstance(v, numbers.Integral)]
        refuse_merged(name, np.array(whole, object))
        floats = [np.nan if v is None else float(v) for v in values]
        kinds = {"b" if isinstance(v, (bool, np.bool_)) else _kind_of(v) for v in there}
        return _numbers(name, np.array(floats, np.float64), kinds.pop() if len(kinds) == 1 else "f")
    if all(isinstance(v, str) for v in there):
        return TableColumn(name, "text", _objects(values), "text")
    kinds = sorted({type(v).__name__ for v in there})
    return _other(name, values, " and ".join(kinds))


def _kind_of(value: Any) -> str:
    return "i" if isinstance(value, numbers.Integral) else "f"


def refuse_merged(name: str, values: np.ndarray) -> None:
    """Refuse different integers that double precision makes one number, such as long ids."""
    if values.dtype.kind not in "iuO" or not values.size:
        return
    largest = max(int(values.max()), -int(values.min()))
    if largest <= WHOLE:
        return
    if largest > 10**300:
        raise DataError(f"column {name!r} holds an integer above 10**300; rescale it")
    different = np.unique(values)
    floats = different.astype(np.float64)
    merged = np.flatnonzero(floats[1:] == floats[:-1])
    if merged.size:
        one, two = (int(different[merged[0] + k]) for k in (0, 1))
        raise DataError(
            f"column {name!r} holds integers beyond 2**53: double precision rounds {one} and {two}"
            " to one number; make them text, subtract an offset, or leave the column out"
        )


def _numbers(name: str, values: np.ndarray, kind: str) -> TableColumn:
    dtype = {"b": "bool", "i": "int64", "u": "int64"}.get(kind, "float64")
    return TableColumn(name, "number", values, dtype=dtype)


def _categories(name: str, values: np.ndarray, order: Sequence[Any] | None) -> TableColumn:
    order = None if order is None else tuple(order)
    return TableColumn(name, "category", values, "categories", order=order)


def _order_of(column: Any) -> list[Any] | None:
    """Return the order of an arrow dictionary that all chunks share; others are unordered."""
    chunks = column.chunks if hasattr(column, "chunks") else [column]
    orders = [chunk.dictionary.to_pylist() for chunk in chunks]
    same = all(order == orders[0] for order in orders)
    return orders[0] if orders and same and column.type.ordered else None


def _other(name: str, values: list[Any], what: str) -> TableColumn:
    return TableColumn(name, "other", _objects(values), what)


def _objects(values: Sequence[Any], missing: np.ndarray | None = None) -> np.ndarray:
    array = np.empty(len(values), object)
    for i, value in enumerate(values):
        array[i] = None if missing is not None and missing[i] else value
    return array
