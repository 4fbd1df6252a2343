"""Values of some columns of all runs of a sweep, without decoding the rest of them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from operator import itemgetter
from typing import Any

from sqlalchemy import null, select

from thetahat.core.nested import flat_config
from thetahat.store._dead_agents import dead_among, reason_of, status_of
from thetahat.store._rows import parse_all
from thetahat.store._schema import runs
from thetahat.store._selection import PLAIN, Reader, decoded, json_reader, reader_of, text_of
from thetahat.store._sql import json_list, json_number
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
) -> list[tuple[int, str, str, str | None, float | None]]:
    """Return (number, id, status, finished, metric) of the runs of a sweep, in any order.

    The database reads the metric: its last digit may differ from Python's.
    """
    value: Any = null()
    if PLAIN.fullmatch(metric.replace(".", "")):
        value = json_number(text_of("metrics"), metric)
    c = runs.c
    with store.reading() as connection:
        status = status_of(dead_among(connection, store.folder))
        query = select(c.number, c.id, status, c.finished, value).where(c.sweep_id == sweep_id)
        return [tuple(row) for row in connection.execute(query)]


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
