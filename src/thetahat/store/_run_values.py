"""Values of some columns of all runs of a sweep, without decoding the rest of them."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from operator import itemgetter
from typing import Any

from sqlalchemy import func, literal_column, select

from thetahat.core.nested import flat_config
from thetahat.store._dead_agents import STANDING, dead_among, reason_of, status_of
from thetahat.store._rows import parse_all
from thetahat.store._schema import runs
from thetahat.store._selection import PLAIN, Reader, decoded, json_reader, reader_of, text_of
from thetahat.store._sql import json_array, json_list, text_array, use_workers
from thetahat.store._store import Store

Stand = tuple[str, str, int, int, int]
"""Of the runs of one status: it, when the last ended, how many, their numbers, their attempts."""


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


def runs_stand(store: Store, sweep_id: str) -> list[Stand]:
    """Return values that change if a run of a sweep begins, ends, is retried or deleted."""
    with store.reading() as connection:
        status = status_of(dead_among(connection, store.folder))
        query = select(status, *_stand_in(runs)).where(runs.c.sweep_id == sweep_id)
        return _stand_of(connection.execute(query.group_by(STANDING)).all())


def has_more_runs(store: Store, sweep_id: str, than: int) -> bool:
    """Whether a sweep has more than so many runs, without a count of the others."""
    some = select(runs.c.id).where(runs.c.sweep_id == sweep_id).limit(than + 1).subquery()
    with store.reading() as connection:
        return connection.execute(select(func.count()).select_from(some)).scalar_one() > than


def metric_series(
    store: Store, sweep_id: str, metric: str
) -> tuple[list[Stand], list[tuple[int, str, str, str | None, Any]]]:
    """Return how the runs of a sweep stand, and their (number, id, status, finished, metric).

    The latter are in any order. A metric is as it was logged, and None where it is missing. The
    database joins each column to one text: to fetch a hundred thousand rows takes twice as long as
    to read them.
    """
    plain = PLAIN.fullmatch(metric.replace(".", "")) is not None
    value = json_list(text_of("metrics"), metric) if plain else literal_column("'[null]'")
    with store.reading() as connection:
        status = status_of(dead_among(connection, store.folder))
        names = ("number", "id", "finished", "attempt")
        picked = select(status, *(runs.c[name] for name in names), value.label("value"))
        picked = picked.where(runs.c.sweep_id == sweep_id)
        rows = use_workers(connection, picked).subquery()
        lists = [json_array(rows.c[name]) for name in ("number", "id", "finished")]
        query = select(rows.c[STANDING], *_stand_in(rows), *lists, text_array(rows.c.value))
        groups = connection.execute(query.group_by(rows.c[STANDING])).all()
    found: list[tuple[int, str, str, str | None, Any]] = []
    for word, _, n, _, _, *texts in map(tuple[Any, ...], groups):
        numbers, ids, finished, values = map(json.loads, texts)
        words, values = [word] * n, map(itemgetter(0), values)
        found += zip(numbers, ids, words, finished, values, strict=True)
    return _stand_of(groups), found


def _stand_in(rows: Any) -> tuple[Any, ...]:
    c = rows.c
    return func.max(c.finished), func.count(), func.sum(c.number), func.sum(c.attempt)


def _stand_of(groups: Iterable[Sequence[Any]]) -> list[Stand]:
    return sorted((row[0], row[1] or "", row[2], int(row[3]), int(row[4])) for row in groups)


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
