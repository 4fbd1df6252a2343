"""The source files of a sweep's program: whether they have changed since the last look.

A warm worker imports the program once. An edit of the program is meant for the next run, so that
the files are compared whenever runs start: the program, the modules that it imports from its own
folder, and the data files that workers have read.
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
import inspect
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from thetahat.core.data_files import DataFile, Stamp, digest_of, stamp_of
from thetahat.core.provenance import provenance

SETTLED_S = 1.0
"""Seconds without a change that files need: an editor may be writing them."""
_MOST = 500
_Stamps = dict[Path, Stamp | None]


@dataclass(frozen=True)
class Change:
    """The result of ``look``: a message, and whether workers must start again."""

    settled: bool = True
    anew: bool = False
    say: str = ""


class Code:
    """A program's source files.

    Args:    file: the program.   folder: where it runs; its imports are found here too.
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
        """Compare the files with the last look. This takes a ``stat`` of each file.

        Args:    warm: whether a worker keeps the program; otherwise every run reads it again.
        """
        now = time.monotonic()
        stamps = {path: stamp_of(path) for path in self._stamps}
        if stamps == self._stamps:
            self._seen = None
            return Change()
        if stamps != self._seen:
            self._seen, self._since_s = stamps, now
        if now - self._since_s < settled_s:
            return Change(settled=False)
        return self._changed(stamps, warm)

    def watch(self, files: Sequence[DataFile]) -> None:
        """Watch data files that workers have read and may keep."""
        for file in files:
            path = Path(file.path)
            if path not in self._data:
                self._data[path], self._stamps[path] = file, file.stamp

    def facts(self) -> dict[str, Any]:
        """Return the facts stored with every run: hashes of the source, versions, git's state."""
        return {**provenance(self.file), "code": dict(self.hashes)}

    def _changed(self, stamps: _Stamps, warm: bool) -> Change:
        before = self.hashes
        moved = {path for path, stamp in stamps.items() if stamp != self._stamps[path]}
        suspects = self._wrong | (moved - {*self._data})
        data = self._new_data(moved)
        wrong = {path: said for path in suspects if (said := _no_python(path))}
        self._wrong = set(wrong)
        if wrong and warm:
            # The agent continues with the old program while its user edits.
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
        """Name the data files with other content. A missing file may come back."""
        names = []
        for path in sorted(moved & {*self._data}):
            stamp, digest = stamp_of(path), digest_of(path)
            before = self._data[path]
            if stamp is not None and digest is not None and digest != before.digest:
                self._data[path] = replace(before, stamp=stamp, digest=digest)
                names.append(before.name)
        return names

    def _read(self) -> dict[str, str]:
        self._stamps, found = {path: stamp_of(path) for path in self._data}, {}
        for path in _local_files(self.file, self.folders):
            self._stamps[path] = stamp_of(path)
            try:
                found[self._name(path)] = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
            except OSError:  # deleted since: the worker that loads it reports it
                continue
        return found

    def _name(self, path: Path) -> str:
        near = path.is_relative_to(self.file.parent)
        return path.relative_to(self.file.parent).as_posix() if near else path.name


class FunctionCode(Code):
    """The code of a function that no file has, such as one of a notebook: it stays as it is."""

    def __init__(self, experiment: Callable[..., Any]) -> None:
        self.hashes = {}
        # Python's prompt keeps no source.
        with contextlib.suppress(OSError, TypeError):
            text = inspect.getsource(experiment)
            name = getattr(experiment, "__name__", "experiment")
            self.hashes[f"{name}()"] = hashlib.sha256(text.encode()).hexdigest()[:16]

    def look(self, *, settled_s: float = SETTLED_S, warm: bool = True) -> Change:
        """Find no change."""
        return Change()

    def watch(self, files: Sequence[DataFile]) -> None:
        """Watch no data files."""

    def facts(self) -> dict[str, Any]:
        """Return the facts stored with every run."""
        return {**provenance(), "code": dict(self.hashes)}


def _have_changed(names: Sequence[str]) -> str:
    return f"{', '.join(names)} {'has' if len(names) == 1 else 'have'} changed"


def _changed_data(names: Sequence[str]) -> list[str]:
    return [f"{_have_changed(names)}: new runs use the new data"] if names else []


def _no_python(path: Path) -> str | None:
    """Say why a file cannot be imported now; None where it can."""
    try:
        if path.suffix == ".py":
            ast.parse(path.read_bytes(), str(path))
    except OSError as error:
        return f"{path.name} cannot be read ({error.strerror or error})"
    except (SyntaxError, ValueError) as error:
        line = f" (line {error.lineno})" if isinstance(error, SyntaxError) and error.lineno else ""
        return f"{path.name} is not Python now{line}"
    return None


def _local_files(program: Path, folders: Sequence[Path]) -> list[Path]:
    """List a program and the files that it imports from folders, at any depth."""
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
    """List the files that importing ``a.b.c`` loads from folders, also where c is not a module."""
    for folder in folders:
        at = folder
        for word in words:
            at = at / word
            for file in (at.with_name(f"{word}.py"), at / "__init__.py"):
                if file.is_file():
                    yield file
