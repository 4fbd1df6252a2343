"""What is PostgreSQL's own: addresses, folders, the order of commits, a server that comes and goes."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from postgres_server import PostgresServer
from searches import grid_of

from thetahat.cli import run as command
from thetahat.core import StoreError
from thetahat.core.places import Server, given_place, locate
from thetahat.store import (
    VERSION,
    Follower,
    NewSweep,
    Queue,
    blocks_after,
    create_sweep,
    open_store,
    pack,
    pulse,
)

# The translation of plain statements, and of a character that PostgreSQL refuses, are tested alone;
# so is the choice of runs that wait while another agent holds some. Names follow from numbers.
from thetahat.store._claims import waiting_groups
from thetahat.store._postgres_rows import without_nul
from thetahat.store._run_names import run_name
from thetahat.store._sql import for_postgres

pytestmark = pytest.mark.postgres


def test_an_address_shows_no_password_and_knows_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = locate(f"postgresql://ann:secret@db.org:5433/runs?sslmode=require&folder={tmp_path}")
    assert isinstance(place, Server)
    assert str(place) == "postgresql://ann@db.org:5433/runs"
    assert place.url == "postgresql://ann:secret@db.org:5433/runs?sslmode=require"
    assert place.folder == tmp_path
    assert locate(given_place(place)) == place
    monkeypatch.setenv("THETAHAT_FOLDER", str(tmp_path / "here"))
    for scheme in ("postgres", "postgresql", "postgresql+psycopg"):
        found = locate(f"{scheme}://db.org/runs")
        assert found == Server("postgresql://db.org/runs", tmp_path / "here")
    with pytest.raises(StoreError, match=r"names no database; give postgresql://USER@HOST/DATA"):
        locate("postgresql://db.org")
    with pytest.raises(StoreError, match="is not an address"):
        locate("postgresql://db.org:port/runs")


def test_statements_are_translated() -> None:
    assert for_postgres("UPDATE a SET b = :b WHERE c LIKE '5%' AND d IS :d") == (
        "UPDATE a SET b = %(b)s WHERE c LIKE '5%%' AND d IS NOT DISTINCT FROM %(d)s"
    )
    assert for_postgres("SELECT 1 WHERE x IS NULL AND y::int = :y") == (
        "SELECT 1 WHERE x IS NULL AND y::int = %(y)s"
    )
    assert (
        without_nul(r'{"a": "x\u0000", "b": "c:\\u0000"}') == r'{"a": "x\ufffd", "b": "c:\\u0000"}'
    )


def test_the_folder_is_that_of_the_first_and_another_is_refused(
    postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(StoreError, match=r"there is no store in postgresql://thetahat@127"):
        open_store(postgres_url, create=False)
    with open_store(postgres_url) as store:
        assert store.folder == tmp_path / "runs"
        assert store.health()["version"] == VERSION
    address = postgres_url.split("?")[0]
    with open_store(address) as store:
        assert store.folder == tmp_path / "runs"
    (tmp_path / "runs").rename(tmp_path / "elsewhere")
    with pytest.raises(StoreError) as caught:
        open_store(address)
    said = str(caught.value)
    assert said.startswith(f"this machine does not see {tmp_path / 'runs'}, where the store post")
    assert "mount that folder here, or say where it is with THETAHAT_FOLDER" in said
    monkeypatch.setenv("THETAHAT_FOLDER", str(tmp_path / "elsewhere"))
    with open_store(address) as store:
        assert store.folder == tmp_path / "elsewhere"
    (tmp_path / "elsewhere" / "store-id").write_text("another")
    with pytest.raises(StoreError, match="has the folder of another store at"):
        open_store(address)


def test_other_versions_and_other_programs_are_refused(postgres_url: str, one_database) -> None:
    import psycopg

    open_store(postgres_url).close()
    with psycopg.connect(one_database, autocommit=True) as raw:
        raw.execute("UPDATE meta SET value = '99' WHERE key = 'schema_version'")
        with pytest.raises(StoreError, match="was written by a newer thetahat"):
            open_store(postgres_url)
        raw.execute("UPDATE meta SET value = '0' WHERE key = 'schema_version'")
        with pytest.raises(StoreError, match="is of version 0, too old"):
            open_store(postgres_url)
        raw.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public; CREATE TABLE x (a int)")
    with pytest.raises(StoreError, match="is a database of another program"):
        open_store(postgres_url)


def test_a_server_that_cannot_be_used_is_named(one_database: str, tmp_path: Path) -> None:
    folder = f"?folder={tmp_path}"
    with pytest.raises(StoreError, match=r"cannot be reached \(.*check that it runs"):
        open_store(f"postgresql://thetahat@127.0.0.1:1/store{folder}")
    with pytest.raises(StoreError, match="make it with: createdb nothing"):
        open_store(one_database.replace("/store", f"/nothing{folder}"))
    with pytest.raises(StoreError, match=r"role .stranger. does not exist|refused the user"):
        open_store(one_database.replace("thetahat@", "stranger@") + folder)


def test_several_agents_make_one_store_at_once(postgres_url: str) -> None:
    found, errors = [], []

    def make() -> None:
        try:
            with open_store(postgres_url) as store:
                found.append(store.create_run().number)
        except Exception as error:  # noqa: BLE001  (reported by the test)
            errors.append(error)

    threads = [threading.Thread(target=make) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert sorted(found) == [1, 2, 3, 4]


def test_rows_that_are_committed_late_are_not_missed(postgres_url: str) -> None:
    with open_store(postgres_url) as store, open_store(postgres_url) as other:
        sweep = create_sweep(store, NewSweep(""))
        queue = Queue(store, sweep.id, "a1")
        one, two = queue.claim(2, grid_of(9)).fresh
        follower, late = Follower(store, sweep.id, "loss"), Follower(store, sweep.id, "loss")
        late.refresh()
        before = pulse(store)
        with other.batch(beside=True) as writer:
            writer.log_blocks([(one.id, pack({"epoch": [1], "loss": [5.0]}))])
            # A higher number is committed before it.
            store.log_block(two.id, {"epoch": [1], "loss": [7.0]})
            follower.refresh()
            late.refresh()
            assert list(follower.runs[two.id].values) == [7.0]
            assert list(follower.runs[one.id].values) == []
        for each in (follower, late):
            each.refresh()
            each.refresh()
            assert [list(each.runs[run.id].values) for run in (one, two)] == [[5.0], [7.0]]
        assert pulse(store) != before
        blocks, after = blocks_after(store, one.id)
        assert len(blocks) == 1
        assert blocks_after(store, one.id, after)[0] == []


def test_a_reader_sees_one_moment(postgres_url: str) -> None:
    with open_store(postgres_url) as store, open_store(postgres_url) as other:
        run = store.create_run()
        with store.reading() as connection:
            query = "SELECT count(*) FROM runs"
            assert connection.exec_driver_sql(query).scalar() == 1
            other.create_run()
            assert connection.exec_driver_sql(query).scalar() == 1
        assert len(store.runs()) == 2
        assert run.number == 1


def test_an_agent_that_is_taken_for_dead_cannot_write_and_waits_for_who_takes(
    postgres_url: str,
) -> None:
    with open_store(postgres_url) as store, open_store(postgres_url, timeout_s=0.2) as other:
        sweep = create_sweep(store, NewSweep(""))
        slow, alive = Queue(store, sweep.id, "slow"), Queue(other, sweep.id, "alive")
        slow.join("elsewhere", 1)
        run = slow.claim(1, grid_of(9)).fresh[0]
        with store.batch(beside=True) as writer:
            assert slow.still_mine(writer, [run.id]) == {run.id}
            # While it writes, its runs cannot be taken.
            with pytest.raises(StoreError, match=r"has been locked by another program for 0\.2 s"):
                alive.recover(["slow"])
        assert alive.recover(["slow"]) == 1
        with store.batch(beside=True) as writer:
            assert slow.still_mine(writer, [run.id]) == set()


def test_numbers_and_texts_keep_their_types(postgres_url: str) -> None:
    with open_store(postgres_url) as store:
        run = store.create_run({"a\x00b": "x\x00y", "n": 2**40, "tiny": 1e-300}, name="nul\x00")
        assert (run.name, run.config["n"], run.config["tiny"]) == ("nul\ufffd", 2**40, 1e-300)
        assert run.config["a\ufffdb"] == "x\ufffdy"
        store.log_block(run.id, {"step": [2**40, 2**40 + 1], "loss": [0.1, 1 / 3]})
        assert store.history(run.id)["step"].tolist() == [2**40, 2**40 + 1]
        assert store.run(run.id).metrics == {"loss": 1 / 3}
        assert [found.id for found in store.runs(sort="-loss", limit=1)] == [run.id]


def test_summaries_of_many_blocks_are_those_of_blocks_one_by_one(postgres_url: str) -> None:
    chunks = [
        {
            "epoch": [k + 1, k + 2],
            "val_risk": [1 / 3, 0.1 / k],
            'a"\\\u00e9 ': [k, float("nan")],
        }
        for k in (1, 3)
    ]
    with open_store(postgres_url) as store:
        one, *others = (store.create_run() for _ in range(3))
        for chunk in chunks:
            store.log_block(one.id, chunk)
        with store.batch(beside=True) as writer:
            writer.log_blocks((run.id, pack(chunk)) for chunk in chunks for run in others)
        with store.reading() as connection:
            read = 'SELECT "last", epochs, best_val_risk, best_epoch FROM runs'
            rows = connection.exec_driver_sql(read).all()
    assert rows == [rows[0]] * 3
    assert 'a\\"\\\\\u00e9 ": null' in rows[0][0]
    assert rows[0][1:] == (5, 0.1 / 3, 5)


def test_a_store_goes_on_when_its_server_was_restarted(tmp_path: Path, postgres_server) -> None:
    server = PostgresServer({"fsync": "on"})
    try:
        with open_store(f"{server.create('store')}?folder={tmp_path}") as store:
            sweep = create_sweep(store, NewSweep(""))
            queue = Queue(store, sweep.id, "a1", ahead=8)
            taken: Counter = Counter()
            for how in ("fast", "immediate"):
                taken.update(run.config["x"] for run in queue.claim(3, grid_of(20)).fresh)
                server.stop(how)
                with pytest.raises(StoreError, match="cannot be reached"):
                    queue.claim(1, grid_of(20))
                server.start()
            taken.update(run.config["x"] for run in queue.claim(14, grid_of(20)).fresh)
            assert taken == Counter(range(20))
    finally:
        server.close()


def test_a_claim_of_points_is_one_statement_and_names_runs_as_others_do(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_store(postgres_url) as store:
        sweep = create_sweep(store, NewSweep(""))
        queue = Queue(store, sweep.id, "a1", ahead=20)
        queue.claim(1, grid_of(99))
        monkeypatch.setattr(Queue, "_claim_ready", None)  # a claim of several statements
        found = list(queue.claim(3, grid_of(99)).fresh)
        for number in (160, 223, 40_000, 2_000_000_000):
            with store.batch() as writer:
                writer.execute("SELECT setval('run_numbers', :n)", {"n": number - 1})
            found += queue.claim(2, grid_of(99)).fresh
        assert [run.config["x"] for run in found] == list(range(1, 12))
        assert [run.name for run in found] == [run_name(run.number) for run in found]
        assert {(run.agent, str(run.status), run.attempt) for run in found} == {
            ("a1", "running", 1)
        }
        assert all(run.created == run.started == run.heartbeat for run in found)
        assert [run.id for run in store.runs(sweep_id=sweep.id)][1:] == [run.id for run in found]


def test_a_point_with_the_character_nul_becomes_a_run_without_it(postgres_url: str) -> None:
    with open_store(postgres_url) as store:
        sweep = create_sweep(store, NewSweep(""))
        queue = Queue(store, sweep.id, "a1", ahead=4)

        def search(row, begun, n):
            offer = grid_of(9)(row, begun, n)
            new = [replace(run, config={**run.config, "by": "a\x00b"}) for run in offer.configs]
            return replace(offer, configs=new)

        runs = [*queue.claim(1, search).fresh, *queue.claim(2, search).fresh]
        assert [run.config for run in runs] == [{"x": k, "by": "a\ufffdb"} for k in range(3)]


def test_agents_claim_waiting_runs_beside_each_other_in_their_order(postgres_url: str) -> None:
    with open_store(postgres_url) as store, open_store(postgres_url, timeout_s=0.5) as other:
        sweep = create_sweep(store, NewSweep(""))
        queue = Queue(store, sweep.id, "a1", ahead=8)
        runs = queue.claim(4, grid_of(20)).fresh
        two = Queue(other, sweep.id, "a2", ahead=8)
        two.claim(1, grid_of(20))  # it has asked the search
        queue.hand_back([run.id for run in runs])
        with store.batch(beside=True) as writer:
            taken = waiting_groups(writer, sweep.id, 1, None, whole=False)
            assert taken == [[runs[0].id]]
            # Meanwhile another agent gets the next one, neither none nor a new point.
            claim = two.claim(2, grid_of(20))
            assert [run.id for run in claim.runs] == [runs[1].id, runs[2].id]


def test_a_store_of_version_5_is_brought_up(postgres_url: str, one_database: str) -> None:
    import psycopg

    with open_store(postgres_url) as store:
        sweep = create_sweep(store, NewSweep(""))
        Queue(store, sweep.id, "a1", ahead=4).claim(1, grid_of(9))
    with psycopg.connect(one_database, autocommit=True) as raw:
        raw.execute("DROP FUNCTION thetahat_claim_points")
        raw.execute("DROP INDEX runs_waiting")
        raw.execute("ALTER TABLE records ALTER COLUMN data SET STORAGE EXTENDED")
        raw.execute("UPDATE meta SET value = '5' WHERE key = 'schema_version'")
    with open_store(postgres_url) as store:
        assert store.health()["version"] == VERSION
        queue = Queue(store, sweep.id, "a2", ahead=4)
        # The points that the older version had created ahead.
        assert [run.config["x"] for _ in range(3) for run in queue.claim(1, grid_of(9)).fresh] == [
            *(1, 2, 3)
        ]
    with psycopg.connect(one_database, autocommit=True) as raw:
        index = raw.execute("SELECT indexdef FROM pg_indexes WHERE indexname = 'runs_waiting'")
        assert "WHERE ((status)::text = 'queued'::text)" in index.fetchone()[0]


def test_commands_take_an_address(
    postgres_url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_store(postgres_url) as store:
        run = store.create_run({"lr": 0.1}, name="mine", experiment="wage:fit")
        store.log_block(run.id, {"epoch": [1, 2], "val_risk": [2.0, 1.0]})
        store.finish_run(run.id, status="finished", metrics={"val_risk": 1.0})
    monkeypatch.setenv("THETAHAT_STORE", postgres_url)
    for words in (
        ["runs"],
        ["runs", "--where", "val_risk<2", "--sort", "val_risk"],
        ["show", "mine", "--history"],
        ["runs", "--group-by", "lr"],
    ):
        assert command(words) == 0
        said = capsys.readouterr()
        assert {"mine", "0.1", "val_risk"} & set(said.out.split()), words
    assert command(["doctor"]) == 0
    assert "PostgreSQL" in capsys.readouterr().out


@pytest.mark.parametrize("within", ["question", "reading", "batch"])
def test_a_connection_that_goes_with_its_server_is_replaced_without_a_traceback(
    postgres_url: str, within: str, caplog: pytest.LogCaptureFixture
) -> None:
    import psycopg

    with open_store(postgres_url) as store:
        with contextlib.suppress(StoreError), getattr(store, within)() as lent:
            raw = lent if within == "question" else getattr(lent, "connection", lent)
            while not isinstance(raw, psycopg.Connection):
                raw = getattr(raw, "driver_connection", None) or raw.connection
            raw.execute("SELECT 1" if raw.info.transaction_status else "BEGIN")
            with socket.socket(fileno=os.dup(raw.fileno())) as line:
                line.shutdown(socket.SHUT_RDWR)  # the driver does not know it yet
        assert store.names() == {}
    assert [record.getMessage() for record in caplog.records] == []
