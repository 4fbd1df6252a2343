"""Files beside a store that a process opens once for all its runs there.

Invariant: this process opened every file that its ``PerProcess`` holds. A forked child starts with
none: it closes its copies of the handles and leaves the files to its parent.
"""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Generic, Protocol, TypeVar

MOST_IDLE = 8
"""Limit of stores whose files stay open although no run of theirs is running."""


class SharedFile(Protocol):
    """An open file beside a store."""

    @property
    def idle(self) -> bool:
        """Whether no run needs the file."""
        ...

    def close(self) -> None:
        """Remove the file."""
        ...

    def disown(self) -> None:
        """Close the handle only: the file belongs to the parent process."""
        ...


T = TypeVar("T", bound=SharedFile)


class PerProcess(Generic[T]):
    """One open file for each folder: made on first use, removed at exit.

    Hold ``lock`` while you use what ``of`` returns.

    Args:    make: opens the file of a folder.
    """

    def __init__(self, make: Callable[[Path], T]) -> None:
        self._make = make
        self._open: dict[Path, T] = {}
        self.lock = threading.RLock()
        atexit.register(self._close_all)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._disown)

    def of(self, folder: Path) -> T:
        """Return the file in a folder; make it if there is none."""
        kept = self._open.pop(folder, None)
        if kept is None:
            for other in [f for f, one in self._open.items() if one.idle][: 1 - MOST_IDLE]:
                self._open.pop(other).close()
            kept = self._make(folder)
        self._open[folder] = kept
        return kept

    def close_idle(self, folder: Path) -> None:
        """Remove the file in a folder if no run needs it."""
        if folder not in self._open:
            return
        with self.lock:
            kept = self._open.get(folder)
            if kept is not None and kept.idle:
                self._open.pop(folder).close()

    def _close_all(self) -> None:
        for folder in list(self._open):
            self.close_idle(folder)

    def _disown(self) -> None:
        # Another thread of the parent may have held the lock; it does not exist here.
        self.lock = threading.RLock()
        kept, self._open = self._open, {}
        for one in kept.values():
            one.disown()
