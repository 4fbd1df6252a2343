"""An agent whose store cannot be written: it keeps what waits, and tries again for a while.

The disk is full, or the server of the store does not answer. Workers train on; on a full disk those
that begin a job wait for room for its first checkpoint. As soon as the store can be written, their
events are written in their order.
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
    """Whether the disk of the store is full, or its server does not answer.

    Args:    say: called once with a line when it is so, and once when it is over.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._since: float | None = None
        self._again = 0.0
        self._over = ""

    @property
    def waits(self) -> bool:
        """Whether it is too early to try again."""
        return self._since is not None and time.monotonic() < self._again

    def refused(self, error: StoreError) -> None:
        """Take in that something could not be written.

        Raises:  StoreError: this one, if it is another, or has lasted for too long.
        """
        # Workers load this module, and no database.
        from thetahat.store import found_no_answer, found_no_room

        if found_no_room(error):
            self._over = "there is room on the disk again"
        elif found_no_answer(error):
            self._over = "the server of the store answers again"
        else:
            raise error
        now = time.monotonic()
        if self._since is None:
            self._since = now
            self._say(f"{error}. What runs goes on; the rest is tried again for {ROOM_S:g} s")
        elif now - self._since > ROOM_S:
            raise error
        self._again = now + AGAIN_S

    def found(self) -> bool:
        """Take in that something has been written; return whether this ends a time of refusals."""
        if self._since is None:
            return False
        self._since = None
        self._say(f"{self._over}: all that had waited is written")
        return True
