"""Stores that an earlier version wrote: brought up to date, or read as they are."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import pytest

from thetahat.core.sweep_file import read_file_json
from thetahat.store import (
    VERSION,
    NewSweep,
    create_sweep,
    find_sweep,
    list_agents,
    open_store,
)

VERSION_2 = """
CREATE TABLE meta ("key" VARCHAR(64) NOT NULL, value TEXT NOT NULL, PRIMARY KEY ("key"));
CREATE TABLE runs (id VARCHAR(16) NOT NULL, number INTEGER NOT NULL, name TEXT NOT NULL,
  project TEXT, experiment TEXT, source TEXT, command TEXT, config TEXT NOT NULL,
  status VARCHAR(16) NOT NULL, reason TEXT NOT NULL, epochs INTEGER NOT NULL, max_epochs INTEGER,
  n_params INTEGER, metrics TEXT NOT NULL, last TEXT NOT NULL, best_val_risk FLOAT,
  best_epoch INTEGER, seconds TEXT NOT NULL, detail TEXT NOT NULL, provenance TEXT NOT NULL,
  created VARCHAR(32) NOT NULL, started VARCHAR(32), finished VARCHAR(32), heartbeat VARCHAR(32),
  checkpoint TEXT, cohort VARCHAR(32), member INTEGER, agent TEXT, attempt INTEGER NOT NULL,
  contaminated BOOLEAN NOT NULL, sweep_id VARCHAR(16), point INTEGER, replicate INTEGER,
  alone BOOLEAN NOT NULL, failures INTEGER NOT NULL,
  PRIMARY KEY (id), UNIQUE (number), UNIQUE (name));
CREATE TABLE sweeps (id VARCHAR(16) NOT NULL, number INTEGER NOT NULL, name TEXT NOT NULL,
  project TEXT, file TEXT, folder TEXT, text TEXT NOT NULL, "plan" TEXT NOT NULL,
  state VARCHAR(16) NOT NULL, reason TEXT NOT NULL, position INTEGER NOT NULL, points INTEGER,
  contaminated BOOLEAN NOT NULL, created VARCHAR(32) NOT NULL, finished VARCHAR(32),
  PRIMARY KEY (id), UNIQUE (number));
CREATE TABLE agents (id VARCHAR(16) NOT NULL, sweep_id VARCHAR(16), host TEXT NOT NULL,
  pid INTEGER NOT NULL, started VARCHAR(32) NOT NULL, heartbeat VARCHAR(32) NOT NULL,
  ended VARCHAR(32), asked VARCHAR(16), doing TEXT NOT NULL, PRIMARY KEY (id),
  FOREIGN KEY(sweep_id) REFERENCES sweeps (id) ON DELETE CASCADE);
CREATE TABLE notices (id INTEGER NOT NULL, run_id VARCHAR(16), at VARCHAR(32) NOT NULL,
  text TEXT NOT NULL, PRIMARY KEY (id),
  FOREIGN KEY(run_id) REFERENCES runs (id) ON DELETE CASCADE);
CREATE TABLE records (id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, run_id VARCHAR(16) NOT NULL,
  first INTEGER NOT NULL, last INTEGER NOT NULL, count INTEGER NOT NULL, columns TEXT NOT NULL,
  data BLOB NOT NULL, FOREIGN KEY(run_id) REFERENCES runs (id) ON DELETE CASCADE);
INSERT INTO meta VALUES ('schema_version', '2');
INSERT INTO runs (id, number, name, config, status, reason, epochs, metrics, last, seconds, detail,
  provenance, created, attempt, contaminated, sweep_id, point, alone, failures)
  VALUES ('r1', 1, 'calm-otter-1', '{"width":8}', 'finished', '', 0, '{"val_risk":0.5}', '{}', '{}',
  '{}', '{}', '2026-01-01T00:00:00.000+00:00', 1, 0, 's1', 0, 0, 0);
"""
"""The tables of the version before this one, and one run."""

TEXT = (
    "program: 1e-4\nmethod: grid\nparameters:\n  width: {values: [010, off, 1e-3, 'off', .inf]}\n"
)
READ = [8, False, 0.001, "off", float("inf")]


def write_older(path: Path) -> None:
    raw = sqlite3.connect(path)
    raw.executescript(VERSION_2)
    insert = (
        "INSERT INTO sweeps (id, number, name, text, plan, state, reason, position, contaminated,"
        " created) VALUES (?, ?, ?, ?, '{}', 'running', '', 0, 0, '2026-01-01T00:00:00.000+00:00')"
    )
    raw.execute(insert, ("s1", 1, "widths", TEXT))
    raw.execute(insert, ("s2", 2, "broken", "method: [\n"))
    raw.commit()
    raw.close()


def rows_of(path: Path, query: str) -> list[tuple]:
    raw = sqlite3.connect(path)
    try:
        return raw.execute(query).fetchall()
    finally:
        raw.close()


def test_opening_an_older_store_stores_its_sweep_files_as_read(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    write_older(path)
    with open_store(path) as store:
        assert store.health()["version"] == VERSION
        sweep = find_sweep(store, "s1")
        assert sweep.spec["parameters"] == {"width": {"values": READ}}
        assert list(map(type, sweep.spec["parameters"]["width"]["values"])) == list(map(type, READ))
        assert (sweep.spec["program"], sweep.text) == ("1e-4", TEXT)
        assert find_sweep(store, "s2").spec == {}
        assert store.run("r1").labels == {}
    stored = dict(rows_of(path, "SELECT id, spec FROM sweeps"))
    assert read_file_json(stored["s1"])["method"] == "grid"
    assert stored["s2"] == "{}"
    # A second time nothing is read again, even where the text has changed.
    raw = sqlite3.connect(path)
    raw.execute("UPDATE sweeps SET text = 'method: random'")
    raw.commit()
    raw.close()
    with open_store(path) as store:
        assert find_sweep(store, "s1").spec["method"] == "grid"
        store.create_run({"lr": 0.1}, labels={"group": "a"})
        assert store.run("last").labels == {"group": "a"}


def test_an_older_store_that_cannot_be_written_is_read_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "runs.db"
    write_older(path)
    before = path.read_bytes()
    monkeypatch.setattr("thetahat.store._store.os.access", lambda *_: False)
    with open_store(path, create=False) as store:
        assert find_sweep(store, "widths").spec["parameters"] == {"width": {"values": READ}}
        run = store.run("r1")
        assert (run.config, run.metrics, run.labels) == ({"width": 8}, {"val_risk": 0.5}, {})
        assert [row.name for row in store.runs(sweep_id="s1")] == ["calm-otter-1"]
        assert list_agents(store) == []
        if hasattr(os, "fork"):
            # Also by the connection of a forked child.
            store._pid = -1
            assert store.run("r1").labels == {}
    assert path.read_bytes() == before


def test_the_first_version_is_brought_up_and_read_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "runs.db"
    write_older(path)
    raw = sqlite3.connect(path)
    raw.execute("UPDATE meta SET value = '1'")
    raw.executescript("DROP TABLE agents; DROP TABLE sweeps;")
    for column in ("point", "replicate", "alone", "failures"):
        raw.execute(f"ALTER TABLE runs DROP COLUMN {column}")
    raw.commit()
    raw.close()
    with monkeypatch.context() as frozen:
        frozen.setattr("thetahat.store._store.os.access", lambda *_: False)
        with open_store(path, create=False) as store:
            run = store.run("r1")
            assert (run.point, run.alone, run.failures, run.labels) == (None, False, 0, {})
            assert list_agents(store) == []
    with open_store(path) as store:
        assert store.health()["version"] == VERSION
        assert store.run("r1").point is None
        made = create_sweep(store, NewSweep(TEXT))
        assert made.spec["parameters"]["width"]["values"] == READ


CANCELLED = [
    ("stopped", "the sweep was cancelled", "s1", "cancelled"),
    ("stopped", "the sweep was finished", "s1", "cancelled"),
    ("stopped", "val_risk reached its target 0.1", "s1", "cancelled"),
    ("stopped", "hyperband: its val_risk is not among the best 33% of its band", "s1", "stopped"),
    ("stopped", "no improvement in 20 epochs", None, "stopped"),
    ("stopped", "the sweep was cancelled", None, "stopped"),
    ("failed", "the sweep was cancelled", "s1", "failed"),
    ("interrupted", "the sweep was finished", "s1", "interrupted"),
]
"""How runs ended in a store of version 2: status, reason, sweep, and the status they have now."""


@pytest.mark.parametrize("written", [True, False])
def test_runs_of_an_older_store_whose_sweep_was_over_did_not_end_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: bool
) -> None:
    path = tmp_path / "runs.db"
    write_older(path)
    raw = sqlite3.connect(path)
    for i, (status, reason, sweep, _) in enumerate(CANCELLED, 2):
        raw.execute(
            "INSERT INTO runs SELECT ?, ?, ?, project, experiment, source, command, config, ?, ?,"
            " epochs, max_epochs, n_params, metrics, last, best_val_risk, best_epoch, seconds,"
            " detail, provenance, created, started, finished, heartbeat, checkpoint, cohort,"
            " member, agent, attempt, contaminated, ?, point, replicate, alone, failures"
            " FROM runs WHERE id = 'r1'",
            (f"r{i}", i, f"run-{i}", status, reason, sweep),
        )
    raw.commit()
    raw.close()
    if not written:
        monkeypatch.setattr("thetahat.store._store.os.access", lambda *_: False)
    with open_store(path, create=False) as store:
        found = store.runs()
        assert [str(run.status) for run in found] == [
            "finished",
            *(status for *_, status in CANCELLED),
        ]
        assert [run.reason for run in found[1:]] == [reason for _, reason, *_ in CANCELLED]
        assert len(store.runs(status="cancelled")) == 3
        well = [run.name for run in store.runs(sweep_id="s1") if run.status.well]
        assert well[1:] == ["run-5"], "of those that ended well, beside the first"


def test_a_row_that_an_older_program_adds_is_read_from_its_text(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    open_store(path).close()
    raw = sqlite3.connect(path)
    raw.execute(
        "INSERT INTO sweeps (id, number, name, text, plan, state, reason, position, contaminated,"
        " created) VALUES ('s9', 9, 'late', ?, '{}', 'running', '', 0, 0, '2026')",
        (TEXT,),
    )
    raw.commit()
    raw.close()
    with open_store(path) as store:
        assert find_sweep(store, "s9").spec["parameters"] == {"width": {"values": READ}}
