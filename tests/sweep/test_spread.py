"""How runs lie on several devices: a worker for each, or one whose cohorts train on all of them."""

from __future__ import annotations

import os
from collections import Counter
from typing import NoReturn

import pytest
from at_work import LINE

from thetahat.core import ConfigError
from thetahat.sweep import Work

# Private: a worker's speed is stated here; a machine with several devices is not at hand.
from thetahat.sweep.workers._cohort_size import CohortSizes
from thetahat.sweep.workers._devices import cpus, only
from thetahat.sweep.workers._early_start import size_of, spread_of
from thetahat.sweep.workers._messages import Timed
from thetahat.sweep.workers._spread import COHORTS, WORKERS, DeviceSpread

FOUR = "--xla_force_host_platform_device_count=4"


def start(k: int) -> NoReturn:
    raise AssertionError("no worker is started")


def spread(**more) -> DeviceSpread:
    return DeviceSpread(4, {WORKERS: start, COHORTS: start}, **more)


def timed(size: int, each_ms: float, epochs: int = 100) -> Timed:
    return Timed(size, "vmap", each_ms * size / 1000, epochs, compile_s=1.0)


def tried(left: float = 1e5) -> DeviceSpread:
    """Four workers at 4 ms a run and epoch, whose cohorts over all devices are to be tried."""
    made = spread()
    made.consider((timed(64, 4.0), left), load_s=2.0)
    assert made.turns
    made.turn()
    assert (made.way, made.workers, made.turns) == (COHORTS, 1, False)
    return made


def test_cohorts_on_all_devices_are_kept_if_they_are_faster() -> None:
    made = tried()
    line = made.judge(timed(256, 0.8), 1e4, load_s=2.0)
    assert line == (
        "4 devices, cohorts on all of them: 0.8 ms a run and epoch in cohorts on all, 1 ms with a"
        " worker for each"
    )
    assert (made.way, made.settled, made.turns) == (COHORTS, True, False)
    # It is said once.
    assert made.judge(timed(256, 9.0), 1e4, load_s=2.0) == ""


def test_otherwise_each_device_gets_its_worker_back() -> None:
    made = tried()
    assert "a worker for each: 1.2 ms" in made.judge(timed(256, 1.2), 1e4, load_s=2.0)
    assert made.turns
    made.turn()
    assert (made.way, made.workers, made.settled) == (WORKERS, 4, True)
    made.consider((timed(64, 4.0), 1e9), load_s=2.0)
    assert not made.turns


def test_nothing_is_turned_back_for_a_few_runs() -> None:
    made = tried()
    made.judge(timed(256, 1.2), 10.0, load_s=2.0)
    assert (made.settled, made.turns) == (True, False)


@pytest.mark.parametrize("left", [0.0, 100.0, 1000.0])
def test_cohorts_are_not_tried_for_a_few_runs(left: float) -> None:
    made = spread()
    made.consider((timed(64, 0.01), left), load_s=2.0)
    assert not made.turns


def test_a_cohort_of_one_devices_size_tells_nothing_of_all() -> None:
    made = tried()
    assert made.judge(timed(64, 0.1), 1e4, load_s=2.0) == ""
    assert not made.settled


def test_a_size_that_is_still_measured_is_not_steady() -> None:
    sizes = CohortSizes(64, 256, left=lambda taken: 1e6)
    key = (("width", 4),)
    sizes.cut({key: [None] * 64}, 1)
    assert sizes.steady() is None
    sizes.learn(key, 64, timed(64, 1.0))
    assert sizes.steady() is None  # twice as many are worth trying
    assert sizes.room([0]) == 128
    sizes.cut({key: [None] * 128}, 1)
    assert sizes.steady() is None
    sizes.learn(key, 128, timed(128, 1.0))
    now, left = sizes.steady() or (None, 0.0)
    assert (now, left) == (timed(64, 1.0), 1e6)
    assert sizes.on(4, 4).start == 256


def test_a_size_that_the_user_gave_holds_on_all_devices() -> None:
    sizes = CohortSizes(10, fixed=True)
    assert sizes.on(4, 4) is sizes


@pytest.mark.parametrize(
    ("work", "n", "size", "way", "settled"),
    [
        (Work(), 4, 4, WORKERS, False),
        (Work(spread=WORKERS), 4, 4, WORKERS, True),
        (Work(spread=COHORTS), 4, 1, COHORTS, True),
        (Work(workers=4), 4, 4, WORKERS, False),
        (Work(workers=2), 4, 2, None, None),
        (Work(), 1, None, None, None),
    ],
)
def test_what_was_asked_for_is_done(monkeypatch, work, n, size, way, settled) -> None:
    monkeypatch.setenv("XLA_FLAGS", f"--xla_force_host_platform_device_count={n}")
    found = size_of(work, None, experiment=True)
    assert size is None or found == size
    made = spread_of(work, found, start, start, fixed=False)
    assert (made and made.way, made and made.settled) == (way, settled)


def test_a_search_that_learns_tries_nothing(monkeypatch) -> None:
    monkeypatch.setenv("XLA_FLAGS", FOUR)
    made = spread_of(Work(), 4, start, start, fixed=True)
    assert made is not None
    assert made.settled


def test_processes_are_not_counted_by_the_devices_of_a_cpu(monkeypatch) -> None:
    without = size_of(Work(), None)
    monkeypatch.setenv("XLA_FLAGS", FOUR)
    assert size_of(Work(), None) == without


def test_devices_of_a_cpu_are_given_to_workers_by_its_flag() -> None:
    environment = {"XLA_FLAGS": f"--a=1 {FOUR} --b=2"}
    assert cpus(environment) == ("cpu0", "cpu1", "cpu2", "cpu3")
    one = {"XLA_FLAGS": "--a=1 --xla_force_host_platform_device_count=1 --b=2"}
    assert only(["cpu2"], environment) == one
    assert only(cpus(environment), environment) == environment
    assert cpus(one) == ()
    assert only(["0", "GPU-5a"], {}) == {"CUDA_VISIBLE_DEVICES": "0,GPU-5a"}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"spread": "cohort"}, "--spread=cohort: unknown; did you mean 'cohorts'?"),
        (
            {"spread": "cohorts", "workers": 3},
            "--spread=cohorts has one worker, and --workers=3 asks for more; leave out one of them",
        ),
    ],
)
def test_what_cannot_be_done_is_refused(given, message) -> None:
    with pytest.raises(ConfigError) as error:
        Work(**given)
    assert str(error.value) == message


TWO = "--xla_force_host_platform_device_count=2"
SEARCH = "program: train.py\nmethod: random\nrun_cap: 48\nparameters: {lr: {min: 0.01, max: 0.1}}"
TRIES = """\
from thetahat.sweep.agent import _launch
from thetahat.sweep.workers import _spread
_launch.TOGETHER, _launch.MOST = 4, 4
_spread.ROUNDS, _spread.MARGIN = 1, 1e9
"""
"""Cohorts of four, with which cohorts on all devices are tried at once, and are never worth it."""


def lies(at) -> Counter:
    """By how runs lay on the devices, with how many on each: the number of runs."""
    facts = [at.run(run).provenance for run in at.runs()]
    return Counter((one.get("spread"), one.get("members_per_device")) for one in facts)


@pytest.mark.slow
def test_cohorts_on_all_devices_are_tried_with_runs_of_the_sweep(at) -> None:
    at.sweep(SEARCH, LINE)
    flags = f"{TWO} {os.environ.get('XLA_FLAGS', '')}"
    code, _, err = at.code(TRIES, "sweep", "sweep.yaml", "--run", XLA_FLAGS=flags)
    assert code == 0, err
    assert "note: 2 devices, " in err
    found = lies(at)
    assert set(found) == {("workers", None), ("cohorts", 4)}
    assert sum(found.values()) == 48
    assert {(str(run.status), run.attempt) for run in at.runs()} == {("finished", 1)}


@pytest.mark.slow
def test_cohorts_on_all_devices_can_be_asked_for(at) -> None:
    at.sweep(SEARCH.replace("48", "10"), LINE)
    flags = f"{TWO} {os.environ.get('XLA_FLAGS', '')}"
    words = ("sweep", "sweep.yaml", "--run", "--spread", "cohorts")
    code, _, err = at.call(*words, XLA_FLAGS=flags)
    assert code == 0, err
    assert lies(at) == {("cohorts", 5): 10}
