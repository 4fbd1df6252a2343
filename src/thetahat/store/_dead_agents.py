"""The state of runs whose agent was killed, before another agent has returned them to the queue."""

from __future__ import annotations

import socket
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, and_, bindparam, case, select

from thetahat.core.filelock import is_free
from thetahat.core.run import Status
from thetahat.store._filters import Condition, check_columns, ordered
from thetahat.store._rows import RunRow
from thetahat.store._schema import agents, runs
from thetahat.store._sql import among
from thetahat.store._store import Store

STANDING = "standing"
"""The name of the column that ``status_of`` returns."""
DIED = "its agent died; the next agent of the sweep goes on with it"
_HERE = select(agents.c.id).where(agents.c.ended.is_(None) & (agents.c.host == bindparam("here")))


def dead_agents(store: Store) -> frozenset[str]:
    """Return the ids of dead agents of this machine whose runs are not back in the queue."""
    with store.reading() as connection:
        return dead_among(connection, store.folder)


def dead_among(connection: Connection, folder: Path) -> frozenset[str]:
    """Return what ``dead_agents`` does, within an open transaction."""
    mine = connection.execute(_HERE, {"here": socket.gethostname()}).all()
    return frozenset(i for (i,) in mine if is_free(folder / "agents" / f"{i}.lock"))


def standing(store: Store, found: Sequence[RunRow]) -> list[RunRow]:
    """Return runs, with those of dead agents of this machine as queued.

    Only an agent may write this to their rows, after it has ended their programs: two programs of
    one run must not run at a time.
    """
    if not any(run.status is Status.RUNNING and run.agent is not None for run in found):
        return list(found)
    dead = dead_agents(store)
    return [
        replace(run, status=Status.QUEUED, reason=DIED)
        if run.status is Status.RUNNING and run.agent in dead
        else run
        for run in found
    ]


def standing_runs(
    store: Store,
    *,
    where: Sequence[Condition] = (),
    sort: str = "number",
    limit: int | None = None,
    **equal: Any,
) -> list[RunRow]:
    """Return what ``Store.runs`` does, with the runs of dead agents as queued.

    Raises:  ConfigError: a column that no run has; the nearest is offered.
    """
    if not dead_agents(store):
        return store.runs(where=where, sort=sort, limit=limit, **equal)
    status = equal.pop("status", None)
    found = standing(store, store.runs(**equal))
    check_columns([sort.removeprefix("-"), *(condition.column for condition in where)], found)
    found = [run for run in found if status is None or run.status == status]
    found = [run for run in found if all(condition.holds(run) for condition in where)]
    return ordered(found, sort)[:limit]


def status_of(dead: Collection[str], rows: Any = runs) -> Any:
    """Return the column of the status as ``standing`` has it; group by its name, ``standing``."""
    if not dead:
        return rows.c.status.label(STANDING)
    return case((_left(dead, rows), str(Status.QUEUED)), else_=rows.c.status).label(STANDING)


def reason_of(dead: Collection[str], rows: Any = runs) -> Any:
    """Return the column of the reason as ``standing`` has it."""
    return case((_left(dead, rows), DIED), else_=rows.c.reason) if dead else rows.c.reason


def _left(dead: Collection[str], rows: Any) -> Any:
    return and_(rows.c.status == str(Status.RUNNING), among(rows.c.agent, dead))
