"""A store: runs, their records and their provenance in a SQLite file, or in PostgreSQL."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Engine, select, update

from thetahat.core.arguments import arguments_named
from thetahat.core.card import card, grid
from thetahat.core.errors import StoreError
from thetahat.core.places import Place, Server, locate, model_path
from thetahat.core.run import Status
from thetahat.store import _owner_lock, _reserved_space, _sqlite as sqlite
from thetahat.store._blocks import Block, join, pack, read_block
from thetahat.store._database import Database
from thetahat.store._filters import Condition, check_columns, ordered
from thetahat.store._owner_lock import REASON, gone
from thetahat.store._rows import LISTED, NewRun, RunRow, parse_all, read_row, read_rows, resolve
from thetahat.store._schema import notices, records, runs
from thetahat.store._selection import best_ids, chosen_ids, equals
from thetahat.store._sql import among, json_list
from thetahat.store._writer import Writer

if TYPE_CHECKING:
    import numpy as np

_LATEST = 10
_MOST_CHOSEN = 100_000
"""Runs that are chosen by id; a list of all of them is decoded without that."""
_INHERITED: list[Engine] = []
"""Engines of a parent process: a forked child must not close their connections."""


@arguments_named
def open_store(
    url: str | os.PathLike[str] | Server | None = None,
    *,
    create: bool = True,
    timeout_s: float = 30.0,
) -> Store:
    """Open the store at ``url``, else at THETAHAT_STORE, else in ``.thetahat/`` here.

    Args:
        url: a folder, a file such as ``runs.db``, ``sqlite:///runs.db``, or
            ``postgresql://USER@HOST/DATABASE``, with ``?folder=PATH`` for its files.
        create: make the store if there is none; if False, only read, which also works on a store
            that cannot be written.
        timeout_s: limit of seconds to wait for another process's write.
    Raises:  StoreError: it cannot be opened, is damaged, or is of a newer version.
             MissingExtra: PostgreSQL without its driver.
    """
    place = locate(url)
    if isinstance(place, Server):
        from thetahat.store._postgres import PostgresDatabase

        server = PostgresDatabase(place, timeout_s)
        return _opened(server, lambda engine: server.make_ready(engine, create=create))
    return _open_file(place, create, timeout_s)


def _open_file(path: Path, create: bool, timeout_s: float) -> Store:
    exists = path.is_file()
    if not create and not exists:
        raise StoreError(
            f"there is no store at {path}; a run makes one, or give it with store= (--store)"
        )
    if create:
        sqlite.make_folder(path)
    frozen = not create and not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK))
    mode = sqlite.OpenMode(timeout_s=timeout_s, read_only=frozen)
    try:
        return _open_sqlite(path, mode)
    except StoreError as refused:
        if create or frozen or not sqlite.found_no_room(refused):
            raise
        # A full disk has no space for the log that writing needs.
        try:
            return _open_sqlite(path, replace(mode, read_only=True))
        except StoreError:
            raise refused from refused.__cause__


def _open_sqlite(path: Path, mode: sqlite.OpenMode) -> Store:
    file = sqlite.SqliteDatabase(path, mode)
    return _opened(file, file.make_ready)


def _opened(database: Database, make_ready: Callable[[Engine], None]) -> Store:
    engine = database.connect()
    try:
        with database.explained():
            make_ready(engine)
    except StoreError:
        engine.dispose()
        raise
    return Store(engine, database)


class Store:
    """An open store. Several processes and threads may write to it at once.

    Each call is one short transaction; ``batch()`` makes several writes one.
    """

    def __init__(self, engine: Engine, database: Database) -> None:
        self._engine = engine
        self._database = database
        self._pid = os.getpid()

    @property
    def path(self) -> Place:
        """The store's file, or the address of its database."""
        return self._database.place

    @property
    def folder(self) -> Path:
        """The folder of checkpoints, logs, models and files; that of the file, if there is one."""
        return self._database.folder

    @contextlib.contextmanager
    def batch(self, *, beside: bool = False) -> Iterator[Writer]:
        """Begin one transaction for several writes.

        Args:    beside: whether PostgreSQL may let others of this kind write at the same time. Lock
                 the rows that are compared, number nothing, and choose no names.
        Raises:  StoreError: disk full, locked, read-only, damaged, or out of reach.
        """
        how = "beside" if beside else "alone"
        with (
            self._database.explained(),
            self._live().connect().execution_options(writes=how) as connection,
        ):
            with connection.begin():
                writer = Writer(connection, self.folder)
                yield writer
            if writer.told:
                self._database.tell(connection, writer.told)

    @contextlib.contextmanager
    def question(self) -> Iterator[Any]:
        """Give PostgreSQL's connection to one statement, which is a transaction of its own.

        Raises:  StoreError: the server is out of reach, or the store cannot be written.
        """
        with self._database.explained():
            lent = self._live().raw_connection()
            raw: Any = lent.driver_connection
            try:
                yield raw
            finally:
                if raw.closed:
                    lent.invalidate()
                lent.close()

    def create_run(self, config: Mapping[str, Any] | None = None, **fields: Any) -> RunRow:
        """Begin a run (the fields are those of NewRun); return its row."""
        with self.batch() as writer:
            run_id, _ = writer.create_run(NewRun(config=config or {}, **fields))
        return self.run(run_id)

    def log_block(self, run_id: str, columns: Mapping[str, Sequence[float]]) -> None:
        """Append records: columns of equal length, one of them ``epoch`` or ``step``."""
        with self.batch(beside=True) as writer:
            writer.log_blocks([(run_id, pack(columns))])

    def finish_run(self, run_id: str, *, status: Status | str, **ending: Any) -> None:
        """Store how a run ended (see Writer.finish_run)."""
        with self.batch(beside=True) as writer:
            writer.finish_run(run_id, status=Status(status), **ending)

    def runs(
        self,
        *,
        where: Sequence[Condition] = (),
        status: str | None = None,
        experiment: str | None = None,
        project: str | None = None,
        sweep_id: str | None = None,
        cohort: str | None = None,
        ids: Collection[str] | None = None,
        sort: str = "number",
        limit: int | None = None,
    ) -> list[RunRow]:
        """Return runs, filtered and sorted; ``sort="-val_risk"`` puts the highest first.

        Args:    ids: only these.
        Raises:  ConfigError: a column that no run has; the nearest is offered.
        """
        equal = {
            "status": status,
            "experiment": experiment,
            "project": project,
            "sweep_id": sweep_id,
            "cohort": cohort,
            "ids": ids,
        }
        dead = self._gone()
        if dead:
            del equal["status"]
        wanted = equals(equal)
        chosen = None if dead else self._chosen(wanted, where, sort, limit)
        if chosen is not None:
            return self._listed([among(runs.c.id, chosen)], sort, limit)
        found = [_settled(run, dead) for run in self._listed(wanted, "number", None)]
        if dead and status is not None:
            found = [run for run in found if run.status == status]
        check_columns([sort.removeprefix("-"), *(one.column for one in where)], found)
        found = [run for run in found if all(condition.holds(run) for condition in where)]
        return ordered(found, sort)[:limit]

    def run(self, name: str) -> RunRow:
        """Return a run by its id, its name, the beginning of either, or ``last``.

        Its id may be the one that its program gave it, as ``wandb.init(id=...)``.

        Raises:  StoreError: no such run (the nearest is offered), or more than one.
        """
        exact = [select(runs).where(column == name) for column in (runs.c.id, runs.c.name)]
        if name == "last":
            # The latest run, even if a program gave that name to a run.
            exact = [select(runs).order_by(runs.c.number.desc()).limit(1)]
        for query in exact:
            dead = self._gone()
            row = next(iter(self.read(query)), None)
            if row is not None:
                return _settled(read_row(row, self.folder), dead)
        return self.run(self._resolve(name))

    def _chosen(
        self, wanted: Sequence[Any], where: Sequence[Condition], sort: str, limit: int | None
    ) -> list[str] | None:
        """Return the ids of the runs of a listing; None if all runs must be decoded."""
        if not where and (limit is None or limit >= _MOST_CHOSEN):
            return None
        with self.reading() as connection:
            if not where and limit is not None:
                found = best_ids(connection, wanted, sort, limit)
                if found is not None:
                    return found
            return chosen_ids(connection, wanted, where, sort, limit)

    def _listed(self, wanted: Sequence[Any], sort: str, limit: int | None) -> list[RunRow]:
        """Return the runs that pass, decoded and sorted."""
        names = (*LISTED, "last")
        query = select(*(runs.c[name] for name in names)).where(*wanted).order_by(runs.c.number)
        with self.reading() as connection:
            rows = connection.execute(query).all()
        return ordered(read_rows(names, rows, self.folder), sort)[:limit]

    def model_path(self, run_id: str) -> Path:
        """Return where the fitted model of a run is, if it was kept."""
        return model_path(self.folder, run_id)

    def blocks(self, run_id: str) -> list[Block]:
        """Return a run's blocks of records, in the order of logging."""
        query = select(records).where(records.c.run_id == run_id).order_by(records.c.id)
        return [read_block(row) for row in self.read(query)]

    def names(self) -> dict[str, str]:
        """Return the name of every run by its id, the oldest first."""
        rows = self.read(select(runs.c.id, runs.c.name).order_by(runs.c.number))
        return {row["id"]: row["name"] for row in rows}

    def history(self, run_id: str) -> dict[str, np.ndarray]:
        """Return a run's records as columns of shape (rows,), NaN for missing values."""
        return join(self.blocks(run_id))

    def notices(self, run_id: str) -> list[str]:
        """Return the notices of a run."""
        query = select(notices.c.text).where(notices.c.run_id == run_id).order_by(notices.c.id)
        return [row["text"] for row in self.read(query)]

    def settle_gone(self) -> int:
        """Mark the runs of killed processes as interrupted; return their number.

        If another process is writing, or nothing can be written, a later call does it.
        """
        found = gone(self.folder)
        if not found or self._database.read_only:
            return 0
        try:
            with self._writing_at_once() as connection:
                which = among(runs.c.id, found) & (runs.c.status == str(Status.RUNNING))
                values = {"status": str(Status.INTERRUPTED), "reason": REASON}
                mine = update(runs).where(which & runs.c.agent.is_(None))
                done = connection.execute(mine.values(finished=runs.c.heartbeat, **values))
        except StoreError:
            return 0
        for path in {path for paths in found.values() for path in paths}:
            with contextlib.suppress(OSError):
                path.unlink()
        return done.rowcount

    def health(self) -> dict[str, Any]:
        """Return version, integrity, journal and counts, for ``thetahat doctor``."""
        with self.reading() as connection:
            return self._database.health(connection)

    def close(self) -> None:
        """Close the file; a later call opens it again."""
        self._live().dispose()
        _owner_lock.close_idle(self.folder)
        _reserved_space.close_idle(self.folder)

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _repr_html_(self) -> str:
        """Draw the latest runs in a notebook."""
        latest = self.runs(sort="-number", limit=_LATEST)
        names = list(dict.fromkeys(name for run in latest for name in run.metrics))[:3]
        rows = [
            [run.name, str(run.status), run.epochs, *(run.metrics.get(name) for name in names)]
            for run in latest
        ]
        shown = grid(["run", "status", "epochs", *names], rows, "the latest runs") if rows else ""
        return card("Store", str(self.path), {"runs": len(self.names())}, [shown])

    def __repr__(self) -> str:
        return f"Store({str(self.path)!r})"

    def _live(self) -> Engine:
        # Connections must not cross a fork.
        if os.getpid() != self._pid:
            _INHERITED.append(self._engine)
            self._engine = self._database.connect()
            self._pid = os.getpid()
        return self._engine

    @contextlib.contextmanager
    def reading(self) -> Iterator[Connection]:
        """Begin a transaction for consistent reads.

        Raises:  StoreError: the store cannot be read.
        """
        with self._database.explained(), self._live().begin() as connection:
            yield connection

    def read(self, query: Any) -> Sequence[Any]:
        """Return the rows of a query as mappings."""
        with self.reading() as connection:
            return list(connection.execute(query).mappings())

    def _gone(self) -> Collection[str]:
        """Return runs whose process was killed and that could not be marked yet."""
        found = gone(self.folder)
        if found:
            self.settle_gone()
            found = gone(self.folder)
        return found

    @contextlib.contextmanager
    def _writing_at_once(self) -> Iterator[Connection]:
        """Begin a transaction that writes, without waiting.

        Raises:  StoreError: another process is writing.
        """
        with (
            self._database.explained(),
            self._live().connect() as connection,
            self._database.at_once(connection),
        ):
            yield connection

    def _resolve(self, name: str) -> str:
        own = json_list(runs.c.labels, "id").label("own")
        rows = self.read(select(runs.c.id, runs.c.name, own).order_by(runs.c.number.desc()))
        words = parse_all(row["own"] for row in rows)
        given = [row for row, word in zip(rows, words, strict=True) if word[0] == name]
        if len(given) > 1:
            # Two programs may give one id, in two projects.
            known = ", ".join(row["name"] for row in given)
            raise StoreError(f"{len(given)} runs have the id {name!r}: {known}; give a name")
        return given[0]["id"] if given else resolve(rows, name, "run", self.path)


def _settled(run: RunRow, gone: Collection[str]) -> RunRow:
    """Return a row, as interrupted if its process was killed."""
    if run.id not in gone or run.status is not Status.RUNNING or run.agent is not None:
        return run
    ended = run.heartbeat or run.created
    return replace(run, status=Status.INTERRUPTED, reason=REASON, finished=ended)
