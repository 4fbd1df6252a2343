"""Checkpoints: all that resuming needs, in one file, written whole or not at all, never a pickle.

    file    commit (64 bytes), then frames
    commit  magic, version, bytes that count, their digest: overwritten in place, last of all
    frame   tag, length, digest, payload:  HEAD facts (JSON)   ROWS records   STAT epoch and arrays

A chunk appends its records and the new state, then overwrites the commit. So a process that is
killed at any moment leaves the file as it was before the chunk: what lies beyond the committed
bytes does not count. The commit fits into one sector, and one ``write``. Every committed byte is
covered by a digest, and the digests by their commit's, so that a byte changed anywhere, a frame of
another file or a file cut short is refused.

Records are written once. What accumulates is old states: when they outweigh all that still counts,
the file is written anew beside itself and renamed. Between two such times at least as many bytes
were appended as the new file has, so n chunks cost O(n), and the file is at most about twice what
counts. Payloads are raw numbers: no reader allocates more than the file's own length.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import math
import os
import stat
import struct
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np

from thetahat.core import CheckpointError, notify
from thetahat.core.files import given_path, replacing
from thetahat.train._memory import total_memory

VERSION = 2
AGAIN_S = 10.0
"""Seconds until a checkpoint that could not be written is tried again."""

SLACK = 1 << 18
"""Bytes of old states that are always allowed: small files are not written anew all the time."""

_MAGIC = b"thetahat"
_COMMIT = struct.Struct("<8sIQ16s")
_COMMIT_BYTES = 64
_FRAME = struct.Struct("<4sQ16s")
_HEAD, _ROWS, _STATE = b"HEAD", b"ROWS", b"STAT"
_LONGEST_JSON = 1 << 30
_OLD = b"PK"
"""How version 1 began: an archive, with its records in a file beside it."""


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint as read: the header's facts, the state's arrays, the records (C, n, columns)."""

    header: Mapping[str, Any]
    arrays: Mapping[str, np.ndarray]
    records: np.ndarray

    @property
    def epoch(self) -> int:
        """Epochs completed."""
        return int(self.header["epoch"])


@dataclass
class PatientWriter:
    """Writes one cohort's checkpoints; after an error it tries again every ten seconds."""

    path: Path
    facts: Mapping[str, Any]
    columns: tuple[str, ...]
    behind: bool = False
    """Whether the file lacks what could not be written."""
    _again_s: float = 0.0
    _commit: bytes = b""
    """The commit that this writer wrote last: another writer makes it differ."""
    _digests: bytes = field(default=b"", repr=False)
    _live: int = 0
    """Bytes that count: all but states that were replaced."""

    def begin(self, epoch: int, arrays: Mapping[str, np.ndarray], records: np.ndarray) -> None:
        """Write the first checkpoint, with the ``records`` (C, n, columns) so far.

        Raises:  CheckpointError: a folder that cannot be written, a full disk.
        """
        with _explained(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._whole(epoch, arrays, records)

    def write(
        self,
        epoch: int,
        arrays: Callable[[], Mapping[str, np.ndarray]],
        new: np.ndarray,
        records: Callable[[], np.ndarray],
    ) -> None:
        """Write a state and its ``new`` records; with all ``records`` where the file is made anew.

        An error is one notice; writing is tried again every ten seconds.
        """
        if self.behind and time.monotonic() < self._again_s:
            return
        try:
            with _explained(self.path):
                packed = arrays()
                if self.behind or not self._append(epoch, packed, new):
                    self._whole(epoch, packed, records())
            self.behind = False
        except CheckpointError as error:
            if not self.behind:
                text = f"{error}. The fit goes on, and tries again every {AGAIN_S:g} s"
                notify(text)
            self.behind, self._again_s = True, time.monotonic() + AGAIN_S

    def _append(self, epoch: int, arrays: Mapping[str, np.ndarray], new: np.ndarray) -> bool:
        """Append what is new; False where the file must be written anew."""
        end = _COMMIT.unpack_from(self._commit)[2]
        rows, state = _frame(_ROWS, _rows(new)), _frame(_STATE, _state(epoch, arrays))
        if end + len(rows) + len(state) > 2 * self._live + SLACK:
            return False
        if not self.path.exists():
            return False
        with open(self.path, "r+b") as file:
            if file.read(_COMMIT_BYTES) != self._commit:
                return False  # another process has put a file of its own here
            try:
                file.seek(end)
                file.write(rows + state)
                _sync(file)
            except OSError:
                with contextlib.suppress(OSError):
                    file.truncate(end)  # a disk that is full has other uses for it
                raise
            self._digests = _chained(_chained(self._digests, rows), state)
            self._commit = _commit(end + len(rows) + len(state), self._digests)
            self._live += len(rows)
            file.seek(0)
            file.write(self._commit)
            _sync(file)
        return True

    def _whole(self, epoch: int, arrays: Mapping[str, np.ndarray], records: np.ndarray) -> None:
        facts = {**self.facts, "columns": self.columns}
        head = json.dumps(facts).encode()
        frames = [
            _frame(_HEAD, head),
            _frame(_ROWS, _rows(records)),
            _frame(_STATE, _state(epoch, arrays)),
        ]
        digests = b""
        for frame in frames:
            digests = _chained(digests, frame)
        live = _COMMIT_BYTES + sum(map(len, frames))
        commit = _commit(live, digests)
        with replacing(self.path) as new, new.open("wb") as file:
            file.writelines([commit, *frames])
            _sync(file)
        self._commit, self._digests, self._live = commit, digests, live


def write_checkpoint(path: str | Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint as a whole.

    Raises:  CheckpointError: a folder that cannot be written, a full disk.
    """
    path = given_path("path", path, "wage.ckpt")
    facts = {k: v for k, v in checkpoint.header.items() if k not in ("epoch", "version")}
    writer = PatientWriter(path, facts, tuple(facts.pop("columns")))
    writer.begin(checkpoint.epoch, checkpoint.arrays, checkpoint.records)


def read_checkpoint(path: str | Path) -> Checkpoint:
    """Read what a ``PatientWriter`` wrote.

    Raises:  CheckpointError: no such file, a damaged one, one of another version.
    """
    path = given_path("path", path, "wage.ckpt")
    with _read(path) as (file, end):
        return _whole_of(file, end)


def read_header(path: str | Path) -> Mapping[str, Any]:
    """The facts that a checkpoint begins with: all but its epoch. Raises as ``read_checkpoint``."""
    path = given_path("path", path, "wage.ckpt")
    with _read(path) as (file, end):
        tag, length, digest = _next_frame(file, end)
        return _facts(_payload(file, tag, length, digest) if tag == _HEAD else b"")


# -- reading --------------------------------------------------------------------------------------


class _Damaged(Exception):
    """What is wrong, in a few words."""


@contextlib.contextmanager
def _read(path: Path) -> Iterator[tuple[IO[bytes], int]]:
    """A checkpoint's file behind its commit, and where what counts ends.

    Raises:  CheckpointError: also for what is found to be damaged inside the block.
    """
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise CheckpointError(f"the checkpoint {path} is not a file; check the path")
        with open(path, "rb") as file:
            yield file, _committed(path, file)
    except FileNotFoundError:
        raise CheckpointError(f"there is no checkpoint at {path}; check the path") from None
    except OSError as error:
        raise CheckpointError(
            f"the checkpoint {path} cannot be read ({error.strerror or error}); give a file that"
            " can be read"
        ) from None
    except (_Damaged, LookupError, ValueError, TypeError, RecursionError, OverflowError) as error:
        raise CheckpointError(
            f"the checkpoint {path} is damaged ({error}); delete it and run again from the start"
        ) from None


def _committed(path: Path, file: IO[bytes]) -> int:
    """Where what counts ends: no further than the file."""
    commit = file.read(_COMMIT_BYTES)
    if commit.startswith(_OLD) and zipfile.is_zipfile(file):
        raise CheckpointError(
            f"the checkpoint {path} is one of version 1, which this thetahat does not read; delete"
            f" it and {path.name}.history, and run again from the start"
        )
    if len(commit) < _COMMIT_BYTES or not commit.startswith(_MAGIC):
        raise _Damaged("it does not begin as a checkpoint does")
    _, version, end, _ = _COMMIT.unpack_from(commit)
    if commit[_COMMIT.size :] != _seal(commit[: _COMMIT.size]):
        raise _Damaged("its first bytes were changed")
    if version != VERSION:
        raise CheckpointError(
            f"the checkpoint {path} has version {version}; this thetahat reads version {VERSION}."
            " Upgrade: pip install -U thetahat"
        )
    there = os.fstat(file.fileno()).st_size
    if there < end:
        raise _Damaged(f"it was cut: {there} bytes of {end}")
    if end > total_memory():
        raise _Damaged(f"it claims {end} bytes, which no memory here can hold")
    file.seek(_COMMIT_BYTES)
    return end


def _whole_of(file: IO[bytes], end: int) -> Checkpoint:
    file.seek(0)
    sealed = _COMMIT.unpack_from(file.read(_COMMIT_BYTES))[3]
    digests, header, rows, state = b"", None, [], b""
    while file.tell() < end:
        tag, length, digest = _next_frame(file, end)
        payload = _payload(file, tag, length, digest)
        digests = _chain(digests, digest)
        if tag == _HEAD:
            header = dict(_facts(payload))
        elif tag == _ROWS:
            rows.append(payload)
        elif tag == _STATE:
            state = payload
        else:
            raise _Damaged(f"it holds a part of the unknown kind {tag!r}")
    if digests != sealed:
        raise _Damaged("its parts do not belong together")
    if header is None:
        raise _Damaged("it has no header")
    epoch, arrays = _unpacked(state)
    size, columns = int(header["size"]), len(header["columns"])
    data = b"".join(rows)
    if len(data) != epoch * size * columns * 8:
        raise _Damaged(f"{len(data)} bytes of records are not those of {epoch} epochs")
    records = np.frombuffer(data, "<f8").reshape(epoch, size, columns)
    header |= {"epoch": epoch, "version": VERSION}
    return Checkpoint(header, arrays, np.moveaxis(records, 0, 1))


def _next_frame(file: IO[bytes], end: int) -> tuple[bytes, int, bytes]:
    """Tag, length and digest of the frame that follows: it lies within the committed bytes."""
    head = file.read(_FRAME.size)
    if len(head) < _FRAME.size or file.tell() > end:
        raise _Damaged("it ends inside a part")
    tag, length, digest = _FRAME.unpack(head)
    if length > end - file.tell():
        raise _Damaged(f"a part claims {length} bytes of {end - file.tell()}")
    return tag, length, digest


def _payload(file: IO[bytes], tag: bytes, length: int, digest: bytes) -> bytes:
    payload = file.read(length)
    if _digest(tag, payload) != digest:
        raise _Damaged("its checksum is wrong")
    return payload


def _facts(payload: bytes) -> Mapping[str, Any]:
    facts = json.loads(payload[:_LONGEST_JSON])
    if not isinstance(facts, dict):
        raise _Damaged("it has no header")
    return facts


# -- frames ---------------------------------------------------------------------------------------


def _rows(records: np.ndarray) -> bytes:
    """Records (C, n, columns) as bytes, epoch by epoch."""
    return np.ascontiguousarray(np.moveaxis(records, 1, 0), "<f8").tobytes()


def _state(epoch: int, arrays: Mapping[str, np.ndarray]) -> bytes:
    """An epoch and arrays as bytes: a table of them as JSON, then their numbers."""
    kept = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    # A scalar gets a dimension on the way; it must come back without.
    table = [[n, _kind(kept[n].dtype), list(np.shape(arrays[n]))] for n in kept]
    text = json.dumps({"epoch": epoch, "arrays": table}).encode()
    return b"".join([struct.pack("<Q", len(text)), text, *(a.tobytes() for a in kept.values())])


def _kind(dtype: np.dtype[Any]) -> str:
    return str(dtype) if dtype.kind == "V" else dtype.str  # bfloat16 is only known by its name


def _unpacked(state: bytes) -> tuple[int, dict[str, np.ndarray]]:
    if len(state) < 8:
        raise _Damaged("it has no state")
    (length,) = struct.unpack_from("<Q", state)
    if length > len(state) - 8:
        raise _Damaged("its state has no table")
    table = json.loads(state[8 : 8 + length])
    at, arrays = 8 + length, {}
    for name, dtype, shape in table["arrays"]:
        kind, n = np.dtype(dtype), math.prod(shape)
        if kind.hasobject or n < 0 or n * kind.itemsize > len(state) - at:
            raise _Damaged(f"{name} claims more than there is")
        taken = np.frombuffer(state[at : at + n * kind.itemsize], kind) if n else np.zeros(0, kind)
        arrays[name] = taken.reshape(shape)
        at += n * kind.itemsize
    if at != len(state):
        raise _Damaged("its state holds more than it lists")
    return int(table["epoch"]), arrays


def _frame(tag: bytes, payload: bytes) -> bytes:
    return _FRAME.pack(tag, len(payload), _digest(tag, payload)) + payload


def _digest(tag: bytes, payload: bytes) -> bytes:
    return hashlib.blake2b(payload, digest_size=16, person=tag).digest()


def _chain(digests: bytes, digest: bytes) -> bytes:
    return hashlib.blake2b(digests + digest, digest_size=16).digest()


def _chained(digests: bytes, frame: bytes) -> bytes:
    return _chain(digests, _FRAME.unpack_from(frame)[2])


def _commit(end: int, digests: bytes) -> bytes:
    commit = _COMMIT.pack(_MAGIC, VERSION, end, digests)
    return commit + _seal(commit)


def _seal(commit: bytes) -> bytes:
    return hashlib.blake2b(commit, digest_size=_COMMIT_BYTES - _COMMIT.size).digest()


def _sync(file: IO[bytes]) -> None:
    file.flush()
    os.fsync(file.fileno())


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno == errno.ENOSPC:
            fix = (
                "the disk is full; free space, or give another --store. The last checkpoint stands"
            )
        else:
            fix = f"{error.strerror}; give a folder that can be written"
        raise CheckpointError(f"cannot write the checkpoint {path}: {fix}") from error
