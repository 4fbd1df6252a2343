"""Programs that outlive their agent: ended with it, or at last before their run is run again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from at_work import LOSES

from children import until

# Groups of processes are ended without an agent; how one starts a program is recorded.
from thetahat.sweep.processes import _runner
from thetahat.sweep.processes._process_group import (
    began_at,
    end_groups,
    end_programs,
    folder_of_run,
    remember_program,
)

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")

SILENT = """\
import os, sys, time
with open("seen", "a") as seen:
    seen.write(f"{os.getpid()} began\\n")
time.sleep(0 if os.path.exists("quick") else 600)
with open("seen", "a") as seen:
    seen.write(f"{os.getpid()} ended\\n")
"""
ONE = "program: train.py\nmethod: grid\nparameters: {lr: {values: [1, 2]}}"


def lives(pid: int) -> bool:
    return began_at(pid) is not None


def programs(at) -> list[int]:
    """Return the ids of the processes that have begun."""
    seen = at.folder / "seen"
    lines = seen.read_text().splitlines() if seen.exists() else []
    return [int(line.split()[0]) for line in lines if line.endswith("began")]


def watchdog_of(pid: int) -> int:
    """Return the watchdog of an agent."""
    words = ["ps", "-A", "-ww", "-o", "ppid=,pid=,command="]
    rows = subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines()
    found = [row.split(None, 2) for row in rows if "_process_group.py" in row]
    (watchdog,) = [int(child) for parent, child, _ in found if int(parent) == pid]
    return watchdog


def test_programs_end_with_an_agent_that_is_killed(at) -> None:
    child = at.start("sweep", at.sweep(ONE, SILENT), "--run", "--workers", "2")
    began = until(lambda: len(programs(at)) == 2 and programs(at))
    child.kill()
    child.communicate()
    until(lambda: not any(map(lives, began)))
    assert "ended" not in (at.folder / "seen").read_text()


def test_the_watchdog_runs_before_the_first_program(at, thetahat, monkeypatch) -> None:
    """Else an agent that is killed while it starts the watchdog leaves a program that none knows."""
    found: list[int] = []

    class Recorded(_runner.ProgramProcess):
        def __init__(self, *given, **more) -> None:
            found.append(watchdog_of(os.getpid()))
            super().__init__(*given, **more)

    monkeypatch.setattr(_runner, "ProgramProcess", Recorded)
    assert thetahat("sweep", at.sweep(ONE, LOSES), "--run", "--workers", "1")[0] == 0
    assert len(found) == 2 and len(set(found)) == 1


def test_an_agent_ends_the_programs_of_a_dead_agent_before_it_runs_their_runs(at) -> None:
    child = at.start("sweep", at.sweep(ONE, SILENT), "--run", "--workers", "2")
    began = until(lambda: len(programs(at)) == 2 and programs(at))
    os.kill(watchdog_of(child.pid), signal.SIGKILL)
    child.kill()
    child.communicate()
    time.sleep(0.5)
    assert all(map(lives, began))
    (at.folder / "quick").touch()
    code, _, err = at.call("agent", "last")
    assert code == 0
    assert "note: ended what a dead agent had left running: 2 programs" in err
    assert not any(map(lives, began))
    assert [(str(r.status), r.attempt) for r in at.runs()] == [("finished", 2)] * 2
    # Each run was run by one program at a time.
    ended = [
        int(s.split()[0]) for s in (at.folder / "seen").read_text().splitlines() if "ended" in s
    ]
    assert len(ended) == 2
    assert not set(ended) & set(began)


def test_end_programs_leaves_a_process_that_reuses_an_id(at) -> None:
    sleeper = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        with at.store() as store:
            run = store.create_run({"lr": 1})
            folder = folder_of_run(store, run)
            folder.mkdir(parents=True)
            began = began_at(sleeper.pid)
            assert began is not None
            remember_program(folder, sleeper.pid, f"not {began}")
            assert end_programs(store, [run]) == 0
            told = json.loads((folder / "process.json").read_text())
            (folder / "process.json").write_text(json.dumps({**told, "began": began, "host": "x"}))
            assert end_programs(store, [run]) == 0
            (folder / "process.json").write_text("{")
            assert end_programs(store, [run]) == 0
        assert sleeper.poll() is None
    finally:
        sleeper.communicate(b"\n")


def test_end_programs_kills_a_process_that_does_not_end(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("thetahat.sweep.processes._process_group.TERMINATE_S", 0.3)
    stubborn = "import signal; signal.signal(15, signal.SIG_IGN); print(); input()"
    child = subprocess.Popen(
        [sys.executable, "-c", stubborn],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        process_group=0,
    )
    child.stdout.readline()
    began = began_at(child.pid)
    assert end_groups([(child.pid, began)]) == {child.pid}
    assert child.wait() == -signal.SIGKILL
    assert began_at(child.pid) is None
    child.stdin.close()
    child.stdout.close()
