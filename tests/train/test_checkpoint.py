"""One checkpoint is one file: whole or not at all, and refused where a byte of it was changed."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from thetahat.core import CheckpointError

# Frames are written and damaged one by one.
from thetahat.train import _checkpoint, read_checkpoint, read_header
from thetahat.train._checkpoint import PatientWriter

# The format is private: only here can it be seen that no part of a file goes unchecked.
FACTS = {"size": 2, "mode": "map", "provenance": []}
NAMES = ("train_risk", "seconds")


def records(n: int, first: int = 0) -> np.ndarray:
    """Records (2, n, 2) that say which epoch they are of."""
    return np.arange(4 * first, 4 * (first + n), dtype=float).reshape(n, 2, 2).swapaxes(0, 1)


def state(epoch: int, size: int = 3) -> dict[str, np.ndarray]:
    """Arrays of every kind that a state holds."""
    return {
        ".params": np.full((2, size), epoch, np.float32),
        ".key": np.arange(4, dtype=np.uint32),
        ".epoch": np.int32(epoch) * np.ones((), np.int32),
        ".none": np.zeros((2, 0)),
    }


def written(path: Path, chunks: int, size: int = 3) -> PatientWriter:
    """A checkpoint after so many chunks of one epoch."""
    writer = PatientWriter(path, FACTS, NAMES)
    writer.begin(0, state(0, size), records(0))
    for k in range(chunks):
        writer.write(
            k + 1, lambda k=k: state(k + 1, size), records(1, k), lambda k=k: records(k + 1)
        )
    return writer


def test_a_checkpoint_gives_back_what_was_written(tmp_path: Path) -> None:
    written(path := tmp_path / "a.ckpt", 5)
    found = read_checkpoint(path)
    assert (found.epoch, found.header["size"], found.header["columns"]) == (5, 2, list(NAMES))
    np.testing.assert_array_equal(found.records, records(5))
    for name, array in state(5).items():
        np.testing.assert_array_equal(found.arrays[name], array)
        assert found.arrays[name].dtype == array.dtype
        assert found.arrays[name].shape == array.shape
    assert read_header(path)["mode"] == "map"
    assert [p.name for p in tmp_path.iterdir()] == ["a.ckpt"]


def test_a_byte_changed_anywhere_is_refused(tmp_path: Path) -> None:
    written(path := tmp_path / "a.ckpt", 3)
    good = path.read_bytes()
    for k in range(len(good)):
        path.write_bytes(good[:k] + bytes([good[k] ^ 1]) + good[k + 1 :])
        with pytest.raises(CheckpointError, match="is damaged .*; delete it and run again"):
            read_checkpoint(path)


@pytest.mark.parametrize("bytes_", [bytes(64), b"\xff" * 64, np.full(8, 1e11).tobytes()])
def test_bytes_written_over_the_records_are_refused(tmp_path: Path, bytes_: bytes) -> None:
    written(path := tmp_path / "a.ckpt", 3)
    good = path.read_bytes()
    (place,) = [k for k in range(len(good)) if good.startswith(records(1, 2).tobytes(), k)][:1]
    for at in (place, place - 16, place - 32):
        path.write_bytes(good[:at] + bytes_ + good[at + 64 :])
        with pytest.raises(CheckpointError, match="is damaged .*; delete it and run again"):
            read_checkpoint(path)


def test_a_part_of_another_file_is_refused(tmp_path: Path) -> None:
    written(one := tmp_path / "a.ckpt", 1)
    writer = PatientWriter(other := tmp_path / "b.ckpt", FACTS, NAMES)
    writer.begin(0, state(0), records(0))
    writer.write(1, lambda: state(1), records(1) + 1, lambda: records(1) + 1)
    good, swapped = one.read_bytes(), other.read_bytes()
    assert len(good) == len(swapped)
    one.write_bytes(good[:64] + swapped[64:])
    with pytest.raises(CheckpointError, match="its parts do not belong together"):
        read_checkpoint(one)


def test_a_file_cut_anywhere_is_refused(tmp_path: Path) -> None:
    written(path := tmp_path / "a.ckpt", 3)
    good = path.read_bytes()
    for k in range(0, len(good), 7):
        path.write_bytes(good[:k])
        with pytest.raises(CheckpointError, match="is damaged"):
            read_checkpoint(path)


def test_what_a_killed_process_left_behind_its_last_chunk_does_not_count(tmp_path: Path) -> None:
    writer = written(path := tmp_path / "a.ckpt", 2)
    with path.open("ab") as file:
        file.write(b"ROWS and half a chunk")
    assert read_checkpoint(path).epoch == 2
    writer.write(3, lambda: state(3), records(1, 2), lambda: records(3))
    np.testing.assert_array_equal(read_checkpoint(path).records, records(3))


@pytest.mark.parametrize("call", ["fsync", "write"])
def test_a_process_that_dies_at_any_write_leaves_a_whole_checkpoint(
    tmp_path: Path, call: str
) -> None:
    script = f"""
import os, sys
sys.path[:0] = [{str(Path(__file__).parent)!r}]
import test_checkpoint as t
from thetahat.train import _checkpoint
count, real = [int(sys.argv[1])], _checkpoint._sync
def sync(file):
    count[0] -= 1
    if {call!r} == "write" and count[0] == 0 and file.tell() > 64:
        file.truncate(file.tell() - 5)  # a commit is too short to be written in part
    if count[0] == 0:
        os.kill(os.getpid(), 9)
    real(file)
_checkpoint._sync = sync
_checkpoint.SLACK = 300
t.written(t.Path(sys.argv[2]), 6)
"""
    for k in (2, 3, 4, 5, 8):
        path = tmp_path / f"{k}.ckpt"
        done = subprocess.run([sys.executable, "-c", script, str(k), str(path)], check=False)
        assert done.returncode == -9
        found = read_checkpoint(path) if path.exists() else None
        if found is not None:
            np.testing.assert_array_equal(found.records, records(found.epoch))
            assert (found.arrays[".params"] == found.epoch).all()


def test_many_chunks_cost_little_more_than_what_they_append(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrote = []
    replace = os.replace
    monkeypatch.setattr(
        os, "replace", lambda a, b: (wrote.append(os.stat(a).st_size), replace(a, b))[1]
    )
    monkeypatch.setattr(os, "fsync", lambda fd: None)
    monkeypatch.setattr(_checkpoint, "SLACK", 1 << 14)
    path, n, size, largest = tmp_path / "a.ckpt", 2000, 100, 0.0
    writer = PatientWriter(path, FACTS, NAMES)
    writer.begin(0, state(0, size), records(0))
    for k in range(n):
        now = k + 1
        writer.write(
            now, lambda now=now: state(now, size), records(1, k), lambda now=now: records(now)
        )
        live = now * 32 + 1800
        largest = max(largest, path.stat().st_size / (2 * live + _checkpoint.SLACK))
    appended = n * (2 * size * 4 + 500)
    assert sum(wrote) < 2 * appended
    assert largest < 1.2
    found = read_checkpoint(path)
    np.testing.assert_array_equal(found.records, records(n))


def test_a_file_that_another_process_put_there_is_not_appended_to(tmp_path: Path) -> None:
    writer = written(path := tmp_path / "a.ckpt", 2)
    written(path, 4)
    writer.write(3, lambda: state(3), records(1, 2), lambda: records(3))
    assert read_checkpoint(path).epoch == 3


def test_a_checkpoint_that_was_deleted_is_written_anew(tmp_path: Path) -> None:
    writer = written(path := tmp_path / "a.ckpt", 2)
    path.unlink()
    writer.write(3, lambda: state(3), records(1, 2), lambda: records(3))
    np.testing.assert_array_equal(read_checkpoint(path).records, records(3))


def test_a_checkpoint_of_version_1_is_one_message(tmp_path: Path) -> None:
    path = tmp_path / "a.ckpt"
    with path.open("wb") as file:
        np.savez(file, header=np.array('{"version": 1}'))
    with pytest.raises(CheckpointError) as caught:
        read_checkpoint(path)
    assert str(caught.value) == (
        f"the checkpoint {path} is one of version 1, which this thetahat does not read; delete it"
        " and a.ckpt.history, and run again from the start"
    )


def test_a_zip_bomb_is_not_opened(tmp_path: Path) -> None:
    path = tmp_path / "a.ckpt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("header.npy", bytes(50_000_000))
    with pytest.raises(CheckpointError, match="is one of version 1"):
        read_checkpoint(path)


def crafted(end: int, *frames: bytes) -> bytes:
    """A file whose checksums are right, whatever it claims."""
    digests = b""
    for frame in frames:
        digests = _checkpoint._chained(digests, frame)
    return _checkpoint._commit(end, digests) + b"".join(frames)


def test_claims_of_terabytes_are_refused_before_anything_is_allocated(tmp_path: Path) -> None:
    path, huge = tmp_path / "a.ckpt", 1 << 50
    path.write_bytes(crafted(huge))
    with pytest.raises(CheckpointError, match=r"it was cut: 64 bytes of 1125899906842624"):
        read_checkpoint(path)
    with path.open("r+b") as file:  # sparse: it takes no room on the disk
        file.truncate(1 << 43)
        file.write(crafted(1 << 43))
    with pytest.raises(CheckpointError, match="which no memory here can hold"):
        read_checkpoint(path)
    frame = _checkpoint._FRAME.pack(b"STAT", huge, bytes(16))
    path.write_bytes(crafted(64 + len(frame), frame))
    with pytest.raises(CheckpointError, match=f"a part claims {huge} bytes of 0"):
        read_checkpoint(path)
    for table in (
        b'{"epoch": 0, "arrays": [["a", "<f4", [1000000, 1000000]]]}',
        b'{"epoch": 0, "arrays": [["a", "|O", [1]]]}',
        b'{"epoch": 1000000000000, "arrays": []}',
        b"[" * 100_000,
    ):
        head = _checkpoint._frame(b"HEAD", b'{"size": 1, "columns": ["a"]}')
        frame = _checkpoint._frame(b"STAT", struct.pack("<Q", len(table)) + table)
        path.write_bytes(crafted(64 + len(head) + len(frame), head, frame))
        with pytest.raises(CheckpointError, match="is damaged"):
            read_checkpoint(path)


@pytest.mark.skipif(sys.platform == "win32", reason="no such files")
def test_what_is_no_file_is_one_message(tmp_path: Path) -> None:
    os.mkfifo(path := tmp_path / "a.ckpt")
    with pytest.raises(CheckpointError, match="is not a file; check the path"):
        read_checkpoint(path)
    with pytest.raises(CheckpointError, match="is not a file; check the path"):
        read_checkpoint(tmp_path)
