"""An agent on a full disk: what it could not write waits, and is tried again for a while.

Its workers train on. What they say is written, in its order, as soon as there is room.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from thetahat.core.errors import StoreError
from thetahat.store import found_no_room

AGAIN_S = 2.0
"""Seconds until it is tried again."""
ROOM_S = 600.0
"""Seconds for which it is tried again."""


class Room:
    """Whether there is room in the store.

    Args:    say: told once that there is none, and once that there is again.
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
        """Something could not be written.

        Raises:  StoreError: this one, where it is not for want of room, or has been for too long.
        """
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
        """Something has been written."""
        if self._since is not None:
            self._since = None
            self._say("there is room on the disk again: all that had waited is written")
