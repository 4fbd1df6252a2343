"""A worker crashes: the runs that caused it fail or are retried alone, and no others."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest
from at_work import LINE

# Which job caused a crash is a pure function of what was reported.
from thetahat.sweep.agent._agent import _groups
from thetahat.sweep.workers._messages import Job, JobPhase
from thetahat.sweep.workers._slot import ClaimedJob, Slot, crashes

OWN_WORKERS = True
ABORT, KILL = -6, -9


class Unread:
    """A worker that reads no message."""

    def send(self, message) -> None:
        pass


def slot(at: str | None, *, opens: bool = False, begun: tuple[str, ...] = ()) -> Slot:
    """A worker with jobs "one", "two" and "three", of which it has begun those of ``begun``."""
    held = Slot(Unread(), phase=JobPhase(at, opens) if at else None)
    for name, runs in (("one", ["a"]), ("two", ["b"]), ("three", ["c", "d"])):
        claimed = ClaimedJob(Job(name, [{}] * len(runs), runs, name))
        claimed.begun = name in begun
        held.send(claimed)
    return held


def causes(held: Slot, code: int) -> tuple[dict[str, str], list[str]]:
    crashed, left = crashes(held, code, "why")
    assert all(one.reason == "why" for one in crashed)
    return {"".join(one.runs): one.cause for one in crashed}, [claimed.job.id for claimed in left]


@pytest.mark.parametrize(
    ("code", "at", "opens", "begun", "expected", "left"),
    [
        # It had begun none: all have lost nothing.
        (ABORT, None, False, "", {}, "one two three"),
        # One that had no other beside it.
        (ABORT, "one", False, "one", {"a": "certain"}, "two three"),
        (KILL, "one", False, "one", {"a": "certain"}, "two three"),
        # The one that it opened, beside one that trains.
        (ABORT, "two", True, "one two", {"a": "other", "b": "certain"}, "three"),
        (ABORT, "three", True, "one two three", {"a": "other", "b": "other", "cd": "certain"}, ""),
        # The one that it trained, beside others, whose memory may be the cause.
        (ABORT, "one", False, "one two", {"a": "possible", "b": "other"}, "three"),
        # Killed from outside: any that it had begun.
        (KILL, "two", True, "one two", {"a": "possible", "b": "possible"}, "three"),
    ],
)
def test_crashes_finds_the_job_that_caused_them(code, at, opens, begun, expected, left) -> None:
    held = slot(at, opens=opens, begun=tuple(begun.split()))
    assert causes(held, code) == (expected, left.split())


def test_slot_sends_no_job_beside_one_that_is_retried_alone() -> None:
    held = Slot(Unread())
    held.send(ClaimedJob(Job("alone", [{}], ["a"], "alone"), alone=True))
    held.send(ClaimedJob(Job("next", [{}], ["b"], "next")))
    assert list(held.jobs) == ["alone"]
    assert [claimed.job.id for claimed in held.waiting] == ["next"]


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
def test_a_run_that_crashes_its_worker_does_not_affect_other_runs(at, thetahat, program) -> None:
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


def test_retried_runs_of_a_cohort_are_grouped() -> None:
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
