"""Places that cannot be written, or are gone: one line, exit code 2, and no run fails by them."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys

import pytest
from at_work import LINE, LOSES

from children import AFTER_ONE, until
from thetahat.store import standing

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="open files can be moved")

GRID = "program: train.py\nmethod: grid\nparameters: {lr: {values: [0.1, 0.2, 0.3]}}"
GIVE = "give another store with store= (--store) or THETAHAT_STORE\n"


def blocked(at, name: str) -> str:
    """A file in the place of one of the store's folders."""
    path = at.folder / ".thetahat" / name
    path.write_text("a file in its place")
    return str(path)


@pytest.mark.parametrize("program", [LOSES, LINE], ids=["process", "worker"])
def test_the_folder_of_agents(at, thetahat, program) -> None:
    thetahat("sweep", at.sweep(GRID, program))
    folder = blocked(at, "agents")
    code, _, err = thetahat("agent", "last", "--workers", "1")
    assert code == 2
    assert err == f"thetahat: agents cannot be kept in {folder} (File exists); {GIVE}"
    assert at.runs() == []


def test_the_folder_of_a_workers_log(at, thetahat) -> None:
    thetahat("sweep", at.sweep(GRID, LINE))
    folder = blocked(at, "logs")
    code, _, err = thetahat("agent", "last", "--workers", "1")
    assert code == 2
    assert err == f"thetahat: logs cannot be written to {folder} (File exists); {GIVE}"
    assert at.runs() == []


def test_a_process_log_that_cannot_be_written_does_not_fail_its_run(at, thetahat) -> None:
    thetahat("sweep", at.sweep(GRID, LOSES))
    folder = blocked(at, "logs")
    code, _, err = thetahat("agent", "last", "--workers", "1")
    assert code == 2
    assert err.startswith(f"thetahat: the run's folder {folder}/")
    assert err.endswith(
        ".1 cannot be written (Not a directory); give another store with store= (--store)\n"
    )
    assert [(str(r.status), r.failures) for r in at.runs()] == [("queued", 0)]
    os.unlink(folder)
    code, _, _ = thetahat("agent", "last", "--workers", "1")
    assert (code, {str(run.status) for run in at.runs()}) == (0, {"finished"})


FULL = (
    "import os, resource\n"
    "if 'THETAHAT_WORKER_ADDRESS' in os.environ and os.path.exists('full'):\n"
    "    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))\n"
)


@pytest.mark.slow
def test_checkpoints_that_cannot_be_written_do_not_fail_their_runs(at, thetahat) -> None:
    text = GRID.replace("parameters: {", "parameters: {width: {value: 64}, ")
    thetahat("sweep", at.sweep(text, FULL + LINE))
    (at.folder / "full").touch()
    code, _, err = thetahat("agent", "last", "--workers", "1")
    assert code == 2
    assert err.startswith("thetahat: cannot write the checkpoint ")
    assert err.endswith(": File too large; give a folder that can be written\n")
    assert [(str(r.status), r.failures) for r in at.runs()] == [("queued", 0)] * 3
    (at.folder / "full").unlink()
    code, _, _ = thetahat("agent", "last", "--workers", "1")
    assert (code, {str(run.status) for run in at.runs()}) == (0, {"finished"})


@pytest.mark.parametrize("how", ["moved", "replaced"])
def test_agent_ends_when_its_store_is_removed(at, how) -> None:
    text = GRID.replace("{values: [0.1, 0.2, 0.3]}", "{min: 1, max: 100}")
    child = at.start("sweep", at.sweep(text, LOSES + AFTER_ONE), "--run", "--workers", "1")
    until(lambda: at.any() and any(str(r.status) == "finished" for r in at.runs()))
    sweep, store, away = at.row().id, at.folder / ".thetahat", at.folder / "away"
    # Else the agent may look between the two steps of a replacement.
    child.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, child.pid, os.WSTOPPED | os.WNOWAIT)
    store.rename(away)
    if how == "replaced":
        at.store().close()
    child.send_signal(signal.SIGCONT)
    _, err = child.communicate()
    assert child.returncode == 2, err
    what = "is no longer there" if how == "moved" else "was replaced by another"
    assert err.splitlines()[-1] == (
        f"thetahat: the store {store / 'store.db'} {what}: this agent can keep nothing any more; put"
        f" it back, and go on with: thetahat agent {sweep}"
    )
    assert "Traceback" not in err


PROCESS = """\
program: train.py
method: grid
metric: {name: val_risk}
parameters: {lr: {values: [0.1]}, epochs: {value: 20000}}
"""


@pytest.mark.slow
def test_a_program_fails_its_run_if_the_disk_is_full(at, thetahat, monkeypatch) -> None:
    """An experiment as a process of its own: what it logs fills a disk of the store alone."""
    monkeypatch.setattr("thetahat.sweep._full_disk.ROOM_S", 5.0)
    disk = at.folder / ".thetahat"
    disk.mkdir()
    mount = shutil.which("mount")
    words = ["mount", "-t", "tmpfs", "-o", "size=1000k", "tmpfs", str(disk)]
    if mount is None or subprocess.run(words, capture_output=True, check=False).returncode:
        pytest.skip("a disk can be mounted by root alone, on Linux")
    try:
        file = at.sweep(PROCESS, LINE)
        thetahat("sweep", file, "--mode", "process", "--retries", "0")
        code, _, err = thetahat("agent", "last", "--workers", "1", "--keep-going")
        with at.store() as store:
            [run] = standing(store, at.runs())
            kept = sum(block.count for block in store.blocks(run.id))
        assert kept < 20_000
        # Whatever became of the agent, no run is finished that lacks records.
        assert code != 0, err
        assert str(run.status) in ("failed", "queued"), run.reason
        assert "the disk is full" in run.reason + err
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)
