"""Reading a store where nothing can be written any more."""

from __future__ import annotations

import shutil
import sqlite3
from collections import namedtuple
from pathlib import Path

import pytest
from programs import run_python

from thetahat.store._sqlite import Mode, explain

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
        " (disk I/O error); give another place with --store or THETAHAT_STORE\n"
    )


def test_a_full_disk_is_called_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = sqlite3.SQLITE_IOERR_SHMSIZE
    usage = namedtuple("usage", "total used free")
    path = tmp_path / "store.db"
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(100, 100, 0))
    assert explain(error, path, Mode()) == (
        f"the disk is full: the store {path} cannot grow; free some space, or give another place"
        " with --store or THETAHAT_STORE"
    )
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**9, 0, 10**9))
    assert explain(error, path, Mode()) == (
        f"the store {path} cannot be opened or written (disk I/O error); give another place with"
        " --store or THETAHAT_STORE"
    )
