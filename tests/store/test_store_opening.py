"""Where a store lies, which versions it takes, and what goes wrong with files."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from sqlalchemy import Connection, event, inspect

import thetahat
from thetahat.core import StoreError
from thetahat.core.errors import MissingExtra
from thetahat.store import VERSION, Store, dead_agents, locate, open_store

# Other versions, errors and live agents are simulated.
from thetahat.store._schema import prepare
from thetahat.store._sqlite import OpenMode, explain

SQLITE_ONLY = True

SOURCE = str(Path(thetahat.__file__).parents[1])


def python(code: str, *args: str | Path, **kwargs: object) -> subprocess.Popen[str]:
    env = {**os.environ, "PYTHONPATH": SOURCE}
    words = [sys.executable, "-c", textwrap.dedent(code), *map(str, args)]
    return subprocess.Popen(words, env=env, text=True, stdout=subprocess.PIPE, **kwargs)  # type: ignore[call-overload]


def test_where_a_store_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("THETAHAT_STORE", raising=False)
    assert locate() == tmp_path / ".thetahat" / "store.db"
    assert locate("runs") == tmp_path / "runs" / "store.db"
    assert locate("runs.db") == tmp_path / "runs.db"
    assert locate(tmp_path / "x.sqlite") == tmp_path / "x.sqlite"
    assert locate("sqlite:///runs.db") == tmp_path / "runs.db"
    assert locate(f"sqlite:///{tmp_path}/a.db") == tmp_path / "a.db"
    monkeypatch.setenv("THETAHAT_STORE", "elsewhere")
    assert locate() == tmp_path / "elsewhere" / "store.db"
    assert locate("runs") == tmp_path / "runs" / "store.db"
    (tmp_path / "folder.db").mkdir()
    assert locate("folder.db") == tmp_path / "folder.db" / "store.db"


def test_links_to_one_store_are_one_place(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
    (tmp_path / "b" / "s.db").symlink_to("../a/s.db")
    (tmp_path / "c").symlink_to("a", target_is_directory=True)
    (tmp_path / "round.db").symlink_to("round.db")
    place = tmp_path / "a" / "s.db"
    for path in (tmp_path / "b" / "s.db", tmp_path / "c" / "s.db", place):
        assert locate(path) == place
        assert locate(f"sqlite:///{path}") == place
    with pytest.raises(StoreError):
        open_store(tmp_path / "round.db")


def test_agents_that_reach_one_store_by_two_links_see_each_other_alive(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
    (tmp_path / "b" / "s.db").symlink_to("../a/s.db")
    code = """
    import os, sys
    from thetahat.store import NewSweep, Queue, create_sweep, open_store
    from thetahat.sweep.agent._liveness import host_name, proof_of_life
    store = open_store(sys.argv[1])
    sweep = create_sweep(store, NewSweep("method: grid"))
    with proof_of_life(store.folder / "agents", "first"):
        Queue(store, sweep.id, "first").join(host_name(), os.getpid())
        print("ready", flush=True)
        sys.stdin.read()
    """
    with python(code, tmp_path / "b" / "s.db", stdin=subprocess.PIPE) as agent:
        assert agent.stdout is not None
        assert agent.stdout.readline() == "ready\n"
        with open_store(tmp_path / "a" / "s.db") as store:
            assert dead_agents(store) == frozenset()
            agent.kill()
            agent.wait()
            assert dead_agents(store) == {"first"}


def test_other_kinds_of_store() -> None:
    with pytest.raises(StoreError) as caught:
        open_store("mysql://host/db")
    assert str(caught.value) == (
        "'mysql://host/db' is not a store; give a folder, a file such as runs.db,"
        " sqlite:///runs.db, or postgresql://USER@HOST/DATABASE"
    )
    assert caught.value.exit_code == 2


def test_postgresql_without_its_driver_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(MissingExtra, match=r"pip install 'thetahat\[postgres\]'") as caught:
        open_store("postgresql://host/db")
    assert caught.value.exit_code == 2


def test_a_new_store_is_wal_of_this_version_and_ignored_by_git(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("THETAHAT_STORE", raising=False)
    with open_store() as store:
        health = store.health()
    assert health["version"] == VERSION == 6
    assert (health["integrity"], health["journal"], health["runs"]) == ("ok", "wal", 0)
    assert (tmp_path / ".thetahat" / ".gitignore").read_text().splitlines()[-1] == "*"


def test_looking_makes_nothing(tmp_path: Path) -> None:
    with pytest.raises(StoreError) as caught:
        open_store(tmp_path / "none", create=False)
    assert str(caught.value) == (
        f"there is no store at {tmp_path / 'none' / 'store.db'}; a run makes one, or give it with"
        " store= (--store)"
    )
    assert list(tmp_path.iterdir()) == []


def set_version(path: Path, version: str) -> None:
    raw = sqlite3.connect(path)
    raw.execute("UPDATE meta SET value = ? WHERE key = 'schema_version'", (version,))
    raw.commit()
    raw.close()


@pytest.mark.parametrize("create", [True, False])
def test_a_store_of_a_newer_version(tmp_path: Path, create: bool) -> None:
    path = tmp_path / "runs.db"
    open_store(path).close()
    set_version(path, str(VERSION + 1))
    with pytest.raises(StoreError) as caught:
        open_store(path, create=create)
    assert str(caught.value) == (
        f"the store {path} was written by a newer thetahat (store version {VERSION + 1};"
        f" this one reads up to {VERSION}); upgrade with: pip install --upgrade thetahat"
    )


def test_an_older_store_is_brought_up_step_by_step(store: Store) -> None:
    store.create_run()
    set_version(store.path, "1")
    steps: list[int] = []

    def step(number: int):
        def migrate(connection: Connection) -> None:
            steps.append(number)
            connection.exec_driver_sql(f"ALTER TABLE runs ADD COLUMN extra{number} TEXT")

        return migrate

    with store._engine.begin() as connection:
        prepare(connection, "here", version=3, migrations={1: step(1), 2: step(2)})
    assert steps == [1, 2]
    assert store.health()["version"] == 3
    names = {column["name"] for column in inspect(store._engine).get_columns("runs")}
    assert {"extra1", "extra2"} <= names
    assert len(store.runs()) == 1


def test_a_store_too_old_to_read(store: Store) -> None:
    set_version(store.path, "1")
    with store._engine.begin() as connection, pytest.raises(StoreError) as caught:
        prepare(connection, "here", version=3, migrations={2: lambda _: None})
    assert str(caught.value) == (
        "the store here is of version 1, too old to be read by this thetahat (version 3); open it"
        " once with the release before"
    )


def test_a_database_of_another_program(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    raw = sqlite3.connect(path)
    raw.execute("CREATE TABLE songs (title TEXT)")
    raw.close()
    with pytest.raises(StoreError) as caught:
        open_store(path)
    assert str(caught.value) == (
        f"{path} is a database of another program; give another place with store= (--store) or"
        " THETAHAT_STORE"
    )


@pytest.mark.parametrize(
    "content", [b"not a database, but long enough to be looked at" * 30, b"no\n"]
)
def test_a_file_that_is_no_database(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "runs.db"
    path.write_bytes(content)
    with pytest.raises(StoreError) as caught:
        open_store(path)
    assert str(caught.value) == (
        f"the store {path} is damaged, or not a database (file is not a database); move it away"
        f' and a new one is made, or save what can be read with: sqlite3 "{path}" .recover'
    )
    assert path.read_bytes() == content


def test_a_damaged_store(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    with open_store(path) as store:
        for _ in range(50):
            store.create_run({"text": "x" * 500})
    data = bytearray(path.read_bytes())
    data[4096:] = bytes(len(data) - 4096)
    path.write_bytes(data)
    with pytest.raises(StoreError) as caught, open_store(path) as store:
        store.runs()
    assert str(caught.value).startswith(f"the store {path} is damaged, or not a database (")


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError) as caught:
        open_store(tmp_path / "file" / "runs")
    assert str(caught.value) == (
        f"a store cannot be made in {tmp_path / 'file' / 'runs'} (Not a directory);"
        " give another place with store= (--store) or THETAHAT_STORE"
    )


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a folder without writers")
def test_a_read_only_folder() -> None:
    with pytest.raises(StoreError) as caught:
        open_store("/proc/runs.db")
    assert str(caught.value) == (
        "the store /proc/runs.db cannot be opened or written (unable to open database file);"
        " give another place with store= (--store) or THETAHAT_STORE"
    )


def test_writing_to_a_read_only_store(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.create_run()
    store.close()
    monkeypatch.setattr("thetahat.store._store.os.access", lambda *_: False)
    with open_store(store.path, create=False) as frozen:
        assert len(frozen.runs()) == 1
        with pytest.raises(StoreError) as caught:
            frozen.create_run()
    assert str(caught.value) == (
        f"the store {store.path} cannot be written (read-only); give another place with store= (--store) or"
        " THETAHAT_STORE"
    )


def test_a_full_disk(store: Store) -> None:
    run = store.create_run()
    store.close()

    @event.listens_for(store._engine, "connect")
    def small_disk(raw: sqlite3.Connection, _: object) -> None:
        pages = raw.execute("PRAGMA page_count").fetchone()[0]
        raw.execute(f"PRAGMA max_page_count={pages + 8}")

    def fill() -> None:
        for i in range(100):
            store.log_block(run.id, {"epoch": range(i * 1000, (i + 1) * 1000)})

    with pytest.raises(StoreError) as caught:
        fill()
    assert str(caught.value) == (
        f"the disk is full: the store {store.path} cannot grow; free some space, or give another"
        " place with store= (--store) or THETAHAT_STORE"
    )
    whole = [block.count for block in store.blocks(run.id)]
    assert whole
    assert set(whole) == {1000}
    assert store.health()["integrity"] == "ok"


HOLD = """
    import sqlite3, sys, time
    raw = sqlite3.connect(sys.argv[1], isolation_level=None)
    raw.execute("BEGIN EXCLUSIVE")
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_store_locked_by_another_program(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    with open_store(path, timeout_s=0.2) as store:
        run = store.create_run()
        holder = python(HOLD, path, stdin=subprocess.PIPE)
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        began = time.monotonic()
        with pytest.raises(StoreError) as caught:
            store.log_block(run.id, {"epoch": [1]})
        assert 0.15 < time.monotonic() - began < 25
        assert str(caught.value) == (
            f"the store {path} has been locked by another program for 0.2 s; close that program, or"
            " wait for it"
        )
        assert len(store.runs()) == 1, "readers do not wait for a writer"
        holder.communicate()
        store.log_block(run.id, {"epoch": [1]})
        assert store.run(run.id).epochs == 1


WRITE = """
    import sys
    from thetahat.store import open_store
    with open_store(sys.argv[1]) as store:
        for i in range(25):
            run = store.create_run({"writer": sys.argv[2], "i": i})
            for k in range(1, 65, 16):
                store.log_block(run.id, {"epoch": range(k, k + 16), "val_risk": [1.0] * 16})
            store.finish_run(run.id, status="finished", metrics={"val_risk": 1.0})
"""


def test_several_processes_make_and_fill_one_store_at_once(tmp_path: Path) -> None:
    writers = [python(WRITE, tmp_path / "new", str(n)) for n in range(4)]
    for writer in writers:
        writer.communicate()
    assert [writer.returncode for writer in writers] == [0, 0, 0, 0]
    with open_store(tmp_path / "new") as store:
        found = store.runs()
        assert len(found) == 100
        assert {(run.config["writer"], run.config["i"]) for run in found} == {
            (str(n), i) for n in range(4) for i in range(25)
        }
        assert [run.number for run in found] == list(range(1, 101))
        assert len({run.name for run in found}) == 100
        assert {run.epochs for run in found} == {64}
        assert sum(b.count for run in found for b in store.blocks(run.id)) == 6400


ENDLESS = """
    import itertools, sys
    from thetahat.store import open_store
    store = open_store(sys.argv[1])
    run = store.create_run(name="endless")
    for k in itertools.count():
        store.log_block(run.id, {"epoch": range(k * 16 + 1, k * 16 + 17), "val_risk": [1.0] * 16})
        print(k, flush=True)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs kill -9")
def test_a_killed_writer_leaves_all_it_had_written(tmp_path: Path) -> None:
    writer = python(ENDLESS, tmp_path)
    assert writer.stdout is not None
    for line in writer.stdout:
        if int(line) == 20:
            break
    writer.send_signal(signal.SIGKILL)
    rest = writer.stdout.read().split()
    writer.wait()
    writer.stdout.close()
    written = int(rest[-1]) if rest else 20
    with open_store(tmp_path) as store:
        blocks = store.blocks(store.run("endless").id)
        assert len(blocks) in (written + 1, written + 2)
        assert store.health()["integrity"] == "ok"
        assert store.run("endless").status == "running"
        assert store.create_run().number == 2


FORK = """
    import os, sys
    from thetahat.store import open_store
    store = open_store(sys.argv[1])
    store.create_run(name="before")
    child = os.fork()
    store.create_run(name="parent" if child else "child")
    if child:
        raise SystemExit(os.waitpid(child, 0)[1])
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_writes_by_its_own_connection(tmp_path: Path) -> None:
    program = python(FORK, tmp_path)
    program.communicate()
    assert program.returncode == 0
    with open_store(tmp_path) as store:
        assert {run.name for run in store.runs()} == {"before", "child", "parent"}
        assert store.health()["integrity"] == "ok"


def test_errors_without_a_meaning_of_their_own() -> None:
    error = sqlite3.OperationalError("near X: syntax error")
    assert explain(error, Path("a.db"), OpenMode()) == "the store a.db failed: near X: syntax error"


def test_a_batch_happens_whole_or_not_at_all(store: Store) -> None:
    def half() -> None:
        with store.batch() as writer:
            writer.note(None, "half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        half()
    with store._engine.connect() as raw:
        assert raw.exec_driver_sql("SELECT count(*) FROM notices").scalar() == 0
