"""A full disk, and processes that are killed: what can be read, and what the store says then."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
from collections import namedtuple
from collections.abc import Iterator
from pathlib import Path

import pytest
from programs import LINE, run_python, run_thetahat

from children import COMMAND, start, until
from thetahat.store import open_store

# Errors of SQLite cannot be caused at will.
from thetahat.store._sqlite import OpenMode, explain

# No file may grow by a byte: what SQLite says is what it says on a full disk.
FULL = (
    "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0));"
    " sys.argv[0] = 'thetahat'; from thetahat.cli import run; sys.exit(run())"
)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["runs", "--columns=name,val_risk", "--format=csv"], "name,val_risk\r\n{},1.5\r\n"),
        (["show", "last", "--history", "--format=csv"], "2,"),
        (["report", "last", "--format=md"], "Made by thetahat.\n"),
    ],
)
def test_what_is_there_can_be_read(kept: str, folder: Path, words: list[str], said: str) -> None:
    code, out, err = run_python(["-B", "-c", FULL, *words], folder)
    assert (code, err) == (0, "")
    assert said.format(kept).replace("\r\n", "\n") in out


def test_a_log_that_cannot_be_read_leaves_the_first_message(kept: str, folder: Path) -> None:
    # A writer that was killed: its log holds something, and reading it needs shared memory.
    text = "import os, sqlite3; c = sqlite3.connect('.thetahat/store.db');"
    text += " c.execute('CREATE TABLE more (a)'); c.commit(); os._exit(0)"
    assert run_python(["-c", text], folder)[0] == 0
    (folder / ".thetahat" / "store.db-shm").unlink()
    code, out, err = run_python(["-B", "-c", FULL, "runs"], folder)
    assert (code, out) == (2, "")
    assert err == (
        f"thetahat: the store {folder / '.thetahat' / 'store.db'} cannot be opened or written"
        " (disk I/O error); give another place with store= (--store) or THETAHAT_STORE\n"
    )


def test_a_full_disk_is_called_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = sqlite3.SQLITE_IOERR_SHMSIZE
    usage = namedtuple("usage", "total used free")
    path = tmp_path / "store.db"
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(100, 100, 0))
    assert explain(error, path, OpenMode()) == (
        f"the disk is full: the store {path} cannot grow; free some space, or give another place"
        " with store= (--store) or THETAHAT_STORE"
    )
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**9, 0, 10**9))
    assert explain(error, path, OpenMode()) == (
        f"the store {path} cannot be opened or written (disk I/O error); give another place with"
        " store= (--store) or THETAHAT_STORE"
    )


@pytest.fixture
def disk(folder: Path) -> Iterator[Path]:
    """A disk of its own, of three megabytes."""
    place = folder / "disk"
    place.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(place)]
    mount = shutil.which("mount")
    if mount is None or subprocess.run(words, capture_output=True, check=False).returncode:
        pytest.skip("a disk can be mounted by root alone, on Linux")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


FITS = ["line.py", "--epochs=60000", "--store=disk/s"]


def stands(place: Path) -> dict[str, object]:
    with open_store(place / "s", create=False) as store:
        [run] = store.runs()
        records = sum(block.count for block in store.blocks(run.id))
        return {"status": str(run.status), "reason": run.reason, "records": records}


@pytest.mark.slow
def test_a_fit_that_finds_no_room_says_what_is_lost_and_can_be_repaired(disk: Path) -> None:
    folder = disk.parent
    (folder / "line.py").write_text(LINE)
    code, out, err = run_python(FITS, folder)
    had = stands(disk)
    lost = f"{60_000 - had['records']:,} of 60,000 records could not be kept: the disk is full"
    assert had["records"] < 60_000
    assert (code, had["status"], had["reason"]) == (1, "failed", lost)
    assert f" failed ({lost})" in out
    assert f"failed: {lost}" in err.replace("\n  ", " ")
    again = f"thetahat resume bright-magnolia-1 --store {disk / 's' / 'store.db'}"
    assert again in " ".join(err.split())
    subprocess.run(["mount", "-o", "remount,size=60m", str(disk)], check=True)
    code, _, err = run_thetahat(["resume", "last", "--store=disk/s"], folder)
    assert (code, err) == (0, "")
    reason = "all 60000 epochs done"
    assert stands(disk) == {"status": "finished", "reason": reason, "records": 60_000}


@pytest.mark.slow
def test_a_fit_that_ends_on_a_full_disk_waits_for_room(disk: Path) -> None:
    folder = disk.parent
    # As long as the test needs to make room.
    waits = "from thetahat.store import _tracker; _tracker.EXIT_S = 600.0\n"
    (folder / "line.py").write_text(waits + LINE)
    with start(FITS, folder) as child:
        until(lambda: "wait for room on the disk" in " ".join(child.said().split()))
        subprocess.run(["mount", "-o", "remount,size=60m", str(disk)], check=True)
        out, err = child.communicate()
    assert (child.returncode, " finished (" in out) == (0, True), err
    reason = "all 60000 epochs done"
    assert stands(disk) == {"status": "finished", "reason": reason, "records": 60_000}


@pytest.mark.skipif(sys.platform == "win32", reason="kill -9")
@pytest.mark.slow
def test_a_fit_that_is_killed_does_not_run(folder: Path, thetahat) -> None:
    (folder / "line.py").write_text(LINE)
    place = folder / ".thetahat" / "store.db"

    def epochs() -> int:
        if not place.exists():
            return 0
        with open_store(create=False) as store:
            return max((run.epochs for run in store.runs(status="running")), default=0)

    with start(["line.py", "--epochs=100000000"], folder) as child:
        until(epochs)
        child.kill()
        child.communicate()
    code, out, err = thetahat("runs", "--format=json")
    assert (code, err) == (0, "")
    [run] = json.loads(out)
    assert run["status"] == "interrupted"
    assert run["reason"].startswith("its process ended without a word")
    code, out, _ = thetahat("show", "last")
    assert (code, "interrupted" in out) == (0, True)


SWEEP = """\
program: line.py
method: grid
metric: {name: val_risk}
parameters: {lr: {values: [0.01, 0.1]}, epochs: {value: 100000000}}
"""


@pytest.mark.skipif(sys.platform == "win32", reason="kill -9")
@pytest.mark.slow
def test_runs_whose_agent_is_killed_wait(folder: Path, thetahat) -> None:
    (folder / "line.py").write_text(LINE)
    (folder / "sweep.yaml").write_text(SWEEP)

    def running() -> bool:
        if not (folder / ".thetahat" / "store.db").exists():
            return False
        with open_store(create=False) as store:
            return any(run.epochs for run in store.runs(status="running"))

    with start(["-c", COMMAND, "sweep", "sweep.yaml", "--run", "--workers=1"], folder) as child:
        until(running)
        code, out, _ = thetahat("runs", "--format=json")
        assert {run["status"] for run in json.loads(out)} == {"running"}
        child.kill()
        child.communicate()
    code, out, err = thetahat("runs", "--format=json")
    found = json.loads(out)
    assert (code, {run["status"] for run in found}) == (0, {"queued"}), err
    assert {run["reason"] for run in found} == {
        "its agent died; the next agent of the sweep goes on with it"
    }
    code, out, _ = thetahat("show", found[0]["name"])
    assert (code, "queued" in out) == (0, True)
