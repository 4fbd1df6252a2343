"""Trackers as JSON, so that a sweep keeps them and any agent follows its runs with them.

The tracker of another process writes beside the first one: a file gets the next free name, and runs
have their names in the sweep.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from thetahat.core.errors import InputError, notify
from thetahat.core.run import Tracker
from thetahat.tracking.trackers._csv import csv_file
from thetahat.tracking.trackers._jsonl import jsonl_file
from thetahat.tracking.trackers._mlflow import mlflow
from thetahat.tracking.trackers._tensorboard import tensorboard
from thetahat.tracking.trackers._tracker import RunTracker
from thetahat.tracking.trackers._wandb import wandb

_SQLITE = "sqlite:///"
_MAKERS = {
    "th.trackers.csv": lambda path: csv_file(Path(path), beside=True),
    "th.trackers.jsonl": lambda path: jsonl_file(Path(path), beside=True),
    "th.trackers.mlflow": mlflow,
    "th.trackers.tensorboard": tensorboard,
    "th.trackers.wandb": wandb,
}


def describe(on: Iterable[Tracker]) -> list[dict[str, Any]]:
    """Return the trackers of ``on`` as JSON types.

    Functions of the user's own are left out, and trackers with an argument that JSON cannot hold.
    """
    found = []
    for tracker in on:
        if isinstance(tracker, RunTracker):
            given = {k: _anywhere(k, v) for k, v in tracker.given.items() if v is not None}
            one = {"tracker": tracker.__name__, "given": given}
            try:
                found.append(json.loads(json.dumps(one)))
            except (TypeError, ValueError):
                notify(f"other agents do not have {tracker.__name__}: an argument is no JSON")
    return found


def with_stored(on: Sequence[Tracker], stored: Iterable[Mapping[str, Any]]) -> tuple[Tracker, ...]:
    """Return ``on`` with the trackers that a sweep keeps, but those that are among ``on``."""
    found = list(on)
    here = describe(on) if on else []
    for one in stored:
        if one in here or one["tracker"] not in _MAKERS:
            continue
        given = {k: v for k, v in one["given"].items() if k != "name"}  # runs have names
        try:
            found.append(_MAKERS[one["tracker"]](**given))
        except InputError as error:
            notify(f"this agent leaves out the sweep's {one['tracker']}: {error}")
    return tuple(found)


def _anywhere(name: str, value: Any) -> Any:
    """Return an argument that means the same in another folder."""
    if name in ("path", "folder", "dir"):
        return str(Path(value).absolute())
    if name == "uri" and value.startswith(_SQLITE) and not value.startswith(f"{_SQLITE}/"):
        return f"{_SQLITE}{Path(value.removeprefix(_SQLITE)).absolute()}"
    return value
