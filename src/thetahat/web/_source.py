"""The store behind the page: opened when it exists, reopened when another file replaces it."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from thetahat.core.errors import StoreError
from thetahat.core.places import FILE, Place, Server, locate, place_identity
from thetahat.core.shell import store_flag

if TYPE_CHECKING:
    from thetahat.store import Store

MOST_CHARACTERS = 32_000_000
"""Of all cached texts: some eight sweeps of ten thousand runs."""
_PULSE_S = 0.25


class Source:
    """One store, which may be created, deleted or replaced while the page is open.

    Args:    url: as ``--store`` gives it.
    """

    def __init__(self, url: str | os.PathLike[str] | None = None) -> None:
        self.url = url
        self._lock = threading.Lock()
        self._store: Store | None = None
        self._cache: RunCache | None = None
        self._inode: tuple[int, int] | str | None = None
        self._pulse: tuple[float, str] = (-1.0, "")
        self._wakes: set[Callable[[], None]] = set()
        self._listener: threading.Thread | None = None
        self.listening = False
        """Whether the store tells of changes of state."""
        self.ending: Callable[[], bool] = lambda: False
        """Whether the server is about to end and must not wait for open pages."""

    @property
    def path(self) -> Place:
        """Where the store is, or would be."""
        return locate(self.url)

    @property
    def flag(self) -> str:
        """The flag that gives a command this store, without a password; empty for the default."""
        if self.url is None:
            return ""
        place = self.path
        with contextlib.suppress(StoreError):  # THETAHAT_STORE is no store
            if place == locate():
                return ""
        if isinstance(place, Server):
            return store_flag(place.split_password()[0].given)
        return store_flag(str(place.parent if place.name == FILE else place))

    def store(self) -> Store:
        """Return the open store.

        Raises:  StoreError: it does not exist now, or cannot be read.
        """
        from thetahat.store import open_store

        with self._lock:
            inode = place_identity(self.path)
            if self._store is None or inode != self._inode:
                # A deleted file that is still open would go on answering.
                self._close()
                self._store = open_store(self.url, create=False, timeout_s=5.0)
                self._inode = inode
                self._cache = RunCache(self._store)
            return self._store

    def cached(self, key: str, make: Callable[[Store], str]) -> str:
        """Return a text made of the store, from the cache while the store is unchanged.

        Raises:  StoreError: as ``store``.
        """
        store = self.store()
        cache = self._cache
        return make(store) if cache is None else cache.get(key, lambda: make(store))

    def stand(self, sweep_id: str, read: Callable[[Store, str], list[Any]]) -> list[Any]:
        """Return how the runs of a sweep stand; read once until the store changes.

        Args:    read: as ``runs_stand``, or with more of the runs at the same time.
        Raises:  StoreError: as ``store``.
        """
        from thetahat.store import dead_agents

        # The death of an agent does not change the store.
        key = " ".join(["stand", sweep_id, *sorted(dead_agents(self.store()))])
        text = self.cached(key, lambda store: json.dumps(read(store, sweep_id)))
        return [tuple(row) for row in json.loads(text)]

    def pulse(self) -> str:
        """Return JSON that changes with every change of the store; read each 0.25 s at most.

        Raises:  StoreError: as ``store``.
        """
        from thetahat.store import pulse

        at, known = self._pulse
        if known and time.monotonic() - at < _PULSE_S and place_identity(self.path) == self._inode:
            return known
        found = json.dumps({**pulse(self.store()), "store": self._inode})
        self._pulse = (time.monotonic(), found)
        return found

    @contextlib.contextmanager
    def waking(self, wake: Callable[[], None]) -> Iterator[None]:
        """Call ``wake``, from another thread, whenever the store tells of a change of state."""
        self._wakes.add(wake)
        alive = self._listener is not None and self._listener.is_alive()
        if isinstance(self.path, Server) and not alive:
            self._listener = threading.Thread(target=self._listen, name="changes", daemon=True)
            self._listener.start()
        try:
            yield
        finally:
            self._wakes.discard(wake)

    def _listen(self) -> None:
        """Wait for changes as long as there are pages that follow the store."""
        from thetahat.store import Changes

        changes = None
        while self._wakes and not self.ending():
            try:
                changes = changes or Changes(self.store())
            except StoreError:
                time.sleep(1.0)
                continue
            told, self.listening = changes.wait(1.0, 1.0 if self.listening else 0.0), True
            if told:
                self._pulse = (-1.0, "")  # it was read before the change
                for wake in list(self._wakes):
                    wake()
        if changes is not None:
            changes.close()
        self.listening = False

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._close()

    def _close(self) -> None:
        for part in (self._cache, self._store):
            if part is not None:
                part.close()
        self._cache = self._store = None


class RunCache:
    """Texts by key, each made once for a state of the store; concurrent requests wait for it.

    ``PRAGMA data_version`` changes whenever another connection has committed, whichever process
    it belongs to. The connection here only asks, so every writer is another. PostgreSQL has the
    snapshot of its transactions instead.
    """

    def __init__(self, store: Store) -> None:
        self._store, self._place = store, store.path
        self._connection: sqlite3.Connection | None = None
        self._lock = threading.Lock()
        self._texts: dict[str, tuple[int | str, str]] = {}
        self._closed = False

    def get(self, key: str, make: Callable[[], str]) -> str:
        """Return the text of a key, from the cache or made now."""
        with self._lock:
            if self._closed:
                # Another store has replaced this one.
                return make()
            # Asked before the store is read: a write during the read makes it be read again.
            version = self._version()
            known = self._texts.pop(key, None)
            if known is None or version is None or known[0] != version:
                known = (version or 0, make())
            if version is not None:
                self._texts[key] = known
                self._shrink()
            return known[1]

    def _version(self) -> int | str | None:
        """Return a number or text that changes with the store; None where it cannot be read."""
        if isinstance(self._place, Server):
            from thetahat.store import moment

            return moment(self._store)
        try:
            if self._connection is None:
                address = f"{self._place.absolute().as_uri()}?mode=ro"
                self._connection = sqlite3.connect(
                    address, uri=True, timeout=0.1, check_same_thread=False, isolation_level=None
                )
            return self._connection.execute("PRAGMA data_version").fetchone()[0]
        except sqlite3.Error:
            # Locked, damaged or deleted: the query itself reports the error.
            self._disconnect()
            return None

    def _shrink(self) -> None:
        """Drop the least recently used texts, but never the last: a page asks for it twice."""
        while len(self._texts) > 1 and (
            sum(len(text) for _, text in self._texts.values()) > MOST_CHARACTERS
        ):
            self._texts.pop(next(iter(self._texts)))

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def close(self) -> None:
        """Empty the cache, and cache nothing more."""
        with self._lock:
            self._closed = True
            self._texts.clear()
            self._disconnect()
