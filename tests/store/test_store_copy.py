"""A store is copied whole, from SQLite to PostgreSQL and back, and goes on where it was."""

from __future__ import annotations

from pathlib import Path

import pytest
from searches import grid_of
from sqlalchemy import select

import thetahat as th
from thetahat.cli import run as command
from thetahat.store import (
    NewRun,
    NewSweep,
    Queue,
    Store,
    create_sweep,
    list_files,
    open_store,
    read_file,
    read_table,
)

# Every row of every table is compared.
from thetahat.store._schema import meta, metadata

pytestmark = pytest.mark.postgres


def filled(store: Store) -> str:
    """A store with rows in every table; returns the id of a run with a table and a file."""
    sweep = create_sweep(store, NewSweep("method: grid", name="wages", project="p"))
    queue = Queue(store, sweep.id, "a1", ahead=3)
    queue.join("here", 1)
    run = queue.claim(1, grid_of(9)).fresh[0]
    store.log_block(run.id, {"epoch": [1, 2], "val_risk": [0.1, 1 / 3]})
    store.finish_run(
        run.id, status="finished", metrics={"val_risk": 1e-300, "big": 1e300, "third": 1 / 3}
    )
    with store.batch() as writer:
        writer.note(run.id, "a notice — ünïcode")
        writer.create_run(NewRun(config={"a": [1, None, True], "t": "x\"y'z%s"}, name="mine"))
    with th.start({"lr": 0.1}, store=store) as kept:
        kept.log({"loss": 0.25})
        kept.log_table("fit", {"x": [1.0, 2.0], "word": ["a", None]})
        kept.log_file("note.txt", "hello")
    return kept.id


def rows(store: Store) -> dict[str, list[tuple]]:
    with store.reading() as connection:
        return {
            table.name: [
                tuple(row) for row in connection.execute(select(table).order_by(*table.primary_key))
            ]
            for table in metadata.sorted_tables
            if table is not meta
        }


def test_every_row_and_file_is_copied_both_ways(
    tmp_path: Path, postgres_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with open_store(tmp_path / "here.db") as store:
        kept, before = filled(store), rows(store)
    assert all(before[name] for name in before), "a row in every table"
    assert command(["store", "copy", str(tmp_path / "here.db"), postgres_url]) == 0
    assert "3 runs; checkpoints, logs, models and files: " in capsys.readouterr().out
    (tmp_path / "back").mkdir()
    back = str(tmp_path / "back" / "again.db")
    with open_store(postgres_url) as store:
        assert rows(store) == before
        assert read_file(list_files(store, kept)[0]) == b"hello"
    assert command(["store", "copy", back, "--store", postgres_url]) == 0
    with open_store(back) as store:
        assert rows(store) == before
        assert read_table(store, kept, "fit")["x"].tolist() == [1.0, 2.0]
        assert read_file(list_files(store, kept)[0]) == b"hello"


def test_a_copy_goes_on_with_new_numbers_and_takes_no_second_store(
    tmp_path: Path, postgres_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with open_store(tmp_path / "here.db") as store:
        filled(store)
    assert command(["store", "copy", str(tmp_path / "here.db"), postgres_url]) == 0
    with open_store(postgres_url) as store:
        run = store.create_run()
        assert run.number == 4
        store.log_block(run.id, {"epoch": [1], "val_risk": [1.0]})
        (sweep,) = {found.sweep_id for found in store.runs()} - {None}
        queue = Queue(store, str(sweep), "a2", ahead=3)
        assert [found.config["x"] for found in queue.claim(4, grid_of(9)).fresh] == [1, 2, 3, 4]
    assert command(["store", "copy", str(tmp_path / "here.db"), postgres_url]) == 2
    assert "has runs or sweeps already; give an empty store" in capsys.readouterr().err
    (tmp_path / "there.db").write_text("mine")
    assert command(["store", "copy", postgres_url, str(tmp_path / "there.db")]) == 2
    assert "is there already" in capsys.readouterr().err
    assert command(["store", "copy", "a", "b", "c"]) == 2
    assert "takes [FROM] TO" in capsys.readouterr().err
