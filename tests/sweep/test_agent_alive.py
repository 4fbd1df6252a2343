"""Which agents are dead: by their locks here, by hearts that stand still elsewhere."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
from at_work import LOSES

from children import environment
from thetahat.store import list_agents

# Signs of life are tested with clocks and processes that an agent has not.
from thetahat.sweep.agent._liveness import AgentWatch, host_name, proof_of_life

LIVES = """
import sys, time
from pathlib import Path
from thetahat.sweep.agent._liveness import proof_of_life
with proof_of_life(Path(sys.argv[1]), "other"):
    print("ready", flush=True)
    time.sleep(600)
"""

ONE = "program: train.py\nmethod: grid\nmetric: {name: loss}\nparameters: {lr: {value: 1}}"


def agent(name: str, host: str, heartbeat: str = "t0", pid: int = 1) -> dict[str, object]:
    return {"id": name, "host": host, "heartbeat": heartbeat, "pid": pid}


def test_agent_watch_finds_an_agent_of_this_machine_dead_when_its_process_ends(tmp_path) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", LIVES, str(tmp_path)], env=environment(), stdout=subprocess.PIPE
    )
    watch = AgentWatch(tmp_path)
    try:
        assert child.stdout is not None
        child.stdout.readline()
        # However long its heart stands still: it may be slow, or asleep with the machine.
        for now in (0.0, 1e6):
            assert watch.dead([agent("other", host_name(), pid=child.pid)], now) == []
    finally:
        child.kill()
        child.communicate()
    assert watch.dead([agent("other", host_name())]) == ["other"]
    assert (tmp_path / "other.lock").exists()
    watch.forget(["other"])
    assert list(tmp_path.iterdir()) == []
    # Without a lock nothing holds it.
    assert watch.dead([agent("other", host_name())]) == ["other"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not stop processes")
def test_agent_watch_takes_the_lease_of_a_stopped_agent_of_this_machine(tmp_path) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", LIVES, str(tmp_path)], env=environment(), stdout=subprocess.PIPE
    )
    other = agent("other", host_name(), pid=child.pid)
    watch = AgentWatch(tmp_path, lease_s=60.0)
    try:
        assert child.stdout is not None
        child.stdout.readline()
        child.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, child.pid, os.WSTOPPED | os.WNOWAIT)
        assert watch.dead([other], 0.0) == watch.dead([other], 59.0) == []
        assert watch.dead([other], 61.0) == ["other"]
        assert watch.is_stopped(other)
        # It keeps its lock: without one, it would be taken for dead as soon as it goes on.
        watch.forget(["other"])
        child.send_signal(signal.SIGCONT)
        os.waitid(os.P_PID, child.pid, os.WCONTINUED | os.WNOWAIT)
        assert watch.dead([other], 62.0) == []
        assert not watch.is_stopped(other)
    finally:
        child.kill()
        child.communicate()


def test_agent_watch_finds_an_agent_of_another_machine_dead_after_a_lease(tmp_path) -> None:
    watch = AgentWatch(tmp_path, lease_s=60.0)
    assert watch.dead([agent("far", "elsewhere")], 100.0) == []
    assert watch.dead([agent("far", "elsewhere")], 159.0) == []
    assert watch.dead([agent("far", "elsewhere", "t1")], 161.0) == []
    assert watch.dead([agent("far", "elsewhere", "t1")], 220.0) == []
    assert watch.dead([agent("far", "elsewhere", "t1")], 222.0) == ["far"]


@pytest.mark.skipif(sys.platform == "win32", reason="files of POSIX")
def test_proof_of_life_removes_its_lock_and_watching_leaves_it(tmp_path) -> None:
    with proof_of_life(tmp_path, "me"):
        assert os.listdir(tmp_path) == ["me.lock"]
    assert os.listdir(tmp_path) == []
    (tmp_path / "left.lock").touch()
    watch = AgentWatch(tmp_path)
    for _ in range(2):
        assert watch.dead([agent("left", host_name())]) == ["left"]


def test_an_agent_removes_the_locks_that_killed_agents_left(at, thetahat) -> None:
    code, _, err = thetahat("sweep", at.sweep(ONE, LOSES), "--run")
    assert code == 0, err
    with at.store() as store:
        (first,) = list_agents(store)
    # Killed after it had ended, and before it could remove its lock; and one that only begins.
    folder = at.folder / ".thetahat" / "agents"
    (folder / f"{first['id']}.lock").touch()
    (folder / "begins.lock").touch()
    code, _, err = thetahat("sweep", at.sweep(ONE, LOSES), "--run")
    assert code == 0, err
    assert os.listdir(folder) == ["begins.lock"]


def test_a_lock_that_cannot_be_removed_hinders_no_agent(tmp_path) -> None:
    # As a lock of another user in a folder where each may remove their own files alone.
    (tmp_path / "theirs.lock").mkdir()
    AgentWatch(tmp_path).forget(["theirs", "gone"])
    assert os.listdir(tmp_path) == ["theirs.lock"]
