"""Readers of CSV and Parquet files, by the installed library."""

from __future__ import annotations

import csv
import importlib.util
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from thetahat.core.data_files import saw
from thetahat.core.errors import DataError, MissingExtra
from thetahat.data._columns import TableColumn, columns_of, from_objects, names_of

CSV = {".csv": ",", ".tsv": "\t"}
PARQUET = (".parquet", ".pq")
_NO_VALUE = ("", "NA", "N/A", "n/a", "NaN", "nan", "NULL", "null", "None", "<NA>", "#N/A")


def table_names(source: Any) -> list[str]:
    """List the columns of a file or a frame; read only the head of a file."""
    if not isinstance(source, (str, Path)):
        return names_of(source)
    path = checked_path(source)
    if path.suffix.lower() in CSV:
        return _csv_header(path)
    if _has("pyarrow"):
        return list(parquet_file(path).schema_arrow.names)
    return names_of(_polars_parquet(path))


def table_columns(source: Any, wanted: Sequence[str]) -> dict[str, TableColumn]:
    """Read the wanted columns of a file or a frame."""
    if not isinstance(source, (str, Path)):
        return columns_of(source, wanted)
    path = checked_path(source)
    if path.suffix.lower() in CSV:
        return _read_csv(path, wanted)
    if _has("pyarrow"):
        file = parquet_file(path)
        try:
            return columns_of(file.read(columns=list(wanted)), wanted)
        except OSError as error:
            raise DataError(_unreadable(path, "Parquet", error)) from error
    return columns_of(_polars_parquet(path), wanted)


def checked_path(source: str | Path) -> Path:
    """Return the path of a readable file, or raise a DataError that suggests one."""
    path = Path(source)
    if path.is_dir():
        raise DataError(f"{str(path)!r} is a folder; give a CSV or Parquet file in it")
    if not path.exists():
        folder = path.parent
        there = [f.name for f in folder.iterdir() if f.is_file()] if folder.is_dir() else []
        near = get_close_matches(path.name, there, n=1, cutoff=0.5)
        hint = f"; did you mean {str(folder / near[0])!r}?" if near else "; check the path"
        raise DataError(f"no file {str(path)!r}{hint}")
    if path.suffix.lower() not in (*CSV, *PARQUET):
        raise DataError(
            f"{path.name!r} has the suffix {path.suffix!r}; give .csv, .tsv, .parquet or .pq, "
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
        raise DataError(_unreadable(path, "Parquet", error)) from error


def _polars_parquet(path: Path) -> Any:
    if not _has("polars"):
        raise MissingExtra("reading Parquet", "tables")
    import polars

    try:
        return polars.read_parquet(path)
    except (polars.exceptions.PolarsError, OSError) as error:
        raise DataError(_unreadable(path, "Parquet", error)) from error


def _csv_header(path: Path) -> list[str]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            header = next(csv.reader(file, delimiter=CSV[path.suffix.lower()]), [])
    except UnicodeDecodeError as error:
        raise DataError(_not_utf8(path)) from error
    if not header:
        raise DataError(f"{path.name!r} is empty; give a header line and rows")
    if len(header) == 1 and ";" in header[0]:
        raise DataError(f"{path.name!r} is separated by ';'; write it with ',' (and '.' decimals)")
    return header


def _read_csv(path: Path, wanted: Sequence[str]) -> dict[str, TableColumn]:
    try:
        if _has("pyarrow"):
            return _csv_by_pyarrow(path, wanted)
        return _csv_by_python(path, wanted)
    except UnicodeDecodeError as error:
        raise DataError(_not_utf8(path)) from error


def _csv_by_pyarrow(path: Path, wanted: Sequence[str]) -> dict[str, TableColumn]:
    import pyarrow
    from pyarrow import csv as arrow_csv

    # One block, so that a column's type is inferred from all of its rows, not from the first MB.
    block = min(max(path.stat().st_size, 1) + 1, 2**31 - 1)
    try:
        table = arrow_csv.read_csv(
            path,
            read_options=arrow_csv.ReadOptions(block_size=block),
            parse_options=arrow_csv.ParseOptions(
                delimiter=CSV[path.suffix.lower()], newlines_in_values=True
            ),
            convert_options=arrow_csv.ConvertOptions(
                include_columns=list(wanted),
                null_values=list(_NO_VALUE),
                strings_can_be_null=True,
            ),
        )
    except pyarrow.ArrowInvalid as error:
        raise DataError(_unreadable(path, "CSV", error)) from error
    if any(pyarrow.types.is_binary(kind) for kind in table.schema.types):
        raise DataError(_not_utf8(path))
    return columns_of(table, wanted)


def _csv_by_python(path: Path, wanted: Sequence[str]) -> dict[str, TableColumn]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        lines = csv.reader(file, delimiter=CSV[path.suffix.lower()])
        header = next(lines)
        rows = []
        for row in lines:
            if row and len(row) != len(header):
                said = f"line {lines.line_num} has {len(row)} fields, the header {len(header)}"
                raise DataError(_unreadable(path, "CSV", said))
            if row:
                rows.append(row)
    at = [(i, name) for i, name in enumerate(header) if name in wanted]
    return {name: _from_strings(name, [row[i] for row in rows]) for i, name in at}


def _from_strings(name: str, values: list[str]) -> TableColumn:
    there = [value for value in values if value not in _NO_VALUE]
    if there and all(value.lower() in ("true", "false") for value in there):
        truth = [None if v in _NO_VALUE else v.lower() == "true" for v in values]
        return from_objects(name, truth)
    try:
        return from_objects(name, [None if v in _NO_VALUE else float(v) for v in values])
    except ValueError:
        return from_objects(name, [None if v in _NO_VALUE else v for v in values])


def _not_utf8(path: Path) -> str:
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError as error:
                byte = f"0x{line[error.start]:02x}"
                return (
                    f"{path.name!r} is not UTF-8 (byte {byte} in line {number}); save it as UTF-8"
                )
    return f"{path.name!r} is not UTF-8; save it as UTF-8"


def _unreadable(path: Path, kind: str, error: object) -> str:
    said = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
    return (
        f"{path.name!r} cannot be read as {kind} ({said}); check that the file is complete"
        " and of that kind"
    )


def _has(library: str) -> bool:
    return importlib.util.find_spec(library) is not None
