"""A run of the store, as ``wandb.Api`` gives it: its facts, its history, its files."""

from __future__ import annotations

import copy
import functools
import json
import math
import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from thetahat.core.errors import did_you_mean
from thetahat.core.json import from_json
from thetahat.core.run import Status
from thetahat.store import (
    GIVEN_NAME,
    UNNAMED,
    RunRow,
    Store,
    edit_run,
    list_files,
    list_tables,
    stored_values,
)
from thetahat.wandb._api_asked import AskedApi
from thetahat.wandb._api_file import File
from thetahat.wandb._api_summary import ApiSummary
from thetahat.wandb._artifacts import KIND, PART, Artifact
from thetahat.wandb._errors import CommError
from thetahat.wandb._run import OWN_STEP
from thetahat.wandb._values import plain

SAMPLES = 500
"""Rows of ``history`` unless the program asks for more, as in W&B."""
_STATES = {
    Status.QUEUED: "pending",
    Status.RUNNING: "running",
    Status.INTERRUPTED: "crashed",
    Status.CANCELLED: "killed",
    Status.FAILED: "failed",
    Status.REJECTED: "failed",
}


class RunDetails:
    """What listings of runs leave out, read once for all of them."""

    def __init__(self, store: Store) -> None:
        self._store = store

    @functools.cached_property
    def logged(self) -> dict[str, Any]:
        """Texts and booleans by run."""
        found = stored_values(self._store, "detail", "logged")
        return {run: value or {} for run, value in found.items()}

    @functools.cached_property
    def hidden(self) -> dict[str, dict[str, Any]]:
        """Hidden labels by run, such as ``_nested``."""
        from sqlalchemy import text

        with self._store.reading() as connection:
            rows = connection.execute(text("SELECT id, labels FROM runs")).all()
        return {run: from_json(labels) for run, labels in rows if '"_' in labels}

    @functools.cached_property
    def steps(self) -> dict[str, int | None]:
        """The last step by run."""
        found = stored_values(self._store, "last", "step")
        return {run: None if k is None else int(k) for run, k in found.items()}

    @functools.cached_property
    def tables(self) -> dict[str, list[tuple[str, str, int, str]]]:
        """Names, kinds, rows and columns of tables by run."""
        from sqlalchemy import text

        query = text("SELECT run_id, name, kind, rows, columns FROM tables ORDER BY id")
        found: dict[str, list[tuple[str, str, int, str]]] = {}
        with self._store.reading() as connection:
            for run, *row in connection.execute(query):
                found.setdefault(run, []).append(tuple(row))
        return found


class ApiRun:
    """A run of the store."""

    def __init__(self, api: AskedApi, row: RunRow, details: RunDetails | None = None) -> None:
        self._api, self._row = api, row
        self._details = details or RunDetails(api.store)

    @property
    def id(self) -> str:
        """The id: the program's own, else the store's."""
        return str(self._row.labels.get("id") or self._row.id)

    @property
    def number(self) -> int:
        """The number in the store, which counts all runs."""
        return self._row.number

    @property
    def storage_id(self) -> str:
        """The id in the store."""
        return self._row.id

    @property
    def name(self) -> str:
        """The name that the program gave, which several runs may have; else the store's."""
        hidden = self._details.hidden.get(self._row.id, {})
        return str(hidden.get(GIVEN_NAME) or self._row.name)

    display_name = name

    @property
    def state(self) -> str:
        """``finished``, ``failed``, ``crashed``, ``killed``, ``running`` or ``pending``."""
        return _STATES.get(self._row.status, "finished")

    @property
    def project(self) -> str:
        """The project."""
        found = self._row.project or self._row.labels.get("project")
        return str(found or "uncategorized")

    @property
    def entity(self) -> str:
        """The entity: a store has none, so the one that the program gave."""
        return str(self._row.labels.get("entity") or "local")

    @property
    def path(self) -> list[str]:
        """Entity, project and id."""
        return [self.entity, self.project, self.id]

    @property
    def url(self) -> str:
        """The path, in place of an address: a store has no server."""
        return "/".join(self.path)

    @functools.cached_property
    def tags(self) -> list[str]:
        """The tags."""
        return list(self._row.labels.get("tags", ()))

    @functools.cached_property
    def notes(self) -> str | None:
        """The notes."""
        return self._row.labels.get("notes")

    @functools.cached_property
    def group(self) -> str | None:
        """The group."""
        return self._row.labels.get("group")

    @property
    def job_type(self) -> str | None:
        """The type of job."""
        return self._row.labels.get("job_type")

    jobType = job_type  # noqa: N815 (the names are W&B's)

    @property
    def user(self) -> Any:
        """The user: a store has no accounts."""
        return self._api.viewer

    user_name = entity

    @property
    def created_at(self) -> str:
        """When it began, as ``2026-11-29T19:00:00Z``."""
        return f"{self.began.partition('.')[0].removesuffix('+00:00')}Z"

    @property
    def began(self) -> str:
        """When it began, as exactly as the store knows it."""
        return self._row.started or self._row.created

    @property
    def heartbeat_at(self) -> str | None:
        """When it wrote last."""
        return self._row.heartbeat

    heartbeatAt = heartbeat_at  # noqa: N815

    @functools.cached_property
    def config(self) -> dict[str, Any]:
        """The config; ``update`` writes what is changed in it."""
        return copy.deepcopy(dict(self._row.config))

    @property
    def rawconfig(self) -> dict[str, Any]:
        """The config, as the store has it."""
        return dict(self._row.config)

    @property
    def json_config(self) -> str:
        """The config as W&B stores it."""
        return json.dumps({k: {"value": v} for k, v in self.config.items()})

    @functools.cached_property
    def summary(self) -> ApiSummary:
        """The last value of all that it logged, and what its program put there."""
        hidden = self._details.hidden.get(self._row.id, {})
        return ApiSummary(self._api.store, self._row, self._summary(), hidden)

    @property
    def summary_metrics(self) -> dict[str, Any]:
        """The summary as a mapping."""
        return dict(self.summary)

    summaryMetrics = summary_metrics  # noqa: N815

    @property
    def lastHistoryStep(self) -> int:  # noqa: N802 (the name is W&B's)
        """The step of the last row; -1 if there is none."""
        blocks = self._api.store.blocks(self._row.id)
        return max((block.last for block in blocks), default=-1)

    @property
    def metadata(self) -> dict[str, Any]:
        """Machine, versions and command."""
        found = dict(self._api.store.run(self._row.id).provenance or {})
        return {**found, "program": self._row.source, "command": self._row.command}

    @property
    def sweep(self) -> Any:
        """The sweep that it belongs to."""
        if self._row.sweep_id is None:
            return None
        return self._api.sweep(self._row.sweep_id)

    @property
    def sweep_name(self) -> str | None:
        """The id of its sweep."""
        return self._row.sweep_id

    @property
    def system_metrics(self) -> dict[str, Any]:
        """Nothing: a store has no measurements of the machine."""
        return {}

    def _summary(self) -> dict[str, Any]:
        row = self._row
        flat = {k: math.nan if v is None else _whole(v) for k, v in row.metrics.items()}
        if (own := flat.pop(OWN_STEP, None)) is not None:
            flat["step"] = own
        flat |= self._details.logged.get(row.id, {})
        for name, kind, rows, columns in self._details.tables.get(row.id, ()):
            about = {"ncols": len(json.loads(columns)), "nrows": rows, "path": name}
            flat[name] = {"_type": "histogram" if kind == "histogram" else "table-file", **about}
        began, ended = row.started or row.created, row.finished or row.heartbeat
        if ended is not None:
            flat["_timestamp"] = datetime.fromisoformat(ended).timestamp()
            flat["_runtime"] = flat["_timestamp"] - datetime.fromisoformat(began).timestamp()
        last = self._details.steps.get(row.id)
        return flat if last is None else {**flat, "_step": last}

    # -- history --------------------------------------------------------------------------------

    def scan_history(
        self,
        keys: Sequence[str] | None = None,
        page_size: int = 1000,
        min_step: int | None = None,
        max_step: int | None = None,
        **_: Any,
    ) -> Iterator[dict[str, Any]]:
        """Return an iterator over all rows; with ``keys``, over those that have all of them.

        Raises:  ValueError: ``keys`` is not a list of names.   CommError: a key of W&B's clock.
        """
        if keys is not None:
            keys = _checked_keys(keys)
        return self._scan(keys, min_step, max_step)

    def _scan(
        self, keys: list[str] | None, min_step: int | None, max_step: int | None
    ) -> Iterator[dict[str, Any]]:
        for row in self._rows():
            step = row["_step"]
            if (min_step is not None and step < min_step) or (
                max_step is not None and step >= max_step
            ):
                continue
            if keys is None:
                yield row
            elif all(key in row for key in keys):
                yield {key: row[key] for key in keys}

    def history(
        self,
        samples: int = SAMPLES,
        keys: Sequence[str] | None = None,
        x_axis: str = "_step",
        pandas: bool = True,
        stream: str = "default",
    ) -> Any:
        """Return rows as a frame: all, or ``samples`` at equal distances if there are more."""
        if stream in ("system", "events"):
            raise CommError("history(stream='system'): a store has no measurements of the machine")
        wanted = None if keys is None else list(dict.fromkeys([x_axis, *_checked_keys(keys)]))
        rows = list(self.scan_history(wanted))
        if len(rows) > samples:
            last, n = len(rows) - 1, max(samples - 1, 1)
            rows = [rows[(k * last) // n] for k in range(samples)]
        if not pandas:
            return rows
        import pandas as pd

        frame = pd.DataFrame.from_records(rows)
        first = [name for name in (x_axis,) if name in frame]
        return frame[[*first, *(name for name in frame if name not in first)]]

    @property
    def history_keys(self) -> dict[str, Any]:
        """Names of what was logged."""
        names = dict.fromkeys(name for row in self._rows() for name in row)
        return {"keys": {name: {} for name in names}, "lastStep": self.lastHistoryStep}

    def _rows(self) -> list[dict[str, Any]]:
        """Return the rows by step: each has what was logged at it."""
        rows: dict[int, dict[str, Any]] = {}
        for block in self._api.store.blocks(self._row.id):
            axis = [int(step) for step in block.column(block.columns[0])]
            for name in block.columns:
                if name == "step":
                    continue
                for step, value in zip(axis, block.column(name), strict=True):
                    rows.setdefault(step, {"_step": step})[name] = _whole(value)
        for row in rows.values():
            if OWN_STEP in row:
                row["step"] = row.pop(OWN_STEP)
        return [rows[step] for step in sorted(rows)]

    # -- files and artifacts --------------------------------------------------------------------

    def files(self, names: Sequence[str] | None = None, per_page: int = 50, **_: Any) -> list[File]:
        """Return the files that it has kept."""
        rows = [row for row in list_files(self._api.store, self._row.id) if row.kind != PART]
        latest = {row.name: row for row in rows if row.kind != KIND}
        return [File(row) for row in latest.values() if names is None or row.name in names]

    def file(self, name: str) -> File:
        """Return a file that it has kept.

        Raises:  CommError: it has none of this name.
        """
        known = {file.name: file for file in self.files()}
        if name not in known:
            raise CommError(f"the run {self.name} has no file {name!r}{did_you_mean(name, known)}")
        return known[name]

    def logged_artifacts(self, per_page: int = 100) -> list[Artifact]:
        """Return the artifacts that it logged; its tables are some too, as in W&B."""
        rows = [r for r in list_files(self._api.store, self._row.id) if r.kind == KIND]
        found = [self._api.stored_artifacts.of_row(row) for row in rows]
        tables: dict[str, list[Any]] = {}
        for row in list_tables(self._api.store, self._row.id):
            tables.setdefault(row.name, []).append(row)
        for name, mine in tables.items():
            key = clean_key(name)
            of_table = self._api.stored_artifacts.of_table
            found += [of_table(self._row, mine, k, key) for k in range(len(mine))]
        return found

    def used_artifacts(self, per_page: int = 100) -> list[Artifact]:
        """Return the artifacts that it used."""
        own = [self._row.labels.get("project"), self._row.project or UNNAMED]
        names = self._row.labels.get("used", ())
        return [self._api.stored_artifacts.of_run(name, own, None) for name in names]

    # -- changes --------------------------------------------------------------------------------

    def update(self) -> None:
        """Write config, tags, notes, group and summary as they are now.

        Raises:  CommError: a value of the config that the sweep proposed has been changed.
        """
        labels = {"tags": list(self.tags), "notes": self.notes, "group": self.group}
        before = self._row.config
        values = {
            name: now
            for name, value in self.config.items()
            if (now := plain(value)) != before.get(name) or type(now) is not type(before.get(name))
        }
        removed = [name for name in before if name not in self.config]
        with self._api.store.batch() as writer:
            about = {"values": values, "removed": removed, "labels": labels}
            swept = self._row.sweep_id is not None
            fixed = edit_run(writer, self._row.id, swept=swept, **about)
        if fixed:
            raise CommError(
                f"the sweep proposed {', '.join(fixed)} for the run {self.name}: these values of"
                " its config stay as they are; nothing was written"
            )
        self._row = self._api.store.run(self._row.id)
        self.summary.update()

    save = update

    def load(self, force: bool = False) -> dict[str, Any]:
        """Read it again."""
        return self.config

    def wait_until_finished(self) -> None:
        """Wait until it has ended."""
        from thetahat.store import Changes

        changes = Changes(self._api.store)
        try:
            while not self._row.status.over:
                changes.wait(0.5, 2.0)
                self._row = self._api.store.run(self._row.id)
        finally:
            changes.close()

    def delete(self, delete_artifacts: bool = False) -> None:
        """Nothing is deleted by a program's API."""
        raise CommError("run.delete() is not answered by thetahat: it deletes no results")

    def __repr__(self) -> str:
        return f"<Run {'/'.join(self.path)} ({self.state})>"


def _checked_keys(keys: Any) -> list[str]:
    """Return the keys of a history.

    Raises:  ValueError: they are no list of names, as in W&B.   CommError: the store has no clock
             of each row.
    """
    if not isinstance(keys, (list, tuple)) or not all(isinstance(key, str) for key in keys):
        raise ValueError(f"keys must be specified in a list of strings; got {keys!r}")
    if clocks := [key for key in keys if key in ("_runtime", "_timestamp")]:
        raise CommError(
            f"the store keeps no clock of each row, so no {' and '.join(clocks)}; leave it out:"
            " rows have _step"
        )
    return list(keys)


def _whole(value: Any) -> Any:
    """Return a number that is whole as an int, as JSON has it: programs index by it."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    return value


def projects_of(rows: Any) -> set[str]:
    """Return the projects of runs."""
    found = {str(row.project or "uncategorized") for row in rows}
    return found | {str(row.labels["project"]) for row in rows if row.labels.get("project")}


def is_of(row: RunRow, project: str | None) -> bool:
    """Whether a run is of a project; None is any."""
    mine = (row.project or "uncategorized", row.labels.get("project"))
    return project is None or project in mine


def clean_key(name: str) -> str:
    """Return a key as W&B writes it into the name of an artifact."""
    return re.sub(r"[^a-zA-Z0-9_\-.]+", "", name)
