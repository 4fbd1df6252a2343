"""Files beside a store that a process opens once for all its runs there.

Invariant: what ``PerProcess`` keeps was opened by this process. A forked child starts with nothing:
it closes its copies of the handles and leaves the files to its parent.
"""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Generic, Protocol, TypeVar

MOST_IDLE = 8
"""Stores whose files stay open while none of their runs is running."""


class Kept(Protocol):
    """Something open beside a store."""

    @property
    def idle(self) -> bool:
        """Whether no run needs it."""
        ...

    def close(self) -> None:
        """Remove it."""
        ...

    def disown(self) -> None:
        """Close the handle alone: the file belongs to the parent process."""
        ...


T = TypeVar("T", bound=Kept)


class PerProcess(Generic[T]):
    """One open thing for each folder: made when it is first asked for, removed at exit.

    Hold ``lock`` while you use what ``of`` returns.

    Args:    make: opens it for a folder.
    """

    def __init__(self, make: Callable[[Path], T]) -> None:
        self._make = make
        self._kept: dict[Path, T] = {}
        self.lock = threading.RLock()
        atexit.register(self._close_all)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._disown)

    def of(self, folder: Path) -> T:
        """What this process keeps in a folder, made now if there is none."""
        kept = self._kept.pop(folder, None)
        if kept is None:
            for other in [f for f, one in self._kept.items() if one.idle][: 1 - MOST_IDLE]:
                self._kept.pop(other).close()
            kept = self._make(folder)
        self._kept[folder] = kept  # the one used last comes last
        return kept

    def close_idle(self, folder: Path) -> None:
        """Remove what is in a folder, unless a run needs it."""
        if folder not in self._kept:
            return
        with self.lock:
            kept = self._kept.get(folder)
            if kept is not None and kept.idle:
                self._kept.pop(folder).close()

    def _close_all(self) -> None:
        for folder in list(self._kept):
            self.close_idle(folder)

    def _disown(self) -> None:
        # Another thread of the parent may have held the lock; it does not exist here.
        self.lock = threading.RLock()
        kept, self._kept = self._kept, {}
        for one in kept.values():
            one.disown()
