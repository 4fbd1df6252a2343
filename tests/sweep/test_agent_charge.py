"""A worker dies: it is charged to the runs that it died of, and to no others."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest
from at_work import LINE

from thetahat.sweep.agent._agent import _groups
from thetahat.sweep.workers._charge import charge
from thetahat.sweep.workers._messages import Job
from thetahat.sweep.workers._slot import Seat, Task

ABORT, KILL = -6, -9


class Deaf:
    """A worker that hears nothing."""

    def send(self, message) -> None:
        pass


def seat(at: str | None, *, begins: bool = False, begun: tuple[str, ...] = ()) -> Seat:
    """A worker with jobs "one", "two" and "three", of which it has come to those ``begun``."""
    held = Seat(Deaf(), at=at, begins=begins)
    for name, runs in (("one", ["a"]), ("two", ["b"]), ("three", ["c", "d"])):
        task = Task(Job(name, [{}] * len(runs)), list(runs), set(range(len(runs))), name)
        task.begun = name in begun
        held.give(task)
    return held


def guilt(held: Seat, code: int) -> tuple[dict[str, str], list[str]]:
    crashed, left = charge(held, code, "why")
    assert all(one.reason == "why" for one in crashed)
    return {"".join(one.runs): one.guilt for one in crashed}, [task.job.id for task in left]


@pytest.mark.parametrize(
    ("code", "at", "begins", "begun", "expected", "left"),
    [
        # It had come to none: all have lost nothing.
        (ABORT, None, False, "", {}, "one two three"),
        # One that was alone in it.
        (ABORT, "one", False, "one", {"a": "sure"}, "two three"),
        (KILL, "one", False, "one", {"a": "sure"}, "two three"),
        # The one that it was beginning, beside one that trains.
        (ABORT, "two", True, "one two", {"a": "none", "b": "sure"}, "three"),
        (ABORT, "three", True, "one two three", {"a": "none", "b": "none", "cd": "sure"}, ""),
        # The one that it trained, beside others: they may have had its memory.
        (ABORT, "one", False, "one two", {"a": "maybe", "b": "none"}, "three"),
        # Killed from outside: whoever it held.
        (KILL, "two", True, "one two", {"a": "maybe", "b": "maybe"}, "three"),
    ],
)
def test_a_death_is_charged_to_what_the_worker_was_at(
    code, at, begins, begun, expected, left
) -> None:
    held = seat(at, begins=begins, begun=tuple(begun.split()))
    assert guilt(held, code) == (expected, left.split())


def test_nothing_is_done_beside_a_run_that_is_tried_by_itself() -> None:
    held = Seat(Deaf())
    solo = Task(Job("solo", [{}]), ["a"], {0}, "solo", solo=True)
    held.give(solo)
    held.give(Task(Job("next", [{}]), ["b"], {0}, "next"))
    assert list(held.tasks) == ["solo"]
    assert [task.job.id for task in held.waiting] == ["next"]


SWEEP = """\
program: train.py
method: grid
metric: {name: val_risk}
parameters:
  width: {values: [5, 3, 4, 6, 2]}
"""
DIES = LINE.replace(
    '    """Fit a small net to a line."""',
    "    import os, signal\n    if width == 5:\n        os.kill(os.getpid(), signal.SIGABRT)",
)
LATER = LINE.replace(
    "loss=lambda r: scale * r**2,", "loss=lambda r: scale * died(width, r) ** 2,"
).replace(
    "def line",
    """import jax, os, signal

def die(r):
    os.kill(os.getpid(), signal.SIGABRT)
    return r

def died(width, r):
    if width != 5:
        return r
    jax.debug.callback(die, r)
    return r

def line""",
)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize("program", [DIES, LATER], ids=["opening", "training"])
def test_one_that_kills_its_worker_costs_no_neighbour(at, thetahat, program) -> None:
    code, _, err = thetahat("sweep", at.sweep(SWEEP, program), "--run", "--workers", "1")
    assert code == 1
    assert "all failed" not in err
    runs = {run.config["width"]: run for run in at.runs()}
    assert {width: str(run.status) for width, run in runs.items()} == {
        5: "failed",
        **dict.fromkeys((3, 4, 6, 2), "finished"),
    }
    assert runs[5].reason.startswith("the worker was killed by signal 6 (SIGABRT)")
    for width in (3, 4, 6, 2):
        assert list(at.history(runs[width])["epoch"]) == list(range(1, 31))
    assert at.row().state == "finished"


def test_a_cohort_that_this_agent_keeps_goes_on_together() -> None:
    def row(name, cohort, checkpoint, alone):
        return SimpleNamespace(id=name, cohort=cohort, checkpoint=checkpoint, alone=alone)

    again = [
        row("a", "one", "one.ckpt", False),
        row("b", "one", "one.ckpt", False),
        row("c", "two", "two.ckpt", True),
        row("d", "two", "two.ckpt", True),
        row("e", "three", None, False),
    ]
    assert [[run.id for run in group] for group in _groups(again)] == [
        ["a", "b"],
        ["c"],
        ["d"],
        ["e"],
    ]
