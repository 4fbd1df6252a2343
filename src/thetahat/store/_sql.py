"""What SQLite and PostgreSQL write differently: expressions over stored JSON, and plain statements.

JSON is text in both. SQLite has its JSON functions; PostgreSQL casts the text where it is used.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Float, Select, Text, literal_column
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement


class _Listed(FunctionElement[Any]):
    """The texts of a JSON list, as a subquery."""

    name, inherit_cache, type = "listed", True, Text()


@compiles(_Listed)
def _listed_by_sqlite(element: Any, compiler: Any, **how: Any) -> str:
    return f"(SELECT value FROM json_each({compiler.process(element.clauses, **how)}))"


@compiles(_Listed, "postgresql")
def _listed_by_postgres(element: Any, compiler: Any, **how: Any) -> str:
    text = compiler.process(element.clauses, **how)
    return f"(SELECT value FROM json_array_elements_text(CAST({text} AS json)))"


def among(column: Any, ids: Iterable[str]) -> Any:
    """Return the condition that a column is one of many ids, as one variable of the statement.

    A database limits the number of variables.
    """
    return column.op("IN", is_comparison=True)(_Listed(json.dumps(list(ids))))


def json_value(text: Any, *keys: str) -> Any:
    """Return the JSON of a value inside stored JSON; NULL if it is missing.

    SQLite returns a text without its quotes.
    """
    return _Value(text, *map(_literal, keys))


def json_list(text: Any, *keys: str) -> Any:
    """Return a JSON list of one value, whose numbers have all of their digits; null if missing."""
    return _List(text, *map(_literal, keys))


def json_number(text: Any, *keys: str) -> Any:
    """Return a number inside stored JSON; NULL if it is missing.

    SQLite may read the last digit differently, and returns a value that is no number as it is.
    """
    return _Number(text, *map(_literal, keys))


def json_present(text: Any, *keys: str) -> Any:
    """Return NULL if a value is missing or null, else anything."""
    return _Present(text, *map(_literal, keys))


def _literal(key: str) -> Any:
    # Not a variable: statements of different keys are compiled apart.
    return literal_column("'" + key.replace("'", "''") + "'")


class _Value(FunctionElement[Any]):
    name, inherit_cache, type = "json_value", True, Text()


class _List(FunctionElement[Any]):
    name, inherit_cache, type = "json_list", True, Text()


class _Number(FunctionElement[Any]):
    name, inherit_cache, type = "json_number", True, Float()


class _Present(FunctionElement[Any]):
    name, inherit_cache, type = "json_present", True, Text()


def _by_sqlite(element: Any, compiler: Any, **how: Any) -> str:
    text, *keys = element.clauses
    path = "'$" + "".join(f'."{key.name[1:-1]}"' for key in keys) + "'"
    twice = f", {path}" if isinstance(element, _List) else ""
    return f"json_extract(nullif({compiler.process(text, **how)}, ''), {path}{twice})"


def _by_postgres(element: Any, compiler: Any, **how: Any) -> str:
    text, *keys = element.clauses
    names = "".join(f" -> {key.name}" for key in keys).replace("%", "%%")
    given = compiler.process(text, **how)
    # An operator for each key takes a fifth less time than json_extract_path for all of them.
    value = f"(CAST(nullif({given}, '') AS json){names})"
    match element:
        case _List():
            return f"('[' || coalesce(CAST({value} AS text), 'null') || ']')"
        case _Number():
            # The value is read once: of what JSON writes, only numbers begin so.
            return f"CAST(substring(CAST({value} AS text) from '^[-0-9].*') AS double precision)"
        case _Present():
            return f"nullif(json_typeof({value}), 'null')"
    return f"CAST({value} AS text)"


for _kind in (_Value, _List, _Number, _Present):
    compiles(_kind)(_by_sqlite)
    compiles(_kind, "postgresql")(_by_postgres)


def plain_cursor(connection: Connection) -> Callable[[], Any]:
    """Return what makes cursors for plain statements with variables such as ``:run``."""
    make: Callable[[], Any] = connection.connection.cursor
    return make if is_sqlite(connection) else lambda: _NamedCursor(make())


def plain_rows(connection: Connection, sql: str, **row: Any) -> list[tuple[Any, ...]]:
    """Return the rows of a plain query, directly by the driver.

    SQLAlchemy takes longer to build a statement than a database to answer it.
    """
    cursor = plain_cursor(connection)()
    cursor.execute(sql, row)
    found: list[tuple[Any, ...]] = cursor.fetchall()
    return found


def is_sqlite(connection: Connection) -> bool:
    return connection.dialect.name == "sqlite"


class _NamedCursor:
    """A cursor of psycopg for statements that are written for SQLite."""

    def __init__(self, cursor: Any) -> None:
        self._cursor = cursor

    def execute(self, sql: str, row: Mapping[str, Any]) -> None:
        self._cursor.execute(for_postgres(sql), row)

    def executemany(self, sql: str, rows: Sequence[Mapping[str, Any]]) -> None:
        self._cursor.executemany(for_postgres(sql), rows)

    def returned(self, sql: str, rows: Sequence[Mapping[str, Any]]) -> list[tuple[Any, ...]]:
        """Return what a statement returns, executed for each row, without waiting in between."""
        if len(rows) == 1:
            return self._cursor.execute(for_postgres(sql), rows[0]).fetchall()
        self._cursor.executemany(for_postgres(sql), rows, returning=True)
        found: list[tuple[Any, ...]] = []
        more = True
        while more:
            found += self._cursor.fetchall()
            more = self._cursor.nextset()
        return found

    def fetchone(self) -> Any:
        return self._cursor.fetchone()

    def fetchall(self) -> Any:
        return self._cursor.fetchall()

    def __iter__(self) -> Iterator[Any]:
        return iter(self._cursor)

    @property
    def rowcount(self) -> int:
        return self._cursor.rowcount


@functools.cache
def for_postgres(sql: str) -> str:
    """Translate a plain statement.

    >>> for_postgres("SELECT id FROM runs WHERE project IS :project")
    'SELECT id FROM runs WHERE project IS NOT DISTINCT FROM %(project)s'
    """
    sql = re.sub(r"(?<![:\w]):(\w+)", r"%(\1)s", sql.replace("%", "%%"))
    sql = re.sub(r"\bIS (?=%\(|\()", "IS NOT DISTINCT FROM ", sql)
    inside = r"json_extract\(([\w.]+), '\$\.(\w+)'\)"
    sql = re.sub(inside, r"(CAST(\1 AS json) ->> '\2')", sql)
    # Of an array PostgreSQL knows that it has few elements, and looks each up in the index.
    listed = r"\bIN \(SELECT value FROM json_each\((%\(\w+\)s)\)\)"
    sql = re.sub(listed, r"= ANY(ARRAY(SELECT json_array_elements_text(CAST(\1 AS json))))", sql)
    return re.sub(r"\bjson_each\((%\(\w+\)s)\)", r"json_array_elements_text(CAST(\1 AS json))", sql)


class _JsonArray(FunctionElement[Any]):
    """The values of a column as JSON, in the order of the rows."""

    name, inherit_cache, type = "json_array", True, Text()


class _TextArray(FunctionElement[Any]):
    """The same of a column of JSON."""

    name, inherit_cache, type = "text_array", True, Text()


class _WithoutKeys(FunctionElement[Any]):
    name, inherit_cache, type = "without_keys", True, Text()


def json_array(values: Any) -> Any:
    """Return the values of all rows as one JSON list, in the order in which the rows come.

    To sort within it PostgreSQL would sort the rows once more for each column.
    """
    return _JsonArray(values)


def text_array(values: Any) -> Any:
    """Return the JSON texts of all rows as one JSON list, in the order in which the rows come."""
    return _TextArray(values)


def use_workers(connection: Connection, query: Select[Any]) -> Select[Any]:
    """Return a query whose values several processes of PostgreSQL compute, where it has them.

    PostgreSQL takes JSON for cheap to read and rows for dear to send between its processes, and
    computes what is aggregated after they are sent, were it not for the offset.
    """
    if is_sqlite(connection):
        return query
    connection.exec_driver_sql("SET LOCAL parallel_tuple_cost = 0")
    return query.offset(literal_column("0"))


def without_keys(text: Any, *keys: str) -> Any:
    """Return stored JSON without some keys of its object."""
    return _WithoutKeys(text, *map(_literal, keys))


@compiles(_JsonArray)
def _json_array_by_sqlite(element: Any, compiler: Any, **how: Any) -> str:
    return f"json_group_array({compiler.process(element.clauses, **how)})"


@compiles(_TextArray)
def _text_array_by_sqlite(element: Any, compiler: Any, **how: Any) -> str:
    values = compiler.process(element.clauses, **how)
    return f"'[' || coalesce(group_concat({values}, ','), '') || ']'"


@compiles(_JsonArray, "postgresql")
def _json_array_by_postgres(element: Any, compiler: Any, **how: Any) -> str:
    return f"coalesce(CAST(json_agg({compiler.process(element.clauses, **how)}) AS text), '[]')"


@compiles(_TextArray, "postgresql")
def _text_array_by_postgres(element: Any, compiler: Any, **how: Any) -> str:
    values = compiler.process(element.clauses, **how)
    return f"'[' || coalesce(string_agg({values}, ','), '') || ']'"


@compiles(_WithoutKeys)
def _without_keys_by_sqlite(element: Any, compiler: Any, **how: Any) -> str:
    text, *keys = element.clauses
    paths = ", ".join(f"'$.{key.name[1:-1]}'" for key in keys)
    return f"json_remove({compiler.process(text, **how)}, {paths})"


@compiles(_WithoutKeys, "postgresql")
def _without_keys_by_postgres(element: Any, compiler: Any, **how: Any) -> str:
    text, *keys = element.clauses
    less = "".join(f" - {key.name}" for key in keys)
    return f"CAST(CAST({compiler.process(text, **how)} AS jsonb){less} AS text)"
