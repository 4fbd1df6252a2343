"""PostgreSQL: connect to a store's database, and find its folder.

A transaction that writes takes one lock of the whole store: ``alone``, as SQLite's write lock, or
``beside`` others of its kind. Those beside each other lock the rows that they check before they
write them; all that numbers things, or compares rows of several runs, is done alone.
"""

from __future__ import annotations

import contextlib
import secrets
import select
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, select as query
from sqlalchemy.exc import DBAPIError, DisconnectionError
from sqlalchemy.pool import QueuePool

from thetahat.core.errors import MissingExtra, StoreError
from thetahat.core.places import ENVIRONMENT_FOLDER, FOLDER, Server
from thetahat.store._postgres_claims import LOCK
from thetahat.store._postgres_errors import explain
from thetahat.store._postgres_rows import text_dumper
from thetahat.store._postgres_signs import servers_signs, signs_of_life
from thetahat.store._schema import VERSION, meta, prepare, read_version
from thetahat.store._sqlite import make_folder

_BEGIN = {
    "alone": f"BEGIN; SELECT pg_advisory_xact_lock({LOCK})",
    "beside": f"BEGIN; SELECT pg_advisory_xact_lock_shared({LOCK})",
    "at once": f"BEGIN; SET LOCAL lock_timeout = 1; SELECT pg_advisory_xact_lock({LOCK})",
    "": "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
}
"""The statements of a transaction's beginning, which are sent as one."""
CHANNEL = "thetahat"
"""The channel on which changes of state are told."""
STORE_ID = "store-id"
"""The file in a store's folder that says which store the folder is of."""


class PostgresDatabase:
    """The database of a store.

    Args:    timeout_s: limit of seconds to wait for another program's lock.
    """

    read_only = False

    def __init__(self, server: Server, timeout_s: float) -> None:
        self.place = server
        self.folder = server.folder or Path(FOLDER).absolute()
        self._timeout_s = timeout_s

    def connect(self) -> Engine:
        """Return an engine whose transactions begin with the store's lock, or read one moment."""
        kind = _connection()

        def opened() -> Any:
            raw = kind.connect(**signs_of_life(self.place.url), autocommit=True)
            raw.adapters.register_dumper(str, text_dumper())
            raw.execute(f"SET lock_timeout = {int(1000 * self._timeout_s)}; {servers_signs()}")
            return raw

        # psycopg would send a BEGIN of its own: the connection stays in its mode "autocommit".
        engine = create_engine(
            "postgresql+psycopg://",
            creator=opened,
            poolclass=QueuePool,
            pool_reset_on_return=None,  # see ``reset``
            use_native_hstore=False,
        )

        @event.listens_for(engine, "checkout")
        def check(raw: Any, *_: Any) -> None:
            try:
                gone = _has_input(raw.fileno())
            except kind.Error:
                gone = True
            if gone:
                raise DisconnectionError("the server has closed this connection")

        @event.listens_for(engine, "reset")
        def reset(raw: Any, *_: Any) -> None:
            # A connection that went with its server is replaced when it is lent next. SQLAlchemy's
            # own reset would print a traceback.
            with contextlib.suppress(kind.Error):
                raw.rollback()

        @event.listens_for(engine, "begin")
        def begin(connection: Connection) -> None:
            how = connection.get_execution_options().get("writes", "")
            raw: Any = connection.connection.driver_connection
            try:
                raw.execute(_BEGIN[how], prepare=False)  # several statements cannot be prepared
            except kind.Error as error:
                # Nothing can be rolled back on a connection that is gone.
                if connection.connection.closed:
                    connection.invalidate(error)
                raise

        return engine

    @contextlib.contextmanager
    def explained(self) -> Iterator[None]:
        """Raise errors of the driver as StoreErrors with a fix."""
        failed = _driver().Error
        try:
            yield
        except DBAPIError as error:
            if not isinstance(error.orig, failed):
                raise
            raise StoreError(explain(error.orig, self.place, self._timeout_s)) from error
        except failed as error:
            raise StoreError(explain(error, self.place, self._timeout_s)) from error

    def make_ready(self, engine: Engine, *, create: bool) -> None:
        """Make or migrate the tables; find the folder.

        Raises:  StoreError: there is no store and none is to be made; another program's database; a
                 store of a newer version; a folder that this machine cannot see.
        """
        with engine.begin() as connection:
            found = read_version(connection, str(self.place))
            known = _facts(connection) if found == VERSION else {}
        if "folder" in known:
            self.folder = self._seen_folder(known)
            return  # a reader must not wait for a writer
        if found is None and not create:
            raise StoreError(
                f"there is no store in {self.place}; a run makes one, or give another with store="
                " (--store)"
            )
        with engine.connect().execution_options(writes="alone") as connection, connection.begin():
            prepare(connection, str(self.place))
            known = _facts(connection)
            if "folder" not in known:
                known = self._make_folder(connection)
            self.folder = self._seen_folder(known)

    @contextlib.contextmanager
    def at_once(self, connection: Connection) -> Iterator[None]:
        """Begin a transaction that writes, or raise an error of the driver without waiting."""
        with connection.execution_options(writes="at once").begin():
            yield

    def tell(self, connection: Connection, what: str) -> None:
        """Tell who waits of a change that is committed.

        In a transaction of its own, which writes nothing: those that tell are committed one after
        the other, and must not keep each other waiting for the disk.
        """
        raw: Any = connection.connection.driver_connection
        # What was changed is committed; those who wait learn of it later.
        with contextlib.suppress(_driver().Error):
            raw.execute(f"NOTIFY {CHANNEL}, '{what}'", prepare=False)

    def health(self, connection: Connection) -> dict[str, Any]:
        """Return version, server and size."""

        def ask(query: str) -> Any:
            return connection.exec_driver_sql(query).scalar()

        return {
            "version": read_version(connection, str(self.place)),
            "integrity": "ok",
            "journal": f"PostgreSQL {ask('SHOW server_version')}",
            "runs": ask("SELECT count(*) FROM runs"),
            "bytes": ask("SELECT pg_database_size(current_database())"),
        }

    def _make_folder(self, connection: Connection) -> dict[str, str]:
        """Make the folder of a new store, and note it in the database.

        Stores may share a folder: ids of runs, which name their files, are random.
        """
        folder = self.folder
        make_folder(folder / STORE_ID)
        try:
            name = _id_of(folder)
            if name is None:
                name = secrets.token_hex(8)
                (folder / STORE_ID).write_text(name, encoding="ascii")
        except OSError as error:
            raise StoreError(
                f"the folder {folder} of the store {self.place} cannot be written"
                f" ({error.strerror or error}); give another with {ENVIRONMENT_FOLDER}, or with"
                " ?folder=PATH behind the address"
            ) from error
        known = {"folder": str(folder), "folder_id": name}
        connection.execute(meta.insert(), [{"key": k, "value": v} for k, v in known.items()])
        return known

    def _seen_folder(self, known: Mapping[str, str]) -> Path:
        """Return the store's folder as this machine sees it."""
        folder = self.place.folder or Path(known["folder"])
        found = _id_of(folder)
        if found != known["folder_id"]:
            what = "does not see" if found is None else "has the folder of another store at"
            raise StoreError(
                f"this machine {what} {folder}, where the store {self.place} keeps checkpoints,"
                f" logs, models and files; mount that folder here, or say where it is with"
                f" {ENVIRONMENT_FOLDER}, or with ?folder=PATH behind the address"
            )
        return folder


def _has_input(number: int) -> bool:
    """Whether a socket has something to read: for an idle connection, that its server is gone.

    This needs no answer of the server, as asking it would. The pool then connects anew.
    """
    if not hasattr(select, "poll"):
        return bool(select.select([number], [], [], 0)[0])
    waiting = select.poll()
    waiting.register(number, select.POLLIN)
    return bool(waiting.poll(0))


def _id_of(folder: Path) -> str | None:
    """Return what identifies a folder; None if it is not there, or not of a store."""
    try:
        return (folder / STORE_ID).read_text(encoding="ascii") or None
    except (OSError, ValueError):
        return None


def _facts(connection: Connection) -> dict[str, str]:
    return {row.key: row.value for row in connection.execute(query(meta))}


def _driver() -> Any:
    try:
        import psycopg
    except ImportError as error:
        raise MissingExtra("a store in PostgreSQL", "postgres") from error
    return psycopg


def _connection() -> Any:
    """Return psycopg's connection, which a store that is dropped closes without a warning."""

    class Connection(_driver().Connection):
        def __del__(self) -> None:
            """The driver's own, which warns, is for connections that a program holds itself."""

    return Connection
