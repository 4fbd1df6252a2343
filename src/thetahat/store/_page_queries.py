"""Runs for a page that shows thousands: counts, values, and the store's pulse."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from sqlalchemy import func, select

from thetahat.core.json import from_json
from thetahat.core.run import Status
from thetahat.store._blocks import Block, read_block
from thetahat.store._dead_agents import dead_among, status_of
from thetahat.store._page_columns import LONG, shortened
from thetahat.store._rows import among
from thetahat.store._schema import agents, notices, records, runs, sweeps
from thetahat.store._store import Store


def run_metrics(store: Store, sweep_id: str) -> list[tuple[str, str, Any]]:
    """(id, status, metrics) of every run of a sweep, in the order of their numbers."""
    with store.reading() as connection:
        status = status_of(dead_among(connection, store.folder))
        query = select(runs.c.number, runs.c.id, status, runs.c.metrics)
        rows = connection.execute(query.where(runs.c.sweep_id == sweep_id)).all()
    return [(run, status, from_json(text)) for _, run, status, text in sorted(rows)]


@dataclass(frozen=True, slots=True)
class TriedRun:
    """A run of a sweep as far as finding the best setting needs it."""

    id: str
    name: str
    number: int
    status: Status
    setting: Mapping[str, Any]
    """The config without what the program itself added."""
    metrics: Mapping[str, float | None]
    finished: str | None
    contaminated: bool


def tried_runs(store: Store, sweep_id: str) -> list[TriedRun]:
    """The runs of a sweep in the order of their numbers, long words of their configs cut."""
    c = runs.c
    setting = func.coalesce(c.proposed, c.config)
    with store.reading() as connection:
        status = status_of(dead_among(connection, store.folder))
        query = select(
            c.number, c.id, c.name, status, setting, c.metrics, c.finished, c.contaminated
        ).where(c.sweep_id == sweep_id)
        rows = [tuple(row) for row in connection.execute(query)]
    rows.sort(key=itemgetter(0))
    known = {str(status): status for status in Status}
    # One text of all is read several times as fast as ten thousand texts.
    settings = from_json(f"[{','.join(_config(row[4]) for row in rows)}]")
    metrics = from_json(f"[{','.join(row[5] or '{}' for row in rows)}]")
    return [
        TriedRun(i, name, number, known[status], setting, found, at, bool(tuned))
        for (number, i, name, status, _, _, at, tuned), setting, found in zip(
            rows, settings, metrics, strict=True
        )
    ]


def shared_orders(store: Store, sweep_id: str | None = None) -> frozenset[str]:
    """Ids of runs that share the order of their minibatches with others of their cohort."""
    # The words are looked for first: to read the JSON of all runs would take longer.
    told = runs.c.detail.contains('"batch_order"')
    query = select(runs.c.id, runs.c.detail).where(told)
    if sweep_id is not None:
        query = query.where(runs.c.sweep_id == sweep_id)
    with store.reading() as connection:
        rows = connection.execute(query).all()
    return frozenset(i for i, text in rows if from_json(text).get("batch_order") == "shared")


def run_configs(
    store: Store, sweep_id: str, ids: Collection[str] | None = None
) -> Iterator[tuple[str, Any]]:
    """(id, config without what the program itself added) of runs of a sweep, in no order.

    Args:    ids: only these, however many.
    """
    setting = func.coalesce(runs.c.proposed, runs.c.config)
    query = select(runs.c.id, setting).where(runs.c.sweep_id == sweep_id)
    if ids is not None:
        query = query.where(among(runs.c.id, ids))
    with store.reading() as connection:
        # One after the other: all of them, of hundreds of parameters, would fill the memory.
        for run, config in connection.execute(query):
            yield run, from_json(config)


def runs_stand(store: Store, sweep_id: str) -> list[Any]:
    """What changes when a run of a sweep begins, ends, is retried or deleted, or its agent dies."""
    told = (func.count(), func.sum(runs.c.number), func.sum(runs.c.attempt))
    with store.reading() as connection:
        status = status_of(dead_among(connection, store.folder))
        query = select(status, func.max(runs.c.finished), *told)
        mine = query.where(runs.c.sweep_id == sweep_id).group_by(status)
        return sorted(map(tuple, connection.execute(mine)))


def count_point(store: Store, sweep_id: str, point: int) -> int:
    """How many runs of a sweep have one setting."""
    query = select(func.count()).where((runs.c.sweep_id == sweep_id) & (runs.c.point == point))
    with store.reading() as connection:
        return connection.execute(query).scalar() or 0


def detail_of_sweep(store: Store, sweep_id: str) -> dict[str, Any]:
    """The detail of the first run of a sweep that trained to an end."""
    told = [str(status) for status in Status if status.over and not status.failed]
    query = select(runs.c.detail).where((runs.c.sweep_id == sweep_id) & runs.c.status.in_(told))
    with store.reading() as connection:
        found = connection.execute(query.order_by(runs.c.number).limit(1)).scalar()
    return from_json(found) if found else {}


def metric_values(store: Store, sweep_ids: Sequence[str]) -> Iterator[tuple[str, str, str, Any]]:
    """(sweep, run's name, status, metrics) of the runs that ended well, to find the best."""
    query = select(runs.c.sweep_id, runs.c.name, runs.c.status, runs.c.metrics)
    well = runs.c.status.in_([str(status) for status in Status if status.well])
    with store.reading() as connection:
        rows = connection.execute(query.where(among(runs.c.sweep_id, sweep_ids) & well)).all()
    for sweep_id, name, status, metrics in rows:
        yield sweep_id, name, status, from_json(metrics)


def count_all(store: Store) -> dict[str | None, dict[str, int]]:
    """How many runs stand how, by sweep; None for those of no sweep."""
    counts: dict[str | None, dict[str, int]] = {}
    with store.reading() as connection:
        status = status_of(dead_among(connection, store.folder))
        query = select(runs.c.sweep_id, status, func.count()).group_by(runs.c.sweep_id, status)
        for sweep_id, status, n in connection.execute(query):
            counts.setdefault(sweep_id, {})[status] = n
    return counts


def pulse(store: Store) -> dict[str, Any]:
    """What changes whenever something in the store does, read from indexes."""
    store.settle_gone()
    with store.reading() as connection:
        dead = dead_among(connection, store.folder)
        status = status_of(dead)
        last = connection.execute(select(func.max(records.c.id))).scalar()
        number = connection.execute(select(func.max(runs.c.number))).scalar()
        said = connection.execute(select(func.max(notices.c.id))).scalar()
        by_status = select(status, func.count()).group_by(status)
        counts = {row[0]: row[1] for row in connection.execute(by_status)}
        states = [
            tuple(row)
            for row in connection.execute(select(sweeps.c.id, sweeps.c.state, sweeps.c.reason))
        ]
        live = select(agents.c.id, agents.c.doing).where(agents.c.ended.is_(None))
        alive = [tuple(row) for row in connection.execute(live) if row.id not in dead]
    return {
        "records": last or 0,
        "runs": number or 0,
        "notices": said or 0,
        "counts": counts,
        "sweeps": states,
        "agents": alive,
    }


def blocks_after(store: Store, run_id: str, after: int = 0) -> tuple[list[Block], int]:
    """A run's blocks of records with ids above ``after``, and the last id."""
    mine = (records.c.run_id == run_id) & (records.c.id > after)
    blocks = []
    for row in store.read(select(records).where(mine).order_by(records.c.id)):
        after = row["id"]
        blocks.append(
            read_block(row["first"], row["last"], row["count"], row["columns"], row["data"])
        )
    return blocks, after


def _config(text: str) -> str:
    return (text or "{}") if len(text) <= LONG else shortened(text)
