"""What a store needs of its database: a file of SQLite, or a database of PostgreSQL."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import Connection, Engine

from thetahat.core.places import Place


class Database(Protocol):
    """What a store needs of its database: a file of SQLite, or a server's."""

    @property
    def place(self) -> Place:
        """Where it is."""
        ...

    @property
    def folder(self) -> Path:
        """The folder of checkpoints, logs, models and files."""
        ...

    @property
    def read_only(self) -> bool:
        """Whether nothing can be written."""
        ...

    def connect(self) -> Engine:
        """Return an engine; the option ``writes`` of a transaction is "alone" or "beside"."""
        ...

    def explained(self) -> AbstractContextManager[None]:
        """Raise the errors of the driver as StoreErrors with a fix."""
        ...

    def at_once(self, connection: Connection) -> AbstractContextManager[None]:
        """Begin a transaction that writes, without waiting."""
        ...

    def tell(self, connection: Connection, what: str) -> None:
        """Tell who waits (``Changes``) of a change that is committed, where that is possible."""
        ...

    def health(self, connection: Connection) -> dict[str, Any]:
        """Return version, integrity, journal and counts."""
        ...
