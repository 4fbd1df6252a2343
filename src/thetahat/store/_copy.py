"""Copy a store into an empty one, of SQLite or PostgreSQL: all rows, and the folder beside it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, func, select

from thetahat.core.errors import StoreError
from thetahat.core.places import MODELS
from thetahat.store._logged_things import FILES
from thetahat.store._schema import meta, metadata, run_numbers, runs, sweeps
from thetahat.store._sql import is_sqlite
from thetahat.store._store import Store

_AT_ONCE = 500
"""Rows that are read and written together."""
_COPIED = (FILES, MODELS, "checkpoints", "logs")
"""The folders of what runs have left; the others are of processes that work on the store now."""


def copy_store(source: Store, target: Store) -> int:
    """Copy all rows of a store, as of one moment, and its folder; return the number of runs.

    Ids, numbers, names and times stay as they are. PostgreSQL cannot hold the character NUL: there
    it becomes U+FFFD.

    Args:    target: a store without runs and sweeps.
    Raises:  StoreError: the target is not empty, or cannot be written.
    """
    with source.reading() as old, target.batch() as writer:
        new = writer.connection
        for table in (runs, sweeps):
            if new.execute(select(table.c.id).limit(1)).first() is not None:
                raise StoreError(f"{target.path} has runs or sweeps already; give an empty store")
        for table in metadata.sorted_tables:
            if table is not meta:
                _copy_table(old, new, table)
        if not is_sqlite(new):
            _continue_numbers(new)
        count = new.execute(select(func.count()).select_from(runs)).scalar_one()
        _copy_folder(source.folder, target.folder)
    return count


def _copy_table(old: Connection, new: Connection, table: Any) -> None:
    found = old.execute(select(table).execution_options(yield_per=_AT_ONCE))
    for rows in found.mappings().partitions(_AT_ONCE):
        new.execute(table.insert(), [dict(row) for row in rows])


def _continue_numbers(connection: Connection) -> None:
    """Let PostgreSQL number new rows after those that were copied."""
    highest = connection.execute(select(func.max(runs.c.number))).scalar()
    if highest is not None:
        connection.execute(select(func.setval(run_numbers.name, highest)))
    for table in metadata.sorted_tables:
        if "id" in table.c and table.c.id.autoincrement is True:
            last = connection.execute(select(func.max(table.c.id))).scalar()
            if last is not None:
                sequence = func.pg_get_serial_sequence(table.name, "id")
                connection.execute(select(func.setval(sequence, last)))


def _copy_folder(folder: Path, to: Path) -> None:
    """Copy what runs have left beside a store.

    Raises:  StoreError: it cannot be written.
    """
    if folder.resolve() == to.resolve():
        return
    for name in _COPIED:
        if (folder / name).is_dir():
            try:
                shutil.copytree(folder / name, to / name, dirs_exist_ok=True)
            except OSError as error:
                raise StoreError(
                    f"the folder {folder / name} cannot be copied to {to / name} ({error}); free"
                    " some space, and copy again"
                ) from error
