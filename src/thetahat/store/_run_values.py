"""Values of some columns of all runs of a sweep, without decoding the rest of them."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from operator import itemgetter
from typing import Any

from sqlalchemy import select

from thetahat.core.nested import flat_config
from thetahat.store._dead_agents import dead_among, reason_of, status_of
from thetahat.store._rows import parse_all
from thetahat.store._schema import runs
from thetahat.store._selection import PLAIN, Reader, decoded, json_reader, reader_of, text_of
from thetahat.store._sql import json_array, json_list, text_array
from thetahat.store._store import Store


def run_values(
    store: Store, sweep_id: str, names: Collection[str]
) -> tuple[list[str], dict[str, list[Any]]]:
    """Return the ids of a sweep's runs by number, and the values of columns; None where missing.

    Args:    names: "m.NAME" of a metric, "c.NAME" of a config with flat names, "seconds", or a
             column of runs.
    """
    with store.reading() as connection:
        dead = dead_among(connection, store.folder)
        readers = {name: _flat_reader(name, dead) for name in names}
        query = select(runs.c.number, runs.c.id, *(e for r in readers.values() for e in r.columns))
        found: Sequence[Any] = connection.execute(query.where(runs.c.sweep_id == sweep_id)).all()
    found = sorted(found, key=itemgetter(0))
    values, at = {}, 2
    for name, reader in readers.items():
        values[name], at = decoded(reader, found, at), at + len(reader.columns)
    return list(map(itemgetter(1), found)), values


def metric_series(
    store: Store, sweep_id: str, metric: str
) -> list[tuple[int, str, str, str | None, Any]]:
    """Return (number, id, status, finished, metric) of the runs of a sweep, in any order.

    A metric is as it was logged, and None where it is missing. The database joins each column to
    one text: to fetch a hundred thousand rows takes twice as long as to read them.
    """
    c = runs.c
    with store.reading() as connection:
        status = status_of(dead_among(connection, store.folder)).element
        columns = [json_array(column) for column in (c.number, c.id, status, c.finished)]
        if PLAIN.fullmatch(metric.replace(".", "")):
            columns.append(text_array(json_list(text_of("metrics"), metric)))
        query = select(*columns).where(c.sweep_id == sweep_id)
        lists = [json.loads(text) for text in connection.execute(query).one()]
    found = [value[0] for value in lists[4]] if lists[4:] else [None] * len(lists[0])
    return list(zip(*lists[:4], found, strict=True))


def stored_values(store: Store, column: str, key: str) -> dict[str, Any]:
    """Map all runs to a value in one of their columns of JSON; None where it is missing."""
    with store.reading() as connection:
        rows = connection.execute(select(runs.c.id, json_list(runs.c[column], key))).all()
    return dict(
        zip((i for i, _ in rows), (v[0] for v in parse_all(t for _, t in rows)), strict=True)
    )


def _flat_reader(name: str, dead: Collection[str]) -> Reader:
    if name in ("status", "reason"):
        return Reader([status_of(dead) if name == "status" else reason_of(dead)], list)
    key, section = name[2:], {"m": "metrics", "c": "config"}.get(name[:1], "")
    if name[1:2] != "." or not section:
        return reader_of(name) or Reader([runs.c[name]], list)
    parts = key.split(".")
    if all(PLAIN.fullmatch(part) for part in parts):
        # One key with dots, or a path: a config has one of the two.
        reader = json_reader(
            [(text_of(section), keys) for keys in dict.fromkeys([(key,), (*parts,)])]
        )
        assert reader is not None
        return reader
    flat = flat_config if section == "config" else dict
    return Reader([text_of(section)], lambda texts: [flat(x).get(key) for x in parse_all(texts)])
