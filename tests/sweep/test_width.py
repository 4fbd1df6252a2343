"""How many runs train together: decisions over given timings, and not over the clock."""

from __future__ import annotations

import json

import pytest

from thetahat.sweep import SweepOptions, parse_sweep
from thetahat.sweep.agent._launch import MOST, TOGETHER, Found, widths_of
from thetahat.sweep.workers._cohort_size import (
    Widths,
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


def test_twice_as_many_pay_when_an_epoch_of_one_costs_a_tenth_less() -> None:
    assert timed(64, 1.0).each_s == pytest.approx(0.001)
    assert pays(timed(64, 1.0), timed(128, 0.89))
    assert not pays(timed(64, 1.0), timed(128, 0.91))
    # Ninety members tell nothing of what twice 64 would bring.
    assert not pays(timed(64, 1.0), timed(90, 0.5))
    assert pays(timed(64, 1.0), timed(96, 0.5))


def test_widths_double_as_long_as_that_pays() -> None:
    assert settled({}, 64) == 64
    assert settled(table(w64=1.0), 64) == 64
    assert settled(table(w64=1.0, w128=0.6, w256=0.4, w512=0.39), 64) == 256
    # Beyond a width that did not pay nothing is believed.
    assert settled(table(w64=1.0, w128=1.2, w256=0.1), 64) == 64
    # A gap: nobody knows what 128 would do.
    assert settled(table(w64=1.0, w256=0.1), 64) == 64


def test_runs_that_are_left_must_pay_for_a_trial() -> None:
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


def test_members_that_train_one_by_one_try_nothing() -> None:
    assert not worth_trying({64: timed(64, 1.0, "map")}, 64, float("inf"))
    assert not worth_trying({}, 64, float("inf"))
    both = {64: timed(64, 1.0), 128: timed(128, 0.5, "map")}
    assert settled(both, 64) == 128
    assert not worth_trying(both, 64, float("inf"))


def test_towards_its_end_no_worker_takes_what_others_could_begin() -> None:
    assert fair(256, 64, float("inf")) == 256
    assert [fair(256, 64, left) for left in (256, 255, 128, 127, 3, 0)] == [256, 128, 128] + [
        64
    ] * 3


def test_of_two_measurements_the_one_of_more_members_or_the_faster() -> None:
    assert better(None, timed(64, 2.0)) == timed(64, 2.0)
    assert better(timed(40, 1.0), timed(64, 2.0)) == timed(64, 2.0)
    assert better(timed(64, 2.0), timed(40, 1.0)) == timed(64, 2.0)
    again = Timed(64, "vmap", 0.032, 2000, 0.0)
    # The program was there already: what it cost is known from the first time.
    assert better(timed(64, 2.0), again) == Timed(64, "vmap", 0.032, 2000, 3.0)
    assert better(again, timed(64, 2.0)) == Timed(64, "vmap", 0.032, 2000, 3.0)


def test_every_worker_gets_a_part() -> None:
    assert cut(100, 64, 2) == [50, 50]
    assert cut(150, 64, 2) == [64, 64, 22]
    assert cut(5, 64, 1) == [5]
    assert cut(0, 64, 2) == []
    assert cut(3, 64, 8) == [1, 1, 1]


def begin(widths: Widths, n: int, free: int = 1, key=NET) -> list[tuple[int, int]]:
    return widths.cut({key: [None] * n}, free)[key]


def test_a_worker_tries_twice_as_many_and_what_it_finds_decides_for_all() -> None:
    widths = Widths(64, 4096)
    assert widths.room([0, 0]) == 128
    assert begin(widths, 128, 2) == [(64, 64), (64, 64)]
    assert widths.room([64, 64]) == 0
    assert widths.learn(NET, 64, timed(64, 1.3)) == ""
    # The first that is free is given twice as many; the other, meanwhile, what it had.
    assert widths.room([0, 64]) == 128
    assert begin(widths, 128) == [(128, 128)]
    assert widths.room([128, 0]) == 64
    assert begin(widths, 64) == [(64, 64)]
    line = widths.learn(NET, 128, timed(128, 0.8))
    assert line == "asks for 128 runs together: 0.8 ms a run and epoch, 1.3 ms at 64"
    assert widths.learn(NET, 128, timed(128, 0.79)) == ""
    assert widths.ask() == 128
    # On to 256, which is slower: back to 128, for good.
    assert widths.room([0, 65]) == 256
    assert begin(widths, 256) == [(256, 256)]
    line = widths.learn(NET, 256, timed(256, 1.25))
    assert line == "asks for 128 runs together: 0.79 ms a run and epoch, 1.25 ms at 256"
    assert widths.room([0, 0]) == 256
    assert begin(widths, 256, 2) == [(128, 128), (128, 128)]


def test_a_width_that_was_slow_by_chance_is_taken_up_again() -> None:
    widths = Widths(64, 4096, timed={NET: {64: timed(64, 1.0)}})
    begin(widths, 64)
    widths.room([0])
    begin(widths, 128)
    assert widths.learn(NET, 128, timed(128, 1.1)).startswith("asks for 64 runs together: 1 ms")
    assert widths.learn(NET, 128, timed(128, 0.5)).startswith("asks for 128 runs together: 0.5 ms")
    # And given up again: what was measured at 64 was slow.
    line = widths.learn(NET, 64, timed(64, 0.4))
    assert line == "asks for 64 runs together: 0.4 ms a run and epoch, 0.5 ms at 128"


def test_a_trial_takes_nothing_from_a_worker_that_is_free() -> None:
    for n, cohorts in {
        192: [(128, 128), (64, 64)],
        130: [(98, 128), (32, 64)],
        # Too few came for both: no trial, and a part for each.
        100: [(50, 64), (50, 64)],
    }.items():
        widths = Widths(64, 4096, timed={NET: {64: timed(64, 1.0)}})
        begin(widths, 64)
        assert widths.room([0, 0]) == 192
        assert begin(widths, n, 2) == cohorts


def test_a_trial_is_whole_beside_survivors() -> None:
    widths = Widths(64, 4096, timed={NET: {64: timed(64, 1.0)}})
    begin(widths, 64)
    assert widths.room([30, 64]) == 128
    assert widths.room([33, 64]) == 0


def test_what_is_left_bounds_what_is_asked_for() -> None:
    left = {64: 10_000.0}
    widths = Widths(64, 4096, left=lambda taken: left.get(taken, 100.0))
    begin(widths, 64)
    widths.learn(NET, 64, timed(64, 1.0))
    assert widths.room([0]) == 128
    begin(widths, 128)
    widths.learn(NET, 128, timed(128, 0.5))
    # 192 are taken, 100 are left for each worker: nothing wide is begun any more.
    assert widths.ask() == 128
    assert widths.room([0]) == 64


def test_memory_bounds_what_is_tried() -> None:
    widths = Widths(64, 4096, timed={NET: {64: timed(64, 1.0)}}, fits={NET: 100})
    begin(widths, 64)
    assert widths.room([0]) == 64
    # What fits is less than was to train together at first.
    widths.fits[NET] = 10
    assert begin(widths, 25) == [(10, 64), (10, 64), (5, 64)]
    narrow = Widths(64, 4096, fits={NET: 10})
    assert narrow.learn(NET, 64, timed(10, 1.0)) == ""
    assert narrow.learn(NET, 0, timed(10, 1.0)) == ""
    assert list(narrow.timed[NET]) == [64]


def test_a_trial_that_told_nothing_is_not_repeated() -> None:
    widths = Widths(64, 4096, timed={NET: {64: timed(64, 1.0)}})
    begin(widths, 64)
    assert widths.room([0]) == 128
    assert begin(widths, 128) == [(128, 128)]
    # Its worker died, say.
    assert widths.room([0]) == 64


def test_every_program_has_a_width_of_its_own() -> None:
    widths = Widths(64, 4096)
    widths.cut({NET: [None] * 30, WIDE: [None] * 34}, 1)
    widths.learn(NET, 64, timed(30, 1.0))
    widths.learn(WIDE, 64, timed(34, 5.0, "map"))
    assert widths.room([0]) == 128
    cohorts = widths.cut({NET: [None] * 60, WIDE: [None] * 68}, 1)
    assert cohorts == {NET: [(60, 128)], WIDE: [(64, 64), (4, 64)]}
    line = widths.learn(NET, 128, timed(60, 0.5))
    assert line == ("asks for 128 runs of width=16 together: 0.5 ms a run and epoch, 1 ms at 64")
    assert (widths.of(NET), widths.of(WIDE), widths.ask()) == (128, 64, 128)


def test_seconds_are_said_as_such() -> None:
    widths = Widths(2, 4, timed={NET: {2: timed(2, 2500.0)}})
    line = widths.learn(NET, 4, timed(4, 3000.0))
    assert line == "asks for 2 runs together: 2.5 s a run and epoch, 3 s at 4"


@pytest.mark.parametrize(
    ("method", "flags", "bounds"),
    [
        ("grid", {}, (TOGETHER, MOST)),
        ("random", {"exact": True}, (TOGETHER, MOST)),
        ("random", {"cohort": 8}, (8, 0)),
        ("grid", {"mode": "worker"}, (1, 0)),
        ("bayes", {}, (4, 0)),
        ("bayes", {"sampler": "qmc"}, (TOGETHER, MOST)),
    ],
)
def test_who_may_be_asked_for_more(method, flags, bounds) -> None:
    parameters = {"lr": {"values": [0.1, 0.2]}}
    spec = {"program": "train.py", "method": method, "parameters": parameters}
    text = json.dumps({**spec, "metric": {"name": "val_risk"}})
    found = parse_sweep(text, "sweep.yaml").require()
    widths = widths_of(found, SweepOptions(**flags), Found(traced=("lr",)))
    assert (widths.start, widths.most) == bounds
