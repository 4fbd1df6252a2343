"""Runs that are deleted, dated back, or another store's, while the page of their sweep is open."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest
import stores
from chromium import count, serving, until
from stores import add_run

from thetahat.store import NewRun, NewSweep, create_sweep, open_store

pytestmark = pytest.mark.browser

ROWS = "document.querySelector('main').dataset.rows"


def touch(path: Path, statement: str) -> None:
    """Write what no thetahat of this machine would."""
    connection = sqlite3.connect(path)
    with connection:
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute(statement)
    connection.close()


def filled(where: Path, n: int = 12) -> Any:
    """A store whose one sweep has runs; its file and the sweep."""
    with open_store(where) as store:
        sweep = create_sweep(store, NewSweep(stores.TUNING, "goes"))
        for k in range(n):
            add_run(store, sweep, {"lr": 0.01 * (k + 1)}, {}, metrics={"val_risk": 1.0 + k})
        return store.path, sweep


def test_runs_that_are_deleted_leave_the_page(look, tmp_path) -> None:
    path, sweep = filled(tmp_path)
    with serving(tmp_path) as url:
        page = look(url).open(f"/sweep/{sweep.id}")
        assert count(page) == 12
        touch(path, "DELETE FROM runs WHERE number IN (1, 5)")
        until(page, f"{ROWS} === '10'")
        assert page.locator(".tile", has_text="best val_risk").locator("a").inner_text() == "2"
        touch(path, "DELETE FROM runs")
        page.wait_for_selector("text=No run has begun yet")
        assert page.locator(".chart").count() == 0
        with open_store(tmp_path) as store:
            add_run(store, sweep, {"lr": 0.5}, {}, metrics={"val_risk": 0.25})
        until(page, f"{ROWS} === '1'")
        assert page.locator(".tile", has_text="best val_risk").locator("a").inner_text() == "0.25"


def test_a_run_that_ended_by_a_clock_that_is_slow_is_over(look, tmp_path) -> None:
    path, sweep = filled(tmp_path)
    with open_store(tmp_path) as store, store.batch() as writer:
        late, _ = writer.create_run(NewRun({"lr": 9.0}, sweep_id=sweep.id))
    with serving(tmp_path) as url:
        page = look(url).open(f"/sweep/{sweep.id}?where=lr%3D9")
        page.wait_for_selector(".tabulator-cell[tabulator-field='status'] .st.running")
        old = "2001-01-01T00:00:00.000+00:00"
        touch(
            path,
            f"UPDATE runs SET status = 'finished', heartbeat = '{old}', finished = '{old}',"
            f""" metrics = '{{"val_risk": 0.5}}' WHERE id = '{late}'""",
        )
        page.wait_for_selector(".tabulator-cell[tabulator-field='status'] .st.finished")
        assert page.locator(".tile", has_text="best val_risk").locator("a").inner_text() == "0.5"


def test_another_store_with_the_same_sweep_takes_the_place_of_one(look, tmp_path) -> None:
    where, other = tmp_path / "one", tmp_path / "other"
    path, sweep = filled(where)
    shutil.copytree(where, other)
    touch(other / path.name, """UPDATE runs SET metrics = '{"val_risk": 0.125}' WHERE number = 3""")
    with serving(where) as url:
        page = look(url).open(f"/sweep/{sweep.id}")
        page.wait_for_selector("#live:has-text('live')")
        page.wait_for_timeout(1000)
        for part in where.glob(f"{path.name}*"):
            part.unlink()
        shutil.move(other / path.name, path)
        page.wait_for_selector(".tile:has-text('best val_risk') a:text-is('0.125')")
        assert count(page) == 12
