"""The runs of a sweep as columns of JSON, which the database writes itself."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
import stores
from stores import add_run

from thetahat.core.run import Status
from thetahat.store import FIELDS, Changed, NewRun, NewSweep, create_sweep, open_store, run_columns


def rows_of(text: str) -> list[dict[str, Any]]:
    """What the page makes of columns."""
    found = json.loads(text)
    assert sorted([*found["same"], *found["columns"]]) == (sorted(FIELDS) if found["n"] else [])
    listed = [found["columns"][name] for name in found["columns"]]
    assert {len(values) for values in listed} <= {found["n"]}
    columns = [dict(zip(found["columns"], row, strict=True)) for row in zip(*listed, strict=True)]
    return [found["same"] | row for row in columns]


def touch(path: Path, statement: str, *values: Any) -> None:
    """Write what no thetahat would."""
    connection = sqlite3.connect(path)
    with connection:
        connection.execute(statement, values)
    connection.close()


@pytest.fixture
def odd(tmp_path: Path) -> Any:
    """A sweep whose runs differ in every way."""
    with open_store(tmp_path) as store:
        sweep = create_sweep(store, NewSweep(stores.TUNING, "odd"))
        for k in range(4):
            add_run(store, sweep, {"lr": 0.1 * k}, {}, metrics={"val_risk": 1 / 3 + k})
        words = {"note": 'a "quoted"\n line, ärger 🦦', "long": "x" * 5000, "many": list(range(99))}
        add_run(store, sweep, words, {}, Status.FAILED, reason='broke: "é"\t\x07', metrics={})
        with store.batch() as writer:
            running, _ = writer.create_run(NewRun({"lr": 9.0}, sweep_id=sweep.id))
        store.log_block(running, {"epoch": [1, 2], "step": [10, 20], "val_risk": [2.0, 0.1]})
        store.create_run({"of": "no sweep"})
        yield store, sweep


def test_columns_say_what_the_listing_says(odd) -> None:
    store, sweep = odd
    rows = rows_of(run_columns(store, sweep_id=sweep.id))
    runs = store.runs(sweep_id=sweep.id)
    assert [row["name"] for row in rows] == [run.name for run in runs]
    plain = [name for name in FIELDS if name not in ("config", "best_val_risk")]
    for row, run in zip(rows, runs, strict=True):
        assert {n: row[n] for n in plain} == {n: getattr(run, n) for n in plain}
        risk = run.best_val_risk
        assert row["best_val_risk"] == (risk and pytest.approx(risk, rel=1e-13))
    assert [row["config"] for row in rows[:4]] == [run.config for run in runs[:4]]
    assert rows[5]["metrics"] == {"val_risk": 0.1}, "the last record, without its axes"
    assert (rows[0]["contaminated"], rows[4]["reason"]) == (False, 'broke: "é"\t\x07')


def test_long_words_of_a_long_config_are_cut(odd) -> None:
    store, sweep = odd
    config = rows_of(run_columns(store, sweep_id=sweep.id))[4]["config"]
    assert config["note"] == 'a "quoted"\n line, ärger 🦦'
    assert config["long"] == "x" * 200 + "…"
    assert config["many"].startswith("[0, 1, 2")


def test_a_long_config_of_short_words_is_left_as_it_lies(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        config = {f"parameter {k}": k / 7 for k in range(300)}
        run = store.create_run(config)
        [row] = rows_of(run_columns(store))
        assert row["config"] == config
        touch(store.path, "UPDATE runs SET config = ?", json.dumps(config | {"q": '\\"' * 3000}))
        [row] = rows_of(run_columns(store))
        assert row["config"] == config | {"q": ('\\"' * 3000)[:200] + "…"}
        assert row["id"] == run.id


def test_runs_come_by_their_numbers_however_they_lie(odd) -> None:
    store, sweep = odd
    ids = [run.id for run in store.runs(sweep_id=sweep.id)]
    touch(store.path, "UPDATE runs SET number = 900 - number WHERE sweep_id = ?", sweep.id)
    rows = rows_of(run_columns(store, sweep_id=sweep.id))
    assert [row["id"] for row in rows] == ids[::-1]
    assert [row["number"] for row in rows] == sorted(row["number"] for row in rows)
    assert rows[1]["config"]["long"] == "x" * 200 + "…", "each keeps its own config"


def test_what_differs_once_is_told_of_each_run(odd) -> None:
    store, sweep = odd
    found = json.loads(run_columns(store, sweep_id=sweep.id))
    assert found["same"]["contaminated"] is False
    assert found["same"]["sweep_id"] == sweep.id
    last = store.runs(sweep_id=sweep.id)[-1].id
    touch(store.path, "UPDATE runs SET contaminated = 1 WHERE id = ?", last)
    found = json.loads(run_columns(store, sweep_id=sweep.id))
    assert found["columns"]["contaminated"] == [False] * 5 + [True]


def test_a_risk_that_is_infinite_is_null(odd) -> None:
    store, sweep = odd
    touch(store.path, "UPDATE runs SET best_val_risk = 9e999 WHERE number = 2")
    touch(store.path, "UPDATE runs SET best_val_risk = 0.25 WHERE number = 3")
    rows = rows_of(run_columns(store, sweep_id=sweep.id))
    assert [row["best_val_risk"] for row in rows[1:3]] == [None, 0.25]


def test_the_latest_of_no_sweep_and_what_changed(odd) -> None:
    store, sweep = odd
    for k in range(3):
        store.create_run({"k": k})
    rows = rows_of(run_columns(store, loose=True, limit=3))
    assert [row["config"] for row in rows] == [{"k": 0}, {"k": 1}, {"k": 2}]
    never = Changed(after=4, since="9999")
    rows = rows_of(run_columns(store, sweep_id=sweep.id, changed=never))
    assert [(row["number"], row["status"]) for row in rows] == [(5, "failed"), (6, "running")]
    empty = {"n": 0, "same": {}, "columns": {}}
    assert json.loads(run_columns(store, sweep_id="none")) == empty
