"""Runs for a page that shows thousands: counts, values, and the store's pulse."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from operator import itemgetter
from typing import Any

from sqlalchemy import func, select

from thetahat.core.run import Status
from thetahat.store._columns import LONG, OPEN, shortened
from thetahat.store._json import from_json
from thetahat.store._records import Block, read_block
from thetahat.store._schema import agents, notices, records, runs, sweeps
from thetahat.store._store import Store


def run_values(store: Store, sweep_id: str) -> Iterator[tuple[str, Any, Any]]:
    """(status, config, metrics) of every run of a sweep, in the order of their numbers."""
    query = select(runs.c.number, runs.c.status, runs.c.config, runs.c.metrics)
    with store.reading() as connection:
        rows = connection.execute(query.where(runs.c.sweep_id == sweep_id)).all()
    for _, status, config, metrics in sorted(rows, key=itemgetter(0)):
        yield status, from_json(_config(config)), from_json(metrics)


def run_metrics(store: Store, sweep_id: str) -> list[tuple[str, str, Any]]:
    """(id, status, metrics) of every run of a sweep, in the order of their numbers."""
    query = select(runs.c.number, runs.c.id, runs.c.status, runs.c.metrics)
    with store.reading() as connection:
        rows = connection.execute(query.where(runs.c.sweep_id == sweep_id)).all()
    return [(run, status, from_json(text)) for _, run, status, text in sorted(rows)]


def run_configs(
    store: Store, sweep_id: str, ids: Collection[str] | None = None
) -> Iterator[tuple[str, Any]]:
    """(id, config) of runs of a sweep, in no order.

    Args:    ids: only these, some thousands at most.
    """
    query = select(runs.c.id, runs.c.config).where(runs.c.sweep_id == sweep_id)
    if ids is not None:
        query = query.where(runs.c.id.in_(list(ids)))
    with store.reading() as connection:
        # One after the other: all of them, of hundreds of parameters, would fill the memory.
        for run, config in connection.execute(query):
            yield run, from_json(config)


def runs_stand(store: Store, sweep_id: str) -> list[Any]:
    """What changes whenever a run of a sweep begins, ends, is tried again, or is deleted."""
    told = (func.count(), func.sum(runs.c.number), func.sum(runs.c.attempt))
    query = select(runs.c.status, func.max(runs.c.finished), *told)
    mine = query.where(runs.c.sweep_id == sweep_id).group_by(runs.c.status)
    with store.reading() as connection:
        return sorted(map(tuple, connection.execute(mine)))


def count_point(store: Store, sweep_id: str, point: int) -> int:
    """How many runs of a sweep have one setting."""
    query = select(func.count()).where((runs.c.sweep_id == sweep_id) & (runs.c.point == point))
    with store.reading() as connection:
        return connection.execute(query).scalar() or 0


def detail_of_sweep(store: Store, sweep_id: str) -> dict[str, Any]:
    """The detail of the first run of a sweep that has ended well."""
    well = [str(s) for s in (Status.FINISHED, Status.STOPPED, Status.UNMOVED, Status.INTERRUPTED)]
    query = select(runs.c.detail).where((runs.c.sweep_id == sweep_id) & runs.c.status.in_(well))
    with store.reading() as connection:
        found = connection.execute(query.order_by(runs.c.number).limit(1)).scalar()
    return from_json(found) if found else {}


def metric_values(store: Store, sweep_ids: Sequence[str]) -> Iterator[tuple[str, str, str, Any]]:
    """(sweep, run's name, status, metrics) of the runs that are over, to find the best."""
    query = select(runs.c.sweep_id, runs.c.name, runs.c.status, runs.c.metrics)
    over = runs.c.sweep_id.in_(list(sweep_ids)) & runs.c.status.not_in(OPEN)
    with store.reading() as connection:
        rows = connection.execute(query.where(over)).all()
    for sweep_id, name, status, metrics in rows:
        yield sweep_id, name, status, from_json(metrics)


def count_all(store: Store) -> dict[str | None, dict[str, int]]:
    """How many runs stand how, by sweep; None for those of no sweep."""
    query = select(runs.c.sweep_id, runs.c.status, func.count()).group_by(
        runs.c.sweep_id, runs.c.status
    )
    counts: dict[str | None, dict[str, int]] = {}
    with store.reading() as connection:
        for sweep_id, status, n in connection.execute(query):
            counts.setdefault(sweep_id, {})[status] = n
    return counts


def pulse(store: Store) -> dict[str, Any]:
    """What changes whenever something in the store does, read from indexes."""
    with store.reading() as connection:
        last = connection.execute(select(func.max(records.c.id))).scalar()
        number = connection.execute(select(func.max(runs.c.number))).scalar()
        said = connection.execute(select(func.max(notices.c.id))).scalar()
        by_status = select(runs.c.status, func.count()).group_by(runs.c.status)
        counts = {row[0]: row[1] for row in connection.execute(by_status)}
        states = [
            tuple(row)
            for row in connection.execute(select(sweeps.c.id, sweeps.c.state, sweeps.c.reason))
        ]
        live = select(agents.c.id, agents.c.doing).where(agents.c.ended.is_(None))
        alive = [tuple(row) for row in connection.execute(live)]
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
