"""Workers and programs that die and leave children behind, which hold all that they had open."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import pytest
from at_work import LINE

from children import until
from thetahat.core.run import Status

# Processes are started and ended without an agent.
from thetahat.sweep.processes._process import Order, ProgramProcess, environment, worker_reason
from thetahat.sweep.workers._connection import WorkerProcess
from thetahat.sweep.workers._fork_server import CAN_FORK, ForkServer, lives, spawn

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")

OWN_WORKERS = True
LONG_S = 600
"""Seconds that children go on: longer than a test may take."""

FORKS = f"""
def leave(how):
    import multiprocessing, os, subprocess, sys, time, pathlib
    if how == "fork":
        child = os.fork()
        if not child:
            time.sleep({LONG_S})
            os._exit(0)
    elif how == "own session":
        child = os.fork()
        if not child:
            os.setsid()
            time.sleep({LONG_S})
            os._exit(0)
    elif how == "program":
        child = subprocess.Popen(["sleep", "{LONG_S}"]).pid
    else:
        loader = multiprocessing.get_context("fork").Process(target=time.sleep, args=({LONG_S},))
        loader.start()
        child = loader.pid
    with open("children", "a") as file:
        file.write(f"{{child}}\\n")
"""
DIES = FORKS + LINE.replace(
    '    """Fit a small net to a line."""',
    "    import os, signal\n    if width == 5:\n        leave(HOW)\n        print('chatter', flush=True)"
    "\n        END",
)
SWEEP = """\
program: train.py
method: grid
metric: {name: val_risk}
parameters:
  width: {values: [5, 3]}
"""
KILLED = "os.kill(os.getpid(), signal.SIGKILL)"


@pytest.fixture
def left(at):
    """The ids of the children that were left; they are ended after the test."""
    file = at.folder / "children"

    def ids() -> list[int]:
        return [int(line) for line in file.read_text().split()] if file.exists() else []

    yield ids
    for pid in ids():
        if lives(pid):
            os.kill(pid, signal.SIGKILL)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("how", "end", "reason", "workers"),
    [
        ("fork", KILLED, "the worker was killed by signal 9 (SIGKILL): by a person, or by a", "1"),
        ("fork", KILLED, "the worker was killed by signal 9 (SIGKILL): by a person, or by a", "2"),
        ("own session", "os._exit(3)", "the worker ended with exit code 3", "1"),
        ("own session", "os._exit(3)", "the worker ended with exit code 3", "2"),
        ("loader", "os.abort()", "the worker was killed by signal 6 (SIGABRT)", "1"),
        ("program", KILLED, "the worker was killed by signal 9 (SIGKILL)", "1"),
    ],
)
def test_pool_fails_only_the_run_whose_worker_crashed_and_left_a_child(
    at, thetahat, left, how, end, reason, workers
) -> None:
    program = DIES.replace("HOW", repr(how)).replace("END", end)
    began = time.monotonic()
    code, _, err = thetahat("sweep", at.sweep(SWEEP, program), "--run", "--workers", workers)
    assert time.monotonic() - began < LONG_S
    runs = {run.config["width"]: run for run in at.runs()}
    assert code == 1, err
    assert {width: str(run.status) for width, run in runs.items()} == {5: "failed", 3: "finished"}
    assert runs[5].reason.startswith(reason)
    assert "chatter" not in runs[5].reason
    assert at.row().state == "finished"
    assert left()
    if how != "own session":
        until(lambda: not any(lives(pid) for pid in left()))


@pytest.mark.slow
@pytest.mark.parametrize(
    "begin", [spawn, pytest.param("fork", marks=pytest.mark.skipif(not CAN_FORK, reason="Linux"))]
)
def test_messages_of_a_crashed_worker_are_read_up_to_half_a_message(at, left, begin) -> None:
    """It dies in the middle of a message that is larger than what a socket holds."""
    half = """
import multiprocessing.connection as c, os, signal, struct, threading
sent = c.Connection.send
def send(self, message):
    sent(self, message)
    if type(message).__name__ == "Ready":
        sent(self, "the last words")
        leave("own session")
        os.write(self.fileno(), struct.pack("!i", 1 << 24) + b"x" * 1000)
        os.kill(os.getpid(), signal.SIGKILL)
c.Connection.send = send
"""
    at.write("train.py", FORKS + half + LINE)
    how = ForkServer().fork if begin == "fork" else begin
    worker = WorkerProcess(at.folder / "train.py", at.folder, at.folder / "log", {}, start=how)
    said: list[object] = []

    def gone() -> bool:
        said.extend(worker.messages())
        return not worker.alive and worker.link is None

    until(gone)
    assert [type(one).__name__ for one in said] == ["Ready", "str"]
    assert said[-1] == "the last words"
    assert left()
    assert all(map(lives, left()))
    assert worker.why_dead().startswith("the worker was killed by signal 9 (SIGKILL)")
    worker.send(["more than a socket holds"] * 10**6)  # it is not read, and nothing waits
    worker.close()


@pytest.mark.slow
def test_a_program_whose_children_hold_its_pipes_ends(tmp_path: Path) -> None:
    text = (
        "import os, time\npid = os.fork()\nif not pid:\n    os.setsid()\n"
        f"    time.sleep({LONG_S})\n    os._exit(0)\n"
        "open('child', 'w').write(str(pid))\nprint('done', flush=True)\n"
    )
    (tmp_path / "forks.py").write_text(text)
    folder = tmp_path / "run"
    env = environment({}, folder=folder, run_id="r", sweep_id="s", store=tmp_path)
    lines: list[str] = []
    words = [sys.executable, "forks.py"]
    ended = ProgramProcess(Order(words, env, folder, tmp_path), on_stdout=lines.append).wait()
    child = int((tmp_path / "child").read_text())
    try:
        assert lives(child)
        assert (ended.status, ended.code, lines) == (Status.FINISHED, 0, ["done"])
    finally:
        os.kill(child, signal.SIGKILL)


@pytest.mark.parametrize(
    ("code", "log", "said"),
    [
        (-9, "Fatal Python error: of another", "signal 9 (SIGKILL): by a person, or by a system"),
        (-6, "F1128 22:00:01.5 1 a.cc:2] Check failed: x\n", "(SIGABRT): F1128 22:00:01.5 1 a.cc"),
        (-6, "terminate called after throwing\nepoch 3\n", "(SIGABRT): terminate called after"),
        (-11, "epoch 3: 0.25\nKeyError: 'x'\n", "by signal 11 (SIGSEGV)"),
        (-99, "", "killed by signal 99"),
        (7, "Traceback (most recent call last):\nKeyError: 'x'\n", "ended with exit code 7"),
        (0xC0000005, "", "exit code 3221225477 (access violation)"),
    ],
)
def test_worker_reason_quotes_the_abort_and_not_other_output(code, log, said) -> None:
    reason = worker_reason(code, log)
    assert said in reason
    assert reason.startswith("the worker ")
    assert "epoch" not in reason
    assert "KeyError" not in reason
