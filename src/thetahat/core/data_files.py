"""The data files that this process has read, and what they held then: a warm worker tells of them.

Python says when it opens a file (an audit event); readers that open files elsewhere, as pyarrow's
do, say so by ``saw``. Code, libraries, caches and what this process itself writes are no data.
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
    """A file as it was read.

    Args:    path: absolute.   stamp: time of change (ns) and size, just before.
             digest: the first 16 digits of its SHA-256.
    """

    path: str
    stamp: Stamp
    digest: str

    @property
    def name(self) -> str:
        """As seen from the current folder; of a file outside it, the last two names."""
        path, here = Path(self.path), Path.cwd()
        inside = path.is_relative_to(here)
        return path.relative_to(here).as_posix() if inside else "/".join(path.parts[-2:])


class _Heard:
    """What was opened; nothing is kept before ``listen``."""

    on = hooked = False
    outside: tuple[str, ...] = ()
    opened: dict[str, None]
    written: set[str]
    known: dict[str, DataFile]


def listen() -> None:
    """Begin to remember what is read."""
    _Heard.opened, _Heard.written, _Heard.known = {}, set(), {}
    _Heard.on = True
    for folder in (sys.prefix, sys.base_prefix, "/proc", "/sys", "/dev", "/etc"):
        ignore(folder)
    if not _Heard.hooked:
        _Heard.hooked = True
        sys.addaudithook(_hear)


def ignore(folder: str | os.PathLike[str]) -> None:
    """Files in this folder are no data: a cache, say."""
    whole = os.path.join(os.path.abspath(folder), "")
    if whole not in _Heard.outside:
        _Heard.outside = (*_Heard.outside, whole)


def saw(path: str | os.PathLike[str]) -> None:
    """A file is about to be read, by code that Python does not see open it."""
    if _Heard.on:
        _Heard.opened[os.path.abspath(path)] = None


def data_files() -> list[DataFile]:
    """What was read so far, in order. A file that was read again is as it was the last time."""
    if not _Heard.on:
        return []
    opened, _Heard.opened = list(_Heard.opened), {}
    for path in opened:
        parts = Path(path).parts
        if path in _Heard.written or path.startswith(_Heard.outside):
            continue
        if path.endswith(_CODE) or any(part in _OURS for part in parts):
            continue
        stamp = stamp_of(path)
        if stamp is None or (path in _Heard.known and _Heard.known[path].stamp == stamp):
            continue
        digest = digest_of(path)
        if digest is not None:
            _Heard.known[path] = DataFile(path, stamp, digest)
    _Heard.opened = {}  # to hash them, they were opened
    return [file for path, file in _Heard.known.items() if path not in _Heard.written]


def stamp_of(path: str | Path) -> Stamp | None:
    """Time of change and size of a regular file; None where there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return (found.st_mtime_ns, found.st_size) if S_ISREG(found.st_mode) else None


def digest_of(path: str | Path) -> str | None:
    """The first 16 digits of a file's SHA-256; None where it cannot be read."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:16]
    except OSError:
        return None


def _hear(event: str, given: tuple[object, ...]) -> None:
    if event != "open" or not _Heard.on:
        return
    path, mode, flags = given
    if isinstance(path, bytes):
        path = os.fsdecode(path)
    if not isinstance(path, (str, os.PathLike)):
        return  # a descriptor
    name = os.path.abspath(path)
    writes = any(c in "wax+" for c in mode) if isinstance(mode, str) else False
    if writes or (isinstance(flags, int) and flags & _WRITES):
        _Heard.written.add(name)
    else:
        _Heard.opened[name] = None
