"""A sweep over folds on the page: settings are ranked by the mean of their folds, as searched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import stores
from chromium import serving, until

from thetahat.store import NewSweep, create_sweep, open_store

FILE = """\
program: wages.py
method: bayes
metric: {name: val_risk}
parameters: {lr: {values: [0.01, 0.1]}}
"""
LOSSES = {0.01: (2.0, 2.0, 2.0), 0.1: (1.0, 1.0, 9.0)}
"""The median over folds prefers 0.1, the mean 0.01."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    where = tmp_path_factory.mktemp("folds")
    with open_store(where) as store:
        plan = {"folds": 3, "found": {"seed": "fold"}}
        sweep = create_sweep(store, NewSweep(FILE, "folded", plan=plan, points=6))
        for point, (lr, losses) in enumerate(LOSSES.items()):
            for fold, loss in enumerate(losses):
                given = {"lr": lr, "fold": fold}
                more: Any = {"point": point, "replicate": fold, "metrics": {"val_risk": loss}}
                stores.add_run(store, sweep, given, {}, **more)
    return where


@pytest.fixture(scope="module")
def sweep(folder: Path) -> str:
    with open_store(folder, create=False) as store:
        return store.runs()[0].sweep_id or ""


def test_the_server_ranks_by_the_mean_over_folds(folder, sweep, client_of) -> None:
    client = client_of(folder)
    found = client.get(f"/api/sweeps/{sweep}").json()["settings"]
    assert (found["lead"]["config"], found["word"]) == ({"lr": 0.01}, "mean")
    assert [(s["mean"], s["median"]) for s in found["settings"]] == [(2.0, 2.0), (11 / 3, 1.0)]
    assert found["running"]["run"][-1][1] == 2.0
    (shown,) = client.get("/api/home").json()["sweeps"]
    assert (shown["best"]["value"], shown["best"]["word"]) == (2.0, "mean")
    path = f"/api/sweeps/{sweep}/groups?over=fold&metric=val_risk&goal=minimize"
    told = client.get(path).json()
    assert told["word"] == "mean"
    assert [group["metrics"]["val_risk"]["mean"] for group in told["groups"]] == [2.0, 11 / 3]


@pytest.mark.browser
def test_tile_table_and_home_say_that_it_is_the_mean(look, folder, sweep) -> None:
    with serving(folder) as url:
        tab = look(url)
        page = tab.open("/")
        assert "mean of 3" in page.locator("table tbody tr", has_text="folded").first.inner_text()
        page = tab.open(f"/sweep/{sweep}")
        tile = page.locator(".tile.lead").inner_text()
        assert "best mean val_risk" in tile and "lr=0.01" in tile
        until(page, "document.querySelector('.tabulator-row') !== null")
        assert "setting's mean" in page.locator(".tabulator-header").inner_text()
        cells = page.locator('.tabulator-row [tabulator-field="setting"]')
        assert [cells.nth(k).inner_text().split()[0] for k in (0, 3)] == ["2", "3.667"]
