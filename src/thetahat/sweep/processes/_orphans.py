"""What a dead agent left running: programs that are ended before another runs their runs again.

Two programs of one run at a time would write over each other's outputs. The keeper ends an agent's
programs with the agent; this is for when the keeper died too.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable
from pathlib import Path

from thetahat.store import RunRow, Store
from thetahat.sweep.processes._process_group import end_groups, host_name

LOGS = "logs"
_FILE = "process.json"


def folder_of_run(store: Store, run: RunRow) -> Path:
    """Where a run's attempt keeps its files."""
    return store.folder / LOGS / f"{run.id}.{run.attempt}"


def remember_program(folder: Path, pid: int, began: str) -> None:
    """Write into a run's folder which process runs it."""
    told = {"host": host_name(), "pid": pid, "began": began}
    # On a disk that is full: the keeper knows it too, and the logs say that they are not whole.
    with contextlib.suppress(OSError):
        (folder / _FILE).write_text(json.dumps(told), encoding="utf-8")


def end_programs(store: Store, runs: Iterable[RunRow]) -> int:
    """End the programs of runs whose agent died, as far as they run on this machine; how many."""
    known = (_program(folder_of_run(store, run)) for run in runs)
    return len(end_groups([one for one in known if one is not None]))


def _program(folder: Path) -> tuple[int, str] | None:
    try:
        told = json.loads((folder / _FILE).read_text(encoding="utf-8"))
        if told["host"] != host_name():
            return None
        return int(told["pid"]), str(told["began"])
    except (OSError, ValueError, TypeError, LookupError):
        return None
