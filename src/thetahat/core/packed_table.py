"""Columns of equal length as compressed bytes: a table that a run leaves behind.

float64 f8, float32 f4, int64 i8, bool b1: little-endian, the first bytes of all values before the
second ones (numbers of similar size then compress well). Text and mixed cells are a JSON array.
The first byte of a column counts how many of its bytes per value follow as they are; zlib has
compressed the rest. Packing does not need NumPy.
"""

from __future__ import annotations

import json
import math
import sys
import zlib
from array import array
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from thetahat.core.errors import ConfigError
from thetahat.core.json import plain_value

MOST_CELLS = 100_000_000
"""Limit of rows times columns of one table."""
MOST_NAME = 500
"""Limit of characters of the name of a table or file."""
WIDTHS = {"f8": 8, "f4": 4, "i8": 8, "b1": 1}
"""Bytes of a number, by the kind of its column."""
_CODES = {"f8": "d", "i8": "q", "b1": "b"}
_INT64 = 2**63
_SAMPLE = 4096


@dataclass(frozen=True)
class PackedTable:
    """A table, packed. ``kinds``: f8, f4, i8, b1, text, or json where the cells are mixed."""

    rows: int
    names: tuple[str, ...]
    kinds: tuple[str, ...]
    data: tuple[bytes, ...]


def checked_name(what: str, name: object) -> str:
    """Return the name of a table or file.

    Raises:  ConfigError: something else than a text, an empty or a very long one.
    """
    if not isinstance(name, str) or not name.strip() or len(name) > MOST_NAME:
        said = f"{name!r:.80}"
        if isinstance(name, str) and len(name) > 80:
            said = f"a text of {len(name)}"
        raise ConfigError(
            f"{what}: a name must be a text of 1 to {MOST_NAME} characters; got {said}"
        )
    return name.encode("utf-8", "backslashreplace").decode("utf-8")


def pack_table(name: str, columns: Any) -> PackedTable:
    """Pack a mapping of columns, or a frame of pandas, polars or pyarrow.

    A scalar stands for a column of equal values.

    Raises:  ConfigError: no columns, unequal lengths, a column of another shape, too many cells.

    >>> pack_table("policy", {"k": [0.5, 1.0], "who": ["a", None]}).kinds
    ('f8', 'text')
    """
    found = {key: _plain_column(name, key, cells) for key, cells in _named(name, columns).items()}
    lengths = {key: len(cells) for key, cells in found.items() if not isinstance(cells, _Scalar)}
    rows = next(iter(lengths.values()), 1)
    if len(set(lengths.values())) > 1:
        said = ", ".join(f"{key!r} has {n:,}" for key, n in list(lengths.items())[:6])
        raise ConfigError(f"the columns of the table {name!r} must be equally long; {said}")
    if rows * len(found) > MOST_CELLS:
        raise ConfigError(
            f"the table {name!r} has {rows:,} rows and {len(found)} columns, which is above the"
            f" limit of {MOST_CELLS:,} cells; log fewer rows, or keep a file that you wrote:"
            " run.log_file(path)"
        )
    packed = [
        _pack(cells.repeat(rows) if isinstance(cells, _Scalar) else cells)
        for cells in found.values()
    ]
    return PackedTable(rows, tuple(found), tuple(k for k, _ in packed), tuple(d for _, d in packed))


@dataclass(frozen=True)
class _Scalar:
    """One value, for a column of equal ones."""

    value: Any

    def repeat(self, rows: int) -> list[Any]:
        return [self.value] * rows


def _named(name: str, columns: Any) -> dict[str, Any]:
    """Return the columns by name; named levels of a pandas index are columns too."""
    if isinstance(columns, Mapping):
        pairs = list(columns.items())
    else:
        index = getattr(getattr(columns, "index", None), "names", ())
        if any(level is not None for level in index):
            columns = columns.reset_index()
        names = getattr(columns, "column_names", getattr(columns, "columns", None))
        if names is None or not hasattr(columns, "__getitem__"):
            raise ConfigError(
                f"the table {name!r} is a {type(columns).__name__}; give columns by name, such as"
                " {'k': k, 'c': c}, or a frame"
            )
        known = [str(one) for one in names]
        if len(set(known)) < len(known):
            twice = next(one for one in known if known.count(one) > 1)
            raise ConfigError(f"the table {name!r} has two columns {twice!r}; rename one of them")
        pairs = [(one, columns[one]) for one in names]
    found = {str(key).encode("utf-8", "backslashreplace").decode(): cells for key, cells in pairs}
    if not found or len(found) < len(pairs):
        what = "two columns of one name" if found else "no columns"
        raise ConfigError(f"the table {name!r} has {what}; give columns such as {{'k': k, 'c': c}}")
    return found


def _plain_column(table: str, name: str, cells: Any) -> Any:
    """Return cells as a NumPy array of shape (n,), a list, or one scalar."""
    if callable(getattr(cells, "detach", None)):
        cells = cells.detach().cpu()
    shape = getattr(cells, "shape", None)
    numpy = sys.modules.get("numpy")
    # Whole numbers beside missing ones would be rounded in an array.
    if shape is None or numpy is None or _lacks_whole_numbers(cells):
        if isinstance(cells, (str, bytes)) or not hasattr(cells, "__iter__"):
            return _Scalar(cells)
        if isinstance(cells, Mapping):
            raise ConfigError(
                f"the column {name!r} of the table {table!r} is a mapping; give a list or an array"
            )
        return list(cells)
    if type(cells).__module__.startswith("numpy.ma"):
        gone, cells = numpy.ma.getmaskarray(cells), cells.data.astype(object)
        cells[gone] = None  # masked cells are missing
    found = numpy.asarray(cells)
    if found.ndim == 0:
        return _Scalar(found.item())
    if found.ndim == 2 and found.shape[1] == 1:
        found = found[:, 0]
    if found.ndim != 1:
        raise ConfigError(
            f"the column {name!r} of the table {table!r} has the shape {found.shape}; give one"
            f" column for each number of a row, such as {{'{name}_0': {name}[:, 0], ...}}"
        )
    if found.dtype.kind == "c":
        raise ConfigError(
            f"the column {name!r} of the table {table!r} is complex; give its real and imaginary"
            " parts as two columns"
        )
    if found.dtype.kind == "M":
        dates = numpy.datetime_as_string(found).tolist()
        return [None if date == "NaT" else date for date in dates]
    if found.dtype.kind in "fiub" or found.dtype.name == "bfloat16":
        return found
    return found.tolist()


def _lacks_whole_numbers(cells: Any) -> bool:
    """Whether a column of pandas or polars holds whole numbers, some of them missing."""
    name = str(getattr(cells, "dtype", ""))
    if not (name.startswith(("Int", "UInt")) or ("int" in name and name.endswith("[pyarrow]"))):
        return False
    missing = getattr(cells, "isna", None) or getattr(cells, "is_null", None)
    return missing is not None and bool(missing().any())


def _pack(cells: Any) -> tuple[str, bytes]:
    """Return the kind of a column, and its bytes."""
    if not isinstance(cells, list):
        return _pack_array(cells)
    cells = [cell if type(cell) in (float, int, str, bool) else _plain_cell(cell) for cell in cells]
    kinds = set(map(type, cells))
    if kinds <= {int, float, type(None)} and (kinds - {type(None)} or not cells):
        whole = kinds == {int} and all(-_INT64 <= cell < _INT64 for cell in cells)
        if whole or float in kinds or all(c is None or abs(c) <= 2**53 for c in cells):
            kind = "i8" if whole else "f8"
            values = cells if whole else [math.nan if c is None else float(c) for c in cells]
            return kind, _squeezed(_little(array(_CODES[kind], values)), 8)
    if kinds == {bool}:
        return "b1", _squeezed(bytes(cells), 1)
    text = json.dumps(cells, ensure_ascii=False, default=plain_value, separators=(",", ":"))
    data = _squeezed(text.encode("utf-8", "backslashreplace"), 1)
    return "text" if kinds <= {str, type(None)} else "json", data


def _pack_array(cells: Any) -> tuple[str, bytes]:
    kind = cells.dtype.kind
    if kind == "u" and cells.itemsize == 8 and (cells >= _INT64).any():
        return _pack(cells.tolist())
    if kind in "iub":
        code = "b1" if kind == "b" else "i8"
    else:
        code = "f4" if cells.itemsize <= 4 else "f8"
    return code, _squeezed(cells.astype(f"<{code}").tobytes(), WIDTHS[code])


def _plain_cell(cell: Any) -> Any:
    """Return a cell as Python has it; None for the missing values of other libraries."""
    if cell is None or type(cell).__name__ in ("NAType", "NaTType"):
        return None
    if getattr(cell, "shape", None) == () and callable(getattr(cell, "item", None)):
        cell = cell.item()
    if isinstance(cell, (bool, int, float, str, list, dict)):
        return cell
    if type(cell).__name__ in ("Decimal", "Fraction"):
        return float(cell)
    isoformat = getattr(cell, "isoformat", None)
    return isoformat() if callable(isoformat) else plain_value(cell)


def _little(values: array[Any]) -> bytes:
    if sys.byteorder == "big":
        values.byteswap()
    return values.tobytes()


def _squeezed(raw: bytes, width: int) -> bytes:
    """Return the bytes of a column, those compressed where that pays."""
    planes = [raw[k::width] for k in range(width)] if width > 1 else [raw]
    plain = 0
    if len(planes[0]) > 16 * _SAMPLE:  # the low bytes of noise only cost time
        noise = [len(zlib.compress(one[:_SAMPLE], 1)) > 0.9 * _SAMPLE for one in planes]
        plain = noise.index(False) if False in noise else width
    rest = b"".join(planes[plain:])
    small = zlib.compress(rest, 1) if rest else b""
    if len(small) >= 0.9 * len(rest):
        return bytes([width]) + b"".join(planes)
    return bytes([plain]) + b"".join(planes[:plain]) + small
