"""n epochs equal k + (n - k) resumed, bit for bit, in a new process and after kill -9."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from small import net

import thetahat as th
from thetahat.core import CheckpointError

# Chunks are made short, and the disk fails.
from thetahat.train import _checkpoint, _driver, read_checkpoint

STANDARD_PROGRAMS = True

VICTIM = """
import sys, time
sys.path.insert(0, {folder!r})
import thetahat as th
from small import net
from thetahat.train import _driver
_driver.ChunkLength.next = lambda self, left, most: min(left, 5)  # short chunks: many places to die

def progress(p):
    print(p.epoch, flush=True)
    if p.epoch >= 20:
        time.sleep(600)

th.fit_many(net, {configs!r}, mode="vmap", checkpoint={path!r}, progress=progress)
"""


@pytest.mark.parametrize("members", [1, 3])
def test_kill_minus_nine_loses_at_most_a_chunk_and_changes_no_bit(
    tmp_path: Path, members: int
) -> None:
    configs = [{"epochs": 60, "seed": s, "lr": 0.02} for s in range(members)]
    path, folder = tmp_path / "run.ckpt", str(Path(__file__).parent)
    code = VICTIM.format(folder=folder, configs=configs, path=str(path))
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as victim:
        assert victim.stdout is not None
        for line in victim.stdout:
            if int(line) >= 20:
                break
        victim.send_signal(signal.SIGKILL)
    assert victim.returncode == -signal.SIGKILL
    assert read_checkpoint(path).epoch in (15, 20)
    resumed = th.fit_many(net, configs, mode="vmap", checkpoint=path, resume=True)
    whole = th.fit_many(net, configs, mode="vmap")
    for one, other in zip(resumed, whole, strict=True):
        assert one.history.keys() == other.history.keys()
        for name in one.history.keys() - {"seconds"}:
            np.testing.assert_array_equal(one.history[name], other.history[name], err_msg=name)
        assert one.risk == other.risk


def test_interrupt_finishes_the_chunk_saves_and_resumes_bitwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_driver.ChunkLength, "next", lambda self, left, most: min(left, 3))
    path = tmp_path / "run.ckpt"

    def ctrl_c(progress: th.train.Progress) -> None:
        if progress.epoch == 6:
            signal.raise_signal(signal.SIGINT)

    cut = th.fit(net, epochs=20, checkpoint=path, progress=ctrl_c)
    assert (cut.status, cut.epochs) == (th.Status.INTERRUPTED, 6)
    assert cut.reason == "interrupted after epoch 6 of 20"
    assert "test" not in cut.risk
    resumed = th.fit(net, epochs=20, checkpoint=path, resume=True)
    whole = th.fit(net, epochs=20)
    for name in ("epoch", "train_risk", "val_risk", "norm", "learning_rate"):
        np.testing.assert_array_equal(resumed.history[name], whole.history[name])
    assert resumed.risk == whole.risk
    assert (np.diff(resumed.history["seconds"]) > 0).all()


def test_more_epochs_can_follow_a_finished_run(tmp_path: Path) -> None:
    path = tmp_path / "run.ckpt"
    th.fit(net, epochs=4, checkpoint=path)
    longer = th.fit(net, epochs=9, checkpoint=path, resume=True)
    np.testing.assert_array_equal(
        longer.history["val_risk"], th.fit(net, epochs=9).history["val_risk"]
    )


def test_a_checkpoint_of_another_task_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.ckpt"
    th.fit(net, checkpoint=path)
    with pytest.raises(CheckpointError, match="belongs to another fit: width was 4, is 5"):
        th.fit(net, width=5, checkpoint=path, resume=True)
    with pytest.raises(CheckpointError, match="holds 1 members, and 2 were asked for"):
        th.fit_many(net, [{"seed": 1}, {"seed": 2}], checkpoint=path, resume=True)


def test_a_corrupt_checkpoint_is_one_clear_message(tmp_path: Path) -> None:
    path = tmp_path / "run.ckpt"
    th.fit(net, checkpoint=path)
    good = path.read_bytes()
    for bad in (
        b"",
        b"PK\x03\x04 no archive",
        good[: len(good) // 2],
        good[:2000] + bytes([good[2000] ^ 255]) + good[2001:],
    ):
        path.write_bytes(bad)
        with pytest.raises(
            CheckpointError, match="is damaged .*delete it and run again from the start"
        ):
            th.fit(net, checkpoint=path, resume=True)


def test_a_checkpoint_of_a_newer_version_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run.ckpt"
    monkeypatch.setattr(_checkpoint, "VERSION", 99)
    th.fit(net, checkpoint=path)
    monkeypatch.undo()
    with pytest.raises(CheckpointError) as caught:
        read_checkpoint(path)
    assert str(caught.value) == (
        f"the checkpoint {path} has version 99; this thetahat reads version 2."
        " Upgrade: pip install -U thetahat"
    )


def test_a_folder_that_cannot_be_written_is_said_before_anything_runs(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("in the way")
    with pytest.raises(CheckpointError, match="cannot write the checkpoint .* give a folder"):
        th.fit(net, checkpoint=file / "run.ckpt")


def test_a_disk_that_fills_up_stops_the_checkpoints_and_not_the_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import errno

    monkeypatch.setattr(_driver.ChunkLength, "next", lambda self, left, most: min(left, 2))
    calls = []

    def full(fd: int) -> None:
        calls.append(fd)
        if len(calls) > 4:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    path = tmp_path / "run.ckpt"
    with pytest.warns(th.Notice, match="the disk is full; .* The fit goes on, and tries again"):
        result = th.fit(net, checkpoint=path)
    assert (result.status, result.epochs) == (th.Status.FINISHED, 7)
    assert read_checkpoint(path).epoch in (2, 4)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["run.ckpt"]


def test_checkpoints_go_on_when_the_disk_has_room_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import errno

    monkeypatch.setattr(_driver.ChunkLength, "next", lambda self, left, most: min(left, 2))
    monkeypatch.setattr(_checkpoint, "AGAIN_S", 0.0)
    calls = []

    def full_for_a_while(fd: int) -> None:
        calls.append(fd)
        if 4 < len(calls) < 7:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_for_a_while)
    path = tmp_path / "run.ckpt"
    with pytest.warns(th.Notice, match="the disk is full") as said:
        result = th.fit(net, checkpoint=path)
    assert len([w for w in said if "the disk is full" in str(w.message)]) == 1
    kept = read_checkpoint(path)
    assert kept.epoch == result.epochs == 7
    told = [name for name in kept.header["columns"] if name != "seconds"]
    for name in told:
        column = kept.records[0, :, kept.header["columns"].index(name)]
        np.testing.assert_array_equal(column, result.history[name])
