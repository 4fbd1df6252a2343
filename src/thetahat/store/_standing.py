"""Runs as they stand, also where the agent that holds them was killed, and nobody said so yet."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from thetahat.core.run import Status
from thetahat.store._rows import RunRow
from thetahat.store._store import Store
from thetahat.store._sweeps import list_agents

DIED = "its agent died; the next agent of the sweep goes on with it"


def standing(store: Store, runs: Sequence[RunRow]) -> list[RunRow]:
    """Runs, of which those whose agent has died on this machine are queued.

    Their rows say so as soon as another agent has ended what the dead one left running. Only an
    agent may write that: programs of one run must not run twice at a time.
    """
    held = {run.agent for run in runs if run.status is Status.RUNNING and run.agent is not None}
    if not held:
        return list(runs)
    here = socket.gethostname()
    dead = {
        agent["id"]
        for agent in list_agents(store)
        if agent["id"] in held and agent["ended"] is None and agent["host"] == here
        if _is_free(store.folder / "agents" / f"{agent['id']}.lock")
    }
    return [
        replace(run, status=Status.QUEUED, reason=DIED)
        if run.status is Status.RUNNING and run.agent in dead
        else run
        for run in runs
    ]


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
