"""Checkpoints: all that resuming needs, written atomically, in NumPy's own archive (never pickle).

Two files: ``PATH`` (the state, replaced as a whole after every chunk; its members carry CRC sums)
and ``PATH.history`` (the records so far, only ever appended to: the state says how many count).
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import tempfile
import time
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from thetahat.core import CheckpointError, Notice

VERSION = 1
AGAIN_S = 10.0
"""Seconds until a checkpoint that could not be written is tried again."""

_HEADER = "header"


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


@dataclass(frozen=True)
class Writer:
    """Writes one cohort's checkpoints to ``path``."""

    path: Path
    facts: Mapping[str, Any]
    columns: tuple[str, ...]

    def write(self, epoch: int, arrays: Mapping[str, np.ndarray], new: np.ndarray) -> None:
        """Append ``new`` records, shape (C, n, columns), then replace the state.

        Raises:  CheckpointError: a folder that cannot be written, a full disk.
        """
        with _explained(self.path):
            with open(f"{self.path}.history", "ab") as file:
                file.write(np.ascontiguousarray(np.moveaxis(new, 1, 0), "<f8").tobytes())
                file.flush()
                os.fsync(file.fileno())
            header = {**self.facts, "version": VERSION, "epoch": epoch, "columns": self.columns}
            _replace(self.path, {_HEADER: np.array(json.dumps(header)), **arrays})


@dataclass
class PatientWriter:
    """Writes checkpoints as long as it can, and again when it can again."""

    writer: Writer
    behind: bool = False
    """Whether the history lacks what could not be written."""
    _again_s: float = 0.0

    @property
    def path(self) -> Path:
        """Where the checkpoint is."""
        return self.writer.path

    def write(
        self,
        epoch: int,
        arrays: Callable[[], Mapping[str, np.ndarray]],
        new: np.ndarray,
        records: Callable[[], np.ndarray],
    ) -> None:
        """Write a state and its ``new`` records; with all ``records`` where some are missing.

        What cannot be written is said once, in a notice, and tried again every ten seconds.
        """
        if self.behind and time.monotonic() < self._again_s:
            return
        try:
            if self.behind:
                writer = self.writer
                self.writer = open_writer(writer.path, writer.facts, writer.columns, records())
                new = new[:, :0]
            self.writer.write(epoch, arrays(), new)
            self.behind = False
        except CheckpointError as error:
            if not self.behind:
                text = f"{error}. The fit goes on, and tries again every {AGAIN_S:g} s"
                warnings.warn(text, Notice, stacklevel=2)
            self.behind, self._again_s = True, time.monotonic() + AGAIN_S


def open_writer(
    path: str | Path,
    facts: Mapping[str, Any],
    columns: Sequence[str],
    records: np.ndarray | None = None,
) -> Writer:
    """A writer whose history holds ``records`` and nothing else.

    Raises:  CheckpointError: a folder that cannot be written.
    """
    path = Path(path)
    with _explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        data = b"" if records is None else np.moveaxis(records, 1, 0).astype("<f8").tobytes()
        temporary = Path(f"{path}.history.new")
        temporary.write_bytes(data)
        os.replace(temporary, f"{path}.history")
    return Writer(path, facts, tuple(columns))


def read_checkpoint(path: str | Path) -> Checkpoint:
    """Read what a ``Writer`` wrote.

    Raises:  CheckpointError: no such file, a corrupt one, one of a newer version.
    """
    path = Path(path)
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        header = json.loads(str(arrays.pop(_HEADER)))
        version = int(header["version"])
    except FileNotFoundError:
        raise CheckpointError(f"there is no checkpoint at {path}; check the path") from None
    except (zipfile.BadZipFile, ValueError, KeyError, EOFError, OSError) as error:
        raise CheckpointError(
            f"the checkpoint {path} is corrupt ({error}); delete it and run again from the start"
        ) from None
    if version > VERSION:
        raise CheckpointError(
            f"the checkpoint {path} has version {version}; this thetahat reads up to {VERSION}."
            " Upgrade: pip install -U thetahat"
        )
    return Checkpoint(header, arrays, _history(path, header))


def _history(path: Path, header: Mapping[str, Any]) -> np.ndarray:
    """Records (C, n, columns) of the epochs that the header counts."""
    size, epoch, columns = int(header["size"]), int(header["epoch"]), len(header["columns"])
    raw = Path(f"{path}.history")
    data = raw.read_bytes() if raw.exists() else b""
    needed = size * epoch * columns * 8
    if len(data) < needed:
        raise CheckpointError(
            f"the history beside {path} holds {len(data)} bytes of {needed}: it was truncated;"
            " delete the checkpoint and run again from the start"
        )
    flat = np.frombuffer(data[:needed], "<f8").reshape(epoch, size, columns)
    return np.moveaxis(flat, 0, 1)


def _replace(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write an archive beside ``path``, then rename it: readers see the old one or the new one."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            np.savez(file, allow_pickle=False, **arrays)  # pyright: ignore[reportArgumentType]
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)
        raise


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno == errno.ENOSPC:
            mend = (
                "the disk is full; free space, or give another --store. The last checkpoint stands"
            )
        else:
            mend = f"{error.strerror}; give a folder that can be written"
        raise CheckpointError(f"cannot write the checkpoint {path}: {mend}") from error
