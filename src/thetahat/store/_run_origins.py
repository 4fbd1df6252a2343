"""Where many runs come from, read in one go: what a report says of versions, data and test sets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from thetahat.core.json import from_json
from thetahat.store._schema import runs
from thetahat.store._store import Store

_CHUNK = 500


@dataclass(frozen=True)
class Origin:
    """A run's provenance, and what was kept of how it went."""

    run_id: str
    provenance: Mapping[str, Any]
    detail: Mapping[str, Any]


def origins(store: Store, sweep_id: str) -> Iterator[Origin]:
    """Of every run of a sweep, in the order they were made; a few hundred in memory at a time.

    Raises:  StoreError: the store cannot be read.
    """
    columns = (runs.c.id, runs.c.number, runs.c.provenance, runs.c.detail)
    after = 0
    while True:
        mine = (runs.c.sweep_id == sweep_id) & (runs.c.number > after)
        rows = store.read(select(*columns).where(mine).order_by(runs.c.number).limit(_CHUNK))
        for row in rows:
            after = row["number"]
            yield Origin(row["id"], from_json(row["provenance"]), from_json(row["detail"]))
        if len(rows) < _CHUNK:
            return


def first_data_files(store: Store, sweep_id: str) -> dict[str, tuple[str, str]]:
    """The digest of each data file that runs of a sweep have read, and the first of these runs."""
    told = runs.c.provenance.contains('"data_files"')
    query = select(runs.c.name, runs.c.provenance).where((runs.c.sweep_id == sweep_id) & told)
    found: dict[str, tuple[str, str]] = {}
    for row in store.read(query.order_by(runs.c.number).limit(_CHUNK)):
        for name, digest in from_json(row["provenance"])["data_files"].items():
            found.setdefault(name, (digest, row["name"]))
    return found
