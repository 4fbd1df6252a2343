"""A store of its own for each test: of SQLite and of PostgreSQL, so that all holds for both.

A module with ``SQLITE_ONLY = True``, or a test marked ``sqlite``, is about the file of SQLite.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from thetahat.store import Store, open_store

sys.path.insert(0, str(Path(__file__).parent))

from postgres_server import PostgresServer, lacking


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that takes a store once for each database."""
    if "database" not in metafunc.fixturenames:
        return
    only = getattr(metafunc.module, "SQLITE_ONLY", False)
    only = only or metafunc.definition.get_closest_marker("sqlite") is not None
    postgres = pytest.param("postgres", marks=pytest.mark.postgres)
    metafunc.parametrize("database", ["sqlite"] if only else ["sqlite", postgres], scope="function")


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """The server of this process."""
    why = lacking()
    if why is not None:
        pytest.skip(why)
    server = PostgresServer()
    yield server
    server.close()


@pytest.fixture(scope="session")
def one_database(postgres_server: PostgresServer) -> str:
    """The database that the tests of this process share, one after the other."""
    return postgres_server.create("store")


@pytest.fixture
def postgres_url(one_database: str, tmp_path: Path) -> str:
    """The address of an empty database, with a folder."""
    import psycopg

    with psycopg.connect(one_database, autocommit=True) as raw:
        raw.execute("DROP SCHEMA public CASCADE")
        raw.execute("CREATE SCHEMA public")
    return f"{one_database}?folder={tmp_path / 'runs'}"


@pytest.fixture
def database() -> str:
    """The kind of database; a test that takes a store is run for each kind."""
    return "sqlite"


@pytest.fixture
def store_url(database: str, tmp_path: Path, request: pytest.FixtureRequest) -> str | Path:
    """The place of a store that is not there yet."""
    if database == "postgres":
        return request.getfixturevalue("postgres_url")
    return tmp_path / "runs"


@pytest.fixture
def store(store_url: str | Path) -> Iterator[Store]:
    """An open store."""
    with open_store(store_url, timeout_s=5.0) as opened:
        yield opened


@pytest.fixture
def change(store: Store) -> Callable[..., None]:
    """Change rows of the store behind its back, as another program would."""

    def execute(sql: str, **row: object) -> None:
        with store.batch() as writer:
            writer.execute(sql, row)

    return execute
