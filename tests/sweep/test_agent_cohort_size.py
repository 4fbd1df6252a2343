"""An agent that asks for more runs together, as long as that pays, and what they give."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from at_work import LINE
from test_agent_cohorts import check_alone

# The speeds of cohorts are given, not measured.
from thetahat.sweep.agent import _launch
from thetahat.sweep.agent._launch import left_of
from thetahat.sweep.workers._cohort_size import CohortSizes

RATES = """\
program: train.py
method: random
run_cap: 60
metric: {name: val_risk}
parameters:
  lr: {min: 0.01, max: 0.1}
"""
EACH_S = {2: 0.004, 4: 0.001, 8: 0.002}
"""Of an epoch of a run, as if: 4 runs together pay, 8 do not."""


@pytest.fixture
def paced(monkeypatch):
    """Workers whose epochs take what ``EACH_S`` says, on whatever machine; starts with two."""
    learn = CohortSizes.learn

    def as_if(sizes, key, size, new):
        given = replace(new, epoch_s=EACH_S[size] * new.size, epochs=1000, compile_s=1.0)
        return learn(sizes, key, size, given)

    monkeypatch.setattr(CohortSizes, "learn", as_if)
    monkeypatch.setattr(_launch, "TOGETHER", 2)


def cohorts(runs) -> list[int]:
    """Sizes of the cohorts, in the order in which they were begun."""
    return list(Counter(run.cohort for run in runs).values())


def test_cohorts_grow_while_a_larger_size_is_faster(at, thetahat, paced) -> None:
    code, _, err = thetahat("sweep", at.sweep(RATES, LINE), "--run", "--workers", "1")
    assert code == 0
    runs = at.runs()
    assert {(str(run.status), run.attempt) for run in runs} == {("finished", 1)}
    assert cohorts(runs) == [2, 4, 8, *[4] * 11, 2]
    said = [line for line in err.splitlines() if "asks for" in line]
    assert said == [
        "note: asks for 4 runs together: 1 ms a run and epoch, 4 ms at 2",
        "note: asks for 4 runs together: 1 ms a run and epoch, 2 ms at 8",
    ]
    # One of each size, with the numbers of fits alone.
    check_alone(at, [runs[1], runs[5], runs[13], runs[20], runs[59]])


def test_exact_cohorts_stay_bitwise_and_keep_their_size(at, thetahat, paced) -> None:
    text = RATES.replace("60", "40")
    words = ("--run", "--workers", "1", "--exact")
    code, _, err = thetahat("sweep", at.sweep(text, LINE), *words)
    assert code == 0
    runs = at.runs()
    assert cohorts(runs) == [2] * 20
    assert "asks for" not in err
    check_alone(at, runs[::13], exact=True)


def test_cohorts_of_a_short_sweep_keep_their_size(at, thetahat, paced) -> None:
    text = RATES.replace("60", "10")
    code, _, err = thetahat("sweep", at.sweep(text, LINE), "--run", "--workers", "1")
    assert code == 0
    assert cohorts(at.runs()) == [2] * 5
    assert "asks for" not in err


def test_left_of_divides_runs_among_the_workers_of_all_agents(at, thetahat) -> None:
    thetahat("sweep", at.sweep(RATES, LINE))
    sweep = at.row()
    with at.store() as store:
        assert left_of(store, sweep, 2, None, 0) == 30
        assert left_of(store, sweep, 2, 50, 44) == 3
        assert left_of(store, replace(sweep, points=None), 2, None, 8) == float("inf")
        assert left_of(store, replace(sweep, points=None), 2, 10, 20) == 0
        store.create_run(sweep_id=sweep.id)
        from thetahat.store import Queue

        for name in ("a", "b", "c"):
            Queue(store, sweep.id, name).join("here", 1)
        Queue(store, sweep.id, "c").leave()
        assert left_of(store, sweep, 2, None, 0) == 59 / 4
