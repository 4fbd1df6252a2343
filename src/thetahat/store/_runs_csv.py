"""Read runs from a CSV file: a run for each row."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from thetahat.core.errors import ConfigError, InputError, did_you_mean
from thetahat.core.run import Status
from thetahat.store._rows import NewRun
from thetahat.store._store import Store

_NAMES = {"name": "name", "state": "status", "status": "status", "project": "project"}
_LABELS = ("group", "job_type", "notes", "tags")
_STATES = {
    "crashed": Status.INTERRUPTED,
    "killed": Status.CANCELLED,
    **{str(status): status for status in Status if status.over},
}


def import_csv(
    store: Store, path: Path, config: Sequence[str] | None, project: str | None
) -> list[str]:
    """Read runs from a CSV file, and return their names.

    Args:    config: columns that are parameters; by default those named ``config.NAME``.
             project: of rows that name none.
    Raises:  InputError: the file cannot be read.   ConfigError: a column that it lacks.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            rows = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        why = getattr(error, "strerror", None) or error
        raise InputError(
            f"{path} cannot be read ({why}); give a CSV file, a run each row"
        ) from error
    columns = list(reader.fieldnames or ())
    for name in config or ():
        if name not in columns:
            raise ConfigError(
                f"--config: {path} has no column {name!r}{did_you_mean(name, columns)}"
            )
    if not rows:
        raise InputError(f"{path} has no rows; give a CSV file with a header and a run each row")
    parts = [_parts(row, set(config or ()), f"{path}, row {k}") for k, row in enumerate(rows, 2)]
    if not any(numbers or parameters for _, _, parameters, numbers, _ in parts):
        raise InputError(f"{path} has no parameters or numbers; name parameters by --config")
    names = []
    with store.batch() as writer:
        for about, labels, parameters, numbers, words in parts:
            run, name = writer.create_run(
                NewRun(
                    config=parameters,
                    name=about.get("name"),
                    project=about.get("project") or project,
                    labels=labels,
                    provenance={"imported": str(path.absolute())},
                )
            )
            writer.finish_run(
                run,
                status=_STATES.get(about.get("status", "finished").lower(), Status.FINISHED),
                metrics=numbers,
                detail={"logged": words} if words else None,
            )
            names.append(name)
    return names


_Parts = tuple[dict[str, str], dict[str, Any], dict[str, Any], dict[str, float], dict[str, Any]]


def _parts(row: Mapping[str | None, Any], config: set[str], where: str) -> _Parts:
    """Return what a row says of its run: name and status, labels, parameters, numbers, words.

    Raises:  InputError: more cells than the header has.
    """
    if None in row:
        raise InputError(f"{where} has more cells than the header; quote cells with commas")
    about: dict[str, str] = {}
    labels: dict[str, Any] = {}
    parameters: dict[str, Any] = {}
    numbers: dict[str, float] = {}
    words: dict[str, Any] = {}
    for column, text in row.items():
        name = str(column)
        if text is None or text == "":
            continue
        low = name.lower().replace(" ", "_")
        if name in config or name.startswith("config."):
            parameters[name if name in config else name.removeprefix("config.")] = _value(text)
        elif low in _NAMES:
            about[_NAMES[low]] = text
        elif low in _LABELS:
            split = [tag.strip() for tag in text.split(",") if tag.strip()]
            labels[low] = split if low == "tags" else text
        else:
            value = _value(text)
            number = isinstance(value, (int, float)) and not isinstance(value, bool)
            (numbers if number else words)[name.removeprefix("metrics.")] = value
    return about, labels, parameters, numbers, words


def _value(text: str) -> Any:
    """Return a cell as a number, true, false or a text."""
    try:
        return json.loads(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        return {"True": True, "False": False}.get(text, text)
