"""A sweep's target: which runs reach it, and what begins until then."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from children import until
from thetahat.core.run import Ended, Logged, Started, Status
from thetahat.store import Store, find_sweep, list_agents
from thetahat.sweep import SweepOptions, Work, parse_sweep
from thetahat.sweep.agent import new_sweep, work_on

GRID = """\
program: train.py
method: grid
metric: {name: loss, target: 0.01}
parameters: {lr: {values: [0.1, 0.2, 0.3, 0.4]}}
"""


class Script:
    """A runner that tells of its runs in turn: what each poll tells of the run, by its lr.

    After a poll that tells nothing the agent writes what it knows, and judges by it.
    """

    ready = True

    def __init__(self, polls: Mapping[float, list[list[Any]]]) -> None:
        self.polls = polls
        self.held: set[str] = set()
        self.left: list[list[Any]] = []
        self.begun: list[float] = []

    def follow(self, proposed) -> None: ...

    @property
    def busy(self) -> set[str]:
        return set(self.held)

    def room(self) -> int:
        # There is always room: what keeps new runs from beginning is the agent.
        return 1

    def take(self, again, fresh) -> None:
        [run] = [*(r for group in again for r in group), *fresh]
        lr = run.config["lr"]
        self.begun.append(lr)
        told: list[list[Any]] = []
        for poll in self.polls[lr]:
            events: list[Any] = []
            for what in poll:
                if isinstance(what, Status):
                    events.append(Ended(0, what, "why", 1, run=run.id))
                else:
                    events.append(Logged(0, {"epoch": [what[0]], "loss": [what[1]]}, run.id))
            told.append(events)
        told[0].insert(0, Started(0, run.config, None, None, {}, run=run.id))
        self.held.add(run.id)
        self.left += told

    def poll(self, timeout_s: float) -> list[Any]:
        events = self.left.pop(0) if self.left else []
        self.held -= {event.run for event in events if isinstance(event, Ended)}
        return events

    def stop(self, reasons) -> None: ...
    def forget(self, runs) -> None: ...
    def kept(self) -> None: ...
    def halt(self) -> None: ...
    def close(self) -> None: ...


def work(store: Store, polls: Mapping[float, list[list[Any]]]) -> tuple[Script, Any]:
    sweep = new_sweep(store, parse_sweep(GRID, "sweep.yaml").require(), SweepOptions(retries=0))
    runner: Any = Script(polls)
    work_on(store, sweep, Work(keep_going=True), lambda *_: None, runner)
    return runner, find_sweep(store, sweep.id)


WELL = [[(1, 0.5), Status.FINISHED]]
REACHED = "loss reached its target 0.01"


@pytest.mark.parametrize("status", [Status.FAILED, Status.DIVERGED, Status.UNMOVED])
@pytest.mark.parametrize("together", [True, False])
def test_a_run_that_does_not_end_well_reaches_no_target(at, status: Status, together: bool) -> None:
    at.write("train.py", "")
    low = [[(1, 0.001), status]] if together else [[(1, 0.001)], [], [], [status]]
    with at.store() as store:
        runner, sweep = work(store, {0.1: low, 0.2: WELL, 0.3: low, 0.4: WELL})
        assert runner.begun == [0.1, 0.2, 0.3, 0.4]
        assert (sweep.state, sweep.reason) == ("finished", "")
        assert all(agent["ended"] for agent in list_agents(store))


def test_no_run_begins_while_a_running_one_has_reached_the_target(at) -> None:
    at.write("train.py", "")
    slow = [[(1, 0.001)], [], [], [(2, 0.002)], [], [], [Status.FINISHED]]
    with at.store() as store:
        runner, sweep = work(store, {0.1: WELL, 0.2: slow, 0.3: WELL, 0.4: WELL})
        assert runner.begun == [0.1, 0.2]
        assert (sweep.state, sweep.reason) == ("finished", REACHED)


def test_a_sweep_goes_on_to_the_target_after_a_run_that_failed(at) -> None:
    at.write("train.py", "")
    fails = [[(1, 0.001)], [], [], [Status.FAILED]]
    stopped = [[(1, 0.005), Status.STOPPED]]
    with at.store() as store:
        runner, sweep = work(store, {0.1: fails, 0.2: WELL, 0.3: stopped, 0.4: WELL})
        assert runner.begun == [0.1, 0.2, 0.3]
        assert (sweep.state, sweep.reason) == ("finished", REACHED)


RAISES = """\
import json, pathlib, sys, time
lr = float(sys.argv[1].split("=")[1])
print(json.dumps({"epoch": 1, "loss": 0.001 if lr < 0.15 else 0.5}), flush=True)
if lr < 0.15:
    while not pathlib.Path("go").exists():
        time.sleep(0.02)
    raise ValueError("what it logged is worth nothing")
"""


def test_a_program_that_logs_a_low_loss_and_raises_does_not_end_its_sweep(at, thetahat) -> None:
    file = at.sweep(GRID, RAISES)
    child = at.start("sweep", file, "--run", "--workers=1", "--retries=0")
    until(lambda: at.any() and [run.epochs for run in at.runs()] == [1])
    at.go()
    _, err = child.communicate()
    assert [str(run.status) for run in at.runs()] == ["failed", *["finished"] * 3], err
    assert at.row().reason == ""
    assert REACHED not in err


def test_runs_that_were_cut_short_count_as_failed_for_the_search(at) -> None:
    from thetahat.search import Objective
    from thetahat.store import Follower

    # The trials are read while nothing proposes.
    from thetahat.sweep.agent._history import SweepTrials

    at.write("train.py", "")
    with at.store() as store:
        sweep = new_sweep(store, parse_sweep(GRID, "sweep.yaml").require(), SweepOptions())
        for status in Status:
            run = store.create_run({"lr": 0.1}, sweep_id=sweep.id)
            if status.over:
                store.finish_run(run.id, status=status, metrics={"loss": 0.001})
        trials = SweepTrials(Follower(store, sweep.id, "loss"), Objective("loss"), (("lr",),))
        trials.refresh()
        states = [trial.state for trial in trials.all()]
    found = dict(zip([str(s) for s in Status], states, strict=True))
    good = {name for name, state in found.items() if state == "finished"}
    assert good == {"finished", "stopped"}
    assert {name for name, state in found.items() if state == "failed"} == {
        *("diverged", "unmoved", "rejected", "interrupted", "cancelled", "failed")
    }
