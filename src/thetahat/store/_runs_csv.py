"""Read runs from a CSV file: a run for each row."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from thetahat.core.errors import ConfigError, InputError, did_you_mean
from thetahat.core.run import Status
from thetahat.store._rows import NewRun
from thetahat.store._runs_table import OWN_COLUMNS, plain_name, tags_in
from thetahat.store._store import Store

_NAMES = {name: name for name in ("name", "status", "reason", "project")} | {"state": "status"}
_LABELS = ("group", "job_type", "notes", "tags")
_STATES = {
    **dict.fromkeys(("crashed", "running", "queued", "pending", "preempted"), Status.INTERRUPTED),
    **dict.fromkeys(("killed", "canceled"), Status.CANCELLED),
    **dict.fromkeys(("error", "failure"), Status.FAILED),
    **dict.fromkeys(("success", "succeeded", "completed", "complete", "done"), Status.FINISHED),
    **{str(status): status for status in Status if status.over},
}
_CODE = re.compile(r"\s*[+-]?0\d+\s*")
"""A whole number that begins with a zero: a code, which stays text, as in tables of data."""


def import_csv(
    store: Store, path: Path, config: Sequence[str] | None, project: str | None
) -> list[str]:
    """Read runs from a CSV file, and return their names.

    Args:    config: columns that are parameters; by default those named ``config.NAME``.
             project: of rows that name none.
    Raises:  InputError: the file cannot be read, or has two columns of one meaning, or a status
             that is unknown.   ConfigError: a column that it lacks.
    """
    columns, rows = _read(path)
    for name in config or ():
        if name not in columns:
            raise ConfigError(
                f"--config: {path} has no column {name!r}{did_you_mean(name, columns)}"
            )
    if not rows:
        raise InputError(f"{path} has no rows; give a CSV file with a header and a run each row")
    meant = _meant(path, columns, set(config or ()))
    codes = {c for c in columns if any(_CODE.fullmatch(row[c]) for row in rows)}
    parts = [_parts(row, meant, codes) for row in rows]
    ends = [_status(one[0], f"{path}, row {k}") for k, one in enumerate(parts, 2)]
    if not any(numbers or parameters for _, _, parameters, numbers, _ in parts):
        raise InputError(f"{path} has no parameters or numbers; name parameters by --config")
    names = []
    with store.batch() as writer:
        for (about, labels, parameters, numbers, words), status in zip(parts, ends, strict=True):
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
                status=status,
                reason=about.get("reason", ""),
                metrics=numbers,
                detail={"logged": words} if words else None,
            )
            names.append(name)
    return names


def _read(path: Path) -> tuple[list[str], list[dict[str, str]]]:
    """Return the columns and rows of a CSV file; an empty text where a row ends early.

    Raises:  InputError: it cannot be read, a row has more cells than the header.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            header, *lines = [line for line in csv.reader(file) if line] or [[]]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        why = getattr(error, "strerror", None) or error
        raise InputError(
            f"{path} cannot be read ({why}); give a CSV file, a run each row"
        ) from error
    for k, line in enumerate(lines, 2):
        if len(line) > len(header):
            raise InputError(
                f"{path}, row {k} has more cells than the header; quote cells with commas"
            )
    lines = [line + [""] * (len(header) - len(line)) for line in lines]
    used = [i for i, name in enumerate(header) if name or any(line[i] for line in lines)]
    header = [header[i] for i in used]
    for name in header:
        if header.count(name) > 1:
            raise InputError(f"{path} has two columns {name!r}; rename one of them")
    return header, [{header[k]: line[i] for k, i in enumerate(used)} for line in lines]


def _meant(path: Path, columns: Sequence[str], config: set[str]) -> dict[str, tuple[str, str]]:
    """Return of each column what it is, such as a parameter, and its name as that.

    Raises:  InputError: two columns are the same.
    """
    found: dict[str, tuple[str, str]] = {}
    for column in columns:
        low = plain_name(column)
        if column in config or column.startswith("config."):
            meant = "config", column if column in config else column.removeprefix("config.")
        elif low in _NAMES:
            meant = "run", _NAMES[low]
        elif low in _LABELS:
            meant = "label", low
        elif low in OWN_COLUMNS and {f"metrics.{column}", f"logged.{column}"} & {*columns}:
            meant = "other store", low  # such as the id there
        elif column.startswith("logged."):
            meant = "logged", column.removeprefix("logged.")
        else:
            meant = "metric", column.removeprefix("metrics.")
        if other := next((c for c, known in found.items() if known == meant), None):
            raise InputError(
                f"{path} has two columns of one meaning, {other!r} and {column!r}; leave one out"
            )
        found[column] = meant
    return found


_Parts = tuple[dict[str, str], dict[str, Any], dict[str, Any], dict[str, float], dict[str, Any]]


def _parts(
    row: Mapping[str, str], meant: Mapping[str, tuple[str, str]], codes: Collection[str]
) -> _Parts:
    """Return what a row says of its run: name and status, labels, parameters, numbers, words.

    Args:    meant: of each column what it is.   codes: columns of codes such as 007.
    """
    about: dict[str, str] = {}
    labels: dict[str, Any] = {}
    parameters: dict[str, Any] = {}
    numbers: dict[str, float] = {}
    words: dict[str, Any] = {}
    for column, text in row.items():
        what, name = meant[column]
        if text == "" or what == "other store":
            continue
        value = text if column in codes else _value(text)
        if what == "run":
            about[name] = text
        elif what == "label":
            labels[name] = tags_in(text) if name == "tags" else text
        elif what == "config":
            parameters[name] = value
        elif what == "metric" and not isinstance(value, bool) and isinstance(value, (int, float)):
            numbers[name] = value
        else:
            words[name] = value
    return about, labels, parameters, numbers, words


def _status(about: Mapping[str, str], where: str) -> Status:
    """Return how a run ended; one that had not ended is interrupted, as it does not go on here.

    Raises:  InputError: an unknown word.
    """
    word = about.get("status", "finished")
    found = _STATES.get(word.strip().lower())
    if found is None:
        known = ", ".join(_STATES)
        raise InputError(f"{where} has the status {word!r}; give one of {known}")
    return found


def _value(text: str) -> Any:
    """Return a cell as a number, true, false or a text."""
    try:
        return json.loads(text)
    except ValueError:
        pass
    try:
        return text if "_" in text else float(text)  # 1_000 is a number in Python only
    except ValueError:
        return {"True": True, "False": False}.get(text, text)
