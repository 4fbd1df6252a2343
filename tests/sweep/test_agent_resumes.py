"""Agents and workers that die while a cohort trains: who goes on gives the same numbers, once."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from at_work import LINE, LOSES

import preloaded
from children import HOLD, STEPS, until

STANDARD_PROGRAMS = True

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")

EPOCHS = 400
LONG = STEPS + LINE

HYPERBAND = f"""\
program: train.py
method: random
metric: {{name: val_risk}}
run_cap: 6
early_terminate: {{type: hyperband, min_iter: 15, eta: 2}}
parameters:
  lr: {{distribution: log_uniform_values, min: 0.0004, max: 0.3}}
  epochs: {{value: {EPOCHS}}}
"""


def told(at, sweep="last"):
    """What stands of the runs: status, reason, epochs, and all records but the seconds."""
    found = []
    for run in at.runs(sweep):
        columns = {k: v for k, v in at.history(run).items() if k != "seconds"}
        found.append((run.config, str(run.status), run.reason, run.epochs, run.metrics, columns))
    return found


def killed_at(at, epoch, *words):
    """Kill an agent in a child when its runs have come to an epoch and wait there."""
    at.hold(epoch)
    child = at.start(*words)
    until(lambda: child.poll() is not None or (at.any() and max_epochs(at.runs()) == epoch))
    assert child.poll() is None, child.communicate()
    child.kill()
    child.communicate()
    at.hold()


@pytest.mark.slow
def test_a_cohort_resumes_from_its_checkpoint_after_two_dead_agents(at, thetahat) -> None:
    file = at.sweep(HYPERBAND, LONG)
    # Exact: otherwise a timed probe chooses the mapping, and with it the last bits.
    code, _, _ = thetahat("sweep", file, "--run", "--workers", "1", "--exact")
    assert code == 0
    whole = told(at)
    assert sorted({s for _, s, *_ in whole}) == ["finished", "stopped"]
    thetahat("sweep", file, "--exact")
    for epoch in (60, 120):
        killed_at(at, epoch, "agent", "last", "--workers", "1")
        assert "stopped" in {str(run.status) for run in at.runs()}
        left = [run for run in at.runs() if str(run.status) == "running"]
        assert left
        assert {run.checkpoint is not None for run in left} == {True}
    code, _, err = thetahat("agent", "last", "--workers", "1")
    assert code == 0
    assert "an agent died; " in err
    for mine, other in zip(told(at), whole, strict=True):
        assert mine[:5] == other[:5]
        assert mine[5].keys() == other[5].keys()
        for name in mine[5]:
            np.testing.assert_array_equal(mine[5][name], other[5][name])
    attempts = [run.attempt for run in at.runs()]
    assert max(attempts) == 3
    assert {run.attempt for run in at.runs() if run.epochs == 15} == {1}
    assert list((at.folder / ".thetahat" / "checkpoints").iterdir()) == []


@pytest.mark.slow
def test_a_run_whose_program_was_edited_begins_again(at, thetahat) -> None:
    text = f"""\
program: train.py
method: grid
metric: {{name: val_risk}}
parameters: {{lr: {{values: [0.001]}}, epochs: {{value: {EPOCHS}}}}}
"""
    thetahat("sweep", at.sweep(text, LONG))
    killed_at(at, 200, "agent", "last", "--workers", "1")
    (before,) = at.runs()
    old = at.history(before)["train_risk"][0]
    at.write("train.py", LONG.replace("2 * x[:, 0]", "50 * x[:, 0]").replace("scale * r", "2 * r"))
    code, _, err = thetahat("agent", "last", "--workers", "1")
    assert code == 0, err
    assert "belongs to another fit: the loss's code differs" in err
    assert "The run began again from its first epoch" in err
    (run,) = at.runs()
    history = at.history(run)
    assert (str(run.status), run.attempt) == ("finished", 2)
    assert list(history["epoch"]) == list(range(1, EPOCHS + 1))
    assert history["train_risk"][0] > 100 * old


BRANCHING = LONG.replace("seed: th.Seed = 0)", "flag: float = 1.0, seed: th.Seed = 0)").replace(
    "        epochs=epochs,", "        epochs=epochs if flag > 0.5 else epochs // 2,"
)


@pytest.mark.slow
def test_a_part_of_a_regrouped_job_resumes_from_its_own_checkpoint(at, thetahat) -> None:
    text = f"""\
program: train.py
method: grid
metric: {{name: val_risk}}
parameters:
  flag: {{values: [0.0, 1.0]}}
  lr: {{values: [0.001, 0.002]}}
  epochs: {{value: {EPOCHS}}}
"""
    thetahat("sweep", at.sweep(text, BRANCHING))
    killed_at(at, 100, "agent", "last", "--workers", "1")
    before = {run.id: (run.epochs, run.cohort) for run in at.runs()}
    assert len({cohort for _, cohort in before.values()}) == 2
    at.hold(0)
    child = at.start("agent", "last", "--workers", "1")
    # What the checkpoint holds is told again before anything is trained.
    until(lambda: any(r.attempt == 2 and r.epochs > 0 for r in at.runs()))
    # A worker that outlives its agent may have ended one chunk more.
    assert {r.epochs for r in at.runs() if r.attempt == 2 and r.epochs > 0} <= {100, 120}
    at.hold()
    child.communicate()
    assert child.returncode == 0
    runs = at.runs()
    assert [run.epochs for run in runs] == [EPOCHS // 2] * 2 + [EPOCHS] * 2
    assert {str(run.status) for run in runs} == {"finished"}
    assert {run.id: run.cohort for run in runs} == {k: c for k, (_, c) in before.items()}
    for run in runs:
        assert list(at.history(run)["epoch"]) == list(range(1, run.epochs + 1))


def max_epochs(runs):
    """How far the furthest has come."""
    return max((run.epochs for run in runs), default=0)


CRASHES = LINE.replace(
    '    """Fit a small net to a line."""',
    "    import os, signal\n    if width == 5:\n        os.kill(os.getpid(), signal.SIGSEGV)\n"
    '    if width == 6:\n        raise ValueError("no width of 6")\n'
    "    if width == 7:\n        import sys\n        sys.exit(3)",
)


@pytest.mark.slow
def test_pool_fails_only_the_run_that_crashed_its_worker(at, thetahat) -> None:
    text = """\
program: train.py
method: grid
metric: {name: val_risk}
parameters:
  width: {values: [3, 5, 6, 7]}
  seed: {values: [1, 2]}
"""
    code, _, err = thetahat("sweep", at.sweep(text, CRASHES), "--run", "--workers", "1")
    assert code == 1
    found = [(r.config["width"], str(r.status), r.reason.partition("\n")[0]) for r in at.runs()]
    dead = "the worker was killed by signal 11 (SIGSEGV)"
    for width, status, reason in found:
        if width == 3:
            assert (status, reason) == ("finished", "all 30 epochs done")
        elif width == 5:
            assert status == "failed"
            assert reason.startswith(dead)
        elif width == 6:
            assert (status, reason) == ("failed", "ValueError: no width of 6 (train.py, line 9)")
        else:
            assert (status, reason) == ("failed", "SystemExit: 3")
    assert len(found) == 8
    assert at.row().state == "finished"
    assert "runs are tried again: the worker was killed by signal 11 (SIGSEGV)" in err


TWO = f"""\
program: train.py
method: grid
metric: {{name: val_risk}}
parameters:
  lr: {{values: [0.001, 0.002]}}
  epochs: {{value: {EPOCHS}}}
"""


@pytest.mark.slow
def test_pool_replaces_a_killed_worker_without_failing_a_run(at, thetahat) -> None:
    thetahat("sweep", at.sweep(TWO, LONG), "--run", "--workers", "1", "--exact")
    whole = told(at)
    at.hold(200)
    child = at.start("sweep", "sweep.yaml", "--run", "--workers", "1", "--exact")
    sweep = until(lambda: at.row().state == "running" and at.row().id)
    until(lambda: max_epochs(at.runs(sweep)) == 200)
    workers = children(child.pid)
    assert len(workers) == 1
    os.kill(workers[0], signal.SIGKILL)
    # What the checkpoint holds is told again before anything is trained.
    until(lambda: any(r.attempt == 2 and r.epochs > 0 for r in at.runs()))
    assert {r.epochs for r in at.runs() if r.attempt == 2 and r.epochs > 0} == {200}
    at.hold()
    _, err = child.communicate()
    assert child.returncode == 0
    assert "2 runs are tried again: the worker was killed by signal 9 (SIGKILL)" in err
    runs = at.runs()
    assert [(str(run.status), run.attempt, run.epochs) for run in runs] == [
        ("finished", 2, EPOCHS)
    ] * 2
    assert len({run.cohort for run in runs}) == 2
    # Also to the last bit what they would have been, and each epoch once.
    for mine, other in zip(told(at), whole, strict=True):
        assert mine[:5] == other[:5]
        assert mine[5].keys() == other[5].keys()
        for name in mine[5]:
            np.testing.assert_array_equal(mine[5][name], other[5][name])
    assert list((at.folder / ".thetahat" / "checkpoints").iterdir()) == []


@pytest.mark.slow
def test_a_run_alone_in_a_killed_worker_fails_and_its_retry_resumes(at) -> None:
    words = ("--run", "--workers", "1", "--mode", "worker", "--retries", "1")
    at.hold(200)
    child = at.start("sweep", at.sweep(TWO.replace(", 0.002", ""), LONG), *words)
    until(lambda: at.any() and max_epochs(at.runs()) == 200)
    os.kill(children(child.pid)[0], signal.SIGKILL)
    again = until(lambda: [r for r in at.runs() if r.attempt == 2 and r.epochs > 0])
    assert again[0].epochs == 200
    at.hold()
    child.communicate()
    assert child.returncode == 0
    (run,) = at.runs()
    assert (str(run.status), run.failures, run.attempt) == ("finished", 1, 2)
    assert list(at.history(run)["epoch"]) == list(range(1, EPOCHS + 1))


@pytest.mark.slow
def test_agent_with_a_count_takes_a_part_of_a_cohort_and_others_the_rest(at) -> None:
    text = TWO.replace("[0.001, 0.002]", "[0.001, 0.002, 0.003, 0.004, 0.005]")
    at.call("sweep", at.sweep(text, LONG))
    killed_at(at, 200, "agent", "last", "--workers", "1")
    assert len({run.cohort for run in at.runs()}) == 1
    code, _, err = at.call("agent", "last", "--workers", "1", "--count", "2")
    assert code == 0
    assert "5 runs went back to the queue" in err
    runs = at.runs()
    assert [str(run.status) for run in runs] == ["finished"] * 2 + ["queued"] * 3
    assert {run.epochs for run in runs[:2]} == {EPOCHS}
    at.hold(0)
    child = at.start("agent", "last", "--workers", "1", "--count", "9")
    # The others' checkpoint is still there.
    until(lambda: any(r.attempt == 2 and 0 < r.epochs < EPOCHS for r in at.runs()))
    again = [r for r in at.runs()[2:] if r.attempt == 2 and r.epochs > 0]
    assert min(r.epochs for r in again) >= 200
    at.hold()
    child.communicate()
    assert child.returncode == 0
    runs = at.runs()
    assert [str(run.status) for run in runs] == ["finished"] * 5
    assert [len({run.agent for run in some}) for some in (runs[:2], runs[2:], runs)] == [1, 1, 2]
    for run in runs:
        assert list(at.history(run)["epoch"]) == list(range(1, EPOCHS + 1))
    assert list((at.folder / ".thetahat" / "checkpoints").iterdir()) == []


def children(pid: int) -> list[int]:
    """Processes that a process has started, but for its keeper and its server."""
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")

    def told(pid: int, what: str) -> str:
        try:
            return Path(f"/proc/{pid}/{what}").read_text()
        except FileNotFoundError:  # it has ended
            return preloaded.NAME

    found = [int(word) for word in text.split()]
    found = [k for k in found if told(k, "comm").strip() != preloaded.NAME]
    return [k for k in found if "_process_group.py" not in told(k, "cmdline")]


PATIENT = "from thetahat.sweep.agent import _agent; _agent.TERMINATED_S = 240.0\n"
"""For an agent: it waits long for its own signal, which a busy machine sends late."""


def stop(child, how: signal.Signals | str) -> None:
    """Ask an agent to stop; "job" is SIGTERM to all its processes, as batch systems send it."""
    if how == "job":
        for pid in children(child.pid):
            os.kill(pid, signal.SIGTERM)
        time.sleep(0.2)
        child.send_signal(signal.SIGTERM)
        how = signal.SIGTERM  # once more: the shell of a job may pass it on
    child.send_signal(how)


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, "job"])
def test_ctrl_c_once_returns_runs_to_the_queue_and_another_agent_resumes(at, thetahat, how) -> None:
    text = f"""\
program: train.py
method: grid
metric: {{name: val_risk}}
parameters:
  lr: {{values: [0.001, 0.002]}}
  epochs: {{value: {EPOCHS}}}
"""
    at.hold(100, 120)
    file = at.sweep(text, LONG)
    child = at.start("sweep", file, "--run", "--workers", "1", before=PATIENT)
    until(lambda: at.any() and max_epochs(at.runs()) == 100)
    stop(child, how)
    until(lambda: "note: stopping; runs go back to the queue" in child.said())
    at.hold(120)
    _, err = child.communicate()
    sweep = at.row().id
    assert child.returncode == 130
    assert err.endswith(f"thetahat: interrupted; go on with: thetahat agent {sweep}\n")
    runs = at.runs()
    assert {(str(r.status), r.reason) for r in runs} == {("queued", "its agent left")}
    assert max_epochs(runs) in (100, 120)
    at.hold()
    code, _, _ = thetahat("agent", sweep, "--workers", "1")
    assert code == 0
    runs = at.runs()
    assert [(str(r.status), r.attempt, r.epochs) for r in runs] == [("finished", 2, EPOCHS)] * 2
    for run in runs:
        assert list(at.history(run)["epoch"]) == list(range(1, EPOCHS + 1))


TRACES = """
import pathlib, time
pathlib.Path("tracing").write_text("")
while not pathlib.Path("on").exists():
    time.sleep(0.01)
"""


def test_sigterm_while_a_worker_compiles_returns_its_runs_to_the_queue(at, thetahat) -> None:
    blocks = "".join(f"    {line}\n" for line in TRACES.splitlines() if line)
    head = '    """Fit a small net to a line."""\n'
    assert head in LINE
    text = "program: train.py\nmethod: grid\nparameters: {lr: {values: [0.1, 0.2]}}\n"
    file = at.sweep(text, LINE.replace(head, head + blocks))
    child = at.start("sweep", file, "--run", "--workers", "1")
    until((at.folder / "tracing").exists)
    child.send_signal(signal.SIGTERM)
    _, err = child.communicate(timeout=240)
    assert child.returncode == 130
    assert err.endswith(f"thetahat: interrupted; go on with: thetahat agent {at.row().id}\n")
    assert {(str(r.status), r.reason) for r in at.runs()} == {("queued", "its agent left")}
    at.write("on", "")
    assert thetahat("agent", "last", "--workers", "1")[0] == 0
    assert {(str(r.status), r.failures) for r in at.runs()} == {("finished", 0)}


SLEEPS = LOSES + HOLD + "hold()\n"
ONE = "program: train.py\nmethod: grid\nmetric: {name: loss}\nparameters: {lr: {values: [1, 2, 3]}}"


@pytest.mark.parametrize("how", [signal.SIGINT, "job"])
def test_ctrl_c_ends_processes_and_their_runs_wait(at, thetahat, how) -> None:
    file = at.sweep(ONE, SLEEPS)
    child = at.start("sweep", file, "--run", "--workers", "2", before=PATIENT)
    until(lambda: at.any() and [r.epochs for r in at.runs()] == [2, 2])
    programs = children(child.pid)
    assert len(programs) == 2
    stop(child, how)
    out, _ = child.communicate()
    assert child.returncode == 130
    assert "running: no runs, 2 waiting to go on, 1 not begun; " in out
    assert [(str(run.status), run.failures) for run in at.runs()] == [("queued", 0)] * 2
    assert not any(os.path.exists(f"/proc/{pid}") for pid in programs)
    at.write("train.py", LOSES)
    code, _, _ = thetahat("agent", "last")
    assert code == 0
    assert [(str(r.status), r.attempt) for r in at.runs()] == [("finished", 2)] * 2 + [
        ("finished", 1)
    ]
    for run in at.runs():
        assert list(at.history(run)["epoch"]) == [1, 2]


def test_ctrl_c_twice_stops_at_once(at) -> None:
    stubborn = (
        LOSES + HOLD + ("import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nhold()\n")
    )
    child = at.start("sweep", at.sweep(ONE, stubborn), "--run", "--workers", "1")
    until(lambda: at.any() and [r.epochs for r in at.runs()] == [2])
    programs = children(child.pid)
    child.send_signal(signal.SIGINT)
    until(lambda: "note: stopping; runs go back to the queue" in child.said())
    child.send_signal(signal.SIGINT)
    _, err = child.communicate()
    assert child.returncode == 130
    assert err.endswith(f"thetahat: interrupted; go on with: thetahat agent {at.row().id}\n")
    assert not any(os.path.exists(f"/proc/{pid}") for pid in programs)
    assert [str(run.status) for run in at.runs()] == ["queued"]
