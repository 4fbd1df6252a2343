"""The tables of a Task: columns that its functions make of the fitted hypothesis."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from thetahat.core import ConfigError, MissingExtra, ShapeError, Task
from thetahat.core.acceptance import ACCEPT
from thetahat.core.errors import did_you_mean
from thetahat.core.json import plain_value
from thetahat.risk.accept import Residuals, measured

TableColumns = Mapping[str, Any]


def has_tables(task: Task) -> bool:
    """Whether a Task has tables or checks, which are evaluated as a table."""
    return bool(task.tables or task.accept)


def table_columns(task: Task, h: Any, residuals: Residuals) -> dict[str, dict[str, Any]]:
    """Call the functions of ``tables=`` and ``accept=`` with a hypothesis; return columns, checked.

    Raises:  ConfigError: what one returns is no mapping, or its columns are of unequal lengths.
             ShapeError: a column is not a vector.
    """
    found = {name: _checked(name, function(h)) for name, function in task.tables.items()}
    if task.accept:
        found[ACCEPT] = measured(task.accept, h, residuals)
    return found


def with_verdicts(tables: dict[str, dict[str, np.ndarray]]) -> dict[str, dict[str, np.ndarray]]:
    """Add to the table of checks which of them hold."""
    if ACCEPT in tables:
        table = tables[ACCEPT]
        kind = table["value"].dtype  # a bound that a path touches is rounded as the path is
        low, high, below = (table[name].astype(kind) for name in ("low", "high", "below"))
        value = table["value"]
        holds = (low <= value) & (value <= high) & ((value < below) | np.isinf(below))
        table["accepted"] = holds & np.isfinite(value)
    return tables


def accepted_of(tables: Mapping[str, TableColumns]) -> bool | None:
    """Whether the table of checks says that all hold; None where none were evaluated."""
    return bool(tables[ACCEPT]["accepted"].all()) if ACCEPT in tables else None


def is_fixed(column: Any) -> bool:
    """Whether a column is NumPy's or Python's: it is kept as it is, in its own precision."""
    if isinstance(column, (list, tuple)):
        return not any(hasattr(cell, "dtype") and not is_fixed(cell) for cell in column)
    return isinstance(column, (np.ndarray, np.generic, str, bool, int, float))


def frame_of(tables: Mapping[str, TableColumns], name: str) -> Any:
    """Return a table as a pandas frame.

    Raises:  ConfigError: there is no such table.   MissingExtra: pandas is not installed.
    """
    if name not in tables:
        said = did_you_mean(name, tables) if tables else "; Task(tables={name: f}) makes them"
        raise ConfigError(f"the result has no table {name!r}{said}")
    try:
        import pandas as pd
    except ModuleNotFoundError:
        raise MissingExtra("table()", "tables") from None
    return pd.DataFrame(dict(tables[name]))


def whole_columns(columns: TableColumns) -> dict[str, np.ndarray]:
    """Return columns as arrays of one length: a scalar is repeated, and (n, 1) is (n,)."""
    found = {name: np.asarray(column) for name, column in columns.items()}
    rows = max((len(a) for a in found.values() if a.ndim), default=1)
    return {
        name: np.full(rows, a[()], a.dtype) if a.ndim == 0 else a.reshape(rows)
        for name, a in found.items()
    }


def _checked(name: str, found: Any) -> dict[str, Any]:
    if not isinstance(found, Mapping) or not found:
        said = "an empty mapping" if isinstance(found, Mapping) else f"a {type(found).__name__}"
        raise ConfigError(
            f"the table {name!r} of Task(tables=) is {said}; return columns by name, such as"
            " {'k': k, 'c': jax.vmap(h)(k)}"
        )
    lengths = {}
    for column, value in found.items():
        traced = isinstance(value, (list, tuple)) and not is_fixed(value)
        shape = (len(value),) if traced else np.shape(value)
        if len(shape) > 1 and not (len(shape) == 2 and shape[1] == 1):
            raise ShapeError(
                f"the column {column!r} of the table {name!r} has the shape {tuple(shape)}; give"
                f" one column for each number of a row, such as {{'{column}_0': {column}[:, 0]}}"
            )
        if "complex" in str(getattr(value, "dtype", "")):
            raise ConfigError(
                f"the column {column!r} of the table {name!r} is complex; give its real and"
                " imaginary parts as two columns"
            )
        if shape:
            lengths[column] = shape[0]
    if len(set(lengths.values())) > 1:
        said = ", ".join(f"{column!r} has {n:,}" for column, n in list(lengths.items())[:6])
        raise ConfigError(f"the columns of the table {name!r} must be equally long; {said}")
    return {str(column): value for column, value in found.items()}


def packed_tables(
    tables: Mapping[str, TableColumns], arrays: dict[str, np.ndarray], head: str
) -> dict[str, dict[str, Any]]:
    """Put the columns of tables that are numbers among a file's arrays; the rest is JSON.

    Returns: of each table its columns: the name of an array, or a list of cells.
    """
    found: dict[str, dict[str, Any]] = {}
    for i, (name, columns) in enumerate(tables.items()):
        found[name] = {}
        for j, (column, cells) in enumerate(columns.items()):
            cells = np.asarray(cells)
            if cells.dtype.kind in "fiub":
                place = f"{head}/tables/{i}/{j}"
                arrays[place] = cells.astype(float) if cells.dtype.itemsize > 8 else cells
                found[name][column] = place
            else:
                found[name][column] = plain_value(cells.tolist())
    return found


def unpacked_tables(
    held: Mapping[str, Any], arrays: Mapping[str, np.ndarray]
) -> dict[str, dict[str, np.ndarray]]:
    """Return the tables that ``packed_tables`` packed.

    Raises:  ValueError: columns of unequal lengths.   LookupError: an array is missing.
    """
    found: dict[str, dict[str, np.ndarray]] = {}
    for name, columns in held.items():
        found[name] = {}
        for column, cells in columns.items():
            made = arrays[cells] if isinstance(cells, str) else np.empty(len(cells), object)
            if not isinstance(cells, str):
                made[:] = cells
            found[name][column] = made
        shapes = {array.shape for array in found[name].values()}
        if len(shapes) > 1 or any(len(shape) != 1 for shape in shapes):
            raise ValueError(f"the columns of its table {name!r} are not equally long")
    return found
