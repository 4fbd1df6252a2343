"""th.log, and programs that an agent started: they log into the agent's run."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

import thetahat
from thetahat import log, start
from thetahat.core import ConfigError, Status, StoreError
from thetahat.core.logged import checked_ending
from thetahat.store import Store, open_store, rows_after

# What a process keeps of its runs is emptied between tests.
from thetahat.tracking import _start

SOURCE = str(Path(thetahat.__file__).parents[1])


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("THETAHAT_RUN_ID", "THETAHAT_RUN_ROWS", "THETAHAT_STORE", "THETAHAT_RUN_ENDING"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(_start, "_latest", [])


def script(folder: Path, code: str, **env: str) -> subprocess.CompletedProcess[str]:
    file = folder / "script.py"
    file.write_text("from thetahat import log, start\n" + textwrap.dedent(code))
    whole = {**os.environ, "PYTHONPATH": SOURCE, "THETAHAT_STORE": str(folder / "runs")}
    return subprocess.run(
        [sys.executable, str(file)],
        env={**whole, **env},
        cwd=folder,
        text=True,
        capture_output=True,
        timeout=240,
        check=False,
    )


# Without an agent.


def test_the_first_call_begins_a_run_that_ends_with_the_program(tmp_path: Path) -> None:
    done = script(
        tmp_path,
        """
        for epoch in range(3):
            log({"val_risk": 1 / (epoch + 1)})
        log({"extra": 5}, step=2)
        """,
    )
    assert (done.returncode, done.stderr) == (0, "")
    with open_store(tmp_path / "runs") as store:
        (run,) = store.runs()
        assert (run.status, run.reason, run.experiment) == ("finished", "", "script")
        assert run.metrics == {"val_risk": 1 / 3, "extra": 5.0}
        np.testing.assert_array_equal(store.history(run.id)["step"], [0, 1, 2])


def test_a_program_that_raises_after_it_logged(tmp_path: Path) -> None:
    done = script(tmp_path, "log({'a': 1})\nraise ValueError('bad')\n")
    assert done.returncode == 1
    with open_store(tmp_path / "runs") as store:
        (run,) = store.runs()
        assert (run.status, run.reason, run.metrics) == (
            "failed",
            "ValueError: bad (script.py, line 3)",
            {"a": 1.0},
        )


def test_log_goes_to_the_run_that_was_started(store: Store) -> None:
    with start(store=store) as run:
        log({"loss": 1.0})
        log({"loss": 0.5})
    assert store.run(run.id).metrics == {"loss": 0.5}
    assert len(store.runs()) == 1
    with pytest.raises(ConfigError) as caught:
        log({"loss": 0.25})
    assert str(caught.value) == f"the run {run.name!r} has ended; th.start(...) begins another"
    assert len(store.runs()) == 1


def test_log_says_what_is_no_number(store: Store) -> None:
    with start(store=store), pytest.raises(ConfigError, match="loss='low' is not a number"):
        log({"loss": "low"})


def test_a_run_is_the_same_row_whoever_has_opened_its_store(store: Store) -> None:
    rows = []
    for opened in (store, store.path):
        with start({"lr": 0.1}, name="mine", project="wages", store=opened) as run:
            run.log({"loss": 1.0, "val_risk": 3.0})
            run.log({"loss": 0.5, "val_risk": float("nan")})
            assert run.store.run(run.id).status == "running"
        rows.append(store.run(run.id))
    first, second = rows
    assert (second.name, second.number) == ("mine-2", first.number + 1)
    assert second.metrics == {"loss": 0.5, "val_risk": None}
    own = ("id", "name", "number", "created", "started", "finished", "heartbeat", "seconds")
    one, other = ({k: v for k, v in vars(row).items() if k not in own} for row in rows)
    assert one == other
    history = [store.history(row.id) for row in rows]
    for column in ("step", "loss", "val_risk"):
        np.testing.assert_array_equal(history[0][column], history[1][column])


@pytest.mark.sqlite
def test_start_refuses_a_store_of_a_newer_version(store: Store) -> None:
    raw = sqlite3.connect(store.path)
    with raw:
        raw.execute("UPDATE meta SET value = '99' WHERE key = 'schema_version'")
    raw.close()
    with pytest.raises(StoreError, match="was written by a newer thetahat"):
        start(store=store.path)


@pytest.mark.sqlite
def test_start_says_that_a_store_was_removed_meanwhile(store: Store) -> None:
    run = start(store=store.path)
    store.path.unlink()
    run._store.close()
    with pytest.raises(StoreError, match="cannot be opened or written"):
        run.finish()
    assert not store.path.exists()
    run._over = True


# With an agent.


@pytest.fixture
def agents_run(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    run = store.create_run({"lr": 0.1}, name="swept")
    monkeypatch.setenv("THETAHAT_STORE", str(store.path))
    monkeypatch.setenv("THETAHAT_RUN_ID", run.id)
    monkeypatch.setenv("THETAHAT_RUN_ENDING", str(tmp_path / "ending.json"))
    return run.id


def test_start_is_the_agents_run(store: Store, agents_run: str, tmp_path: Path) -> None:
    with start({"lr": 9.0, "width": 8}, name="mine", store=tmp_path / "other") as run:
        run.log({"loss": 1.0})
        log({"loss": 0.5})
    assert (run.id, run.name) == (agents_run, "mine")
    assert run.config == {"lr": 0.1, "width": 8}
    assert not (tmp_path / "other").exists()
    seen = store.run(agents_run)
    assert (seen.name, seen.config) == ("mine", {"lr": 0.1, "width": 8})
    assert (seen.proposed, seen.metrics) == ({"lr": 0.1}, {"loss": 0.5})
    assert (seen.status, seen.reason, seen.finished) == ("running", "", None)
    assert len(store.runs()) == 1
    assert json.loads((tmp_path / "ending.json").read_text()) == ["finished", "", {}]


def test_what_finish_says_is_for_the_agent(agents_run: str, tmp_path: Path) -> None:
    start().finish("diverged", "beyond 1e6")
    assert json.loads((tmp_path / "ending.json").read_text()) == ["diverged", "beyond 1e6", {}]
    assert agents_run


def test_an_agent_that_asks_for_no_ending(
    store: Store, agents_run: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("THETAHAT_RUN_ENDING", str(tmp_path / "gone" / "ending.json"))
    start().finish()
    monkeypatch.delenv("THETAHAT_RUN_ENDING")
    start().finish("failed")
    assert store.run(agents_run).status == "running"


def test_a_program_of_the_agent_logs_and_ends(store: Store, agents_run: str) -> None:
    folder = store.folder.parent
    env = {"THETAHAT_RUN_ID": agents_run, "THETAHAT_STORE": str(store.path)}
    done = script(folder, "log({'loss': 0.5})\nlog({'loss': 0.25})\nraise SystemExit(4)", **env)
    assert (done.returncode, done.stderr) == (4, "")
    seen = store.run(agents_run)
    assert (seen.status, seen.metrics) == ("running", {"loss": 0.25})
    assert len(store.runs()) == 1


def test_a_run_that_the_store_does_not_have(
    store: Store, agents_run: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THETAHAT_RUN_ID", "swept")
    with pytest.raises(StoreError) as caught:
        log({"loss": 1.0})
    assert str(caught.value) == (
        f"the store {store.path} has no run 'swept', which THETAHAT_RUN_ID names; take"
        " THETAHAT_RUN_ID out of the environment, unless an agent has set it"
    )
    monkeypatch.setenv("THETAHAT_RUN_ID", "zzzzzzzz")
    with pytest.raises(StoreError, match="has no run 'zzzzzzzz'"):
        start()
    assert [run.id for run in store.runs()] == [agents_run]


def test_a_run_that_went_to_another_agent_takes_nothing_more(
    store: Store, agents_run: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("thetahat.store._live_run.FLUSH_S", 600.0)  # its thread writes nothing
    run = start()
    run.log({"loss": 1.0})
    run._flush()
    with store.batch() as writer:
        writer.continue_run(agents_run, epochs=0, max_epochs=None, provenance={}, command=None)
    run.log({"loss": 2.0})
    with pytest.raises(StoreError) as caught:
        run.finish()
    assert str(caught.value) == (
        "the run 'swept' has been claimed by another agent (attempt 2; this program is attempt 1);"
        " this program can stop"
    )
    np.testing.assert_array_equal(store.history(agents_run)["loss"], [1.0])
    # What could not be written would be tried again when this test process ends.
    run._rows.clear()
    run._attempt = 2
    run.finish()


def test_rows_after(store: Store) -> None:
    run, other = store.create_run(), store.create_run()
    assert rows_after(store, run.id) == ([], 0)
    store.log_block(run.id, {"step": [0, 1], "loss": [1.0, float("nan")]})
    store.log_block(other.id, {"step": [5], "loss": [9.0]})
    rows, after = rows_after(store, run.id)
    assert rows[0] == {"step": 0.0, "loss": 1.0}
    assert np.isnan(rows[1]["loss"])
    assert rows_after(store, run.id, after) == ([], after)
    store.log_block(run.id, {"epoch": [2], "val": [3.0]})
    rows, last = rows_after(store, run.id, after)
    assert rows == [{"epoch": 2.0, "val": 3.0}]
    assert last > after


def test_every_ending_is_a_status() -> None:
    with pytest.raises(ConfigError, match="a run cannot end with the status 'running'"):
        checked_ending("running")
    assert checked_ending("failed") == Status.FAILED
