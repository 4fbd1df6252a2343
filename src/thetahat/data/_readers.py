"""Readers of files of tables, by the installed library."""

from __future__ import annotations

import csv
import importlib.util
import io
import lzma
import re
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from thetahat.core.data_files import saw
from thetahat.core.errors import DataError, MissingExtra
from thetahat.core.files import given_path, refuse_special
from thetahat.data._cells import PLAIN, Cells
from thetahat.data._columns import WHOLE, TableColumn, columns_of, from_objects, names_of
from thetahat.data._office import excel_columns, excel_names, stata_columns, stata_names, unreadable

CSV = {".csv": ",", ".tsv": "\t"}
PARQUET = (".parquet", ".pq")
STATA, EXCEL = ".dta", ".xlsx"
_PACKED = {".gz": "gzip", ".bz2": "bz2", ".xz": "lzma", ".zip": "zipfile"}
CODE = r"^\s*[+-]?0\d+\s*$"
"""A whole number that begins with a zero."""
_KINDS = ".csv, .tsv (also .gz, .bz2, .xz, .zip), .parquet, .pq, .dta or .xlsx"


def table_names(source: Any) -> list[str]:
    """List the columns of a file or a frame; read only the head of a file."""
    if not isinstance(source, (str, Path)):
        return names_of(source)
    path = checked_path(source)
    kind = kind_of(path)
    if kind in CSV:
        return _csv_header(path)[0]
    if kind == STATA:
        return stata_names(path)
    if kind == EXCEL:
        return excel_names(path)
    if _has("pyarrow"):
        return list(parquet_file(path).schema_arrow.names)
    return names_of(_polars_parquet(path))


def table_columns(
    source: Any, wanted: Sequence[str], cells: Cells = PLAIN
) -> dict[str, TableColumn]:
    """Read the wanted columns of a file or a frame."""
    found = _columns(source, wanted, cells)
    return {name: cells.read(column) for name, column in found.items()}


def _columns(source: Any, wanted: Sequence[str], cells: Cells) -> dict[str, TableColumn]:
    if not isinstance(source, (str, Path)):
        return columns_of(source, wanted)
    path = checked_path(source)
    kind = kind_of(path)
    if kind in CSV:
        return _read_csv(path, wanted, cells)
    if kind == STATA:
        return stata_columns(path, wanted)
    if kind == EXCEL:
        return excel_columns(path, wanted, cells)
    if _has("pyarrow"):
        file = parquet_file(path)
        try:
            return columns_of(file.read(columns=list(wanted)), wanted)
        except OSError as error:
            raise DataError(unreadable(path, "Parquet", error)) from error
    return columns_of(_polars_parquet(path), wanted)


def kind_of(path: Path) -> str:
    """Return the suffix that says how to read a file: of wages.csv.gz, .csv."""
    suffix = path.suffix.lower()
    if suffix not in _PACKED:
        return suffix
    inner = Path(path.stem).suffix.lower()
    if suffix == ".zip" and inner not in CSV:
        with _opened(path) as file:
            inner = Path(str(getattr(file, "name", ""))).suffix.lower()
        if inner not in (*PARQUET, STATA, EXCEL, *CSV):  # pandas gives the member any name
            return ".csv"
    return inner if inner in CSV else suffix


def checked_path(source: str | Path) -> Path:
    """Return the path of a readable file, or raise a DataError that suggests one."""
    path = given_path("table", source, "wages.csv")
    if path.is_dir():
        raise DataError(f"{str(path)!r} is a folder; give a CSV or Parquet file in it")
    if not path.exists():
        folder = path.parent
        there = [f.name for f in folder.iterdir() if f.is_file()] if folder.is_dir() else []
        near = get_close_matches(path.name, there, n=1, cutoff=0.5)
        hint = f"; did you mean {str(folder / near[0])!r}?" if near else "; check the path"
        raise DataError(f"no file {str(path)!r}{hint}")
    try:
        refuse_special(path)
    except OSError as error:
        raise DataError(f"{str(path)!r}: {error.strerror}; give a file") from error
    if kind_of(path) not in (*CSV, *PARQUET, STATA, EXCEL):
        raise DataError(
            f"{path.name!r} has the suffix {path.suffix!r}; give {_KINDS}, "
            "or read the file and give the frame"
        )
    saw(path)
    return path


def parquet_file(path: Path, buffer_size: int = 0) -> Any:
    """Open a pyarrow ``ParquetFile``; with a buffer it never holds a whole row group."""
    if not _has("pyarrow"):
        raise MissingExtra("reading Parquet in parts", "tables")
    import pyarrow
    from pyarrow import parquet

    try:
        return parquet.ParquetFile(path, buffer_size=buffer_size, pre_buffer=False)
    except (pyarrow.ArrowInvalid, OSError) as error:
        raise DataError(unreadable(path, "Parquet", error)) from error


def _polars_parquet(path: Path) -> Any:
    if not _has("polars"):
        raise MissingExtra("reading Parquet", "tables")
    import polars

    try:
        return polars.read_parquet(path)
    except (polars.exceptions.PolarsError, OSError) as error:
        raise DataError(unreadable(path, "Parquet", error)) from error


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    """Open a file for reading, decompressed.

    Raises:  DataError: it is damaged, or a .zip of several files.
    """
    library = _PACKED.get(path.suffix.lower())
    with ExitStack() as stack:
        try:
            if library is None:
                file: Any = stack.enter_context(path.open("rb"))
            elif library == "zipfile":
                archive = stack.enter_context(zipfile.ZipFile(path))
                file = stack.enter_context(archive.open(_only_file(path, archive)))
            else:
                file = stack.enter_context(importlib.import_module(library).open(path, "rb"))
            yield file
        except (EOFError, OSError, lzma.LZMAError, zlib.error, zipfile.BadZipFile) as error:
            raise DataError(unreadable(path, "CSV", error)) from error
        except (RuntimeError, NotImplementedError) as error:  # encrypted, or unknown to zipfile
            raise DataError(unreadable(path, "CSV", error)) from error


def _only_file(path: Path, archive: zipfile.ZipFile) -> str:
    names = [n for n in archive.namelist() if not n.endswith("/") and "__MACOSX" not in n]
    if len(names) != 1:
        raise DataError(
            f"{path.name!r} holds {len(names)} files; give a .zip of one CSV file, or unpack it"
        )
    return names[0]


def _csv_header(path: Path) -> tuple[list[str], str]:
    """Return the names of the columns, and the delimiter: that of the suffix, or ; or a tab."""
    with _opened(path) as file:
        lines = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
        try:
            first = _logical_line(lines)
        except UnicodeDecodeError as error:
            raise DataError(_not_utf8(path)) from error
    delimiter = CSV[kind_of(path)]
    header = next(csv.reader(first, delimiter=delimiter), [])
    if not header:
        raise DataError(f"{path.name!r} is empty; give a header line and rows")
    for other in ";\t|":
        if len(header) == 1 and other in header[0]:
            delimiter, header = other, next(csv.reader(first, delimiter=other))
    return header, delimiter


def _logical_line(lines: Iterable[str]) -> list[str]:
    """Return the first line that is not empty, with those that a quoted newline continues."""
    found: list[str] = []
    for line in lines:
        if found or line.strip():
            found.append(line)
            if sum(part.count('"') for part in found) % 2 == 0:
                break
    return found


def _read_csv(path: Path, wanted: Sequence[str], cells: Cells) -> dict[str, TableColumn]:
    try:
        if _has("pyarrow"):
            found = _csv_by_pyarrow(path, wanted, cells)
            gaps = [n for n, c in found.items() if c.kind == "text" and c.gone().any()]
            if gaps:  # which words were read as missing values is known only from the text
                raw = _arrow_table(path, gaps, cells, as_text=True)
                text = {name: raw.column(name).to_pylist() for name in gaps}
                found |= {name: cells.with_labels(found[name], text[name]) for name in gaps}
            return found | _codes(path, found, cells)
        return _csv_by_python(path, wanted, cells)
    except UnicodeDecodeError as error:
        raise DataError(_not_utf8(path)) from error


def _codes(path: Path, found: Mapping[str, TableColumn], cells: Cells) -> dict[str, TableColumn]:
    """Return the columns of whole numbers of which some begin with a zero, with their text."""
    import pyarrow.compute as pc

    whole = [name for name, c in found.items() if c.kind == "number" and _all_whole(c.values)]
    if not whole or cells.thousands is not None:
        return {}
    text = _arrow_table(path, whole, cells, as_text=True)
    codes = [
        name
        for name in whole
        if pc.any(pc.match_substring_regex(text.column(name), CODE)).as_py()  # pyright: ignore
    ]
    return {
        name: replace(found[name], written=_as_written(text.column(name).to_pylist()))
        for name in codes
    }


def _all_whole(values: np.ndarray) -> bool:
    there = values[~np.isnan(values)]
    return bool(np.isfinite(there).all() and (there == np.floor(there)).all())


def _as_written(cells: Sequence[str]) -> np.ndarray:
    made = np.empty(len(cells), object)
    made[:] = [cell.strip() for cell in cells]
    return made


def _csv_by_pyarrow(path: Path, wanted: Sequence[str], cells: Cells) -> dict[str, TableColumn]:
    columns = columns_of(_arrow_table(path, wanted, cells), wanted)
    if cells.thousands is None:
        return columns
    return {name: _from_strings(name, c.values.tolist(), cells) for name, c in columns.items()}


def _arrow_table(path: Path, wanted: Sequence[str], cells: Cells, *, as_text: bool = False) -> Any:
    """Read a CSV file as an arrow table; as text, no cell of it is missing."""
    import pyarrow
    from pyarrow import csv as arrow_csv

    source: Any = path
    size = path.stat().st_size
    if path.suffix.lower() in _PACKED:
        with _opened(path) as file:
            text = file.read()
        source, size = pyarrow.BufferReader(text), len(text)
    # One block, so that a column's type is inferred from all of its rows, not from the first MB.
    block = min(max(size, 1) + 1, 2**31 - 1)
    strings = as_text or cells.thousands is not None
    try:
        table = arrow_csv.read_csv(
            source,
            read_options=arrow_csv.ReadOptions(block_size=block),
            parse_options=arrow_csv.ParseOptions(
                delimiter=_csv_header(path)[1], newlines_in_values=True
            ),
            convert_options=arrow_csv.ConvertOptions(
                include_columns=list(wanted),
                null_values=cells.no_value,
                strings_can_be_null=not as_text,
                decimal_point=cells.decimal,
                column_types=dict.fromkeys(wanted, pyarrow.string()) if strings else {},
            ),
        )
    except pyarrow.ArrowInvalid as error:
        raise DataError(unreadable(path, "CSV", error)) from error
    if any(pyarrow.types.is_binary(kind) for kind in table.schema.types):
        raise DataError(_not_utf8(path))
    return table


def _csv_by_python(path: Path, wanted: Sequence[str], cells: Cells) -> dict[str, TableColumn]:
    header, delimiter = _csv_header(path)
    with _opened(path) as file:
        text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
        lines = csv.reader(text, delimiter=delimiter)
        next(row for row in lines if row)
        rows = []
        for row in lines:
            if row and len(row) != len(header):
                said = f"line {lines.line_num} has {len(row)} fields, the header {len(header)}"
                raise DataError(unreadable(path, "CSV", said))
            if row:
                rows.append(row)
    at = [(i, name) for i, name in enumerate(header) if name in wanted]
    return {name: _from_strings(name, [row[i] for row in rows], cells) for i, name in at}


def _from_strings(name: str, values: list[Any], cells: Cells) -> TableColumn:
    marks, text = set(cells.no_value), values
    values = [None if v in marks else v for v in values]
    there = [value for value in values if value is not None]
    if there and all(value.lower() in ("true", "false") for value in there):
        return from_objects(name, [None if v is None else v.lower() == "true" for v in values])
    floats = [None if v is None else cells.number(v) for v in values]
    if all(f is not None or v is None for f, v in zip(floats, values, strict=True)):
        if max((abs(f) for f in floats if f is not None), default=0) > WHOLE:
            # Digits as Python's integers, for the check of those that doubles make one number.
            from_objects(name, [int(v) for v in there if v.lstrip("+-").isdecimal()])
        column = from_objects(name, floats)
        if any(re.match(CODE, value) for value in there) and _all_whole(column.values):
            return replace(column, written=_as_written(text))
        return column
    return cells.with_labels(from_objects(name, values), text)


def _not_utf8(path: Path) -> str:
    with _opened(path) as file:
        for number, line in enumerate(file, start=1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError as error:
                byte = f"0x{line[error.start]:02x}"
                return (
                    f"{path.name!r} is not UTF-8 (byte {byte} in line {number}); save it as UTF-8"
                )
    return f"{path.name!r} is not UTF-8; save it as UTF-8"


def _has(library: str) -> bool:
    return importlib.util.find_spec(library) is not None
