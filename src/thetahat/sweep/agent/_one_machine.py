"""Refuse to work on a file of SQLite in which an agent of another machine is at work.

SQLite's write-ahead log is shared by memory, which two machines do not have in common: what one of
them writes may destroy what the other has written. Containers of one machine have it in common,
although their host names differ.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import text

from thetahat.core.errors import StoreError
from thetahat.core.places import Place, Server, given_place
from thetahat.core.shell import pasteable
from thetahat.store import Store, list_agents
from thetahat.sweep.agent._liveness import machine_of, this_machine
from thetahat.sweep.processes._process_group import host_name

WATCH_S = 11.0
"""Seconds in which an agent that lives has renewed its heartbeat twice."""
_RECENT = timedelta(minutes=10)
"""Age of heartbeats that are not watched: by two clocks, which may differ by less."""


def check_one_machine(store: Store) -> None:
    """Check that no agent of another machine is at work in a file of SQLite.

    Raises:  StoreError: one is.
    """
    if isinstance(store.path, Server) or not _needs_one_machine(store):
        return
    far = _far_agents(store)
    until = time.monotonic() + WATCH_S
    while far and time.monotonic() < until:
        time.sleep(min(0.2, WATCH_S / 10))
        for name, agent in _far_agents(store).items():
            if name in far and agent["heartbeat"] != far[name]["heartbeat"]:
                raise StoreError(
                    f"the store {store.path} is a file of SQLite, which is for one machine, and an"
                    f" agent of {agent['host']} is at work in it; work there, or"
                    f" {how_to_share(store.path)}"
                )


def how_to_share(place: Place) -> str:
    """Say how the store in a file becomes one for several machines."""
    copy = pasteable(["thetahat", "store", "copy", given_place(place)])
    return (
        f"keep it in PostgreSQL: {copy} 'postgresql://USER@HOST/DATABASE?folder=SHARED', and give"
        " that address with --store or THETAHAT_STORE"
    )


def _needs_one_machine(store: Store) -> bool:
    """Whether the file has a write-ahead log; on network file systems that we know it has none."""
    (row,) = store.read(text("PRAGMA journal_mode"))
    return row["journal_mode"] == "wal"


def _far_agents(store: Store) -> dict[str, Mapping[str, Any]]:
    """The agents of other machines that have given a sign of life lately."""
    here, own, oldest = host_name(), this_machine(), datetime.now(UTC) - _RECENT
    return {
        agent["id"]: agent
        for agent in list_agents(store)
        if agent["ended"] is None
        and agent["host"] != here
        and datetime.fromisoformat(agent["heartbeat"]) > oldest
        and (own is None or machine_of(_locks(store), agent["id"]) != own)
    }


def _locks(store: Store) -> Path:
    return store.folder / "agents"
