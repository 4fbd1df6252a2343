"""Tables and files that runs leave behind: what is logged is read back, and nothing else."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from searches import grid_of

import thetahat as th
from thetahat.core import ConfigError, StoreError
from thetahat.core.packed_table import pack_table
from thetahat.store import (
    NewRun,
    NewSweep,
    Queue,
    Store,
    create_sweep,
    find_file,
    list_files,
    list_tables,
    open_store,
    read_file,
    read_table,
    stack_tables,
    tables_of_sweep,
)

TEXT = "program: a.py\nmethod: grid\nparameters: {lr: {values: [1]}}\n"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path) as opened:
        yield opened


def test_every_kind_of_column_is_read_back_as_it_was_logged(store: Store) -> None:
    rng = np.random.default_rng(0)
    columns = {
        "float64": rng.standard_normal(70_000),
        "float32": rng.standard_normal(70_000).astype(np.float32),
        "int": np.arange(-35_000, 35_000),
        "bool": rng.random(70_000) < 0.5,
        "text": [f"<b>{k % 7}</b>" for k in range(70_000)],
        "missing": [None if k % 3 else float(k) for k in range(70_000)],
        "mixed": [k if k % 2 else {"a": [k, "b"]} for k in range(70_000)],
        "one": 0.25,
    }
    columns["float64"][:3] = np.nan, np.inf, -np.inf
    run = th.start({}, store=store)
    run.log_table("all <kinds>", columns)
    run.finish()
    found = read_table(store, run.id, "all <kinds>")
    assert list(found) == list(columns)
    for name in ("float64", "float32", "int", "bool"):
        np.testing.assert_array_equal(found[name], columns[name])
    np.testing.assert_array_equal(found["missing"], pd.Series(columns["missing"], dtype=float))
    assert found["text"].tolist() == columns["text"] and found["mixed"].tolist() == columns["mixed"]
    assert (found["one"] == 0.25).all() and found["float32"].dtype == np.float64


@pytest.mark.parametrize("polars", [False, True])
def test_a_frame_is_logged_with_the_named_levels_of_its_index(store: Store, polars: bool) -> None:
    frame: Any = pd.DataFrame({"k": [1, 1, 2], "c": [1.0, 2.0, 4.0]}).groupby("k").mean()
    if polars:
        frame = pytest.importorskip("polars").DataFrame({"k": [1, 2], "c": [1.5, 4.0]})
    with th.start({}, store=store) as run:
        run.log_table("means", frame)
    found = read_table(store, run.id, "means")
    assert found["k"].tolist() == [1, 2] and found["c"].tolist() == [1.5, 4.0]


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_whole_numbers_beside_missing_ones_keep_every_digit(store: Store, library: str) -> None:
    large, frames = [2**60 + 1, None], pytest.importorskip(library)
    more = {"dtype": "Int64"} if library == "pandas" else {}
    with th.start({}, store=store) as run:
        run.log_table("ids", {"id": frames.Series(large, **more), "k": [1, 2]})
    assert read_table(store, run.id, "ids")["id"].tolist() == large


def test_decimals_and_fractions_are_numbers(store: Store) -> None:
    cells = [Decimal("0.1"), None, Decimal(2)]
    with th.start({}, store=store) as run:
        run.log_table("d", {"d": cells, "f": [Fraction(1, 4)] * 3, "a": np.array(cells)})
    found = read_table(store, run.id, "d")
    np.testing.assert_array_equal(found["d"], [0.1, np.nan, 2.0])
    np.testing.assert_array_equal(found["a"], found["d"])
    assert found["f"].tolist() == [0.25] * 3


def test_a_table_without_rows_is_kept(store: Store) -> None:
    with th.start({}, store=store) as run:
        run.log_table("none", {"k": [], "c": np.zeros(0, np.float32), "who": np.array([], str)})
    found = read_table(store, run.id, "none")
    assert [len(column) for column in found.values()] == [0, 0, 0]


def test_a_table_replaces_that_of_its_name_and_step_only(store: Store) -> None:
    with th.start({}, store=store) as run:
        for step, value in ((1, 1.0), (2, 2.0), (1, 3.0)):
            run.log_table("errors", {"t": [0, 1], "e": [value, value]}, step=step)
    assert [(one.step, one.rows) for one in list_tables(store, run.id)] == [(2, 2), (1, 2)]
    assert read_table(store, run.id, "errors", 1)["e"].tolist() == [3.0, 3.0]
    assert read_table(store, run.id, "errors", 2)["e"].tolist() == [2.0, 2.0]


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"k": [1, 2], "c": [1]}, "must be equally long; 'k' has 2, 'c' has 1"),
        ({"k": np.zeros((3, 2))}, "has the shape \\(3, 2\\); give one column for each number"),
        ({"k": np.zeros(2, complex)}, "give its real and imaginary parts"),
        ({}, "has no columns; give columns such as"),
        (3, "the table 't' is a int; give columns by name"),
        ({"k": np.zeros(100_000_001, np.int8)}, "above the limit of 100,000,000 cells"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "two columns 'a'; rename one"),
    ],
)
def test_columns_that_cannot_be_kept_are_refused_with_the_fix(columns: Any, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        pack_table("t", columns)


@pytest.mark.parametrize(("name", "got"), [("n" * 501, "a text of 501"), (" ", "' '"), (3, "3")])
def test_a_name_that_is_none_is_refused(store: Store, name: Any, got: str) -> None:
    run = th.start({}, store=store.path)
    with pytest.raises(ConfigError, match=f"a text of 1 to 500 characters; got {got}"):
        run.log_table(name, {"k": [1]})
    run.finish()


def test_the_tables_of_a_sweep_stack_in_the_order_of_its_runs(store: Store) -> None:
    sweep = create_sweep(store, NewSweep(name="x", text=TEXT))
    rng = np.random.default_rng(1)
    frames = []
    with store.batch() as writer:
        for k in range(6):
            run_id, _ = writer.create_run(NewRun(config={"k": k}, sweep_id=sweep.id))
            frame = pd.DataFrame({"t": np.arange(k), "e": rng.standard_normal(k)})
            if k % 2:
                frame["extra"] = "a"
            if k != 4:
                writer.keep_table(run_id, "errors", pack_table("errors", frame))
                frames.append(frame.assign(run=run_id))
    expected = pd.concat(frames, ignore_index=True)
    found = stack_tables(store, sweep.id, "errors")
    assert [found.runs[place] for place in found.places] == expected["run"].tolist()
    np.testing.assert_array_equal(found.columns["e"], expected["e"])
    given = [value if isinstance(value, str) else None for value in expected["extra"]]
    assert found.columns["extra"].tolist() == given
    [one] = tables_of_sweep(store, sweep.id)
    assert (one.name, one.runs, one.rows, one.columns) == ("errors", 5, 11, ("t", "e", "extra"))
    assert list(stack_tables(store, sweep.id, "errors", ["e"]).columns) == ["e"]
    with pytest.raises(ConfigError, match="no run has a table 'error'; did you mean 'errors'"):
        stack_tables(store, sweep.id, "error")
    with pytest.raises(ConfigError, match="has no column 'tt'; did you mean 't'"):
        stack_tables(store, sweep.id, "errors", ["tt"])


def test_a_column_of_runs_stays_a_column_of_numbers_and_keeps_every_digit(store: Store) -> None:
    sweep = create_sweep(store, NewSweep(name="x", text=TEXT))
    big = 2**60 + 1
    tables = [
        {"blank": [0.5, 1.5], "flag": [True, False], "id": [big, 2], "small": [7, 8]},
        {"blank": [None, None], "flag": [0.25, 2.0]},
        {"blank": [3, 4], "flag": [1, 0], "id": [3, 4], "words": ["a", None]},
    ]
    with store.batch() as writer:
        for k, table in enumerate(tables):
            run_id, _ = writer.create_run(NewRun(config={"k": k}, sweep_id=sweep.id))
            writer.keep_table(run_id, "t", pack_table("t", table))
    found = stack_tables(store, sweep.id, "t").columns
    lacks = [np.nan] * 2
    np.testing.assert_array_equal(found["blank"], [0.5, 1.5, *lacks, 3, 4])
    np.testing.assert_array_equal(found["flag"], [1, 0, 0.25, 2, 1, 0])
    np.testing.assert_array_equal(found["small"], [7, 8, *lacks, *lacks])
    assert found["id"].tolist() == [big, 2, None, None, 3, 4]
    assert found["words"].tolist() == [None] * 4 + ["a", None]


def test_files_are_kept_once_for_equal_bytes_and_read_back(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "weights.bin"
    path.write_bytes(bytes(range(256)))
    for _ in range(2):
        with th.start({}, store=store) as run:
            run.log_file(path)
            run.log_file("../../etc/<b>.html", "<script>alert(1)</script>")
    kept = {row.name: row for row in list_files(store, run.id)}
    assert read_file(kept["weights.bin"]) == path.read_bytes()
    page = kept["../../etc/<b>.html"]
    assert page.media == "text/html" and page.file_name == "_b_.html"
    assert sorted(file.name for file in (store.folder / "files").rglob("*") if file.is_file()) == (
        sorted({row.digest for row in kept.values()})
    )
    with pytest.raises(ConfigError, match="did you mean 'weights.bin'"):
        find_file(store, run.id, "weight.bin")


def test_an_array_is_kept_as_a_png_of_its_pixels(store: Store) -> None:
    pixels = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    with th.start({}, store=store) as run:
        run.log_file("image.png", pixels, step=7)
    data = read_file(find_file(store, run.id, "image.png", 7))
    assert data[:8] == b"\x89PNG\r\n\x1a\n" and struct.unpack(">II", data[16:24]) == (4, 2)
    at = data.index(b"IDAT")
    (size,) = struct.unpack(">I", data[at - 4 : at])
    rows = np.frombuffer(zlib.decompress(data[at + 4 : at + 4 + size]), np.uint8).reshape(2, 13)
    np.testing.assert_array_equal(rows[:, 1:].reshape(2, 4, 3), pixels)


def test_an_older_store_takes_tables_once_it_is_opened(tmp_path: Path) -> None:
    with open_store(tmp_path) as store, store.batch() as writer:
        for name in ("table_columns", "tables", "files"):
            writer.connection.exec_driver_sql(f"DROP TABLE {name}")
        writer.connection.exec_driver_sql("UPDATE meta SET value = '3'")
    with th.start({}, store=tmp_path) as run:
        run.log_table("policy", {"k": [1.0]})
    with open_store(tmp_path) as store:
        assert read_table(store, run.id, "policy")["k"].tolist() == [1.0]


def test_a_program_of_an_agent_logs_to_its_run_until_another_attempt_begins(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep = create_sweep(store, NewSweep(name="x", text=TEXT))
    queue = Queue(store, sweep.id, "a1")
    [given] = queue.claim(1, grid_of(1)).fresh
    rows = tmp_path / "rows.jsonl"
    rows.write_text(
        json.dumps({"run": given.id, "name": given.name, "config": given.config}) + "\n"
    )
    monkeypatch.setenv("THETAHAT_RUN_ROWS", str(rows))
    monkeypatch.setenv("THETAHAT_RUN_ID", given.id)
    monkeypatch.setenv("THETAHAT_STORE", str(store.path))
    run = th.start()
    run.log_table("policy", {"k": [1.0, 2.0]})
    run.log_file("note.txt", "hello")
    assert read_table(store, given.id, "policy")["k"].tolist() == [1.0, 2.0]
    assert read_file(find_file(store, given.id, "note.txt")) == b"hello"
    rows.unlink()  # as the agent does
    queue.hand_back([given.id])
    with pytest.raises(StoreError, match="not this program's any more"):
        run.log_table("policy", {"k": [3.0]})
    assert queue.claim(1, grid_of(1)).runs[0].id == given.id
    assert list_tables(store, given.id) == [] and list_files(store, given.id) == []
