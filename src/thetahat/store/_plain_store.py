"""A store as a program that logs by hand needs it: plain SQLite.

SQLAlchemy takes longer to load than many such programs take to run. What is not plain (a new store,
an older version, a file that cannot be written) is for ``open_store``, and its messages.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from thetahat.core.errors import StoreError
from thetahat.store._owner_lock import gone
from thetahat.store._run_writer import VERSION, RunWriter
from thetahat.store._sqlite_errors import OpenMode, explain
from thetahat.store._sqlite_lock import begin_writing

_INHERITED: list[sqlite3.Connection] = []
"""Connections of a parent process: a forked child must not close them."""


class PlainStore:
    """An open store to which one program writes its runs; made by ``plain_store``."""

    def __init__(self, connection: sqlite3.Connection, path: Path, mode: OpenMode) -> None:
        self._connection: sqlite3.Connection | None = connection
        self._mode = mode
        self.path = path
        self._pid = os.getpid()
        self._lock = threading.Lock()

    @property
    def folder(self) -> Path:
        """The folder of the store's file."""
        return self.path.parent

    @contextmanager
    def batch(self, *, beside: bool = False) -> Iterator[RunWriter]:
        """Begin one transaction for several writes; SQLite lets one process write at a time.

        Raises:  StoreError: disk full, locked, read-only, damaged.
        """
        if os.getpid() != self._pid:
            if self._connection is not None:
                _INHERITED.append(self._connection)
            self._connection, self._lock, self._pid = None, threading.Lock(), os.getpid()
        with self._lock:
            try:
                self._connection = self._connection or _connect(self.path, self._mode)
                begin_writing(self._connection, self._mode.timeout_s)
                # Commits, or rolls back after an error.
                with self._connection:
                    yield RunWriter(self._connection.cursor, self.folder)
            except sqlite3.Error as error:
                raise StoreError(explain(error, self.path, self._mode)) from error

    def settle_gone(self) -> None:
        """Mark the runs of killed processes as interrupted."""
        if gone(self.folder):
            from thetahat.store._store import open_store

            with open_store(self.path) as store:
                store.settle_gone()

    def close(self) -> None:
        """Close the file; a later call opens it again."""
        with self._lock:
            if self._connection is not None and os.getpid() == self._pid:
                self._connection.close()
                self._connection = None


def plain_store(path: Path) -> PlainStore | None:
    """Return the store at ``path``; None if it is not there, or is not plain."""
    mode = OpenMode()
    if not (path.is_file() and os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)):
        return None
    try:
        connection = _connect(path, mode)
    except sqlite3.Error:
        return None
    try:
        query = "SELECT value FROM meta WHERE key = 'schema_version'"
        version = connection.execute(query).fetchone()
        journal = connection.execute("PRAGMA journal_mode").fetchone()
    except sqlite3.Error:
        version = journal = None
    if version != (str(VERSION),) or journal != ("wal",):
        connection.close()
        return None
    return PlainStore(connection, path, mode)


def _connect(path: Path, mode: OpenMode) -> sqlite3.Connection:
    # ``rw``: a store that was removed meanwhile is an error, not a new file.
    connection = sqlite3.connect(
        path.as_uri() + "?mode=rw",
        uri=True,
        timeout=mode.timeout_s,
        isolation_level=None,
        check_same_thread=False,
    )
    connection.execute("PRAGMA foreign_keys=ON")
    connection.execute("PRAGMA synchronous=NORMAL")
    return connection
