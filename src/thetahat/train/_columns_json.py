"""Names of the inputs' columns as JSON, and back: for files that hold a fitted model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from thetahat.data import ColumnNames


def columns_json(columns: ColumnNames | None) -> list[list[Any]] | None:
    """Return names as lists [path, [name, ...]]; None where there are none.

    >>> columns_json(ColumnNames((("", ("educ", "age")),)))
    [['', ['educ', 'age']]]
    """
    return None if columns is None else [[path, list(names)] for path, names in columns.by_path]


def read_columns(held: Mapping[str, Any]) -> ColumnNames | None:
    """Read the names of a saved member; files of older versions have none.

    Raises:  ValueError, TypeError: the file does not hold what it should.
    """
    if (found := held.get("columns")) is None:
        return None
    return ColumnNames(tuple((str(path), tuple(map(str, names))) for path, names in found))
