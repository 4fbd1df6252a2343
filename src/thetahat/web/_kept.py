"""The runs of a sweep as the page asks for them, kept until the store changes."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

MOST_CHARACTERS = 32_000_000
"""Of all that is kept: some eight sweeps of ten thousand runs."""


class Version:
    """Whether a store's file has changed, as SQLite itself tells.

    ``PRAGMA data_version`` changes whenever another connection has committed, whichever process it
    is of. This one only asks, so every writer is another.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None

    def now(self) -> int | None:
        """A number that changes with the store; None where that cannot be told."""
        try:
            if self._connection is None:
                address = f"{self._path.absolute().as_uri()}?mode=ro"
                self._connection = sqlite3.connect(
                    address, uri=True, timeout=0.1, check_same_thread=False, isolation_level=None
                )
            return self._connection.execute("PRAGMA data_version").fetchone()[0]
        except sqlite3.Error:
            # Locked, damaged, gone: what is asked for is read anew, and says so itself.
            self.close()
            return None

    def close(self) -> None:
        """Close the file."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class Kept:
    """Texts by their keys, each made once for a state of the store.

    Those who ask for one that is being made wait for it.
    """

    def __init__(self, path: Path) -> None:
        self._version = Version(path)
        self._lock = threading.Lock()
        self._texts: dict[str, tuple[int, str]] = {}
        self._closed = False

    def get(self, key: str, make: Callable[[], str]) -> str:
        """The text of a key: as it was made, or made now."""
        with self._lock:
            if self._closed:
                # Another store has taken this one's place meanwhile.
                return make()
            # Asked before the store is read: what is written meanwhile makes it be read again.
            version = self._version.now()
            known = self._texts.pop(key, None)
            if known is None or version is None or known[0] != version:
                known = (version or 0, make())
            if version is not None:
                self._texts[key] = known
                self._forget()
            return known[1]

    def _forget(self) -> None:
        # The last one stays, however long it is: a page asks for it twice.
        while len(self._texts) > 1 and self._characters() > MOST_CHARACTERS:
            # The one that was asked for longest ago.
            self._texts.pop(next(iter(self._texts)))

    def _characters(self) -> int:
        return sum(len(text) for _, text in self._texts.values())

    def close(self) -> None:
        """Forget all, and keep nothing more."""
        with self._lock:
            self._closed = True
            self._texts.clear()
            self._version.close()
