"""Runs as they stand, also where the agent that holds them was killed, and nobody said so yet."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, and_, bindparam, case, select

from thetahat.core.run import Status
from thetahat.store._filters import Condition, check_columns, ordered
from thetahat.store._rows import RunRow, among
from thetahat.store._schema import agents, runs
from thetahat.store._store import Store

DIED = "its agent died; the next agent of the sweep goes on with it"
_HERE = select(agents.c.id).where(agents.c.ended.is_(None) & (agents.c.host == bindparam("here")))


def dead_agents(store: Store) -> frozenset[str]:
    """Ids of the agents that have died on this machine, and whose runs nobody has taken back."""
    with store.reading() as connection:
        return dead_among(connection, store.folder)


def dead_among(connection: Connection, folder: Path) -> frozenset[str]:
    """As ``dead_agents``, for who reads the store in ``folder`` already."""
    mine = connection.execute(_HERE, {"here": socket.gethostname()}).all()
    return frozenset(i for (i,) in mine if _is_free(folder / "agents" / f"{i}.lock"))


def standing(store: Store, found: Sequence[RunRow]) -> list[RunRow]:
    """Runs, of which those whose agent has died on this machine are queued.

    Their rows say so as soon as another agent has ended what the dead one left running. Only an
    agent may write that: programs of one run must not run twice at a time.
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
    """Runs as ``Store.runs`` finds them, but filtered and sorted as they stand.

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
    """The status of rows as ``standing`` has it, for a query."""
    if not dead:
        return rows.c.status
    return case((_left(dead, rows), str(Status.QUEUED)), else_=rows.c.status)


def reason_of(dead: Collection[str], rows: Any = runs) -> Any:
    """The reason of rows as ``standing`` has it, for a query."""
    return case((_left(dead, rows), DIED), else_=rows.c.reason) if dead else rows.c.reason


def _left(dead: Collection[str], rows: Any) -> Any:
    return and_(rows.c.status == str(Status.RUNNING), among(rows.c.agent, dead))


def _is_free(path: Path) -> bool:
    """Whether nobody holds an agent's lock; False where that cannot be known."""
    try:
        handle = os.open(path, os.O_RDWR if sys.platform == "win32" else os.O_RDONLY)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(handle)
    return True
