"""The tables of a store, and migrations from older versions.

The types exist in every database. JSON is text; timestamps are ISO 8601 in UTC, which sort as text;
a block of records is bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Sequence,
    String,
    Table,
    Text,
    inspect,
    select,
    update,
)

from thetahat.core.errors import StoreError
from thetahat.core.sweep_file import file_json, read_plain
from thetahat.store._postgres_claims import claim_function
from thetahat.store._run_writer import VERSION

metadata = MetaData()
run_numbers = Sequence("run_numbers", metadata=metadata)
"""Numbers of runs, in PostgreSQL."""
_BIG = BigInteger().with_variant(Integer, "sqlite")
_WAITING = (
    "CREATE INDEX IF NOT EXISTS runs_waiting ON runs (sweep_id, number) WHERE status = 'queued'"
)
"""Runs that wait. Of an ``Index`` with a condition SQLAlchemy loads the dialects of both databases,
which is a tenth of all that a command imports."""

meta = Table(
    "meta",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("value", Text, nullable=False),
)

runs = Table(
    "runs",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("number", Integer, nullable=False, unique=True),
    Column("name", Text, nullable=False, unique=True),
    Column("project", Text),
    Column("experiment", Text),
    Column("source", Text),
    Column("command", Text),
    Column("config", Text, nullable=False),
    Column("status", String(16), nullable=False, index=True),
    Column("reason", Text, nullable=False, default=""),
    Column("epochs", _BIG, nullable=False, default=0),
    Column("max_epochs", _BIG),
    Column("n_params", _BIG),
    Column("metrics", Text, nullable=False, default="{}"),
    Column("last", Text, nullable=False, default="{}"),
    Column("best_val_risk", Float),
    Column("best_epoch", _BIG),
    Column("seconds", Text, nullable=False, default="{}"),
    Column("detail", Text, nullable=False, default="{}"),
    Column("provenance", Text, nullable=False, default="{}"),
    Column("created", String(32), nullable=False, index=True),
    Column("started", String(32)),
    Column("finished", String(32)),
    Column("heartbeat", String(32)),
    Column("checkpoint", Text),
    Column("cohort", String(32), index=True),
    Column("member", Integer),
    Column("agent", Text),
    Column("attempt", Integer, nullable=False, default=1),
    Column("contaminated", Boolean, nullable=False, default=False),
    Column("sweep_id", String(16), index=True),
    Column("point", _BIG),
    Column("replicate", Integer),
    Column("alone", Boolean, nullable=False, default=False),
    Column("failures", Integer, nullable=False, default=0),
    # group, job_type, tags and notes, from the program.
    Column("labels", Text, nullable=False, default="{}", server_default="{}"),
    # The sweep's part of the config; None if the program added nothing.
    Column("proposed", Text),
    Index("runs_of_sweep", "sweep_id", "status"),
)

sweeps = Table(
    "sweeps",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("number", Integer, nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("project", Text),
    Column("file", Text),
    Column("folder", Text),
    Column("text", Text, nullable=False),
    # The parsed text; None only if an older version wrote the row.
    Column("spec", Text),
    Column("plan", Text, nullable=False, default="{}"),
    Column("state", String(16), nullable=False),
    Column("reason", Text, nullable=False, default=""),
    Column("position", _BIG, nullable=False, default=0),
    Column("points", _BIG),
    Column("contaminated", Boolean, nullable=False, default=False),
    Column("created", String(32), nullable=False),
    Column("finished", String(32)),
)

points = Table(
    "points",
    metadata,
    Column("id", _BIG, primary_key=True, autoincrement=True),
    Column("sweep_id", String(16), ForeignKey("sweeps.id", ondelete="CASCADE"), nullable=False),
    # The columns of the run that it will be, as JSON.
    Column("run", Text, nullable=False),
    Index("points_of_sweep", "sweep_id", "id"),
)

agents = Table(
    "agents",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("sweep_id", String(16), ForeignKey("sweeps.id", ondelete="CASCADE"), index=True),
    Column("host", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("started", String(32), nullable=False),
    Column("heartbeat", String(32), nullable=False),
    Column("ended", String(32)),
    Column("asked", String(16)),
    Column("doing", Text, nullable=False, default=""),
)

records = Table(
    "records",
    metadata,
    Column("id", _BIG, primary_key=True, autoincrement=True),
    Column("run_id", String(16), ForeignKey("runs.id", ondelete="CASCADE"), nullable=False),
    Column("first", _BIG, nullable=False),
    Column("last", _BIG, nullable=False),
    Column("count", _BIG, nullable=False),
    Column("columns", Text, nullable=False),
    Column("data", LargeBinary, nullable=False),
    Index("records_of_run", "run_id", "first"),
    # Followers continue after the last id: SQLite must not reuse the id of a deleted row.
    sqlite_autoincrement=True,
)

notices = Table(
    "notices",
    metadata,
    Column("id", _BIG, primary_key=True, autoincrement=True),
    Column("run_id", String(16), ForeignKey("runs.id", ondelete="CASCADE"), index=True),
    Column("at", String(32), nullable=False),
    Column("text", Text, nullable=False),
)

tables = Table(
    "tables",
    metadata,
    Column("id", _BIG, primary_key=True, autoincrement=True),
    Column("run_id", String(16), ForeignKey("runs.id", ondelete="CASCADE"), nullable=False),
    Column("name", Text, nullable=False),
    # None for a table of the run as a whole.
    Column("step", _BIG),
    Column("kind", Text, nullable=False),
    Column("rows", _BIG, nullable=False),
    # Their names, as JSON, in the order of ``place``.
    Column("columns", Text, nullable=False),
    Column("detail", Text, nullable=False, default="{}"),
    Index("tables_of_run", "run_id", "name"),
    sqlite_autoincrement=True,
)

table_columns = Table(
    "table_columns",
    metadata,
    Column("table_id", _BIG, ForeignKey("tables.id", ondelete="CASCADE"), primary_key=True),
    Column("place", Integer, primary_key=True),
    Column("kind", String(8), nullable=False),
    # Packed by ``core/packed_table``.
    Column("data", LargeBinary, nullable=False),
)

files = Table(
    "files",
    metadata,
    Column("id", _BIG, primary_key=True, autoincrement=True),
    Column("run_id", String(16), ForeignKey("runs.id", ondelete="CASCADE"), nullable=False),
    Column("name", Text, nullable=False),
    Column("step", _BIG),
    Column("kind", Text, nullable=False),
    Column("media", Text, nullable=False),
    # The bytes lie beside the store, under their SHA-256.
    Column("digest", String(64), nullable=False),
    Column("bytes", _BIG, nullable=False),
    Column("detail", Text, nullable=False, default="{}"),
    Index("files_of_run", "run_id", "name"),
    sqlite_autoincrement=True,
)

for _table in metadata.tables.values():
    for _column in _table.c:
        if isinstance(_column.type, String):  # and Text
            # Order by code points, as SQLite and Python do, whatever the database's language.
            _as = type(_column.type)(_column.type.length, collation="C")
            _column.type = _column.type.with_variant(_as, "postgresql")

_WRITTEN = """
ALTER TABLE {table} ADD COLUMN written xid8 NOT NULL DEFAULT pg_current_xact_id();
CREATE INDEX {table}_written ON {table} (written)
"""
"""In PostgreSQL: the transaction that inserted a row, since ids are not in the order of commits."""
_KEPT_AS_THEY_ARE = (
    "ALTER TABLE records ALTER COLUMN data SET STORAGE EXTERNAL",
    "ALTER TABLE records SET (toast_tuple_target = 8160)",
)
"""In PostgreSQL: blocks of numbers hardly get smaller when they are compressed, which takes longer
than to write them; one that fits into a page stays in its row."""

Migration = Callable[[Connection], None]


def _add_sweeps(connection: Connection) -> None:
    """Migrate version 1 to 2: sweeps, agents, and a run's place in its sweep."""
    # Another process may have added them just before.
    there = {column["name"] for column in inspect(connection).get_columns("runs")}
    for column, kind in (("point", "INTEGER"), ("replicate", "INTEGER")):
        if column not in there:
            connection.exec_driver_sql(f"ALTER TABLE runs ADD COLUMN {column} {kind}")
    for column, kind in (("alone", "BOOLEAN"), ("failures", "INTEGER")):
        if column not in there:
            added = f"ALTER TABLE runs ADD COLUMN {column} {kind} NOT NULL DEFAULT 0"
            connection.exec_driver_sql(added)
    for index in runs.indexes:
        index.create(connection, checkfirst=True)
    metadata.create_all(connection, [sweeps, agents])
    if connection.dialect.name == "sqlite":
        _number_once(connection)


def _number_once(connection: Connection) -> None:
    """Recreate SQLite's table of records so that ids are unique."""
    query = "SELECT sql FROM sqlite_master WHERE name = 'records'"
    if "AUTOINCREMENT" in (connection.exec_driver_sql(query).scalar() or ""):
        return
    connection.exec_driver_sql("DROP INDEX IF EXISTS records_of_run")
    connection.exec_driver_sql("ALTER TABLE records RENAME TO records_before")
    records.create(connection)
    columns = ", ".join(f'"{column.name}"' for column in records.c)
    connection.exec_driver_sql(
        f"INSERT INTO records ({columns}) SELECT {columns} FROM records_before ORDER BY id"
    )
    connection.exec_driver_sql("DROP TABLE records_before")


_WAS_CANCELLED = (
    "status = 'stopped' AND sweep_id IS NOT NULL AND (reason LIKE '% reached its target %'"
    " OR reason IN ('the sweep was cancelled', 'the sweep was finished'))"
)
"""Runs that version 2 called stopped although their sweep had ended."""


def _add_specs(connection: Connection) -> None:
    """Migrate version 2 to 3: parsed sweep files, labels of runs, and the status cancelled."""
    connection.exec_driver_sql(f"UPDATE runs SET status = 'cancelled' WHERE {_WAS_CANCELLED}")
    there = {column["name"] for column in inspect(connection).get_columns("sweeps")}
    if "spec" not in there:
        connection.exec_driver_sql("ALTER TABLE sweeps ADD COLUMN spec TEXT")
    there = {column["name"] for column in inspect(connection).get_columns("runs")}
    if "labels" not in there:
        added = "ALTER TABLE runs ADD COLUMN labels TEXT NOT NULL DEFAULT '{}'"
        connection.exec_driver_sql(added)
        connection.exec_driver_sql("ALTER TABLE runs ADD COLUMN proposed TEXT")
    unread = select(sweeps.c.id, sweeps.c.text).where(sweeps.c.spec.is_(None))
    for row in connection.execute(unread).all():
        spec = {"spec": file_json(read_plain(row.text))}
        connection.execute(update(sweeps).where(sweeps.c.id == row.id).values(spec))


def _add_tables(connection: Connection) -> None:
    """Migrate version 3 to 4: tables and files of runs."""
    metadata.create_all(connection, [tables, table_columns, files])


def _add_points(connection: Connection) -> None:
    """Migrate version 4 to 5: points that a search has created ahead."""
    metadata.create_all(connection, [points])


def _add_waiting(connection: Connection) -> None:
    """Migrate version 5 to 6: an index of runs that wait, and how PostgreSQL keeps and claims."""
    connection.exec_driver_sql(_WAITING)
    if connection.dialect.name == "postgresql":
        _prepare_postgres(connection)


def _prepare_postgres(connection: Connection) -> None:
    """Make the function that claims points, and keep blocks of records as they are."""
    raw: Any = connection.connection.driver_connection
    raw.execute(claim_function(column.name for column in runs.c))
    for statement in _KEPT_AS_THEY_ARE:
        raw.execute(statement)


MIGRATIONS: Mapping[int, Migration] = {
    1: _add_sweeps,
    2: _add_specs,
    3: _add_tables,
    4: _add_points,
    5: _add_waiting,
}
"""The step from each version to the next."""


def prepare(
    connection: Connection,
    where: str,
    *,
    version: int = VERSION,
    migrations: Mapping[int, Migration] = MIGRATIONS,
) -> None:
    """Make the tables in an empty database, or migrate an older store to ``version``.

    Call it in a transaction with the write lock: two processes may open a store at once.

    Raises:  StoreError: a store of a newer version, one too old, or another program's database.
    """
    found = read_version(connection, where)
    if found is None:
        metadata.create_all(connection)
        connection.exec_driver_sql(_WAITING)
        if connection.dialect.name == "postgresql":
            for table in (runs, records):
                for statement in _WRITTEN.format(table=table.name).split(";"):
                    connection.exec_driver_sql(statement)
            _prepare_postgres(connection)
        connection.execute(meta.insert(), [{"key": "schema_version", "value": str(version)}])
        return
    check_version(found, where, version)
    for step in range(found, version):
        if step not in migrations:
            raise StoreError(
                f"the store {where} is of version {step}, too old to be read by this thetahat"
                f" (version {version}); open it once with the release before"
            )
        migrations[step](connection)
    if found < version:
        new = {"value": str(version)}
        connection.execute(update(meta).where(meta.c.key == "schema_version").values(new))


def views_of_older(known: Mapping[str, Collection[str]]) -> list[str]:
    """Return statements that add a view for each table that lacks columns.

    With them an older store that cannot be written can be read.

    Args:    known: the tables of the store, each with its columns.
    """
    made = []
    for table in metadata.sorted_tables:
        there = known.get(table.name, ())
        lacking = [column for column in table.c if column.name not in there]
        if lacking:
            nothing = ", ".join(f'{_default(c)} AS "{c.name}"' for c in lacking)
            kept = ", ".join(
                f"CASE WHEN {_WAS_CANCELLED} THEN 'cancelled' ELSE status END AS status"
                if c is runs.c.status
                else f'"{c.name}"'
                for c in table.c
                if c.name in there
            )
            of = f"{kept}, {nothing} FROM main.{table.name}" if kept else f"{nothing} WHERE 0"
            made.append(f"CREATE TEMP VIEW {table.name} AS SELECT {of}")
    return made


def _default(column: Column[Any]) -> str:
    if column.nullable or column.default is None:
        return "NULL"
    value = getattr(column.default, "arg", None)
    return f"'{value}'" if isinstance(value, str) else str(int(bool(value)))


def check_version(found: int, where: str, version: int = VERSION) -> None:
    """Refuse a store of a newer version: writing to it could lose data."""
    if found > version:
        raise StoreError(
            f"the store {where} was written by a newer thetahat (store version {found}; this one"
            f" reads up to {version}); upgrade with: pip install --upgrade thetahat"
        )


def read_version(connection: Connection, where: str) -> int | None:
    """Return the version of a store; None for an empty database."""
    there = inspect(connection).get_table_names()
    if not there:
        return None
    if meta.name in there:
        query = select(meta.c.value).where(meta.c.key == "schema_version")
        value = connection.execute(query).scalar_one_or_none()
        if value is not None and value.isdecimal():
            return int(value)
    raise StoreError(
        f"{where} is a database of another program; give another place with store= (--store) or"
        " THETAHAT_STORE"
    )
