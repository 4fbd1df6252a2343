"""Who only looks at a store never waits for a writer."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from thetahat.cli import run as command
from thetahat.core import StoreError
from thetahat.store import NewSweep, Store, create_sweep, list_agents, open_store

SQLITE_ONLY = True

SHORT_S = 0.5
"""Far below the 30 seconds that a writer waits."""


@pytest.fixture
def held(store: Store) -> Iterator[Path]:
    """A store with a run and a sweep, of which another connection holds the write lock."""
    run = store.create_run({"lr": 0.1}, name="mine")
    store.log_block(run.id, {"epoch": [1, 2], "val_risk": [2.0, 1.0]})
    create_sweep(store, NewSweep("method: grid", name="search"))
    store.close()
    raw = sqlite3.connect(store.path, isolation_level=None)
    raw.execute("BEGIN IMMEDIATE")
    yield store.path
    raw.rollback()
    raw.close()


@pytest.mark.parametrize("create", [False, True])
def test_opening_to_read_needs_no_write_lock(held: Path, create: bool) -> None:
    with open_store(held, create=create, timeout_s=SHORT_S) as store:
        assert [run.name for run in store.runs()] == ["mine"]
        run = store.run("mine")
        assert list(store.history(run.id)["epoch"]) == [1, 2]
        assert store.notices(run.id) == []
        assert store.health()["integrity"] == "ok"
        assert list_agents(store, "any") == []


@pytest.mark.parametrize(
    "words",
    [
        ["runs"],
        ["show", "mine"],
        ["show", "mine", "--history"],
        ["runs", "--format=json"],
        ["doctor"],
    ],
)
def test_a_command_that_reads_needs_no_write_lock(
    held: Path, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    began = time.monotonic()
    assert command([*words, f"--store={held}"]) == 0
    assert time.monotonic() - began < 25, "a writer would wait for 30 s"
    assert "locked" not in capsys.readouterr().err


def test_a_writer_still_waits_and_says_so(held: Path) -> None:
    with open_store(held, timeout_s=SHORT_S) as store, pytest.raises(StoreError, match="locked"):
        store.create_run()
