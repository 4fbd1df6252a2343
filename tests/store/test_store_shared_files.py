"""Files that all runs of a process share in a store: the lock that tells of them, and the space."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from small_disks import fill, small_disk

from thetahat import start
from thetahat.core import Ended, Started, Status, StoreError
from thetahat.store import Reserve, Store, open_store, store_tracker

END = Ended(0, Status.FINISHED, "", 1, {}, {}, {})


def begun(store: Store):
    track = store_tracker(store)
    track(Started(0, {"lr": 0.1}, 1, 1, {}))
    return track


def told(store: Store) -> list[list[str]]:
    """The runs that each file tells of."""
    return [json.loads(file.read_text())["runs"] for file in (store.folder / "running").iterdir()]


def python(text: str, folder: Path) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-c", textwrap.dedent(text), str(folder)]
    return subprocess.run(words, capture_output=True, text=True, timeout=240, check=False)


def test_runs_of_a_process_share_one_file(store: Store) -> None:
    first, second = begun(store), begun(store)
    ids = [track.run_id() for track in (first, second)]
    with start({}, store=store) as third:
        assert told(store) == [[*ids, third.id]]
        first(END)
        assert told(store) == [[ids[1], third.id]]
    second(END)
    assert told(store) == [[]]
    # The next run opens nothing.
    [file] = (store.folder / "running").iterdir()
    fourth = begun(store)
    assert told(store) == [[fourth.run_id()]]
    assert list((store.folder / "running").iterdir()) == [file]
    store.close()  # a run needs the file
    assert told(store) == [[fourth.run_id()]]
    fourth(END)
    store.close()
    assert not (store.folder / "running").exists()


def test_threads_share_the_file(store: Store) -> None:
    def work(_: int) -> str:
        for _ in range(10):
            track = begun(store)
            assert any(track.run_id() in runs for runs in told(store))
            track(END)
        return begun(store).run_id()

    with ThreadPoolExecutor(4) as threads:
        open_runs = list(threads.map(work, range(4)))
    [runs] = told(store)
    assert sorted(runs) == sorted(open_runs)


BEGUN = """
    import os, sys
    from thetahat.core import Ended, Started, Status
    from thetahat.store import open_store, store_tracker
    store = open_store(sys.argv[1])

    def begun():
        track = store_tracker(store)
        track(Started(0, {}, 1, 1, {}))
        return track

    def end(track):
        track(Ended(0, Status.FINISHED, "", 1, {}, {}, {}))

    track = begun()
"""


@pytest.mark.parametrize(
    ("ending", "status", "left"),
    [
        ("end(track)", "finished", False),
        ("track", "running", True),
        ("end(track); os._exit(0)", "finished", True),
    ],
)
def test_a_process_that_ends_removes_the_file_unless_it_tells_of_a_run(
    tmp_path: Path, ending: str, status: str, left: bool
) -> None:
    done = python(textwrap.dedent(BEGUN) + ending, tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    folder = tmp_path / "running"
    assert folder.exists() == left
    with open_store(tmp_path, create=False) as store:
        expected = "interrupted" if status == "running" else status
        assert [str(run.status) for run in store.runs()] == [expected]
    assert not folder.exists() or list(folder.iterdir()) == []


FORKED = """
    end(track)
    track = begun()  # the file was opened for another
    child = os.fork()
    if not child:
        begun()
        print(*sorted(os.listdir(store.folder / "running")), flush=True)
        {how}
    os.waitpid(child, 0)
    print(*sorted(os.listdir(store.folder / "running")), flush=True)
    other = [sys.executable, "-c", "import sys; from thetahat.store import open_store as o;"
             " print(*(r.status for r in o(sys.argv[1]).runs()))", sys.argv[1]]
    import subprocess
    print(subprocess.run(other, capture_output=True, text=True).stdout, end="", flush=True)
    end(track)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="fork")
@pytest.mark.parametrize("how", ["sys.exit(0)", "os._exit(0)", "os.kill(os.getpid(), 9)"])
def test_a_forked_child_has_a_file_of_its_own_and_leaves_its_parents(
    tmp_path: Path, how: str
) -> None:
    text = textwrap.dedent(BEGUN) + textwrap.dedent(FORKED).format(how=how)
    done = python(text, tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    in_child, in_parent, statuses = done.stdout.splitlines()
    assert len(in_child.split()) == 2
    assert in_parent == in_child
    # The child is gone, and its run with it; the parent's run goes on.
    assert statuses == "finished running interrupted"
    with open_store(tmp_path, create=False) as store:
        found = [str(run.status) for run in store.runs()]
    assert found == ["finished", "finished", "interrupted"]
    assert not (tmp_path / "running").exists()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="fork")
@pytest.mark.filterwarnings("ignore:os.fork:RuntimeWarning")  # JAX, where another test loaded it
def test_a_forked_child_ends_no_hold_of_its_parent(store: Store) -> None:
    track = begun(store)
    child = os.fork()
    if not child:
        try:
            store.close()
            start({}, store=store).finish()
            store.close()
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    assert told(store) == [[track.run_id()]]
    track(END)


def test_a_folder_that_was_removed_is_made_again(store: Store) -> None:
    first = begun(store)
    shutil.rmtree(store.folder / "running")
    second = begun(store)
    assert told(store) == [[first.run_id(), second.run_id()]]


@pytest.mark.sqlite
def test_a_look_by_another_path_does_not_let_go_of_the_lock(store: Store, tmp_path: Path) -> None:
    track = begun(store)
    link = tmp_path / "link"
    link.symlink_to(store.folder, target_is_directory=True)
    with open_store(link, create=False) as same:
        assert [str(run.status) for run in same.runs()] == ["running"]
    seen = python(
        "import sys; from thetahat.store import open_store as o; print(o(sys.argv[1]).run('last').status)",
        store.folder,
    )
    assert seen.stdout == "running\n"
    track(END)


def test_a_run_that_this_process_goes_on_with_is_not_dead(store: Store) -> None:
    track = begun(store)
    [file] = (store.folder / "running").iterdir()
    # A file of the process that was killed before, and that no process could remove.
    (file.parent / "stale.lock").write_text(file.read_text())
    assert str(store.run(track.run_id()).status) == "running"


def test_each_run_keeps_its_share_of_the_space(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk:

        def free() -> int:
            return shutil.disk_usage(disk).free

        empty = free()
        first, second = Reserve(disk), Reserve(disk)
        first.take()
        one = empty - free()
        assert one >= 128 * 1024
        second.take()
        assert empty - free() == 2 * one
        # On a full disk a run spends its own share, not that of the other.
        first.release()
        assert empty - free() == one
        second.done()
        assert empty - free() == one, "kept for the next run"
        third = Reserve(disk)
        third.take()
        assert empty - free() == one
        third.release()
        assert free() == empty


def test_the_space_that_an_idle_process_keeps_serves_its_next_run(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk:
        first, second, third = (Reserve(disk) for _ in range(3))
        first.take()
        first.done()
        ballast = fill(disk)
        second.take()
        with pytest.raises(StoreError, match="the disk is full"):
            third.take()
        ballast.unlink()
        full = shutil.disk_usage(disk).free
        third.take()
        second.release()
        assert shutil.disk_usage(disk).free == full
        third.release()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="fork")
@pytest.mark.filterwarnings("ignore:os.fork:RuntimeWarning")  # JAX, where another test loaded it
def test_a_forked_child_holds_no_space(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk:
        empty = shutil.disk_usage(disk).free
        reserve = Reserve(disk)
        reserve.take()
        read, write = os.pipe()
        child = os.fork()
        if not child:
            try:
                reserve.release()
                kept = empty - shutil.disk_usage(disk).free
                os.write(write, str(kept).encode())
                signal.pause()
            finally:
                os._exit(0)
        try:
            assert int(os.read(read, 64)) >= 128 * 1024, "the parent's space is the parent's"
            reserve.release()
            assert shutil.disk_usage(disk).free == empty
        finally:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)


def test_only_a_few_stores_stay_open(tmp_path: Path) -> None:
    stores = [open_store(tmp_path / str(i)) for i in range(12)]
    for store in stores:
        begun(store)(END)
    kept = [store for store in stores if (store.folder / "running").exists()]
    assert kept == stores[-8:]
    for store in stores:
        store.close()
    assert not any((store.folder / "running").exists() for store in stores)
