"""A run as a row of the table, as it is written and as it is read."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from thetahat.core.card import card, pairs
from thetahat.core.errors import StoreError
from thetahat.core.json import from_json, to_json
from thetahat.core.places import Place
from thetahat.core.run import Status
from thetahat.store._blocks import AXES

_MOST_SHOWN = 6
"""Parameters in the repr of a run."""
_LETTERS = "0123456789abcdefghijklmnopqrstuvwxyz"


def new_id() -> str:
    """Return a random id of eight base-36 characters; the first is a letter."""
    drawn = secrets.randbelow(26 * 36**7)
    letters = ""
    for _ in range(7):
        drawn, letter = divmod(drawn, 36)
        letters += _LETTERS[letter]
    return _LETTERS[10 + drawn] + letters


STOPPERS = ("hyperband:", "asha:", "optuna:")
"""How the reason of a run begins that the search has stopped early."""


def utc_now() -> str:
    """Return the time as ISO 8601 in UTC, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


@dataclass(frozen=True)
class NewRun:
    """A run that begins. If its name is taken, the run's number is appended."""

    config: Mapping[str, Any] = field(default_factory=dict)
    name: str | None = None
    project: str | None = None
    experiment: str | None = None
    source: str | None = None
    command: str | None = None
    max_epochs: int | None = None
    n_params: int | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)
    checkpoint: str | None = None
    cohort: str | None = None
    member: int | None = None
    agent: str | None = None
    attempt: int = 1
    contaminated: bool = False
    sweep_id: str | None = None
    point: int | None = None
    """The setting of its sweep, counted from 0."""
    replicate: int | None = None
    alone: bool = False
    """Whether it must not share a process with others, after a crash."""
    status: Status = Status.RUNNING
    labels: Mapping[str, Any] = field(default_factory=dict)
    """group, job_type, tags and notes, from the program."""

    def values(self, folder: Path, now: str) -> dict[str, Any]:
        """Return the columns of the row, except id and number; the name may be None."""
        begun = now if self.status == Status.RUNNING else None
        given = {f.name: getattr(self, f.name) for f in fields(self)}
        texts = ("name", "project", "experiment", "source", "command", "agent")
        return {
            **given,
            **{name: text(given[name]) for name in texts},
            **{name: to_json(given[name]) for name in ("config", "provenance", "labels")},
            "checkpoint": text(near(self.checkpoint, folder)),
            "status": str(self.status),
            "failures": 0,
            "created": now,
            "started": begun,
            "heartbeat": begun,
        }


@dataclass(frozen=True, repr=False)
class RunRow:
    """A run as the store knows it.

    ``metrics`` are the final numbers, or the last record while it runs; None if not finite.
    ``detail`` and ``provenance`` are None in listings, which do not read them.
    """

    id: str
    number: int
    name: str
    project: str | None
    experiment: str | None
    source: str | None
    command: str | None
    config: Mapping[str, Any]
    status: Status
    reason: str
    epochs: int
    max_epochs: int | None
    n_params: int | None
    metrics: Mapping[str, float | None]
    best_val_risk: float | None
    best_epoch: int | None
    seconds: Mapping[str, float | None]
    created: str
    started: str | None
    finished: str | None
    heartbeat: str | None
    checkpoint: str | None
    cohort: str | None
    member: int | None
    agent: str | None
    attempt: int
    contaminated: bool
    sweep_id: str | None
    point: int | None
    replicate: int | None
    alone: bool
    failures: int
    """Number of failed attempts before."""
    labels: Mapping[str, Any] = field(default_factory=dict)
    """group, job_type, tags and notes, from the program."""
    proposed: Mapping[str, Any] | None = None
    """The sweep's part of the config; None if the program added nothing."""
    counted: str = "epochs"
    """What ``epochs`` counts: "epochs", or "steps" of a program whose rows are no epochs."""
    detail: Mapping[str, Any] | None = None
    provenance: Mapping[str, Any] | None = None

    @property
    def setting(self) -> Mapping[str, Any]:
        """The config without values that the program added: only seeds differ in replicates."""
        return self.config if self.proposed is None else self.proposed

    @property
    def stopped_early(self) -> bool:
        """Whether the search stopped it: its numbers are of fewer epochs than others'."""
        return self.status is Status.STOPPED and self.reason.startswith(STOPPERS)

    @property
    def best_by(self) -> str:
        """The column that chose the best state, from ``detail``; else val_risk."""
        return str((self.detail or {}).get("best_by") or "val_risk")

    @property
    def total_seconds(self) -> float | None:
        """Seconds of the run: its own total, else the sum of its parts, else by the clock."""
        return total_of(self.seconds, self.started, self.finished or self.heartbeat)

    def __repr__(self) -> str:
        numbers = [f"{k}={v:.4g}" for k, v in self.metrics.items() if isinstance(v, (int, float))]
        config = [f"{k}={_short(v)}" for k, v in self.config.items() if v is not None]
        more = ["..."] if len(config) > _MOST_SHOWN else []
        told = ", ".join([*numbers[:3], *config[:_MOST_SHOWN], *more])
        return f"RunRow({self.name!r}, {self.status}, id={self.id!r}{told and f'; {told}'})"

    def _repr_html_(self) -> str:
        """Draw the run in a notebook."""
        ended = f"{self.status}" + (f": {self.reason}" if self.reason else "")
        known = {self.counted: self.epochs, "best epoch": self.best_epoch, "id": self.id}
        seconds = self.total_seconds
        known |= {"seconds": None if seconds is None else float(seconds), "agent": self.agent}
        wrong = ["contaminated: tuned on the test set"] if self.contaminated else []
        numbers = {k: "not finite" if v is None else v for k, v in self.metrics.items()}
        return card(self.name, ended, {**numbers, **known}, [pairs(self.config)], wrong)

    def listing(self) -> dict[str, Any]:
        """Return the run as ``thetahat runs --format json`` prints it."""
        return {
            "id": self.id,
            "name": self.name,
            "config": dict(self.config),
            "metrics": dict(self.metrics),
            "status": str(self.status),
            "reason": self.reason,
            "epochs": self.epochs,
            "seconds": self.total_seconds,
            "agent": self.agent,
            "contaminated": self.contaminated,
            "attempt": self.attempt,
            **({"labels": dict(self.labels)} if self.labels else {}),
            **({} if self.proposed is None else {"proposed": dict(self.proposed)}),
        }


def _short(value: Any) -> str:
    """Write a value of a config in few characters."""
    found = f"{value:.4g}" if isinstance(value, float) else repr(value)
    return found if len(found) <= 40 else f"{found[:37]}..."


LISTED = tuple(
    f for f in RunRow.__dataclass_fields__ if f not in ("detail", "provenance", "counted")
)
"""Fields of a listing, which are columns of the table of runs."""


_JSON = ("config", "metrics", "seconds", "labels", "detail", "provenance")
_AT_ONCE = 5000
"""Rows whose JSON is parsed together: enough to be fast, few enough to fit into memory."""


def read_row(row: Mapping[Any, Any], folder: Path) -> RunRow:
    """Return a RunRow from a row of the table."""
    return read_rows(list(row), [list(row.values())], folder)[0]


def read_rows(names: Sequence[str], rows: Sequence[Sequence[Any]], folder: Path) -> list[RunRow]:
    """Return RunRows from rows of the table.

    Args:    names: of the columns of each row; those of a listing and ``last``, at least.
    """
    read: list[RunRow] = []
    for start in range(0, len(rows), _AT_ONCE):
        found = zip(*rows[start : start + _AT_ONCE], strict=True)
        columns = dict(zip(names, map(list, found), strict=True))
        _decode(columns, folder)
        wanted = [name for name in RunRow.__dataclass_fields__ if name in columns]
        # All fields but the last in their order.
        read += map(RunRow, *(columns[name] for name in wanted))
    return read


def _shown(labels: dict[str, Any]) -> dict[str, Any]:
    """Leave out labels such as ``_nested``: what a module notes for itself is no label of a run."""
    hidden = any(name.startswith("_") for name in labels)
    return {k: v for k, v in labels.items() if not k.startswith("_")} if hidden else labels


def _decode(columns: dict[str, list[Any]], folder: Path) -> None:
    """Replace the stored values of some rows by what RunRow has."""
    for name in _JSON:
        if name in columns and name != "metrics":
            columns[name] = parse_all(columns[name])
    if "labels" in columns:
        columns["labels"] = [_shown(labels) for labels in columns["labels"]]
    columns["metrics"] = logged_metrics(columns["metrics"], columns["last"])
    columns["counted"] = list(map(_counted, columns["last"], columns["epochs"]))
    proposed = columns["proposed"]
    columns["proposed"] = [None if text is None else from_json(text) for text in proposed]
    columns["status"] = [Status(word) for word in columns["status"]]
    for name in ("contaminated", "alone"):
        columns[name] = [bool(value) for value in columns[name]]
    paths = columns["checkpoint"]
    columns["checkpoint"] = [None if path is None else str(folder / path) for path in paths]


def _counted(last: str | None, epochs: int) -> str:
    """Return what a run's number of epochs counts, by its last record."""
    if not last or '"step"' not in last:
        return "epochs"
    by_epoch = '"epoch"' in last and from_json(last).get("epoch") == epochs
    return "epochs" if by_epoch else "steps"


def logged_metrics(
    metrics: Iterable[str | None], last: Iterable[str | None]
) -> list[Mapping[str, Any]]:
    """Return the metrics of runs from their JSON; those of a running run are its last record."""
    return [
        found or {k: v for k, v in from_json(logged or "{}").items() if k not in AXES}
        for found, logged in zip(parse_all(metrics), last, strict=True)
    ]


def parse_all(texts: Iterable[str | None]) -> list[Any]:
    """Parse JSON texts as one, several times as fast as one by one; nothing is an empty object."""
    return json.loads(f"[{','.join([text or '{}' for text in texts])}]")


def near(path: str | None, folder: Path) -> str | None:
    """Make a path inside the store's folder relative to it, so that the folder can be moved."""
    if path is None:
        return None
    whole = Path(path).absolute()
    return whole.relative_to(folder).as_posix() if whole.is_relative_to(folder) else str(whole)


def text(value: str | None) -> str | None:
    """Escape bytes that are not UTF-8, which databases refuse."""
    return None if value is None else value.encode("utf-8", "backslashreplace").decode("utf-8")


def seconds_between(earlier: str, later: str) -> float:
    """Return the seconds between two timestamps, at least 0: clocks may jump."""
    span = datetime.fromisoformat(later) - datetime.fromisoformat(earlier)
    return max(0.0, span.total_seconds())


def total_of(
    seconds: Mapping[str, float | None], started: str | None, until: str | None
) -> float | None:
    """Return the seconds of a run: its own total, else the sum of its parts, else by the clock."""
    if seconds.get("total") is not None:
        return seconds["total"]
    parts = [s for s in seconds.values() if s is not None]
    if parts:
        return sum(parts)
    return seconds_between(started, until) if started and until else None


def resolve(rows: Sequence[Mapping[Any, Any]], name: str, kind: str, path: Place) -> str:
    """Find a row by its id, its name, the beginning of either, or ``last``; return its id.

    Args:    rows: with ``id`` and ``name``, the latest first.   kind: ``run`` or ``sweep``.
    Raises:  StoreError: none, or several.
    """
    if not rows:
        more = "; make one with thetahat sweep FILE" if kind == "sweep" else ""
        raise StoreError(f"no {kind} {name!r}: the store {path} has no {kind}s yet{more}")
    if name == "last":
        return rows[0]["id"]
    near = [row for row in rows if row["name"] == name] or [
        row for row in rows if name and (row["id"].startswith(name) or row["name"].startswith(name))
    ]
    if len(near) == 1:
        return near[0]["id"]

    def listed(some: Sequence[Mapping[Any, Any]]) -> str:
        shown = "{name}" if kind == "run" else "{id} ({name})"
        return ", ".join(shown.format_map(row) for row in some)

    if near:
        some = listed(near[:5]) + (", ..." if len(near) > 5 else "")
        fix = "give more of the name" if kind == "run" else "give the id"
        raise StoreError(f"{name!r} could be any of {len(near)} {kind}s: {some}; {fix}")
    words = [row["name"] for row in rows]
    if kind == "sweep":
        words += [row["id"] for row in rows]
    close = get_close_matches(name, words, n=1, cutoff=0.5)
    hint = f"did you mean {close[0]!r}?" if close else f"the latest are {listed(rows[:3])}"
    raise StoreError(f"the store {path} has no {kind} {name!r}; {hint}")
