"""Choose runs by conditions and by their order, without decoding the runs that are not chosen.

The database reads the columns that are asked for out of the stored JSON; comparisons and the order
are those of ``_filters``. What SQL cannot tell exactly, such as a dotted name that may be one key
or a path, is left to the caller, who then decodes all runs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, case, func, literal, select

from thetahat.store._blocks import AXES
from thetahat.store._filters import OWN, SECTIONS, Condition, places
from thetahat.store._rows import parse_all, total_of
from thetahat.store._schema import runs
from thetahat.store._sql import among, is_sqlite, json_list, json_number, json_present

PLAIN = re.compile(r"[^\"\\.\[\]\x00-\x1f]+")
_SPARE = 64
"""Runs decoded beyond the limit: SQLite may read the last digit of a number differently."""
_OTHER = ("checkpoint", "contaminated", "alone", *AXES)
"""Columns whose stored values are not those of a row."""


def equals(equal: Mapping[str, Any]) -> list[Any]:
    """Return conditions in SQL: columns with one value each, and ``ids``; leave out None."""
    given = {name: value for name, value in equal.items() if value is not None}
    ids = given.pop("ids", None)
    wanted = [runs.c[name] == value for name, value in given.items()]
    return wanted + ([] if ids is None else [among(runs.c.id, ids)])


def best_ids(
    connection: Connection, wanted: Sequence[Any], sort: str, limit: int
) -> list[str] | None:
    """Return the ids of the first runs by a column, and of some more; None unless SQL can tell.

    Args:    wanted: conditions in SQL.
    """
    name = sort.removeprefix("-")
    value = _value(name)
    if value is None or (name not in OWN and not is_sqlite(connection)):
        return None
    descending = sort.startswith("-")
    # "IS NULL" as a key of its own would read the value from each text once more.
    first = (value.desc() if descending else value.asc()).nulls_last()
    query = select(runs.c.id, value).where(*wanted).order_by(first, runs.c.number)
    query = query.limit(limit + _SPARE)
    found = connection.execute(query).all()
    # Texts sort before missing values, downwards before numbers too: if there are any, they are
    # here. SQLite's own order of lists is another.
    have = [row[1] for row in found if row[1] is not None]
    plain = name in OWN or (have and all(isinstance(one, (int, float)) for one in have))
    return [row[0] for row in found] if plain else None


def chosen_ids(
    connection: Connection,
    wanted: Sequence[Any],
    where: Sequence[Condition],
    sort: str,
    limit: int | None,
) -> list[str] | None:
    """Return the ids of runs that pass, in order; None if the runs must be decoded to know.

    Args:    wanted: conditions in SQL.
    """
    by = sort.removeprefix("-")
    readers = {name: reader_of(name) for name in (by, *(one.column for one in where))}
    if any(reader is None for reader in readers.values()):
        return None
    read = {name: reader for name, reader in readers.items() if reader is not None}
    query = select(runs.c.number, runs.c.id, *(e for r in read.values() for e in r.columns))
    rows: Sequence[Any] = connection.execute(query.where(*wanted)).all()
    # Mostly in the order of their numbers already.
    rows = sorted(rows, key=itemgetter(0))
    values, at = {}, 2
    for name, reader in read.items():
        values[name], at = decoded(reader, rows, at), at + len(reader.columns)
        if rows and name not in OWN and not any(value is not None for value in values[name]):
            return None  # of no run, or an error
    keep = range(len(rows))
    for one in where:
        keep = [i for i in keep if one.passes(values[one.column][i])]
    order = places([values[by][i] for i in keep], descending=sort.startswith("-"))
    return [rows[keep[place]][1] for place in order[:limit]]


class Reader:
    """A column of runs: what SQL selects for it, and how that is decoded."""

    def __init__(self, columns: Sequence[Any], decode: Callable[..., list[Any]]) -> None:
        self.columns = columns
        self.decode = decode


def decoded(reader: Reader, rows: Sequence[Any], at: int) -> list[Any]:
    """Return a column's values of rows that hold what it selects from place ``at`` on."""
    parts = (list(map(itemgetter(at + i), rows)) for i in range(len(reader.columns)))
    return reader.decode(*parts)


def reader_of(name: str) -> Reader | None:
    if name == "seconds":
        c = runs.c
        columns = (c.seconds, c.started, func.coalesce(func.nullif(c.finished, ""), c.heartbeat))
        return Reader(columns, lambda *parts: [*map(total_of, parse_all(parts[0]), *parts[1:])])
    if name in OWN:
        return None if name in _OTHER else Reader([runs.c[name]], list)
    return json_reader(_places(name))


def json_reader(found: Sequence[tuple[Any, Sequence[str]]] | None) -> Reader | None:
    if found is None:
        return None
    lists = [
        (json_present(section, *keys).is_not(None), json_list(section, *keys))
        for section, keys in found
    ]
    column = case(*lists, else_=literal("[null]"))
    return Reader([column], lambda texts: [value[0] for value in parse_all(texts)])


def _value(name: str) -> Any:
    """Return the expression of a column whose numbers SQL can compare; None if there is none."""
    if name in OWN:
        return None if name in _OTHER else runs.c[name]
    found = _places(name)
    if found is None:
        return None
    return func.coalesce(*(json_number(section, *keys) for section, keys in found), None)


def _places(name: str) -> list[tuple[Any, Sequence[str]]] | None:
    """Return the JSON texts in which a column is looked up, and its keys in them."""
    section, dot, key = name.partition(".")
    named = dot and section in (*SECTIONS, "seconds")
    key = key if named else name
    if not PLAIN.fullmatch(key) or key in AXES:
        return None
    return [(text_of(one), [key]) for one in ((section,) if named else SECTIONS)]


def text_of(section: str) -> Any:
    text = runs.c[section]
    # The metrics of a running run are its last record.
    return case((text.in_(["", "{}"]), runs.c.last), else_=text) if section == "metrics" else text
