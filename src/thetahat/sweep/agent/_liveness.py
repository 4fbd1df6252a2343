"""Detect dead agents by their lease: a lock file on this machine, a heartbeat on another.

An agent holds a locked file; another agent of this machine that can lock it knows that it died. An
agent of another machine is dead if its heartbeat has not changed for the length of a lease, by OUR
clock: the clocks of two machines are never compared. So is an agent of this machine whose process
is stopped (Ctrl-Z, SIGSTOP): it holds its file, and does nothing.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from thetahat.core.errors import StoreError
from thetahat.core.filelock import is_free, take
from thetahat.core.places import Place, place_identity
from thetahat.sweep.processes._process_group import host_name, is_stopped

LEASE_S = 60.0
_EACH_S, _MOST_S = 0.02, 300.0
_BOOT = Path("/proc/sys/kernel/random/boot_id")


def between_searches_s(agents: int) -> float:
    """Return the seconds between two searches for dead agents, in a sweep of so many agents.

    Each agent reads the rows of all others: with one search a second, 1,000 agents would read a
    million rows a second.

    >>> [between_searches_s(n) for n in (2, 100, 1_000, 10_000)]
    [1.0, 2.0, 20.0, 200.0]
    """
    return min(_MOST_S, max(1.0, _EACH_S * agents))


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
            " with store= (--store) or THETAHAT_STORE"
        ) from error
    try:
        while take(handle) is False:
            time.sleep(0.01)  # another agent checks the lock at this moment
        os.write(handle, (this_machine() or "").encode())
        yield
    finally:
        os.close(handle)
        path.unlink(missing_ok=True)


def this_machine() -> str | None:
    """Return what differs between two machines, and not between containers of one; None if unknown.

    Linux makes it anew at each start.
    """
    try:
        return _BOOT.read_text(encoding="ascii").strip() or None
    except OSError:
        return None


def machine_of(folder: Path, agent: str) -> str | None:
    """Return the machine of an agent, by its lock file; None if that does not say it."""
    try:
        return (folder / f"{agent}.lock").read_text(encoding="ascii") or None
    except (OSError, ValueError):
        return None


class StorePlace:
    """The file of a store, as it was when an agent began; a database is always the one it was."""

    def __init__(self, path: Place) -> None:
        self.path = path
        self._was = place_identity(path)

    def check(self, sweep: str) -> None:
        """Check that the store is still the file that was opened.

        Raises:  StoreError: it was deleted, moved or replaced, so what is written would be lost.
        """
        now = place_identity(self.path)
        if now != self._was:
            what = "is no longer there" if now is None else "was replaced by another"
            raise StoreError(
                f"the store {self.path} {what}: this agent can keep nothing any more; put it back,"
                f" and go on with: thetahat agent {sweep}"
            )


class AgentWatch:
    """Remembers other agents' heartbeats, to find dead agents.

    Args:    folder: of the locks of this machine's agents.   lease_s: of other machines' agents.
    """

    def __init__(self, folder: Path, lease_s: float = LEASE_S) -> None:
        self.folder, self.lease_s = folder, lease_s
        self._host = host_name()
        self._seen: dict[str, tuple[str, float]] = {}

    def dead(self, agents: Sequence[Mapping[str, Any]], now: float | None = None) -> list[str]:
        """Return the ids of the agents that are dead."""
        now = time.monotonic() if now is None else now
        return [agent["id"] for agent in agents if self._is_dead(agent, now)]

    def forget(self, agents: Iterable[str]) -> None:
        """Remove the locks that dead agents of this machine left behind.

        A process that was only stopped still holds its lock, by which it lives when it goes on.
        """
        for agent in agents:
            path = self.folder / f"{agent}.lock"
            # In a shared folder a lock may be another user's, who alone can remove it.
            with contextlib.suppress(OSError):
                if is_free(path):
                    path.unlink()

    def left(self) -> list[str]:
        """Return the agents, at most 1,000, whose lock files are there."""
        names = (path.stem for path in self.folder.glob("*.lock"))
        return list(islice(filter(str.isascii, names), 1_000))

    def _is_dead(self, agent: Mapping[str, Any], now: float) -> bool:
        released = None
        if agent["host"] == self._host:
            released = is_free(self.folder / f"{agent['id']}.lock")
            if released:
                return True
        beat, since = self._seen.get(agent["id"], ("", now))
        if beat != agent["heartbeat"]:
            self._seen[agent["id"]] = (agent["heartbeat"], now)
            return False
        if now - since <= self.lease_s:
            return False
        # A held file says that the process is there; slow it may be, but not stopped.
        return released is None or self.is_stopped(agent)

    def is_stopped(self, agent: Mapping[str, Any]) -> bool:
        """Whether an agent is a stopped process of this machine."""
        return agent["host"] == self._host and is_stopped(agent["pid"])
