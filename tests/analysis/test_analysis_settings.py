"""The unit is the setting: which runs count, what leads, what of few values is said, where bands end."""

from __future__ import annotations

import math
import random

import pytest

from thetahat.analysis import (
    all_same,
    band_words,
    curve_band,
    ending,
    group_runs,
    may_repeat,
    read_file,
    read_study,
    running_best,
    seeds_of,
    settled,
    spread_of,
    standings,
)
from thetahat.core.run import Status
from thetahat.store import NewSweep, create_sweep, open_store, shared_orders, tried_runs

GRID = """\
program: p.py
method: grid
metric: {name: val_risk, goal: minimize}
parameters:
  lr: {values: [0.1, 1.0]}
"""
COUNTED = {"replicates": 10, "found": {"seed": "draw"}}


@pytest.fixture
def store(tmp_path):
    with open_store(tmp_path / "st") as opened:
        yield opened


def add(store, sweep, config, status, value=None, **more):
    run = store.create_run(config, sweep_id=sweep.id)
    metrics = {} if value is None else {"val_risk": value}
    store.finish_run(run.id, status=status, metrics=metrics, **more)
    return run.id


@pytest.fixture
def lucky(store):
    """lr 0.1: ten runs about .5; lr 1: four diverged, five about .78, and one lucky run at .3."""
    sweep = create_sweep(store, NewSweep(GRID, "lucky", plan=COUNTED, points=20))
    for draw in range(10):
        add(store, sweep, {"lr": 0.1, "draw": draw}, "finished", 0.5 + 0.01 * draw)
    for draw in range(10):
        if draw < 4:
            add(store, sweep, {"lr": 1.0, "draw": draw}, "diverged", math.nan)
        else:
            value = 0.3 if draw == 9 else 0.78 + 0.01 * draw
            add(store, sweep, {"lr": 1.0, "draw": draw}, "finished", value)
    return sweep


# -- how a run counts -----------------------------------------------------------------------------


def test_every_status_is_exactly_one_of_well_failed_and_unfinished() -> None:
    for status in Status:
        assert status.well + status.failed + status.unfinished == 1
    assert {s for s in Status if s.well} == {Status.FINISHED, Status.STOPPED}
    assert {s for s in Status if s.failed} == {Status.FAILED, Status.DIVERGED, Status.REJECTED}


@pytest.mark.parametrize("status", ["cancelled", "interrupted", "unmoved", "failed", "diverged"])
def test_a_run_that_did_not_end_well_has_no_say(store, status) -> None:
    sweep = create_sweep(store, NewSweep(GRID, "s"))
    good = add(store, sweep, {"lr": 0.1, "seed": 0}, "finished", 0.5)
    add(store, sweep, {"lr": 0.1, "seed": 1}, status, 0.001)
    add(store, sweep, {"lr": 1.0, "seed": 0}, status, 0.002)
    study = read_study(store, sweep)
    failed = status in ("failed", "diverged")
    assert [run.id for run in study.counted] == [good]
    assert study.best is not None
    assert study.best.median == 0.5
    group = study.best.group
    assert (group.runs, group.failed, group.unfinished) == (2, int(failed), int(not failed))
    assert group.metrics["val_risk"]["n"] == 1
    assert study.ends == {"well": 1, "failed" if failed else "unfinished": 2}
    assert ("f" if failed else "u") in study.best.marks
    lead = standings(tried_runs(store, sweep.id), ["seed"], "val_risk", 1)[0]
    assert lead.spread is not None
    assert (lead.spread.n, lead.spread.median) == (1, 0.5)
    assert good in lead.ids


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_finished_run_without_a_finite_metric_has_failed(store, value) -> None:
    sweep = create_sweep(store, NewSweep(GRID, "s"))
    add(store, sweep, {"lr": 0.1, "seed": 0}, "finished", value)
    add(store, sweep, {"lr": 0.1, "seed": 1}, "finished", 0.5)
    first, second = store.runs()
    assert (ending(first, "val_risk"), ending(second, "val_risk")) == ("failed", "well")
    assert ending(first, "another") == "well"
    (group,) = group_runs(store.runs(), ["seed"], metric="val_risk")
    assert (group.runs, group.failed, group.metrics["val_risk"]["n"]) == (2, 1, 1)


def test_a_run_that_failed_at_its_start_counts_in_its_setting(store) -> None:
    sweep = create_sweep(store, NewSweep(GRID, "s"))
    for lr in (0.1, 1.0):
        for seed in range(3):
            add(store, sweep, {"lr": lr, "N": 50, "seed": seed}, "finished", lr)
    # It failed before its defaults were known, and before it had a seed.
    add(store, sweep, {"lr": 1.0}, "failed")
    study = read_study(store, sweep)
    assert study.parameters == ["lr"]
    assert [(s.config["lr"], len(s.runs), s.group.failed) for s in study.settings] == [
        (0.1, 3, 0),
        (1.0, 4, 1),
    ]


@pytest.mark.parametrize("status", ["failed", "cancelled", "diverged"])
def test_a_run_that_failed_at_its_start_counts_where_no_run_of_its_setting_ended_well(
    store, status
) -> None:
    sweep = create_sweep(store, NewSweep(GRID, "s"))
    for seed in range(3):
        add(store, sweep, {"lr": 0.1, "N": 50, "M": 2, "seed": seed}, "finished", 0.1)
    add(store, sweep, {"lr": 1.0}, status)
    add(store, sweep, {"lr": 1.0, "N": 50}, status)
    add(store, sweep, {"lr": 1.0, "N": 50, "M": 2, "seed": 0}, "diverged", math.nan)
    add(store, sweep, {"lr": 1.0, "N": 50, "M": 2, "seed": 1}, "failed")
    study = read_study(store, sweep)
    assert study.parameters == ["lr"]
    counts = [(s.config, s.group.runs, s.group.failed + s.group.unfinished) for s in study.settings]
    assert counts == [({"lr": lr, "N": 50, "M": 2}, n, k) for lr, n, k in ((0.1, 3, 0), (1, 4, 4))]
    (_, lost) = standings(tried_runs(store, sweep.id), ["seed"], "val_risk", 1)
    assert (lost.runs, lost.failed + lost.unfinished, lost.spread) == (4, 4, None)


def test_a_run_that_failed_at_its_start_stays_alone_where_two_settings_may_be_its_own(
    store,
) -> None:
    sweep = create_sweep(store, NewSweep(GRID, "s"))
    for n in (50, 60):
        add(store, sweep, {"lr": 0.1, "N": n, "seed": 0}, "finished", n)
    add(store, sweep, {"lr": 0.1}, "failed")
    found = standings(tried_runs(store, sweep.id), ["seed"], "val_risk", 1)
    assert [(one.config, one.runs, one.failed) for one in found] == [
        ({"lr": 0.1, "N": 50}, 1, 0),
        ({"lr": 0.1, "N": 60}, 1, 0),
        ({"lr": 0.1}, 1, 1),
    ]


# -- what leads -----------------------------------------------------------------------------------


def test_the_best_setting_leads_and_never_its_luckiest_run(store, lucky) -> None:
    assert may_repeat(lucky, read_file(lucky.spec))
    runs = tried_runs(store, lucky.id)
    assert seeds_of(lucky, ["lr", "draw", "data.seed"]) == ["draw", "data.seed"]
    first, second = standings(runs, ["draw"], "val_risk", 1, replicates=10)
    assert first.config == {"lr": 0.1}
    assert first.spread is not None
    assert (first.spread.n, first.spread.median) == (10, pytest.approx(0.545))
    assert (second.failed, second.spread and second.spread.n) == (4, 6)
    study = read_study(store, lucky)
    assert study.seeds == ["draw"]
    assert study.best is not None
    assert study.best.config == {"lr": 0.1}
    assert study.leading_runs[0].config["lr"] == 0.1
    assert [value for _, value in study.units] == [
        pytest.approx(0.545),
        pytest.approx(second.spread.median if second.spread else 0),
    ]


def test_one_lucky_run_of_a_setting_that_diverges_does_not_lead(store) -> None:
    sweep = create_sweep(store, NewSweep(GRID, "s"))
    for seed in range(4):
        add(store, sweep, {"lr": 0.1, "seed": seed}, "finished", 0.5)
        status, value = ("finished", 0.01) if seed == 3 else ("diverged", math.nan)
        add(store, sweep, {"lr": 1.0, "seed": seed}, status, value)
    assert not settled(1, 4)
    assert settled(2, 4)
    assert not settled(1, 1, replicates=10)
    study = read_study(store, sweep)
    assert [setting.config["lr"] for setting in study.settings] == [0.1, 1.0]


def test_the_best_so_far_takes_settings_once_all_their_runs_are_there(store, lucky) -> None:
    found = standings(tried_runs(store, lucky.id), ["draw"], "val_risk", 1, replicates=10)
    assert running_best(found, 1, lambda one: one.number) == [(10, pytest.approx(0.545))]
    steps = running_best(found, -1, lambda one: one.number)
    assert [at for at, _ in steps] == [10, 20]


@pytest.mark.parametrize(
    ("name", "plan"),
    [
        ("seed", {}),
        ("random_state", {}),
        ("net.random-seed", {}),
        ("draw", {"found": {"seeds": ["draw"]}}),
        ("draw", COUNTED),
    ],
)
def test_whatever_a_seed_is_called_its_luckiest_run_does_not_lead(store, name, plan) -> None:
    file = GRID + f"  {name}: {{values: [0, 1, 2, 3, 4]}}\n"
    sweep = create_sweep(store, NewSweep(file, "s", plan=plan))
    for k in range(5):
        luck = {"net": {"random-seed": k}} if "." in name else {name: k}
        add(store, sweep, {"lr": 0.1, **luck}, "finished", 0.5 + 0.01 * k)
        add(store, sweep, {"lr": 1.0, **luck}, "finished", 0.3 if k == 3 else 0.8 + 0.01 * k)
    assert may_repeat(sweep, read_file(sweep.spec))
    study = read_study(store, sweep)
    assert (study.seeds, study.parameters) == ([name], ["lr"])
    assert [s.config for s in study.settings] == [{"lr": 0.1}, {"lr": 1.0}]
    assert [s.median for s in study.settings] == pytest.approx([0.52, 0.81])


# -- few values -----------------------------------------------------------------------------------


def test_of_few_values_the_least_and_the_greatest_are_said() -> None:
    two = spread_of([1.974, 0.799])
    assert (two.low, two.high, two.says) == (0.799, 1.974, "least to greatest")
    five = spread_of([1.0, 2.0, 3.0, 4.0, 5.0])
    assert (five.low, five.high, five.says) == (1.4, 4.6, "10 to 90 %")
    assert band_words(two) == "least to greatest: 0.799 to 1.974"
    assert band_words(spread_of([1.0])) == "one run"


# -- bands ----------------------------------------------------------------------------------------


def test_a_band_ends_where_fewer_than_three_runs_or_half_of_them_are_left() -> None:
    rng = random.Random(0)
    curves = [{x: rng.random() for x in range(1, n + 1)} for n in (10, 20, 100)]
    band = curve_band(curves)
    assert (band.x[-1], set(band.n), band.least) == (10, {3}, 3)
    ten = [{x: rng.random() for x in range(1, 11)} for _ in range(4)]
    ten += [{x: rng.random() for x in range(1, 21)} for _ in range(6)]
    band = curve_band(ten)
    assert band.changes() == [(1, 10), (11, 6)]
    assert all(low < high for low, high in zip(band.low, band.high, strict=True))
    # Four of ten failed and gave no curve: six are left, then four of ten are too few.
    band = curve_band([*ten[:4], *ten[4:6]], began=10)
    assert (band.x[-1], set(band.n)) == (10, {6})
    assert curve_band(ten[:4], began=10).x == []


def test_values_that_are_not_finite_make_no_band() -> None:
    curves = [{1: 1.0, 2: math.nan}, {1: 2.0, 2: None}, {1: 3.0, 2: 2.0}]
    assert curve_band(curves).x == [1]


# -- the order of batches -------------------------------------------------------------------------


def test_seeds_that_share_the_order_of_batches_are_marked(store) -> None:
    sweep = create_sweep(store, NewSweep(GRID, "s"))
    ids = [
        add(store, sweep, {"lr": 0.1, "seed": k}, "finished", 0.5 + k, detail=detail)
        for k, detail in enumerate(({"batch_order": "shared"}, {"batch_order": "shared"}, {}))
    ]
    add(store, sweep, {"lr": 1.0, "seed": 0}, "finished", 2.0, detail={"batch_order": "own"})
    assert shared_orders(store) == frozenset(ids[:2]) == shared_orders(store, sweep.id)
    study = read_study(store, sweep)
    assert [setting.group.shared_order for setting in study.settings] == [True, False]
    assert "o" in study.settings[0].marks


def test_seeds_that_change_nothing_are_marked(store) -> None:
    sweep = create_sweep(store, NewSweep(GRID, "s"))
    for lr, by_seed in ((0.1, 0.0), (1.0, 1e-12)):
        for k in range(3):
            add(store, sweep, {"lr": lr, "seed": k}, "finished", lr + by_seed * k)
    add(store, sweep, {"lr": 2.0, "seed": 0}, "finished", 9.0)
    study = read_study(store, sweep)
    assert ["i" in setting.marks for setting in study.settings] == [True, False, False]
    groups = [setting.group for setting in study.settings]
    assert not all_same(groups)
    assert all_same([groups[0], groups[2]])
    assert not all_same([groups[2]])
