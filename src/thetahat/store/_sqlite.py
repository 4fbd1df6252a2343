"""SQLite: open a store's file."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import QueuePool

from thetahat.core.errors import StoreError, notify
from thetahat.core.places import FOLDER
from thetahat.store._network_files import network_file_system
from thetahat.store._schema import (
    VERSION,
    check_version,
    prepare,
    read_version,
    views_of_older,
)
from thetahat.store._sqlite_errors import (
    ELSEWHERE,
    OpenMode as OpenMode,
    code_of,
    explain as explain,
    found_no_room as found_no_room,
)
from thetahat.store._sqlite_lock import begin_writing

_IGNORE = "# Runs and checkpoints of thetahat: data, not source.\n*\n"


def make_folder(path: Path) -> None:
    """Make the folder of a store's file, with a ``.gitignore``."""
    folder = path.parent
    ignore = folder / ".gitignore"
    noted = folder.name != FOLDER or ignore.exists()
    if folder.is_dir() and (noted or path.exists()):
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not noted:
            ignore.write_text(_IGNORE, encoding="utf-8")
    except OSError as error:
        raise StoreError(
            f"a store cannot be made in {folder} ({error.strerror or error}); {ELSEWHERE}"
        ) from error


def connect(path: Path, mode: OpenMode) -> Engine:
    """Return an engine with explicit transactions: BEGIN IMMEDIATE to write, BEGIN to read."""

    def opened() -> sqlite3.Connection:
        uri = path.as_uri() + _how(path, mode)
        raw = sqlite3.connect(
            uri, uri=True, timeout=mode.timeout_s, isolation_level=None, check_same_thread=False
        )
        try:
            raw.execute("PRAGMA foreign_keys=ON")
            raw.execute("PRAGMA synchronous=NORMAL")
            if mode.read_only:
                _complete(raw)
        except sqlite3.Error:
            raw.close()
            raise
        return raw

    engine = create_engine("sqlite://", creator=opened, poolclass=QueuePool)

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("writes", "")
        if writes in ("alone", "beside"):
            raw: Any = connection.connection.driver_connection
            begin_writing(raw, mode.timeout_s)
        else:
            how = "BEGIN IMMEDIATE" if writes == "at once" else "BEGIN"
            connection.connection.cursor().execute(how)

    return engine


def _complete(raw: sqlite3.Connection) -> None:
    """Add views, so that an older store that cannot be migrated reads as one of this version."""
    names = [row[0] for row in raw.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    if "meta" not in names:
        return
    columns = "SELECT name FROM pragma_table_info(?)"
    tables = {name: {row[0] for row in raw.execute(columns, (name,))} for name in names}
    for statement in views_of_older(tables):
        raw.execute(statement)


def _how(path: Path, mode: OpenMode) -> str:
    if not mode.read_only:
        return ""
    if not _logs_ahead(path):
        return "?mode=ro"  # its locks are in the file itself
    # Without a log the file is complete, and SQLite can read it without a lock file.
    log = path.with_name(path.name + "-wal")
    return "?mode=ro" if log.exists() and log.stat().st_size else "?mode=ro&immutable=1"


def _logs_ahead(path: Path) -> bool:
    """Whether a file uses write-ahead logging, by its header."""
    try:
        with path.open("rb") as file:
            return file.read(20)[18:20] == b"\x02\x02"
    except OSError:
        return True


def leave_wal(engine: Engine) -> bool:
    """Use the journal that is safe on a network file system; return whether that is a change.

    While another process has the file open, its log cannot be left.
    """
    raw = engine.raw_connection()
    try:
        cursor = raw.cursor()
        if cursor.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
            return False
        with contextlib.suppress(sqlite3.OperationalError):
            return cursor.execute("PRAGMA journal_mode=DELETE").fetchone()[0] == "delete"
        return False
    finally:
        raw.close()


def use_wal(engine: Engine, mode: OpenMode) -> None:
    """Use write-ahead logging: readers and a writer never wait for each other.

    On a file system without shared memory SQLite keeps its journal.
    """
    give_up = time.monotonic() + mode.timeout_s
    raw = engine.raw_connection()
    try:
        cursor = raw.cursor()
        while cursor.execute("PRAGMA journal_mode").fetchone()[0] == "delete":
            try:
                cursor.execute("PRAGMA journal_mode=WAL")
                return
            except sqlite3.OperationalError as error:
                # SQLite does not wait for this lock.
                if code_of(error) != sqlite3.SQLITE_BUSY or time.monotonic() > give_up:
                    raise
                time.sleep(0.01)
    finally:
        raw.close()


class SqliteDatabase:
    """The file of a store.

    Args:    path: of the file.   mode: how it is opened.
    """

    def __init__(self, path: Path, mode: OpenMode) -> None:
        self.place, self.mode = path, mode

    @property
    def folder(self) -> Path:
        """The folder of the file."""
        return self.place.parent

    @property
    def read_only(self) -> bool:
        """Whether nothing can be written."""
        return self.mode.read_only

    def connect(self) -> Engine:
        """Return an engine for the file."""
        return connect(self.place, self.mode)

    @contextlib.contextmanager
    def explained(self) -> Iterator[None]:
        """Raise errors of SQLite as StoreErrors with a fix."""
        try:
            yield
        except DBAPIError as error:
            origin = error.orig
            if not isinstance(origin, sqlite3.Error):
                raise
            raise StoreError(explain(origin, self.place, self.mode)) from error
        except sqlite3.Error as error:
            raise StoreError(explain(error, self.place, self.mode)) from error

    def make_ready(self, engine: Engine) -> None:
        """Make or migrate the tables.

        Raises:  StoreError: a store of a newer version, or another program's database.
        """
        where = str(self.place)
        with engine.begin() as connection:
            found = read_version(connection, where)
        if self.read_only:
            check_version(found or 0, where)
            return
        if found is not None:
            check_version(found, where)
        self._choose_journal(engine, new=found is None)
        if found == VERSION:
            return  # a reader must not wait for a writer
        with engine.connect().execution_options(writes="alone") as connection, connection.begin():
            prepare(connection, where)

    def _choose_journal(self, engine: Engine, *, new: bool) -> None:
        kind = network_file_system(self.folder)
        if kind is None:
            use_wal(engine, self.mode)
        elif leave_wal(engine) or new:
            notify(
                f"the store {self.place} lies on {kind}: it is slower there, and for one machine at"
                " a time; for agents of several machines keep it in PostgreSQL (thetahat store"
                " copy), and for one, on a local disk"
            )

    @contextlib.contextmanager
    def at_once(self, connection: Connection) -> Iterator[None]:
        """Begin a transaction that writes, or raise an error of SQLite without waiting."""
        patience = f"PRAGMA busy_timeout={int(1000 * self.mode.timeout_s)}"
        cursor = connection.connection.cursor()
        cursor.execute("PRAGMA busy_timeout=0")
        try:
            with connection.execution_options(writes="at once").begin():
                yield
        finally:
            cursor.execute(patience)

    def health(self, connection: Connection) -> dict[str, Any]:
        """Return version, SQLite's integrity check, journal and counts."""

        def pragma(name: str) -> Any:
            return connection.exec_driver_sql(f"PRAGMA {name}").scalar()

        return {
            "version": read_version(connection, str(self.place)),
            "integrity": pragma("integrity_check"),
            "journal": pragma("journal_mode"),
            "runs": connection.exec_driver_sql("SELECT count(*) FROM runs").scalar(),
            "bytes": pragma("page_count") * pragma("page_size"),
        }
