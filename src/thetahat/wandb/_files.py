"""Files of a run: ``run.dir``, ``save`` and ``restore``. The store keeps their bytes."""

from __future__ import annotations

import atexit
import functools
import glob
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from thetahat.store._logged_things import record_file
from thetahat.wandb._run import Run, warn
from thetahat.wandb._values import load

KIND = "saved"


def scratch_folder() -> str:
    """Make a folder that lasts until this process ends."""
    made = tempfile.mkdtemp(prefix="thetahat-")
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return made


class SavedFiles:
    """The files that a run saves; what changes after ``save`` is kept again at the end."""

    def __init__(self, run: Run) -> None:
        self._run = run
        given = os.environ.get("WANDB_DIR") if run.sweep_id else None
        self.dir = Path(given or scratch_folder()) / "files"
        self.dir.mkdir(parents=True, exist_ok=True)
        self._seen: dict[tuple[Path, str], tuple[int, int]] = {}

    def save(self, pattern: str, base: str | None, policy: str) -> list[str]:
        """Keep the files of a pattern, under their paths below ``base``."""
        root = Path(base) if base else Path(os.path.dirname(_plain_part(pattern)))
        if not os.path.isabs(pattern) and base is None:
            root = Path()
        found = [Path(path) for path in sorted(glob.glob(pattern, recursive=True))]
        kept = []
        for path in found:
            if path.is_dir():
                continue
            name = Path(os.path.relpath(path, root)).as_posix()
            name = path.name if name.startswith("..") else name
            self._keep(path.absolute(), name)
            if policy == "now":
                self._seen.pop((path.absolute(), name))
            kept.append(str(path))
        if not kept:
            warn(f"run.save({pattern!r}): there is no such file")
        return kept

    def collect(self) -> None:
        """Keep what changed since it was saved, and all that lies in ``run.dir``."""
        for path, name in list(self._seen):
            self._keep(path, name)
        for path in sorted(self.dir.rglob("*")):
            if path.is_file():
                self._keep(path, path.relative_to(self.dir).as_posix())

    def _keep(self, path: Path, name: str) -> None:
        try:
            about = path.stat()
        except OSError:
            return  # it was removed after it was saved
        mark = (about.st_mtime_ns, about.st_size)
        if self._seen.get((path, name)) != mark and self._run._sink is not None:
            record_file(self._run._sink, name, path, kind=KIND)
        self._seen[path, name] = mark


def files_of(run: Run) -> SavedFiles:
    """Return the files of a run."""
    if run._files is None:
        run._files = SavedFiles(run)
    return run._files


def attribute(run: Run, name: str) -> Any:
    """Return ``run.dir``, ``run.save`` or ``run.restore``."""
    if name == "dir":
        return str(files_of(run).dir)
    return functools.partial({"save": save, "restore": restore}[name], run)


def save(
    run: Run, glob_str: Any = None, base_path: Any = None, policy: str = "live"
) -> list[str] | bool:
    """Keep files: now, and again at the end if they change (``policy="now"``: only now)."""
    if glob_str is None:
        return True
    base = None if base_path is None else os.fspath(base_path)
    return files_of(run).save(os.fspath(glob_str), base, policy)


def restore(
    run: Run, name: str, run_path: str | None = None, replace: bool = False, root: Any = None
) -> Any:
    """Copy a file that a run has kept to ``root``, else to ``run.dir``, and open it."""
    return load("_api").restored(name, run_path or run.path, root or files_of(run).dir)


def _plain_part(pattern: str) -> str:
    """Return the beginning of a pattern that has no wildcard."""
    ends = [pattern.find(mark) for mark in "*?[" if mark in pattern]
    return pattern[: min(ends)] if ends else pattern
