"""How many runs train together: decisions over given timings, and not over the clock."""

from __future__ import annotations

import json

import pytest

from thetahat.sweep import SweepOptions, parse_sweep
from thetahat.sweep.agent import Found

# Sizes are pure functions of speeds, which are given here.
from thetahat.sweep.agent._launch import MOST, TOGETHER, cohort_sizes
from thetahat.sweep.workers._cohort_size import (
    CohortSizes,
    better,
    cut,
    fair,
    pays,
    settled,
    worth_trying,
)
from thetahat.sweep.workers._messages import Timed

NET = (("batch", "32"), ("width", "16"))
WIDE = (("batch", "32"), ("width", "64"))


def timed(size: int, each_ms: float, mode: str = "vmap", epochs: int = 1000) -> Timed:
    """A cohort of so many members, milliseconds of an epoch each; three seconds to compile."""
    return Timed(size, mode, size * each_ms / 1000, epochs, 3.0)


def table(**each_ms: float) -> dict[int, Timed]:
    return {int(name[1:]): timed(int(name[1:]), ms) for name, ms in each_ms.items()}


def test_pays_if_an_epoch_of_a_run_takes_a_tenth_less() -> None:
    assert timed(64, 1.0).each_s == pytest.approx(0.001)
    assert pays(timed(64, 1.0), timed(128, 0.89))
    assert not pays(timed(64, 1.0), timed(128, 0.91))
    # Ninety members tell nothing of what twice 64 would bring.
    assert not pays(timed(64, 1.0), timed(90, 0.5))
    assert pays(timed(64, 1.0), timed(96, 0.5))


def test_settled_doubles_as_long_as_that_pays() -> None:
    assert settled({}, 64) == 64
    assert settled(table(w64=1.0), 64) == 64
    assert settled(table(w64=1.0, w128=0.6, w256=0.4, w512=0.39), 64) == 256
    # Beyond a width that did not pay nothing is believed.
    assert settled(table(w64=1.0, w128=1.2, w256=0.1), 64) == 64
    # A gap: 128 is unknown.
    assert settled(table(w64=1.0, w256=0.1), 64) == 64


def test_worth_trying_if_the_runs_left_pay_for_compiling() -> None:
    # A run takes a second, a tenth of it would be spared, and compiling takes three seconds.
    second = table(w64=1.0)
    assert worth_trying(second, 64, 512)
    # Rounds enough must be left to forget a trial that was slow.
    assert not worth_trying(second, 64, 511)
    short = {64: timed(64, 1.0, epochs=50)}
    assert not worth_trying(short, 64, 600)
    assert worth_trying(short, 64, 601)
    assert worth_trying(short, 64, float("inf"))
    # What the last doubling has spared, a half, is expected of the next one.
    grown = {64: timed(64, 0.1, epochs=50), 128: timed(128, 0.05, epochs=50)}
    assert worth_trying(grown, 64, 2401)
    assert not worth_trying(grown, 64, 2399)


def test_not_worth_trying_if_members_train_one_by_one() -> None:
    assert not worth_trying({64: timed(64, 1.0, "exact")}, 64, float("inf"))
    assert not worth_trying({}, 64, float("inf"))
    both = {64: timed(64, 1.0), 128: timed(128, 0.5, "exact")}
    assert settled(both, 64) == 128
    assert not worth_trying(both, 64, float("inf"))


def test_fair_halves_the_size_towards_the_end() -> None:
    assert fair(256, 64, float("inf")) == 256
    assert [fair(256, 64, left) for left in (256, 255, 128, 127, 3, 0)] == [256, 128, 128] + [
        64
    ] * 3


def test_better_prefers_more_members_then_the_faster() -> None:
    assert better(None, timed(64, 2.0)) == timed(64, 2.0)
    assert better(timed(40, 1.0), timed(64, 2.0)) == timed(64, 2.0)
    assert better(timed(64, 2.0), timed(40, 1.0)) == timed(64, 2.0)
    again = Timed(64, "vmap", 0.032, 2000, 0.0)
    # The program was there already: what it cost is known from the first time.
    assert better(timed(64, 2.0), again) == Timed(64, "vmap", 0.032, 2000, 3.0)
    assert better(again, timed(64, 2.0)) == Timed(64, "vmap", 0.032, 2000, 3.0)


def test_cut_gives_every_worker_a_part() -> None:
    assert cut(100, 64, 2) == [50, 50]
    assert cut(150, 64, 2) == [64, 64, 22]
    assert cut(5, 64, 1) == [5]
    assert cut(0, 64, 2) == []
    assert cut(3, 64, 8) == [1, 1, 1]


def begin(sizes: CohortSizes, n: int, free: int = 1, key=NET) -> list[tuple[int, int]]:
    return sizes.cut({key: [None] * n}, free)[key]


def test_one_worker_tries_a_doubling_that_decides_for_all() -> None:
    sizes = CohortSizes(64, 4096)
    assert sizes.room([0, 0]) == 128
    assert begin(sizes, 128, 2) == [(64, 64), (64, 64)]
    assert sizes.room([64, 64]) == 0
    assert sizes.learn(NET, 64, timed(64, 1.3)) == ""
    # The first that is free is given twice as many; the other, meanwhile, what it had.
    assert sizes.room([0, 64]) == 128
    assert begin(sizes, 128) == [(128, 128)]
    assert sizes.room([128, 0]) == 64
    assert begin(sizes, 64) == [(64, 64)]
    line = sizes.learn(NET, 128, timed(128, 0.8))
    assert line == "asks for 128 runs together: 0.8 ms a run and epoch, 1.3 ms at 64"
    assert sizes.learn(NET, 128, timed(128, 0.79)) == ""
    assert sizes.ask() == 128
    # On to 256, which is slower: back to 128, for good.
    assert sizes.room([0, 65]) == 256
    assert begin(sizes, 256) == [(256, 256)]
    line = sizes.learn(NET, 256, timed(256, 1.25))
    assert line == "asks for 128 runs together: 0.79 ms a run and epoch, 1.25 ms at 256"
    assert sizes.room([0, 0]) == 256
    assert begin(sizes, 256, 2) == [(128, 128), (128, 128)]


def test_a_size_that_was_slow_by_chance_is_used_again() -> None:
    sizes = CohortSizes(64, 4096, timed={NET: {64: timed(64, 1.0)}})
    begin(sizes, 64)
    sizes.room([0])
    begin(sizes, 128)
    assert sizes.learn(NET, 128, timed(128, 1.1)).startswith("asks for 64 runs together: 1 ms")
    assert sizes.learn(NET, 128, timed(128, 0.5)).startswith("asks for 128 runs together: 0.5 ms")
    # And given up again: what was measured at 64 was slow.
    line = sizes.learn(NET, 64, timed(64, 0.4))
    assert line == "asks for 64 runs together: 0.4 ms a run and epoch, 0.5 ms at 128"


def test_a_trial_leaves_runs_for_free_workers() -> None:
    for n, cohorts in {
        192: [(128, 128), (64, 64)],
        130: [(98, 128), (32, 64)],
        # Too few came for both: no trial, and a part for each.
        100: [(50, 64), (50, 64)],
    }.items():
        sizes = CohortSizes(64, 4096, timed={NET: {64: timed(64, 1.0)}})
        begin(sizes, 64)
        assert sizes.room([0, 0]) == 192
        assert begin(sizes, n, 2) == cohorts


def test_a_trial_is_a_whole_cohort_beside_runs_that_still_train() -> None:
    sizes = CohortSizes(64, 4096, timed={NET: {64: timed(64, 1.0)}})
    begin(sizes, 64)
    assert sizes.room([30, 64]) == 128
    assert sizes.room([33, 64]) == 0


def test_room_is_bounded_by_the_runs_left() -> None:
    left = {64: 10_000.0}
    sizes = CohortSizes(64, 4096, left=lambda taken: left.get(taken, 100.0))
    begin(sizes, 64)
    sizes.learn(NET, 64, timed(64, 1.0))
    assert sizes.room([0]) == 128
    begin(sizes, 128)
    sizes.learn(NET, 128, timed(128, 0.5))
    # 192 are taken, 100 are left for each worker: nothing wide is begun any more.
    assert sizes.ask() == 128
    assert sizes.room([0]) == 64


def test_trials_are_bounded_by_memory() -> None:
    sizes = CohortSizes(64, 4096, timed={NET: {64: timed(64, 1.0)}}, fits={NET: 100})
    begin(sizes, 64)
    assert sizes.room([0]) == 64
    # What fits is less than was to train together at first.
    sizes.fits[NET] = 10
    assert begin(sizes, 25) == [(10, 64), (10, 64), (5, 64)]
    narrow = CohortSizes(64, 4096, fits={NET: 10})
    assert narrow.learn(NET, 64, timed(10, 1.0)) == ""
    assert narrow.learn(NET, 0, timed(10, 1.0)) == ""
    assert list(narrow.timed[NET]) == [64]


def test_a_trial_without_a_measurement_is_not_repeated() -> None:
    sizes = CohortSizes(64, 4096, timed={NET: {64: timed(64, 1.0)}})
    begin(sizes, 64)
    assert sizes.room([0]) == 128
    assert begin(sizes, 128) == [(128, 128)]
    # Its worker died, say.
    assert sizes.room([0]) == 64


def test_every_program_has_its_own_size() -> None:
    sizes = CohortSizes(64, 4096)
    sizes.cut({NET: [None] * 30, WIDE: [None] * 34}, 1)
    sizes.learn(NET, 64, timed(30, 1.0))
    sizes.learn(WIDE, 64, timed(34, 5.0, "exact"))
    assert sizes.room([0]) == 128
    cohorts = sizes.cut({NET: [None] * 60, WIDE: [None] * 68}, 1)
    assert cohorts == {NET: [(60, 128)], WIDE: [(64, 64), (4, 64)]}
    line = sizes.learn(NET, 128, timed(60, 0.5))
    assert line == ("asks for 128 runs of width=16 together: 0.5 ms a run and epoch, 1 ms at 64")
    assert (sizes.of(NET), sizes.of(WIDE), sizes.ask()) == (128, 64, 128)


def test_learn_writes_long_epochs_in_seconds() -> None:
    sizes = CohortSizes(2, 4, timed={NET: {2: timed(2, 2500.0)}})
    line = sizes.learn(NET, 4, timed(4, 3000.0))
    assert line == "asks for 2 runs together: 2.5 s a run and epoch, 3 s at 4"


@pytest.mark.parametrize(
    ("method", "flags", "bounds"),
    [
        ("grid", {}, (TOGETHER, MOST)),
        ("random", {"mode": "exact"}, (TOGETHER, MOST)),
        ("random", {"cohort": 8}, (8, 0)),
        ("grid", {"mode": "worker"}, (1, 0)),
        ("bayes", {}, (4, 0)),
        ("bayes", {"sampler": "qmc"}, (TOGETHER, MOST)),
    ],
)
def test_cohort_sizes_of_each_search_and_mode(method, flags, bounds) -> None:
    parameters = {"lr": {"values": [0.1, 0.2]}}
    spec = {"program": "train.py", "method": method, "parameters": parameters}
    text = json.dumps({**spec, "metric": {"name": "val_risk"}})
    found = parse_sweep(text, "sweep.yaml").require()
    sizes = cohort_sizes(found, SweepOptions(**flags), Found(traced=("lr",)))
    assert (sizes.start, sizes.most) == bounds
