"""Which agents are dead: by a lock that the system lets go of, or by a heart that stands still.

An agent on this machine holds a locked file; who can lock it knows that it died. One on another
machine is dead when its heartbeat has not changed for the length of a lease, by OUR clock: the
clocks of two machines are never compared.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from thetahat.core.errors import StoreError
from thetahat.core.filelock import is_free, take
from thetahat.sweep.processes._process_group import host_name

LEASE_S = 60.0


@contextlib.contextmanager
def proof_of_life(folder: Path, agent: str) -> Iterator[None]:
    """Hold this agent's lock file while the block runs.

    Raises:  StoreError: the folder cannot be written.
    """
    path = folder / f"{agent}.lock"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise StoreError(
            f"agents cannot be kept in {folder} ({error.strerror or error}); give another store"
            " with --store or THETAHAT_STORE"
        ) from error
    try:
        while take(handle) is False:
            time.sleep(0.01)  # somebody looks just now whether it is held
        yield
    finally:
        os.close(handle)
        path.unlink(missing_ok=True)


class Place:
    """Where a store's file was when an agent began."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._was = _place(path)

    def check(self, sweep: str) -> None:
        """That the store is still the file that was opened.

        Raises:  StoreError: it was deleted, moved or replaced: nobody would see what is written.
        """
        now = _place(self.path)
        if now != self._was:
            what = "is no longer there" if now is None else "was replaced by another"
            raise StoreError(
                f"the store {self.path} {what}: this agent can keep nothing any more; put it back,"
                f" and go on with: thetahat agent {sweep}"
            )


class Watch:
    """Remembers other agents' heartbeats, to find the dead.

    Args:    folder: where agents of this machine hold their locks.   lease_s: of those elsewhere.
    """

    def __init__(self, folder: Path, lease_s: float = LEASE_S) -> None:
        self.folder, self.lease_s = folder, lease_s
        self._host = host_name()
        self._seen: dict[str, tuple[str, float]] = {}

    def dead(self, agents: Sequence[Mapping[str, Any]], now: float | None = None) -> list[str]:
        """Ids of the agents that are dead."""
        now = time.monotonic() if now is None else now
        return [agent["id"] for agent in agents if self._is_dead(agent, now)]

    def bury(self, agents: Sequence[str]) -> None:
        """Remove what dead agents of this machine left; ids are never given again."""
        for agent in agents:
            (self.folder / f"{agent}.lock").unlink(missing_ok=True)

    def _is_dead(self, agent: Mapping[str, Any], now: float) -> bool:
        if agent["host"] == self._host:
            let_go = is_free(self.folder / f"{agent['id']}.lock")
            if let_go is not None:
                return let_go
        beat, since = self._seen.get(agent["id"], ("", now))
        if beat != agent["heartbeat"]:
            self._seen[agent["id"]] = (agent["heartbeat"], now)
            return False
        return now - since > self.lease_s


def _place(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
