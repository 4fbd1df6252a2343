"""The source of a sweep's program while runs begin: whether it has changed, and what it was.

A warm worker imported the program once. Somebody who edits the program means the next run, so that
the source is looked at whenever runs begin: the program and what it imports from its own folder. So
are the data files that workers say they have read.
"""

from __future__ import annotations

import ast
import hashlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from thetahat.core.data_files import DataFile, digest_of, stamp_of
from thetahat.core.provenance import provenance

SETTLED_S = 1.0
"""How long files must have stood still: an editor may be in the middle of writing them."""
_MOST = 500
_Stamps = dict[Path, tuple[int, int] | None]


@dataclass(frozen=True)
class Change:
    """What ``look`` found: the lines to say once, and whether workers must begin anew."""

    settled: bool = True
    anew: bool = False
    say: str = ""


class Code:
    """A program's source.

    Args:    file: the program.   folder: where it runs; what it imports is looked for here too.
    """

    def __init__(self, file: Path, folder: Path) -> None:
        self.file, self.folders = file, (file.parent, folder)
        self._stamps: _Stamps = {}
        self._seen: _Stamps | None = None
        self._since_s = 0.0
        self._wrong: set[Path] = set()
        """Files that have changed and cannot be imported since."""
        self._data: dict[Path, DataFile] = {}
        """Data files that workers have read."""
        self.hashes: dict[str, str] = self._read()
        """SHA-256 of every file, its first 16 digits, by its name as seen from the program."""

    def look(self, *, settled_s: float = SETTLED_S, warm: bool = True) -> Change:
        """Whether the source is as it was. A ``stat`` of each file, unless one has changed.

        Args:    warm: a worker that keeps running stands behind; else every run reads it anew.
        """
        now = time.monotonic()
        stamps = {path: _stamp(path) for path in self._stamps}
        if stamps == self._stamps:
            self._seen = None
            return Change()
        if stamps != self._seen:
            self._seen, self._since_s = stamps, now
        if now - self._since_s < settled_s:
            return Change(settled=False)
        return self._changed(stamps, warm)

    def watch(self, files: Sequence[DataFile]) -> None:
        """Workers have read these: what they keep of them is old when one changes."""
        for file in files:
            path = Path(file.path)
            if path not in self._data:
                self._data[path], self._stamps[path] = file, file.stamp

    def facts(self) -> dict[str, Any]:
        """What is kept with every run: the source's hashes, versions, git's state."""
        return {**provenance(self.file), "code": dict(self.hashes)}

    def _changed(self, stamps: _Stamps, warm: bool) -> Change:
        before = self.hashes
        moved = {path for path, stamp in stamps.items() if stamp != self._stamps[path]}
        suspects = self._wrong | (moved - {*self._data})
        data = self._new_data(moved)
        wrong = {path: said for path in suspects if (said := _no_python(path))}
        self._wrong = set(wrong)
        if wrong and warm:
            # Nothing would be gained by stopping: an agent works on while its user thinks.
            self._stamps = stamps
            said = f"{min(wrong.values())}: new runs use the program as it was"
            return Change(anew=bool(data), say="; ".join([said, *_changed_data(data)]))
        self.hashes = self._read()
        names = sorted(k for k in {*before, *self.hashes} if before.get(k) != self.hashes.get(k))
        said = _changed_data(data)
        if names:
            said = [f"{_have_changed(names)}: new runs use the new program", *said]
        return Change(anew=bool(said), say="; ".join(said))

    def _new_data(self, moved: set[Path]) -> list[str]:
        """Names of the data files that hold something else now. One that is gone may come back."""
        names = []
        for path in sorted(moved & {*self._data}):
            stamp, digest = stamp_of(path), digest_of(path)
            before = self._data[path]
            if stamp is not None and digest is not None and digest != before.digest:
                self._data[path] = replace(before, stamp=stamp, digest=digest)
                names.append(before.name)
        return names

    def _read(self) -> dict[str, str]:
        self._stamps, found = {path: _stamp(path) for path in self._data}, {}
        for path in _local_files(self.file, self.folders):
            self._stamps[path] = _stamp(path)
            try:
                found[self._name(path)] = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
            except OSError:  # gone since: the worker that loads it says so
                continue
        return found

    def _name(self, path: Path) -> str:
        near = path.is_relative_to(self.file.parent)
        return path.relative_to(self.file.parent).as_posix() if near else path.name


def _have_changed(names: Sequence[str]) -> str:
    return f"{', '.join(names)} {'has' if len(names) == 1 else 'have'} changed"


def _changed_data(names: Sequence[str]) -> list[str]:
    return [f"{_have_changed(names)}: new runs use the new data"] if names else []


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


def _no_python(path: Path) -> str | None:
    """Why a file cannot be imported as it stands; None where nothing speaks against it."""
    try:
        if path.suffix == ".py":
            ast.parse(path.read_bytes(), str(path))
    except OSError as error:
        return f"{path.name} cannot be read ({error.strerror or error})"
    except (SyntaxError, ValueError) as error:
        line = f" (line {error.lineno})" if isinstance(error, SyntaxError) and error.lineno else ""
        return f"{path.name} is no Python now{line}"
    return None


def _local_files(program: Path, folders: Sequence[Path]) -> list[Path]:
    """A program and the files that it imports from folders, at any depth."""
    found, todo = [program], [program]
    while todo and len(found) < _MOST:
        path = todo.pop()
        if path.suffix != ".py":
            continue
        try:
            tree = ast.parse(path.read_bytes())
        except (OSError, SyntaxError, ValueError):
            continue
        for imported in _imports(tree, path, folders):
            if imported not in found:
                found.append(imported)
                todo.append(imported)
    return found


def _imports(tree: ast.Module, path: Path, folders: Sequence[Path]) -> Iterator[Path]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _files_of(alias.name.split("."), folders)
        elif isinstance(node, ast.ImportFrom):
            words = node.module.split(".") if node.module else []
            # One dot is the file's own folder, each more the one above.
            places = [path.parents[node.level - 1]] if node.level else folders
            for alias in node.names:
                yield from _files_of([*words, alias.name], places)


def _files_of(words: Sequence[str], folders: Sequence[Path]) -> Iterator[Path]:
    """The files that importing ``a.b.c`` from a folder loads, also where c is no module."""
    for folder in folders:
        at = folder
        for word in words:
            at = at / word
            for file in (at.with_name(f"{word}.py"), at / "__init__.py"):
                if file.is_file():
                    yield file
