"""Disks that are full: a real one where one can be made, and a store that may not grow."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import event

from thetahat.store import Store

SIZE = 3 << 20


@contextmanager
def small_disk(folder: Path, size: int = SIZE) -> Iterator[Path]:
    """A disk of a few megabytes; the test is skipped where none can be mounted."""
    folder.mkdir()
    made = (
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)],
            capture_output=True,
            check=False,
        )
        if Path("/bin/mount").exists()
        else None
    )
    if made is None or made.returncode:
        pytest.skip("a disk can be mounted by root alone, on Linux")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder: Path, leave: int = 0) -> Path:
    """Fill a disk to the brim, but for so many bytes; the file that does it."""
    file = folder / "ballast"
    with file.open("ab", buffering=0) as out:
        size = SIZE
        while size:
            try:
                out.write(bytes(size))
            except OSError:
                size //= 2
    if leave:
        with file.open("r+b") as out:
            out.truncate(max(0, file.stat().st_size - leave))
    return file


class Limit:
    """How many pages more the connections of a store may write; None for as many as they like."""

    def __init__(self, store: Store) -> None:
        self.full = False

        @event.listens_for(store._engine, "checkout")
        def checkout(raw, *_) -> None:
            pages = raw.execute("PRAGMA page_count").fetchone()[0] if self.full else 1 << 30
            raw.execute(f"PRAGMA max_page_count={pages}")
