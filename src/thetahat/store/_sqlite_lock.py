"""Begin a transaction of SQLite that writes: wait for the write lock, nearly in turn.

SQLite's own wait sleeps the longer the longer it has waited, up to 0.1 s. Who has waited longest
is overtaken by those who came last: of eight agents some waited for seconds. Here all ask about
equally often, at random moments, so that each gets the lock as soon as the others.
"""

from __future__ import annotations

import random
import sqlite3
import time

_PART, _LEAST_S, _MOST_S = 50, 0.0005, 0.02
"""Pauses are this part of what was waited so far, within these limits of seconds."""
_BUSY = sqlite3.SQLITE_BUSY


def begin_writing(connection: sqlite3.Connection, patience_s: float) -> None:
    """Begin a transaction with the write lock.

    With the lock from the start it waits for other writers; a transaction that begins to write only
    later fails at once if another process has written meanwhile.

    Args:    patience_s: limit of seconds to wait for other writers.
    Raises:  sqlite3.OperationalError: as SQLite says it, after that time if the store is locked.
    """
    began: float | None = None
    # For all but this statement SQLite's own wait remains: at a commit it waits for readers.
    connection.execute("PRAGMA busy_timeout=0")
    try:
        while True:
            try:
                connection.execute("BEGIN IMMEDIATE")
                return
            except sqlite3.OperationalError as error:
                # The low byte is the primary code.
                if error.sqlite_errorcode & 0xFF != _BUSY:
                    raise
                now = time.monotonic()
                began = now if began is None else began
                left = began + patience_s - now
                if left <= 0:
                    raise
                pause = min(max((now - began) / _PART, _LEAST_S), _MOST_S)
                time.sleep(min(left, pause * random.uniform(0.5, 1.5)))
    finally:
        connection.execute(f"PRAGMA busy_timeout={int(1000 * patience_s)}")
