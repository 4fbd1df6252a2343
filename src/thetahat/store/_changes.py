"""Wait for a change of state: a run that ends or returns to the queue, a sweep that is paused.

PostgreSQL tells of it (NOTIFY). What it tells may be lost, with a connection or a process between
its commit and the telling: all who wait also look by themselves after a while. SQLite tells
nothing.
"""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any

from thetahat.core.places import Server
from thetahat.store._postgres import CHANNEL
from thetahat.store._postgres_signs import signs_of_life

if TYPE_CHECKING:
    from thetahat.store._store import Store

_AGAIN_S = 10.0
"""Seconds until a failed connection is tried again."""
_LEAST_S = 0.1
"""Seconds between two looks, however much is told."""


class Changes:
    """Waits for changes of the state of runs and sweeps; close it at the end.

    Args:    store: it listens with a connection of its own, of the first wait.
             only: WORK for one who looks for work; a thousand agents need not look at each end.
    """

    def __init__(self, store: Store, only: str = "") -> None:
        self._place, self._only = store.path, only
        self._connection: Any = None
        self._tried = self._woken = -1e9

    def wait(self, look_s: float, told_s: float) -> bool:
        """Wait for a change, at most ``told_s`` seconds; return whether one was told.

        Args:    look_s: the limit where nothing tells of changes.
        """
        if self._listen():
            try:
                pause = max(0.0, self._woken + _LEAST_S - time.monotonic())
                time.sleep(min(pause, told_s))
                told = self._hear(told_s)
            except self._failure:
                self.close()
            else:
                self._woken = time.monotonic()
                return told
        time.sleep(look_s)
        return False

    def _hear(self, limit_s: float) -> bool:
        """Whether something of concern is told within so many seconds."""
        give_up = time.monotonic() + limit_s
        while True:
            left = max(0.0, give_up - time.monotonic())
            # Of all that is told together one look learns.
            told = [one.payload for one in self._connection.notifies(timeout=left, stop_after=1)]
            if not told or self._only in ("", *told):
                return bool(told)

    def close(self) -> None:
        """Close the connection; a later wait opens another."""
        if self._connection is not None:
            with contextlib.suppress(self._failure):
                self._connection.close()
            self._connection = None

    @property
    def _failure(self) -> type[Exception]:
        import psycopg

        return psycopg.Error

    def _listen(self) -> bool:
        """Whether changes are told now; connect if that is possible, and due."""
        if not isinstance(self._place, Server):
            return False
        if self._connection is None and time.monotonic() - self._tried > _AGAIN_S:
            self._tried = time.monotonic()
            import psycopg

            with contextlib.suppress(psycopg.Error):
                made = psycopg.connect(**signs_of_life(self._place.url), autocommit=True)
                made.execute(f"LISTEN {CHANNEL}")
                self._connection = made
        return self._connection is not None
