"""The store behind the page: opened when it is there, and again when another takes its place."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thetahat.web._kept import Kept

if TYPE_CHECKING:
    from thetahat.store import Store

_PULSE_S = 0.25


class Source:
    """One store, that may be made, deleted or replaced while the page is open.

    Args:    url: as ``--store`` gives it.
    """

    def __init__(self, url: str | os.PathLike[str] | None = None) -> None:
        self.url = url
        self._lock = threading.Lock()
        self._store: Store | None = None
        self._kept: Kept | None = None
        self._inode: tuple[int, int] | None = None
        self._pulse: tuple[float, str] = (-1.0, "")
        self.ending: Callable[[], bool] = lambda: False
        """Whether the server is about to end, and must not wait for pages that listen."""

    @property
    def path(self) -> Path:
        """Where the store's file is, or would be."""
        from thetahat.store import locate

        return locate(self.url)

    def store(self) -> Store:
        """The store, open.

        Raises:  StoreError: there is none now, or it cannot be read.
        """
        from thetahat.store import open_store

        with self._lock:
            inode = _inode(self.path)
            if self._store is not None and inode == self._inode:
                return self._store
            if self._store is not None:
                # A deleted file would go on answering from its grave.
                self._shut()
            self._store = open_store(self.url, create=False, timeout_s=5.0)
            self._inode = inode
            self._kept = Kept(self._store.path)
            return self._store

    def kept(self, key: str, make: Callable[[Store], str]) -> str:
        """A text made of the store, now or since when the store has not changed.

        Raises:  StoreError: as ``store``.
        """
        store = self.store()
        kept = self._kept
        return make(store) if kept is None else kept.get(key, lambda: make(store))

    def pulse(self) -> str:
        """What changes whenever something in the store does, as JSON; read each 0.25 s at most.

        Raises:  StoreError: as ``store``.
        """
        from thetahat.store import pulse

        at, known = self._pulse
        if known and time.monotonic() - at < _PULSE_S and _inode(self.path) == self._inode:
            return known
        found = json.dumps({**pulse(self.store()), "store": self._inode})
        self._pulse = (time.monotonic(), found)
        return found

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._shut()

    def _shut(self) -> None:
        if self._kept is not None:
            self._kept.close()
            self._kept = None
        if self._store is not None:
            self._store.close()
            self._store = None


def _inode(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def facts(source: Source) -> dict[str, Any]:
    """What the page says of the store itself."""
    return {"path": str(source.path), "exists": source.path.is_file()}
