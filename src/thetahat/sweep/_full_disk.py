"""An agent on a full disk: it keeps what it could not write, and tries again for a while.

Its workers train on; those that begin a job wait for room for its first checkpoint. As soon as
there is room, their events are written in their order.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from thetahat.core.errors import StoreError

AGAIN_S = 2.0
"""Seconds until the next try."""
ROOM_S = 600.0
"""Seconds until the agent gives up."""


class FullDisk:
    """Whether the disk of the store is full.

    Args:    say: called once with a line when it is full, and once when there is room again.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._since: float | None = None
        self._again = 0.0

    @property
    def waits(self) -> bool:
        """Whether it is too early to try again."""
        return self._since is not None and time.monotonic() < self._again

    def refused(self, error: StoreError) -> None:
        """Take in that something could not be written.

        Raises:  StoreError: this one, if the disk is not full, or has been for too long.
        """
        from thetahat.store import found_no_room  # workers load this module, and no database

        if not found_no_room(error):
            raise error
        now = time.monotonic()
        if self._since is None:
            self._since = now
            self._say(f"{error}. What runs goes on; the rest is tried again for {ROOM_S:g} s")
        elif now - self._since > ROOM_S:
            raise error
        self._again = now + AGAIN_S

    def found(self) -> None:
        """Take in that something has been written."""
        if self._since is not None:
            self._since = None
            self._say("there is room on the disk again: all that had waited is written")
