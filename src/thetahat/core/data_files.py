"""Data files that this process has read, with their digests: a warm worker reports them.

An audit event of Python names each opened file; ``saw`` names files that pyarrow opens itself.
Code, libraries, caches and files that this process writes do not count.
"""

from __future__ import annotations

import hashlib
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISREG

_CODE = (".py", ".pyc", ".so", ".pyd", ".dll", ".dylib", ".pth")
_OURS = ("site-packages", "dist-packages", "__pycache__", ".thetahat", ".git")
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_TRUNC

Stamp = tuple[int, int]


@dataclass(frozen=True)
class DataFile:
    """A data file at the time it was read.

    Args:    path: absolute.   stamp: time of change (ns) and size, just before.
             digest: the first 16 digits of its SHA-256; "changed " and a time if the file changed
             between two readings or before it was hashed: which data were used is unknown.
    """

    path: str
    stamp: Stamp
    digest: str

    @property
    def name(self) -> str:
        """Path from the current folder; outside it, the last two names."""
        path, here = Path(self.path), Path.cwd()
        inside = path.is_relative_to(here)
        return path.relative_to(here).as_posix() if inside else "/".join(path.parts[-2:])


class _Opened:
    """Files opened since ``listen``."""

    on = hooked = False
    outside: tuple[str, ...] = ()
    opened: dict[str, Stamp | None]
    """Path to its stamp when it was first opened since the last listing."""
    mixed: set[str]
    """Of these, files that had another stamp when they were opened again."""
    written: set[str]
    known: dict[str, DataFile]


def listen() -> None:
    """Start to record the files that are read."""
    _Opened.opened, _Opened.written, _Opened.known, _Opened.mixed = {}, set(), {}, set()
    _Opened.on = True
    for folder in (sys.prefix, sys.base_prefix, "/proc", "/sys", "/dev", "/etc"):
        ignore(folder)
    if not _Opened.hooked:
        _Opened.hooked = True
        sys.addaudithook(_on_event)


def ignore(folder: str | os.PathLike[str]) -> None:
    """Exclude the files of a folder, such as a cache."""
    whole = os.path.join(os.path.abspath(folder), "")
    if whole not in _Opened.outside:
        _Opened.outside = (*_Opened.outside, whole)


def saw(path: str | os.PathLike[str]) -> None:
    """Record a file that a library is about to open without Python."""
    if _Opened.on:
        name = os.path.abspath(path)
        _note_opened(name)


def data_files() -> list[DataFile]:
    """List the files read so far, in order, each as of its reading since the last call."""
    if not _Opened.on:
        return []
    opened, _Opened.opened = _Opened.opened, {}
    for path, stamp in opened.items():
        parts = Path(path).parts
        if path in _Opened.written or path.startswith(_Opened.outside):
            continue
        if path.endswith(_CODE) or any(part in _OURS for part in parts):
            continue
        mixed = path in _Opened.mixed
        known = path in _Opened.known and _Opened.known[path].stamp == stamp
        if stamp is None or (known and not mixed):
            continue
        digest = digest_of(path)
        if digest is None:
            continue  # a temporary file that is gone
        # A file that was edited since it was opened has another digest than the data in memory.
        if mixed or stamp_of(path) != stamp:
            digest = f"changed {stamp[0]}"
        _Opened.known[path] = DataFile(path, stamp, digest)
    _Opened.opened, _Opened.mixed = {}, set()  # hashing opened them again
    return [file for path, file in _Opened.known.items() if path not in _Opened.written]


def stamp_of(path: str | Path) -> Stamp | None:
    """Return time of change and size of a regular file; None if there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return (found.st_mtime_ns, found.st_size) if S_ISREG(found.st_mode) else None


def digest_of(path: str | Path) -> str | None:
    """Return the first 16 digits of a file's SHA-256; None if it cannot be read."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:16]
    except OSError:
        return None


def _on_event(event: str, given: tuple[object, ...]) -> None:
    if event != "open" or not _Opened.on:
        return
    path, mode, flags = given
    if isinstance(path, bytes):
        path = os.fsdecode(path)
    if not isinstance(path, (str, os.PathLike)):
        return  # a descriptor
    name = os.path.abspath(path)
    writes = any(c in "wax+" for c in mode) if isinstance(mode, str) else False
    if writes or (isinstance(flags, int) and flags & _WRITES):
        _Opened.written.add(name)
    else:
        _note_opened(name)


def _note_opened(name: str) -> None:
    stamp = None if name.endswith(_CODE) else stamp_of(name)
    if _Opened.opened.setdefault(name, stamp) != stamp:
        _Opened.mixed.add(name)
