"""Readers of Stata and Excel files, by pandas."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from struct import error as StructError  # noqa: N812
from typing import Any
from zipfile import BadZipFile

from thetahat.core.errors import DataError, MissingExtra, notify
from thetahat.data._cells import Cells
from thetahat.data._columns import TableColumn, columns_of

_DAMAGED = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, OSError, EOFError,
            MemoryError, StructError, BadZipFile)  # fmt: skip
"""Errors of pandas' readers for a file that is not what its name says."""


def stata_names(path: Path) -> list[str]:
    """List the columns of a .dta file."""
    with _reading(path, "Stata") as pandas, pandas.io.stata.StataReader(path) as reader:
        return list(reader.variable_labels())


def stata_columns(path: Path, wanted: Sequence[str]) -> dict[str, TableColumn]:
    """Read columns of a .dta file: labelled values are categories, missing codes (.a) missing.

    A column in which only some values have a label stays numbers: the labels are notes, as on 99.
    """
    wanted = [name for name in stata_names(path) if name in wanted]
    with _reading(path, "Stata") as pandas:
        numbers = pandas.read_stata(path, columns=wanted, convert_categoricals=False)
        try:
            labelled = pandas.read_stata(path, columns=wanted)
        except ValueError as error:
            if "not unique" not in str(error):
                raise
            _say(f"{path.name!r} gives one label to several values; its labels are left out")
            labelled = numbers
    for name in wanted:
        categories = getattr(labelled[name].dtype, "categories", ())
        if any(not isinstance(level, str) for level in categories):
            _say(f"column {name!r} of {path.name!r} labels only some values; it is read as numbers")
            labelled[name] = numbers[name]
    return columns_of(labelled, wanted)


def excel_names(path: Path) -> list[str]:
    """List the columns of the first sheet of an .xlsx file."""
    with _reading(path, "Excel") as pandas:
        head = pandas.read_excel(path, header=None, nrows=1, engine="openpyxl")
    if head.empty:
        raise DataError(f"{path.name!r} is empty; give a header line and rows")
    return ["" if name != name else str(name) for name in head.iloc[0].tolist()]


def excel_columns(path: Path, wanted: Sequence[str], cells: Cells) -> dict[str, TableColumn]:
    """Read columns of the first sheet of an .xlsx file."""
    names = excel_names(path)

    def read(**options: Any) -> Any:
        with _reading(path, "Excel") as pandas:
            frame = pandas.read_excel(path, header=None, skiprows=1, engine="openpyxl", **options)
        frame = frame.reindex(columns=range(len(names)))
        frame.columns = names
        return frame

    frame = read()
    rows = frame.notna().any(axis=1)
    found = columns_of(frame[rows], wanted)
    gaps = [name for name, c in found.items() if c.kind == "text" and c.gone().any()]
    if gaps:  # which words were read as missing values is known only from the text
        raw = read(keep_default_na=False)[rows]
        found |= {name: cells.with_labels(found[name], raw[name].tolist()) for name in gaps}
    return found


@contextmanager
def _reading(path: Path, kind: str) -> Iterator[Any]:
    """Import pandas, and turn its errors about a file into ours."""
    if kind == "Excel" and not (_has("pandas") and _has("openpyxl")):
        raise MissingExtra("reading Excel files", "excel")
    if not _has("pandas"):
        raise MissingExtra("reading Stata files", "tables")
    import pandas

    try:
        yield pandas
    except _DAMAGED as error:
        raise DataError(unreadable(path, kind, error)) from error


def unreadable(path: Path, kind: str, error: object) -> str:
    """Describe a file that a library could not read."""
    said = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
    return (
        f"{path.name!r} cannot be read as {kind} ({said}); check that the file is complete"
        " and of that kind"
    )


def _say(text: str) -> None:
    notify(text)


def _has(library: str) -> bool:
    return importlib.util.find_spec(library) is not None
