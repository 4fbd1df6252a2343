"""Read the tables and files that runs have left behind: of one run, or of all runs of a sweep."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import Connection, func, select

from thetahat.core.errors import ConfigError, StoreError, did_you_mean
from thetahat.core.json import from_json
from thetahat.core.packed_table import WIDTHS
from thetahat.store._logged_things import stored_file
from thetahat.store._schema import files, runs, table_columns, tables
from thetahat.store._sql import among, plain_cursor
from thetahat.store._store import Store

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class StoredTable:
    """What a store knows of a table without reading its columns."""

    id: int
    run_id: str
    name: str
    step: int | None
    kind: str
    rows: int
    columns: tuple[str, ...]
    detail: Mapping[str, Any]


@dataclass(frozen=True)
class FileRow:
    """A file of a run; ``path`` is where its bytes lie."""

    id: int
    run_id: str
    name: str
    step: int | None
    kind: str
    media: str
    digest: str
    bytes: int
    detail: Mapping[str, Any]
    path: Path

    @property
    def file_name(self) -> str:
        """A name for a copy of it in any folder of any system.

        >>> from dataclasses import replace
        >>> row = FileRow(1, "r", "a/../b:c.png", None, "file", "", "", 0, {}, Path())
        >>> row.file_name
        'b_c.png'
        """
        last = re.split(r"[/\\]", self.name)[-1]
        return re.sub(r'[\x00-\x1f\x7f<>:"|?*]', "_", last).strip(". ")[:150] or f"file-{self.id}"


@dataclass(frozen=True)
class SweepTable:
    """A table that several runs have: its columns are those of any of them."""

    name: str
    runs: int
    """Number of runs that have it."""
    rows: int
    columns: tuple[str, ...]
    kind: str


@dataclass(frozen=True)
class StackedTable:
    """The tables of one name of many runs, under each other.

    ``runs`` has the ids of the runs that have it, in the order of their numbers, ``places`` of each
    row the place of its run, and ``columns`` arrays of shape (rows,): NaN, or None, where a run
    lacks one.
    """

    name: str
    runs: tuple[str, ...]
    counts: np.ndarray
    """Of each run: its number of rows."""
    columns: Mapping[str, np.ndarray]
    names: tuple[str, ...]
    """Of all columns that some run has, read or not."""

    @property
    def places(self) -> np.ndarray:
        """Of each row the place of its run in ``runs``: shape (rows,)."""
        import numpy as np

        return np.repeat(np.arange(len(self.runs)), self.counts)


def unpacked(kind: str, data: bytes, rows: int) -> np.ndarray:
    """Return a packed column of shape (rows,)."""
    import numpy as np

    width = WIDTHS.get(kind, 1)
    plain, rest = data[0], memoryview(data)[1:]
    if plain < width:
        cut = plain * rows
        rest = b"".join((rest[:cut], zlib.decompress(rest[cut:])))
    if kind not in WIDTHS:
        made = np.empty(rows, object)
        made[:] = json.loads(bytes(rest))
        return made
    shuffled = np.frombuffer(rest, np.uint8).reshape(width, rows)
    values = np.ascontiguousarray(shuffled.T).reshape(-1).view(f"<{kind}")
    return values.astype({"f8": float, "f4": float, "i8": np.int64, "b1": bool}[kind], copy=False)


def list_tables(store: Store, run_id: str) -> list[StoredTable]:
    """Return the tables of a run, by name, the latest last."""
    query = select(tables).where(tables.c.run_id == run_id)
    rows = store.read(query.order_by(tables.c.name, tables.c.id))
    return [_table_row(row) for row in rows]


def read_table(
    store: Store, run_id: str, name: str, step: int | None = None
) -> dict[str, np.ndarray]:
    """Return the columns of a table of a run: float64, int64, bool or objects, of equal length.

    Args:    step: of the table; None: the latest.
    Raises:  ConfigError: the run has no such table; the nearest is offered.
    """
    known = list_tables(store, run_id)
    mine = [one for one in known if one.name == name and step in (None, one.step)]
    if not mine:
        at = "" if step is None else f" at step {step}"
        raise ConfigError(_unknown(f"the run has no table {name!r}{at}", name, known))
    found = mine[-1]
    query = select(table_columns).where(table_columns.c.table_id == found.id)
    rows = store.read(query.order_by(table_columns.c.place))
    return {
        column: unpacked(row["kind"], row["data"], found.rows)
        for column, row in zip(found.columns, rows, strict=True)
    }


def tables_of_sweep(store: Store, sweep_id: str) -> list[SweepTable]:
    """Return the tables that runs of a sweep have, by name; no column is read."""
    mine = tables.c.run_id.in_(select(runs.c.id).where(runs.c.sweep_id == sweep_id))
    most, count = func.max(tables.c.id), func.count(tables.c.run_id.distinct())
    query = select(
        tables.c.name, tables.c.columns, func.min(tables.c.kind), count, func.sum(tables.c.rows)
    )
    query = query.where(mine).group_by(tables.c.name, tables.c.columns).order_by(most)
    found: dict[str, SweepTable] = {}
    with store.reading() as connection:
        for name, columns, kind, n, rows in connection.execute(query):
            names = tuple(from_json(columns))
            one = found.get(name)
            if one is not None:
                names = tuple(dict.fromkeys((*one.columns, *names)))
                n, rows = n + one.runs, rows + one.rows
            found[name] = SweepTable(name, n, int(rows), names, kind)
    return [found[name] for name in sorted(found)]


def stack_tables(
    store: Store,
    sweep_id: str,
    name: str,
    columns: Collection[str] | None = None,
    *,
    ids: Collection[str] | None = None,
) -> StackedTable:
    """Read the tables of one name of all runs of a sweep: of each run the latest.

    Args:    columns: only these.   ids: only these runs.
    Raises:  ConfigError: no run has such a table, or such a column; the nearest is offered.
    """
    import numpy as np

    mine = (runs.c.sweep_id == sweep_id) & (tables.c.name == name)
    if ids is not None:
        mine &= among(runs.c.id, ids)
    query = select(tables.c.id, tables.c.run_id, tables.c.rows, tables.c.columns)
    query = query.join(runs, runs.c.id == tables.c.run_id).where(mine)
    query = query.order_by(runs.c.number, tables.c.id)
    with store.reading() as connection:
        latest = {row[1]: row for row in connection.execute(query)}
        names = {text: tuple(from_json(text)) for text in {row[3] for row in latest.values()}}
        rows = [_Stacked(i, run, n, names[text]) for i, run, n, text in latest.values()]
        if not rows:
            known = tables_of_sweep(store, sweep_id)
            raise ConfigError(_unknown(f"no run has a table {name!r}", name, known))
        all_names = tuple(dict.fromkeys(column for row in rows for column in row.columns))
        for column in columns or ():
            if column not in all_names:
                what = f"the table {name!r} has no column {column!r}"
                raise ConfigError(f"{what}{did_you_mean(column, all_names)}")
        wanted = [one for one in all_names if columns is None or one in columns]
        packed = _packed(connection, rows, wanted)
    counts = np.array([row.rows for row in rows], np.int64)
    joined = {column: _joined(packed[column], counts) for column in wanted}
    return StackedTable(name, tuple(row.run_id for row in rows), counts, joined, all_names)


def column_kinds(store: Store, sweep_id: str, name: str) -> dict[str, str]:
    """Return the kind of each column of a table, by the last run of a sweep that has it."""
    mine = (runs.c.sweep_id == sweep_id) & (tables.c.name == name)
    latest = select(func.max(tables.c.id)).join(runs, runs.c.id == tables.c.run_id).where(mine)
    query = select(tables.c.columns, table_columns.c.place, table_columns.c.kind)
    query = query.join(tables, tables.c.id == table_columns.c.table_id)
    rows = store.read(query.where(tables.c.id == latest.scalar_subquery()))
    return {from_json(row["columns"])[row["place"]]: row["kind"] for row in rows}


def list_files(store: Store, run_id: str) -> list[FileRow]:
    """Return the files of a run, by name, the latest last."""
    query = select(files).where(files.c.run_id == run_id)
    rows = store.read(query.order_by(files.c.name, files.c.id))
    return [_file_row(store, row) for row in rows]


def find_file(store: Store, run_id: str, name: str, step: int | None = None) -> FileRow:
    """Return a file of a run; of several steps the latest.

    Raises:  ConfigError: the run has no such file; the nearest is offered.
    """
    known = list_files(store, run_id)
    mine = [one for one in known if one.name == name and step in (None, one.step)]
    if not mine:
        names = {one.name: None for one in known}
        said = did_you_mean(name, names) if names else "; it has none"
        raise ConfigError(f"the run has no file {name!r}{said}")
    return mine[-1]


def read_file(row: FileRow) -> bytes:
    """Return the bytes of a file of a run.

    Raises:  StoreError: they are gone.
    """
    try:
        return row.path.read_bytes()
    except OSError as error:
        raise StoreError(
            f"the file {row.name!r} of the run is gone from {row.path.parent} ({error.strerror})"
        ) from error


def files_of_sweep(store: Store, sweep_id: str) -> dict[str, int]:
    """Map the names of files of a sweep's runs to the number of runs that have one."""
    mine = files.c.run_id.in_(select(runs.c.id).where(runs.c.sweep_id == sweep_id))
    query = select(files.c.name, func.count(files.c.run_id.distinct()).label("runs")).where(mine)
    return {row["name"]: row["runs"] for row in store.read(query.group_by(files.c.name))}


class _Stacked(NamedTuple):
    """What is read of each table before its columns."""

    id: int
    run_id: str
    rows: int
    columns: tuple[str, ...]


_CHUNK = 500
"""Tables whose columns one query reads."""


def _packed(
    connection: Connection, rows: Sequence[_Stacked], wanted: Sequence[str]
) -> dict[str, list[tuple[str, bytes] | None]]:
    """Read packed columns of tables: of each column a list, with None where a table lacks it."""
    found: dict[str, list[tuple[str, bytes] | None]] = {
        column: [None] * len(rows) for column in wanted
    }
    at = {row.id: k for k, row in enumerate(rows)}
    places = sorted({row.columns.index(c) for row in rows for c in wanted if c in row.columns})
    cursor = plain_cursor(connection)()
    ids = list(at)
    for start in range(0, len(ids), _CHUNK):
        some = ids[start : start + _CHUNK]
        among_, chosen = (",".join(map(str, each)) for each in (some, places))
        cursor.execute(
            "SELECT table_id, place, kind, data FROM table_columns"
            f" WHERE table_id IN ({among_}) AND place IN ({chosen})",
            {},
        )
        for number, place, kind, data in cursor:
            k = at[number]
            column = rows[k].columns[place]
            if column in found:
                found[column][k] = kind, data
    return found


_NUMBERS = frozenset({"f8", "f4", "i8"})
_EXACT = 2**53
"""Whole numbers up to this size are exact as float64."""


def _joined(parts: Sequence[tuple[str, bytes] | None], counts: np.ndarray) -> np.ndarray:
    """Return the parts of one column under each other.

    Numbers stay numbers where all are, beside parts that are missing or blank, and beside booleans;
    whole numbers that float64 would round stay whole.
    """
    import numpy as np

    sizes = counts.tolist()
    kinds = {part[0] for part, n in zip(parts, sizes, strict=True) if part is not None and n}
    if kinds & _NUMBERS and kinds & {"text", "json"}:
        parts = [
            None if part is not None and n and _is_blank(part, n) else part
            for part, n in zip(parts, sizes, strict=True)
        ]
        kinds = {part[0] for part, n in zip(parts, sizes, strict=True) if part is not None and n}
    lacks = any(part is None for part in parts)
    rows = int(counts.sum())
    if kinds == {"b1"} and not lacks:
        joined = np.zeros(rows, bool)
    elif kinds == {"i8"} and not lacks:
        joined = np.empty(rows, np.int64)
    elif kinds <= _NUMBERS | {"b1"} and kinds != {"b1"} and not _rounds(parts, sizes):
        joined = np.full(rows, np.nan) if lacks else np.empty(rows)
    else:
        joined = np.full(rows, None, object)
    end, same, values = 0, None, np.empty(0)
    for part, n in zip(parts, sizes, strict=True):
        end += n
        if part is not None and n:
            if part != same:  # many runs have the same grid
                same, values = part, unpacked(*part, n)
            joined[end - n : end] = values
    return joined


def _is_blank(part: tuple[str, bytes], rows: int) -> bool:
    """Whether a column of a run has no value at all: it has no kind of its own."""
    kind, data = part
    return kind in ("text", "json") and all(cell is None for cell in unpacked(kind, data, rows))


def _rounds(parts: Sequence[tuple[str, bytes] | None], sizes: Sequence[int]) -> bool:
    """Whether float64 would round a whole number of a column."""
    seen: set[bytes] = set()
    for part, n in zip(parts, sizes, strict=True):
        if part is not None and n and part[0] == "i8" and part[1] not in seen:
            seen.add(part[1])
            values = unpacked(*part, n)
            if (values > _EXACT).any() or (values < -_EXACT).any():
                return True
    return False


def _unknown(what: str, name: str, known: Sequence[Any]) -> str:
    names = {one.name: None for one in known}
    if names:
        return f"{what}{did_you_mean(name, names)}"
    return (
        f"{what}, and no other; Task(tables={{{name!r}: f}}) makes one of the fitted function, and"
        f" run.log_table({name!r}, columns) one of a program"
    )


def _table_row(row: Mapping[Any, Any]) -> StoredTable:
    return StoredTable(
        row["id"],
        row["run_id"],
        row["name"],
        row["step"],
        row["kind"],
        row["rows"],
        tuple(from_json(row["columns"])),
        from_json(row["detail"]),
    )


def _file_row(store: Store, row: Mapping[Any, Any]) -> FileRow:
    given = {
        name: row[name] for name in FileRow.__dataclass_fields__ if name not in ("detail", "path")
    }
    path = stored_file(store.folder, row["digest"])
    return FileRow(**given, detail=from_json(row["detail"]), path=path)
