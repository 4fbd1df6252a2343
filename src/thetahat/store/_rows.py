"""A run as a row: what is given when it begins, and what is read back."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from thetahat.core.card import card, pairs
from thetahat.core.json import from_json, to_json
from thetahat.core.run import Status
from thetahat.store._blocks import AXES

_LETTERS = "0123456789abcdefghijklmnopqrstuvwxyz"


def new_id() -> str:
    """A random id of eight base-36 characters, starting with a letter (never read as a number)."""
    first = secrets.choice(_LETTERS[10:])
    return first + "".join(secrets.choice(_LETTERS) for _ in range(7))


def utc_now() -> str:
    """The time as ISO 8601 in UTC, to the millisecond; sorts as text."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


@dataclass(frozen=True)
class NewRun:
    """A run that begins. Only the config is needed; a taken name gets its number behind it."""

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
    """Which setting of its sweep it runs, counted from 0."""
    replicate: int | None = None
    alone: bool = False
    """Whether it must not share a process with others: one of them ended its process before."""
    status: Status = Status.RUNNING
    labels: Mapping[str, Any] = field(default_factory=dict)
    """How the program calls it beside its name: group, job_type, tags, notes."""

    def values(self, folder: Path, now: str) -> dict[str, Any]:
        """The row's columns, all but id, number and name."""
        begun = now if self.status == Status.RUNNING else None
        return {
            "project": text(self.project),
            "experiment": text(self.experiment),
            "source": text(self.source),
            "command": text(self.command),
            "config": to_json(self.config),
            "status": str(self.status),
            "max_epochs": self.max_epochs,
            "n_params": self.n_params,
            "provenance": to_json(self.provenance),
            "created": now,
            "started": begun,
            "heartbeat": begun,
            "checkpoint": text(near(self.checkpoint, folder)),
            "cohort": self.cohort,
            "member": self.member,
            "agent": text(self.agent),
            "attempt": self.attempt,
            "contaminated": self.contaminated,
            "sweep_id": self.sweep_id,
            "point": self.point,
            "replicate": self.replicate,
            "alone": self.alone,
            "failures": 0,
            "labels": to_json(self.labels),
        }


@dataclass(frozen=True)
class RunRow:
    """A run as the store knows it.

    ``metrics`` are the final numbers, or the last record while it runs; None stands where a number
    was not finite. ``seconds``, ``detail`` and ``provenance`` are mappings; the latter two are
    None in listings, which do not read them.
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
    """How often it failed before and was tried again."""
    labels: Mapping[str, Any] = field(default_factory=dict)
    """How its program calls it beside its name: group, job_type, tags, notes."""
    proposed: Mapping[str, Any] | None = None
    """What its sweep proposed of the config; None where its program added nothing to that."""
    detail: Mapping[str, Any] | None = None
    provenance: Mapping[str, Any] | None = None

    @property
    def setting(self) -> Mapping[str, Any]:
        """The config without what the program itself added, a folder or a time, say: runs of one
        setting of a sweep differ in nothing else but their seeds."""
        return self.config if self.proposed is None else self.proposed

    @property
    def best_by(self) -> str:
        """The column that chose its best state, where ``detail`` says so; else val_risk."""
        return str((self.detail or {}).get("best_by") or "val_risk")

    @property
    def total_seconds(self) -> float | None:
        """Seconds the run took: its own total, else the sum of its parts, else by the clock."""
        if self.seconds.get("total") is not None:
            return self.seconds["total"]
        parts = [s for s in self.seconds.values() if s is not None]
        if parts:
            return sum(parts)
        until = self.finished or self.heartbeat
        return seconds_between(self.started, until) if self.started and until else None

    def _repr_html_(self) -> str:
        """The run as a notebook shows it."""
        ended = f"{self.status}" + (f": {self.reason}" if self.reason else "")
        known = {"epochs": self.epochs, "best epoch": self.best_epoch, "id": self.id}
        seconds = self.total_seconds
        known |= {"seconds": None if seconds is None else float(seconds), "agent": self.agent}
        wrong = ["contaminated: tuned on the test set"] if self.contaminated else []
        numbers = {k: "not finite" if v is None else v for k, v in self.metrics.items()}
        return card(self.name, ended, {**numbers, **known}, [pairs(self.config)], wrong)

    def listing(self) -> dict[str, Any]:
        """The run as ``thetahat runs --format json`` gives it."""
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


LISTED = tuple(f for f in RunRow.__dataclass_fields__ if f not in ("detail", "provenance"))


def read_row(row: Mapping[Any, Any], folder: Path) -> RunRow:
    """A RunRow from the columns of the table."""
    values = {name: row[name] for name in RunRow.__dataclass_fields__ if name in row}
    for name in ("config", "metrics", "seconds", "labels", "detail", "provenance"):
        if name in values:
            values[name] = from_json(values[name])
    if values.get("proposed") is not None:
        values["proposed"] = from_json(values["proposed"])
    if not values["metrics"]:
        values["metrics"] = {k: v for k, v in from_json(row["last"]).items() if k not in AXES}
    values["status"] = Status(values["status"])
    values["contaminated"] = bool(values["contaminated"])
    values["alone"] = bool(values["alone"])
    if values["checkpoint"] is not None:
        values["checkpoint"] = str(folder / values["checkpoint"])
    return RunRow(**values)


def among(column: Any, ids: Iterable[str]) -> Any:
    """The condition that a column holds one of many ids: one variable, however many they are.

    A database takes some thousands of variables in a statement, and no more.
    """
    listed = func.json_each(json.dumps(list(ids))).table_valued("value")
    return column.in_(select(listed.c.value))


def near(path: str | None, folder: Path) -> str | None:
    """A path inside the store's folder as seen from there, so that the folder can be moved."""
    if path is None:
        return None
    whole = Path(path).absolute()
    return whole.relative_to(folder).as_posix() if whole.is_relative_to(folder) else str(whole)


def text(value: str | None) -> str | None:
    """Text that every database takes: a byte that is not UTF-8 is written as an escape."""
    return None if value is None else value.encode("utf-8", "backslashreplace").decode("utf-8")


def seconds_between(earlier: str, later: str) -> float:
    """Seconds from one timestamp to another, never below zero (clocks jump)."""
    span = datetime.fromisoformat(later) - datetime.fromisoformat(earlier)
    return max(0.0, span.total_seconds())
