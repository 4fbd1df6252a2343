"""A sweep with several metrics on the page and in the report: its Pareto front."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
import stores
from chromium import serving

import thetahat as th
from thetahat.report import make_report, render
from thetahat.store import NewSweep, Store, SweepRow, create_sweep, open_store

FILE = """\
program: wages.py
method: custom
metrics: [{name: val_risk}, {name: size}, {name: speed, goal: maximize}]
parameters: {x: {min: 0.0, max: 1.0}, width: {values: [4, 8, 16]}}
"""


def several(store: Store, *, seeds: int = 1) -> SweepRow:
    plan = {"replicates": seeds, "found": {"seed": "seed"}} if seeds > 1 else {}
    sweep = create_sweep(store, NewSweep(FILE, "several", plan=plan))
    rng = random.Random(4)
    for k in range(30):
        config = {"x": rng.random(), "width": rng.choice((4, 8, 16))}
        for seed in range(seeds):
            given = config if seeds == 1 else {**config, "seed": seed}
            metrics = {"val_risk": rng.random(), "size": 10 * rng.random(), "speed": rng.random()}
            stores.add_run(store, sweep, given, {}, metrics=metrics, point=k)
    stores.add_run(store, sweep, {"x": 0.1, "width": 4}, {}, metrics={"val_risk": -1.0})
    return sweep


def best_by_optuna(points: list[tuple[float, ...]]) -> set[tuple[float, ...]]:
    study = optuna.create_study(directions=["minimize", "minimize", "maximize"])
    for point in points:
        study.add_trial(optuna.trial.create_trial(values=list(point)))
    return {tuple(trial.values) for trial in study.best_trials}


def test_page_report_and_python_give_the_same_front(
    tmp_path: Path, client_of: Callable[..., Any]
) -> None:
    with open_store(tmp_path) as store:
        sweep = several(store)
        document = make_report(store, sweep.id)
        runs = store.runs(sweep_id=sweep.id)
        front = th.open_sweep(sweep.id, store).front
    names = ("val_risk", "size", "speed")
    whole = [run for run in runs if len(run.metrics) == 3]
    best = best_by_optuna([tuple(run.metrics[name] for name in names) for run in whole])
    answer = client_of(tmp_path).get(f"/api/sweeps/{sweep.id}").json()["front"]
    assert {tuple(point["values"]) for point in answer["points"]} == best
    assert (answer["among"], answer["replicated"]) == (30, False)
    assert {tuple(s.group.metrics[n]["median"] for n in names) for s in front} == best
    [grid] = [grid for grid in document.grids if grid.title == "Pareto front"]
    assert {tuple(row[f"{n}.median"] for n in names) for row in grid.rows} == best
    assert f"{len(best)} of 30 settings are on the Pareto front" in render(document, "md")
    assert [p.name for p in document.pictures][:3] == ["front-1-2", "front-1-3", "front-2-3"]


def test_replicated_settings_are_on_the_front_by_their_medians(
    tmp_path: Path, client_of: Callable[..., Any]
) -> None:
    with open_store(tmp_path) as store:
        sweep = several(store, seeds=3)
        groups = th.open_sweep(sweep.id, store).settings
    names = ("val_risk", "size", "speed")
    known = [[s.group.metrics.get(n, {}).get("median") for n in names] for s in groups]
    best = best_by_optuna([tuple(row) for row in known if None not in row])
    answer = client_of(tmp_path).get(f"/api/sweeps/{sweep.id}").json()["front"]
    assert {tuple(point["values"]) for point in answer["points"]} == best
    assert {len(point["ids"]) for point in answer["points"]} == {3}


@pytest.mark.browser
def test_the_page_draws_the_front(tmp_path: Path, look: Callable[..., Any]) -> None:
    with open_store(tmp_path) as store:
        sweep = several(store)
    with serving(tmp_path) as url:
        page = look(url).open(f"/sweep/{sweep.id}")
        panel = page.locator("section[aria-label='Pareto front']")
        assert panel.locator("canvas").count() == 1
        link = panel.locator("table a").first
        assert link.get_attribute("href").startswith("/run/")
        assert "maximize speed" in page.locator(".head").inner_text()
        panel.locator("select").nth(1).select_option("speed")
        assert "PARETO FRONT" in page.locator(".tiles").inner_text().upper()
