"""Runs whose process was killed: no row says that they run."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from thetahat import start
from thetahat.cli import run as command
from thetahat.store import Store, open_store, pulse

BEGIN = """
    import os, sys, time
    from thetahat.core import Started
    from thetahat import start
    from thetahat.store import open_store, store_tracker
    store = open_store(sys.argv[1])
    if sys.argv[2] == "start":
        run = start({"lr": 1.0}, store=store)
        print(run.id)
    else:
        track = store_tracker(store)
        for member in range(3):
            track(Started(member, {"lr": member}, 10, 1, {}))
        track.flush()
        print(" ".join(track.run_id(member) for member in range(3)))
    if sys.argv[3] == "fork" and not os.fork():
        sys.stdout.close()
        time.sleep(600)
        os._exit(0)
    sys.stdout.flush()
    sys.stdin.read()
"""


@pytest.fixture
def begin(store_url: str | Path):
    """Begin runs in a process that waits; their ids come with it."""
    began: list[subprocess.Popen[str]] = []

    def begun(how: str = "start", fork: str = "") -> tuple[subprocess.Popen[str], list[str]]:
        child = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(BEGIN), str(store_url), how, fork],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        began.append(child)
        assert child.stdout is not None
        return child, child.stdout.readline().split()

    yield begun
    for child in began:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        child.stdin.close()
        child.stdout.close()


def kill(child: subprocess.Popen[str]) -> None:
    os.kill(child.pid, signal.SIGKILL)
    child.wait()


def statuses(store: Store, ids: list[str]) -> list[str]:
    return [str(store.run(one).status) for one in ids]


pytestmark = pytest.mark.skipif(not hasattr(os, "killpg"), reason="kill -9")


@pytest.mark.parametrize(("how", "fork"), [("start", ""), ("tracker", ""), ("start", "fork")])
def test_a_run_is_running_as_long_as_its_process(
    store: Store, begin: Callable, how: str, fork: str
) -> None:
    child, ids = begin(how, fork)
    assert statuses(store, ids) == ["running"] * len(ids)
    assert store.settle_gone() == 0
    kill(child)
    assert statuses(store, ids) == ["interrupted"] * len(ids)
    with store.reading() as raw:
        query = "SELECT status, reason, finished = heartbeat FROM runs"
        rows = list(map(tuple, raw.exec_driver_sql(query)))
    assert rows == [("interrupted", store.run(ids[0]).reason, 1)] * len(ids)
    assert not (store.folder / "running").exists() or not list((store.folder / "running").iterdir())


def test_lists_filters_and_commands_agree(
    store: Store, store_url: str | Path, begin: Callable, capsys: pytest.CaptureFixture[str]
) -> None:
    child, ids = begin()
    kill(child)
    # Another writes just now: the rows cannot be changed, and no call waits.
    with open_store(store_url) as other, other.batch() as raw:
        assert [r.id for r in store.runs(status="interrupted")] == ids
        assert store.runs(status="running") == []
        assert [str(r.status) for r in store.runs(limit=1)] == ["interrupted"]
        assert command(["runs", "--format=json", f"--store={store.path}"]) == 0
        assert [r["status"] for r in json.loads(capsys.readouterr().out)] == ["interrupted"]
        assert command(["show", ids[0], f"--store={store.path}"]) == 0
        assert "running" not in capsys.readouterr().out.replace("running/", "")
        assert raw.execute("SELECT status FROM runs", {}).fetchall() == [("running",)]
    assert pulse(store)["counts"] == {"interrupted": 1}


def test_a_run_of_this_process_runs_while_it_looks(store: Store) -> None:
    with start({}, store=store) as run:
        for _ in range(2):
            assert statuses(store, [run.id]) == ["running"]
        other = subprocess.run(
            [
                sys.executable,
                "-c",
                "import sys; from thetahat.store import open_store as o;"
                " print(o(sys.argv[1]).run('last').status)",
                str(store.path),
            ],
            capture_output=True,
            text=True,
            check=True,
        )
        assert other.stdout == "running\n"
    assert statuses(store, [run.id]) == ["finished"]
    store.close()
    assert not (store.folder / "running").exists()


def test_other_machines_are_not_judged(store: Store, begin: Callable) -> None:
    child, ids = begin()
    kill(child)
    [file] = (store.folder / "running").iterdir()
    told = json.loads(file.read_text())
    file.write_text(json.dumps({**told, "host": "another"}))
    assert statuses(store, ids) == ["running"]
    file.write_text("half a fi")
    assert statuses(store, ids) == ["running"]


def test_a_run_that_another_process_goes_on_with_runs(store: Store, begin: Callable) -> None:
    child, ids = begin()
    kill(child)
    stale = next((store.folder / "running").iterdir()).read_text()
    assert statuses(store, ids) == ["interrupted"]
    again, _ = begin()
    [file] = (store.folder / "running").iterdir()
    (store.folder / "running" / "stale.lock").write_text(stale)
    # The living one has it: its file lists the run, as after a resume.
    with file.open("r+") as out:
        out.write(
            json.dumps({**json.loads(stale), "runs": [*ids, *json.loads(file.read_text())["runs"]]})
        )
    with store.batch() as writer:
        writer.connection.exec_driver_sql("UPDATE runs SET status = 'running'")
    assert statuses(store, ids) == ["running"]
    kill(again)
    assert statuses(store, ids) == ["interrupted"]


def test_a_folder_that_takes_no_file_is_no_reason_to_stop(store: Store) -> None:
    (store.folder / "running").write_text("in the way")
    with start({}, store=store) as run:
        assert statuses(store, [run.id]) == ["running"]
    assert statuses(store, [run.id]) == ["finished"]
    with open_store(store.path, create=False) as looked:
        assert len(looked.runs()) == 1
