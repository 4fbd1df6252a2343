"""A disk that is full when a run ends: what is lost is said, and written as soon as it can be."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from small_disks import Limit, fill, small_disk

from children import until
from thetahat import start
from thetahat.core import Ended, Logged, Started, Status, StoreError
from thetahat.store import Store, open_store, store_tracker

SQLITE_ONLY = True

N = 20_000


def begun(store: Store, members: int = 1):
    # Records wait for the end of their run, however long the test takes.
    track = store_tracker(store, cohort=None if members == 1 else "c1", clock=lambda: 0.0)
    for member in range(members):
        track(Started(member, {"lr": 0.1}, N, 17, {}))
    track.flush()
    return track


def log(track, member: int = 0, n: int = N) -> None:
    epoch = np.arange(1.0, n + 1)
    track(Logged(member, {"epoch": epoch, "val_risk": np.random.default_rng(0).random(n)}))


def end(member: int = 0, status: Status = Status.FINISHED) -> Ended:
    return Ended(member, status, "why", N, {"val_risk": 0.1}, {}, {})


@pytest.mark.parametrize(
    ("status", "marked", "reason"),
    [
        (Status.FINISHED, Status.FAILED, "{}"),
        (Status.STOPPED, Status.FAILED, "{}"),
        (Status.DIVERGED, Status.DIVERGED, "why; {}"),
        (Status.INTERRUPTED, Status.INTERRUPTED, "why; {}"),
    ],
)
def test_an_end_on_a_full_disk_is_marked_and_then_written_whole(
    store: Store, status: Status, marked: Status, reason: str
) -> None:
    track, limit = begun(store), Limit(store)
    limit.full = True
    with pytest.raises(StoreError, match="the disk is full"):
        track.flush() or log(track) or track(end(status=status))
    lost = f"{N:,} of {N:,} records could not be kept: the disk is full"
    [unkept] = track.settle(0.0)
    assert (unkept.reason, unkept.marked, unkept.name) == (lost, True, track.run_name())
    row = store.run(track.run_id())
    assert (row.status, row.reason) == (marked, reason.format(lost))
    assert len(store.history(row.id)) == 0
    # There is room again: it is found without a call.
    limit.full = False
    until(lambda: store.run(row.id).reason == "why")
    assert store.run(row.id).status == status
    assert list(store.history(row.id)["epoch"]) == list(range(1, N + 1))
    assert track.settle() == []


def test_members_that_go_on_are_kept_when_there_is_room(store: Store) -> None:
    track, limit = begun(store, 2), Limit(store)
    limit.full = True
    with pytest.raises(StoreError, match="the disk is full"):
        log(track, 0) or track(end(0))
    limit.full = False
    log(track, 1)
    until(lambda: not track.settle(0.0))
    track(end(1))
    track(end(0))  # told again, as an audience does with what failed: it changes nothing
    rows = [store.run(track.run_id(member)) for member in range(2)]
    assert [(str(row.status), row.reason) for row in rows] == [("finished", "why")] * 2
    assert [len(store.history(row.id)["epoch"]) for row in rows] == [N, N]


FIT = """
    import sys, numpy as np, thetahat as th
    from thetahat.store import open_store, store_tracker

    def line(epochs=60_000):
        x = np.linspace(-1, 1, 16, dtype=np.float32)[:, None]
        data = th.split((x, 2 * x[:, 0]), train=0.5, val=0.25, test=0.25, seed=1)
        return th.Task(th.models.Linear(1), data, optimizer=th.optim.named("sgd", 0.1), epochs=epochs)

    track = store_tracker(open_store(sys.argv[1]))
    result = th.fit(line, trackers=[track])
    print(result.status, result.epochs)
"""
LOG = """
    import sys, thetahat as th
    run = th.start({"lr": 1}, store=sys.argv[1], name="mine")
    for step in range(120_000):
        run.log({"loss": step / 7, "other": step / 3})
    print("logged")
"""


def python(text: str, *words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(text), *map(str, words)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.mark.slow
def test_a_fit_that_a_full_disk_did_not_keep_fails_its_program(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 5 << 18) as disk:
        done = python(FIT, disk / "s")
        assert done.stdout == "finished 60000\n"
        assert done.returncode == 120, done.stderr
        said = done.stderr.splitlines()[-1]
        with open_store(disk / "s", create=False) as store:
            [row] = store.runs()
            kept = sum(block.count for block in store.blocks(row.id))
    lost = f"{60_000 - kept:,} of 60,000 records could not be kept: the disk is full"
    assert kept < 60_000
    assert (str(row.status), row.reason) == ("failed", lost)
    assert lost in said
    assert said.startswith(f"thetahat: the store {disk / 's' / 'store.db'}: of the run {row.name}")


@pytest.mark.slow
def test_a_run_logged_by_hand_on_a_full_disk_fails_with_its_program(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 5 << 18) as disk:
        done = python(LOG, disk / "s")
        assert done.returncode != 0
        assert "the disk is full" in done.stderr
        with open_store(disk / "s", create=False) as store:
            row = store.run("mine")
    assert str(row.status) == "failed"
    assert "the disk is full" in row.reason


def test_rows_that_wait_are_not_all_written_again_with_each(store: Store, monkeypatch) -> None:
    monkeypatch.setattr("thetahat.store._live_run.FLUSH_S", 60.0)
    run, limit = start({}, store=store), Limit(store)
    limit.full = True
    flushes: list[int] = []
    flush = run._flush
    monkeypatch.setattr(run, "_flush", lambda: flushes.append(1) or flush())
    refused = 0
    for step in range(12_000):
        try:
            run.log({"loss": step}, step=step)
        except StoreError:
            refused += 1
    assert (refused, len(flushes)) == (1, 1)
    limit.full = False
    run.finish()
    assert list(store.history(run.id)["loss"]) == list(range(12_000))


def test_a_disk_without_room_is_said_before_anything_runs(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk, open_store(disk / "s") as store:
        store.create_run()
        ballast = fill(disk)
        with pytest.raises(StoreError, match="the disk is full"):
            start({}, store=store)
        with pytest.raises(StoreError, match="the disk is full"):
            begun(store)
        ballast.unlink()
        assert len(store.runs()) == 1
