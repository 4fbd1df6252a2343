"""Runs and settings that share the first place: every line that names the best says how many."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

# The lines of a live screen are read without a terminal.
from thetahat.cli.terminal._live import Window
from thetahat.cli.terminal._sweep_progress import View
from thetahat.cli.terminal._sweep_screen import block, plain
from thetahat.cli.terminal._sweep_status import SweepWatch
from thetahat.search import Objective
from thetahat.store import (
    NewSweep,
    Store,
    SweepRow,
    create_sweep,
    find_sweep,
    open_store,
    set_state,
)
from thetahat.sweep.agent import Tally

TEXT = """\
program: train.py
method: grid
metric: {name: loss}
parameters: {lr: {values: [1, 2, 3, 4]}}
"""
LOSSES = {1: 0.5, 2: 0.25, 3: 0.25, 4: 0.25}


@pytest.fixture(params=[1, 2], ids=["runs", "settings"])
def tied(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Store, SweepRow, int]]:
    """A sweep of which three of four settings have the same number; and how many seeds each has."""
    seeds = request.param
    with open_store(tmp_path / "s") as store:
        plan = {"replicates": seeds, "found": {"seed": "seed"}} if seeds > 1 else {}
        sweep = create_sweep(store, NewSweep(TEXT, plan=plan, points=4 * seeds))
        for lr, loss in LOSSES.items():
            for seed in range(seeds):
                run = store.create_run({"lr": lr, "seed": seed}, sweep_id=sweep.id, point=lr)
                store.finish_run(run.id, status="finished", metrics={"loss": loss + 0.1 * seed})
        set_state(store, sweep.id, "finished")
        yield store, find_sweep(store, sweep.id), seeds


def test_the_live_line_and_the_log_say_how_many_are_alike(tied) -> None:
    store, sweep, seeds = tied
    watch = SweepWatch(store, sweep, Objective("loss"), "grid", (("lr",),))
    for _ in range(2):
        watch.look(at_once=True)
    now = watch.now()
    assert now.best is not None
    assert (now.best.value, now.best.tied) == (pytest.approx(0.25 + 0.05 * (seeds - 1)), 3)
    assert "; 2 more alike)" in plain(now)
    shown = [line.plain for line in block(now, Window(100, 30))]
    assert any("2 more alike" in line for line in shown)


def test_the_last_lines_say_how_many_are_alike(tied, capsys) -> None:
    store, sweep, _ = tied
    view = View(store, sweep, Objective("loss"), quiet=False, where="")
    view.summary(Tally(), as_json=False)
    assert "(the first 3 are alike):" in capsys.readouterr().out


def test_one_best_is_not_said_to_be_alike(tied, capsys) -> None:
    store, sweep, _ = tied
    metric = Objective("loss", goal="maximize")
    watch = SweepWatch(store, sweep, metric, "grid", (("lr",),))
    watch.look(at_once=True)
    View(store, sweep, metric, quiet=False, where="").summary(Tally(), as_json=False)
    assert "alike" not in plain(watch.now()) + capsys.readouterr().out
