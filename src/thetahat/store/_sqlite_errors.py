"""Errors of SQLite, explained to a user."""

from __future__ import annotations

import errno
import shutil
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from thetahat.core.errors import StoreError

_LOG_BYTES = 64 * 1024
ELSEWHERE = "give another place with store= (--store) or THETAHAT_STORE"


@dataclass(frozen=True)
class OpenMode:
    """How to open a file; ``read_only`` works in a folder that cannot be written."""

    timeout_s: float = 30.0
    read_only: bool = False


def explain(error: sqlite3.Error, path: Path, mode: OpenMode) -> str:
    """Explain an error of SQLite to a user, with a fix."""
    code = code_of(error)
    if code == sqlite3.SQLITE_FULL or (code == sqlite3.SQLITE_IOERR and _is_full(path.parent)):
        return f"the disk is full: the store {path} cannot grow; free some space, or {ELSEWHERE}"
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return (
            f"the store {path} has been locked by another program for {mode.timeout_s:g} s;"
            " close that program, or wait for it"
        )
    if code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
        return (
            f"the store {path} is damaged, or not a database ({error}); move it away and a new"
            f' one is made, or save what can be read with: sqlite3 "{path}" .recover'
        )
    if code == sqlite3.SQLITE_READONLY:
        return f"the store {path} cannot be written (read-only); {ELSEWHERE}"
    if code in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_IOERR):
        return f"the store {path} cannot be opened or written ({error}); {ELSEWHERE}"
    return f"the store {path} failed: {error}"


def found_no_answer(refused: StoreError) -> bool:
    """Whether an error means that a server does not answer now, or that a lock was held."""
    origin = getattr(refused.__cause__, "orig", refused.__cause__)
    if isinstance(origin, (sqlite3.Error, OSError)) or origin is None:
        return False
    from thetahat.store._postgres_errors import may_pass

    return may_pass(origin)


def found_no_room(refused: StoreError) -> bool:
    """Whether an error means that the disk is full."""
    origin = getattr(refused.__cause__, "orig", refused.__cause__)
    if getattr(origin, "sqlstate", None) is not None:
        return getattr(origin, "sqlstate", None) == "53100"
    if isinstance(origin, OSError):  # of a folder or a file beside the store
        return origin.errno in (errno.ENOSPC, errno.EDQUOT)
    return code_of(origin) in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)


def _is_full(folder: Path) -> bool:
    """Whether the disk has no space for the shared memory of a log."""
    try:
        return shutil.disk_usage(folder).free < _LOG_BYTES
    except OSError:
        return False


def code_of(error: Any) -> int:
    """Return the primary code of an error of SQLite."""
    # The low byte is the primary code.
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
