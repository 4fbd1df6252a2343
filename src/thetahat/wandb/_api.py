"""``wandb.Api``: the runs, sweeps, tables, files and artifacts of the local store."""

from __future__ import annotations

import functools
import json
import math
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from thetahat.core.errors import ConfigError, StoreError, did_you_mean
from thetahat.core.run import Status
from thetahat.store import (
    FileRow,
    RunRow,
    Store,
    SweepRow,
    describe_run,
    find_sweep,
    list_files,
    list_sweeps,
    list_tables,
    open_store,
    read_table,
    stored_values,
)
from thetahat.wandb._artifacts import KIND, PART, Artifact
from thetahat.wandb._errors import CommError
from thetahat.wandb._media import Table
from thetahat.wandb._query import in_order, passes
from thetahat.wandb._run import OWN_STEP, current
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
_AGGREGATES = ("min", "max", "mean", "best", "last", "first")


class Api:
    """The local store, asked as a server of W&B is. Entities do not matter: a store has none."""

    def __init__(self, overrides: Any = None, timeout: Any = None, api_key: Any = None) -> None:
        self.default_entity = "local"
        self.settings = {"entity": "local", "project": os.environ.get("WANDB_PROJECT")}
        if overrides:
            self.settings |= overrides

    @functools.cached_property
    def store(self) -> Store:
        """The store: THETAHAT_STORE, else ``.thetahat/`` here."""
        return open_store(create=False)

    @property
    def viewer(self) -> Any:
        """The user: a store has no accounts."""
        from types import SimpleNamespace

        return SimpleNamespace(entity="local", username="local", teams=[], email="")

    def flush(self) -> None:
        """Forget what was read: later calls read the store again."""

    def runs(
        self,
        path: str | None = None,
        filters: Mapping[str, Any] | None = None,
        order: str = "+created_at",
        per_page: int = 50,
        include_sweeps: bool = True,
        lazy: bool = True,
    ) -> Runs:
        """Return the runs of a project that pass the filters; ``entity/`` is left out of account.

        Raises:  CommError: the store has no such project.
        """
        project = self._project(path)
        return Runs(self, [run for run in self._all() if _is_of(run, project)], filters, order)

    def run(self, path: str = "") -> ApiRun:
        """Return a run by ``project/id``, by its id or by its name.

        Raises:  CommError: there is none.
        """
        word = path.strip("/").replace("/runs/", "/").rpartition("/")[2]
        found = [run for run in self._all() if word in (run.id, run.labels.get("id"))]
        if not found:
            try:
                found = [self.store.run(word)]
            except StoreError as error:
                raise CommError(f"Could not find run {path!r}: {error}") from error
        return ApiRun(self, found[-1])

    def sweep(self, path: str = "") -> ApiSweep:
        """Return a sweep by ``project/id`` or by its id.

        Raises:  CommError: there is none.
        """
        try:
            return ApiSweep(
                self, find_sweep(self.store, path.strip("/").rpartition("/")[2] or "last")
            )
        except StoreError as error:
            raise CommError(f"Could not find sweep {path!r}: {error}") from error

    def sweeps(self, path: str | None = None) -> list[ApiSweep]:
        """Return the sweeps of a project."""
        project = self._project(path)
        every = list_sweeps(self.store)
        return [ApiSweep(self, one) for one in every if project in (None, one.project)]

    def projects(self, entity: str | None = None, per_page: int = 50) -> list[Any]:
        """Return the projects of the store."""
        return [self.project(name) for name in sorted(_projects(self._all()))]

    def project(self, name: str, entity: str | None = None) -> Any:
        """Return a project by its name."""
        from types import SimpleNamespace

        return SimpleNamespace(
            name=name, entity="local", path=["local", name], sweeps=lambda: self.sweeps(name)
        )

    def create_project(self, name: str, entity: str) -> None:
        """Nothing: the first run makes a project."""

    # -- artifacts ------------------------------------------------------------------------------

    def artifact(self, name: str, type: str | None = None) -> Artifact:
        """Return an artifact by ``project/name:version``; a table of a run is one too.

        Raises:  CommError: there is none.
        """
        *before, last = name.strip("/").split("/")
        known, _, alias = last.partition(":")
        project = before[-1] if before else None
        for row in reversed(self._artifact_rows(project)):
            about = row.detail
            if about.get("artifact") != known or (type and about.get("type") != type):
                continue
            if (alias or "latest") in _names_of(about) or not alias:
                return self._artifact(row)
        found = self._table_artifact(known, alias, project)
        if found is not None:
            return found
        names = sorted({str(row.detail.get("artifact")) for row in self._artifact_rows(project)})
        raise CommError(f"the store has no artifact {name!r}{did_you_mean(known, names)}")

    def artifact_exists(self, name: str, type: str | None = None) -> bool:
        """Whether there is an artifact of this name and version."""
        try:
            self.artifact(name, type)
        except CommError:
            return False
        return True

    def artifacts(
        self, type_name: str, name: str, per_page: int = 50, tags: Any = None
    ) -> list[Artifact]:
        """Return the versions of an artifact, the latest first."""
        *before, known = name.strip("/").split("/")
        rows = self._artifact_rows(before[-1] if before else None)
        mine = [row for row in rows if row.detail.get("artifact") == known]
        return [self._artifact(row) for row in reversed(mine) if row.detail["type"] == type_name]

    artifact_versions = artifacts

    def _artifact_rows(self, project: str | None) -> list[FileRow]:
        from sqlalchemy import text

        with self.store.reading() as connection:
            query = text("SELECT DISTINCT run_id FROM files WHERE kind = :kind")
            ids = {row[0] for row in connection.execute(query, {"kind": KIND})}
        projects = {run.id: run for run in self._all()}
        known = project if project in _projects(projects.values()) else None
        rows = [
            row
            for run in ids
            if known is None or _is_of(projects[run], known)
            for row in list_files(self.store, run)
            if row.kind == KIND
        ]
        return sorted(rows, key=lambda row: row.id)

    def _artifact(self, row: FileRow) -> Artifact:
        read = json.loads(row.path.read_text(encoding="utf-8"))
        made = Artifact(read["artifact"], read["type"], read["description"], read["metadata"])
        made.version, made.aliases = read["version"], list(row.detail["aliases"])
        made.metadata = dict(row.detail["metadata"])
        made._entries, made._folder = read["entries"], self.store.folder
        made._row = _Origin(self, row.run_id, row)
        return made

    def _table_artifact(self, known: str, alias: str, project: str | None) -> Artifact | None:
        """Return a table of a run as W&B has it: the artifact ``run-ID-KEY``."""
        for run in self._all():
            for id_ in {run.id, str(run.labels.get("id", run.id))}:
                if not known.startswith(f"run-{id_}-"):
                    continue
                key = known.removeprefix(f"run-{id_}-")
                rows = [r for r in list_tables(self.store, run.id) if _clean(r.name) == key]
                k = int(alias[1:]) if re.fullmatch(r"v\d+", alias) else -1
                if -len(rows) <= k < len(rows):
                    return self._of_table(run, rows, k, key)
        return None

    def _of_table(self, run: RunRow, rows: Sequence[Any], k: int, key: str) -> Artifact:
        row = rows[k]
        made = Artifact(f"run-{run.labels.get('id', run.id)}-{key}", "run_table")
        table = functools.partial(_table_of, self.store, row)
        made.add(table(), key)
        made.version, made.aliases = f"v{k % len(rows)}", ["latest"] if row is rows[-1] else []
        made._row = _Origin(self, run.id, None, table, row.name)
        return made

    # -- the store ------------------------------------------------------------------------------

    def _all(self) -> list[RunRow]:
        return self.store.runs()

    def _project(self, path: str | None) -> str | None:
        word = (path or "").strip("/").rpartition("/")[2] or self.settings.get("project")
        if word is None:
            return None
        known = _projects(self._all())
        if word not in known:
            there = ", ".join(sorted(known)) or "none"
            raise CommError(
                f"the store {self.store.path} has no project {word!r}; its projects: {there}. Give"
                " a sweep's project in its file, or by thetahat sweep --project"
            )
        return word


class _Origin:
    """Where an artifact comes from: its run, and its file there or its table."""

    def __init__(
        self,
        api: Api,
        run: str,
        row: FileRow | None,
        table: Callable[[], Table] | None = None,
        table_name: str = "",
    ) -> None:
        self.api, self.row, self.table, self.table_name = api, row, table, table_name
        self.run = api.store.run(run)

    def api_run(self) -> ApiRun:
        return ApiRun(self.api, self.run)

    def used_by(self) -> list[ApiRun]:
        name = f"{self.row.detail['artifact']}:{self.row.detail['version']}" if self.row else ""
        every = self.api._all()
        return [ApiRun(self.api, run) for run in every if name in run.labels.get("used", ())]

    def change(self, artifact: Artifact) -> None:
        """Write description, metadata and aliases again."""
        if self.row is None:
            raise CommError(f"{artifact.name} is the table of a run: it cannot be changed")
        about = {
            **self.row.detail,
            "description": artifact.description,
            "metadata": plain(artifact.metadata),
            "aliases": list(artifact.aliases),
        }
        kept = {"media": self.row.media, "digest": self.row.digest, "bytes": self.row.bytes}
        with self.api.store.batch() as writer:
            writer.keep_file(self.run.id, self.row.name, kept, kind=KIND, detail=about)


class Runs(Sequence["ApiRun"]):
    """Runs of a project, in an order."""

    def __init__(
        self, api: Api, rows: Sequence[RunRow], filters: Mapping[str, Any] | None, order: str
    ) -> None:
        details = _Details(api.store)
        found = [ApiRun(api, row, details) for row in rows]
        self._runs = in_order([run for run in found if passes(run, filters or {})], order)

    def __getitem__(self, index: Any) -> Any:
        return self._runs[index]

    def __len__(self) -> int:
        return len(self._runs)

    @property
    def objects(self) -> list[ApiRun]:
        """The runs as a list."""
        return self._runs

    def histories(
        self,
        samples: int = SAMPLES,
        keys: Sequence[str] | None = None,
        x_axis: str = "_step",
        format: str = "default",
        stream: str = "default",
    ) -> Any:
        """Return the histories of all runs under each other, with a column ``run_id``."""
        import pandas as pd

        frames = [
            run.history(samples, keys, x_axis).assign(run_id=run.id).reset_index(drop=True)
            for run in self._runs
        ]
        frames = [frame for frame in frames if len(frame)]
        whole = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()
        return whole if format != "default" else whole.to_dict("records")

    def __repr__(self) -> str:
        return f"<Runs {len(self)} of the local store>"


class _Details:
    """What listings of runs leave out, read once for all of them."""

    def __init__(self, store: Store) -> None:
        self._store = store

    @functools.cached_property
    def logged(self) -> dict[str, Any]:
        """Texts and booleans by run."""
        found = stored_values(self._store, "detail", "logged")
        return {run: value or {} for run, value in found.items()}

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

    def __init__(self, api: Api, row: RunRow, details: _Details | None = None) -> None:
        self._api, self._row = api, row
        self._details = details or _Details(api.store)

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
        """The name."""
        return self._row.name

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
        began = self._row.started or self._row.created
        return f"{began.partition('.')[0].removesuffix('+00:00')}Z"

    @property
    def heartbeat_at(self) -> str | None:
        """When it wrote last."""
        return self._row.heartbeat

    heartbeatAt = heartbeat_at  # noqa: N815

    @functools.cached_property
    def config(self) -> dict[str, Any]:
        """The config."""
        return dict(self._row.config)

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
        return ApiSummary(self, self._summary())

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
    def sweep(self) -> ApiSweep | None:
        """The sweep that it belongs to."""
        if self._row.sweep_id is None:
            return None
        return ApiSweep(self._api, find_sweep(self._api.store, self._row.sweep_id))

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
        """Yield all rows; with ``keys``, those that have all of them."""
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
        wanted = None if keys is None else list(dict.fromkeys([x_axis, *keys]))
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
        found = [self._api._artifact(row) for row in rows]
        tables: dict[str, list[Any]] = {}
        for row in list_tables(self._api.store, self._row.id):
            tables.setdefault(row.name, []).append(row)
        for name, mine in tables.items():
            made = [self._api._of_table(self._row, mine, k, _clean(name)) for k in range(len(mine))]
            found += made
        return found

    def used_artifacts(self, per_page: int = 100) -> list[Artifact]:
        """Return the artifacts that it used."""
        return [self._api.artifact(name) for name in self._row.labels.get("used", ())]

    # -- changes --------------------------------------------------------------------------------

    def update(self) -> None:
        """Write config, tags, notes, group and summary as they are now."""
        labels = {"tags": list(self.tags), "notes": self.notes, "group": self.group}
        given = {k: v for k, v in labels.items() if v}
        with self._api.store.batch() as writer:
            swept = self._row.sweep_id is not None
            describe_run(writer, self._row.id, config=self.config, labels=given, swept=swept)

    save = update

    def load(self, force: bool = False) -> dict[str, Any]:
        """Read it again."""
        return self.config

    def wait_until_finished(self) -> None:
        """Wait until it has ended."""
        import time

        while not self._row.status.over:
            time.sleep(0.5)
            self._row = self._api.store.run(self._row.id)

    def delete(self, delete_artifacts: bool = False) -> None:
        """Nothing is deleted by a program's API."""
        raise CommError("run.delete() is not answered by thetahat: it deletes no results")

    def __repr__(self) -> str:
        return f"<Run {'/'.join(self.path)} ({self.state})>"


class ApiSummary(Mapping[str, Any]):
    """The summary of a run; ``update`` writes to the store."""

    def __init__(self, run: ApiRun, flat: Mapping[str, Any]) -> None:
        self._run, self._items = run, _nested(flat)

    def update(self, values: Mapping[str, Any] | None = None) -> None:
        """Write values."""
        given = {k: plain(v) for k, v in (values or {}).items()}
        self._items |= given
        store, row = self._run._api.store, self._run._row
        metrics = {k: v for k, v in given.items() if type(v) in (int, float)}
        words = {k: v for k, v in given.items() if k not in metrics}
        full = store.run(row.id)
        detail = dict(full.detail or {})
        detail["logged"] = {**detail.get("logged", {}), **words}
        with store.batch() as writer:
            writer.execute(
                "UPDATE runs SET metrics = :metrics, detail = :detail WHERE id = :run",
                {
                    "run": row.id,
                    "metrics": json.dumps({**full.metrics, **metrics}),
                    "detail": json.dumps(detail),
                },
            )

    def __setitem__(self, name: str, value: Any) -> None:
        self.update({name: value})

    @property
    def _json_dict(self) -> dict[str, Any]:
        return dict(self._items)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name not in self._items:
            raise AttributeError(name)
        return self._items[name]

    def __getitem__(self, name: str) -> Any:
        return self._items[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __repr__(self) -> str:
        return repr(self._items)


class File:
    """A file that a run has kept."""

    def __init__(self, row: FileRow) -> None:
        self._row = row
        self.name, self.size, self.mimetype = row.name, row.bytes, row.media
        self.id, self.digest = row.digest, row.digest
        self.url = self.direct_url = row.path.as_uri()

    @property
    def md5(self) -> str:
        """The MD5 of its bytes, in base 64, as W&B has it."""
        import base64
        import hashlib

        made = hashlib.md5(self._row.path.read_bytes(), usedforsecurity=False)
        return base64.b64encode(made.digest()).decode()

    def download(
        self, root: Any = ".", replace: bool = False, exist_ok: bool = False, api: Any = None
    ) -> Any:
        """Copy it below ``root``, and open the copy.

        Raises:  ValueError: there is such a file; give ``replace=True`` or ``exist_ok=True``.
        """
        to = Path(root, self.name)
        if ".." in Path(self.name).parts or Path(self.name).is_absolute():
            raise ValueError(f"the file {self.name!r} would lie outside {os.fspath(root)}")
        if to.exists() and not (replace or exist_ok):
            raise ValueError(
                f"File already exists, pass replace=True to overwrite or exist_ok=True: {to}"
            )
        if replace or not to.exists():
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(self._row.path, to)
        return to.open(encoding="utf-8", errors="replace")

    def __repr__(self) -> str:
        return f"<File {self.name} ({self.mimetype}) {self.size:,} bytes>"


class ApiSweep:
    """A sweep of the store."""

    def __init__(self, api: Api, row: SweepRow) -> None:
        self._api, self._row = api, row
        self.id, self.name = row.id, row.name
        self.config: dict[str, Any] = dict(row.spec)

    @property
    def state(self) -> str:
        """``RUNNING``, ``PAUSED``, ``CANCELED`` or ``FINISHED``."""
        return {"cancelled": "CANCELED"}.get(self._row.state, self._row.state.upper())

    @property
    def project(self) -> str:
        """The project."""
        return str(self._row.project or "uncategorized")

    @property
    def entity(self) -> str:
        """The entity: a store has none."""
        return "local"

    @property
    def path(self) -> list[str]:
        """Entity, project and id."""
        return [self.entity, self.project, self.id]

    @property
    def url(self) -> str:
        """The path, in place of an address: a store has no server."""
        return "/".join(self.path)

    @property
    def expected_run_count(self) -> int | None:
        """The number of points of a grid."""
        return self._row.points

    @property
    def order(self) -> str | None:
        """The order of ``best_run``, by the metric of the sweep."""
        metric = self.config.get("metric")
        if not isinstance(metric, Mapping) or "name" not in metric:
            return None
        sign = "-" if metric.get("goal") == "maximize" else "+"
        return f"{sign}summary_metrics.{metric['name']}"

    @property
    def runs(self) -> Runs:
        """Its runs."""
        rows = self._api.store.runs(sweep_id=self.id)
        return Runs(self._api, rows, None, "+created_at")

    def best_run(self, order: str | None = None) -> ApiRun | None:
        """Return the best run by the metric of the sweep; a failed run is never best.

        Raises:  CommError: the sweep has no metric, and no order is given.
        """
        order = order or self.order
        if order is None:
            raise CommError(f"the sweep {self.id} has no metric; give best_run(order=)")
        well = [run for run in self.runs if run._row.status.well or not run._row.status.over]
        name = order.lstrip("+-")
        name = (
            name
            if name.partition(".")[0] in ("summary_metrics", "config")
            else (f"summary_metrics.{name}")
        )
        found = [run for run in well if passes(run, {name: {"$exists": True}})]
        return next(iter(in_order(found, order[:1].strip("s") + name)), None) if found else None

    def __repr__(self) -> str:
        return f"<Sweep {'/'.join(self.path)} ({self.state})>"


Run, Sweep = ApiRun, ApiSweep


def restored(name: str, run_path: str | None, root: Any) -> Any:
    """Copy a file of a run to ``root``, and open it; None if the run has none of this name."""
    path = run_path or (current[-1].id if current else "")
    if not path:
        raise CommError("wandb.restore() needs run_path=, or a run that has begun")
    run = Api().run(path)
    if name not in {file.name for file in run.files()}:
        raise CommError(f"the run {run.name} has no file {name!r}")
    return run.file(name).download(root or ".", replace=True)


def _projects(rows: Any) -> set[str]:
    found = {str(row.project or "uncategorized") for row in rows}
    return found | {str(row.labels["project"]) for row in rows if row.labels.get("project")}


def _is_of(row: RunRow, project: str | None) -> bool:
    mine = (row.project or "uncategorized", row.labels.get("project"))
    return project is None or project in mine


def _names_of(about: Mapping[str, Any]) -> set[str]:
    return {str(about.get("version")), *map(str, about.get("aliases", ()))}


def _clean(name: str) -> str:
    """Return a key as W&B writes it into the name of an artifact."""
    return re.sub(r"[^a-zA-Z0-9_\-.]+", "", name)


def _table_of(store: Store, row: Any) -> Table:
    columns = read_table(store, row.run_id, row.name, row.step)
    cells = [column.tolist() for column in columns.values()]
    return Table(columns=list(columns), data=[list(line) for line in zip(*cells, strict=True)])


def _whole(value: Any) -> Any:
    """Return a number that is whole as an int, as JSON has it: programs index by it."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    return value


def _nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Nest values at the dots of their names: ``val.rmse`` is ``summary["val"]["rmse"]``."""
    found: dict[str, Any] = {}
    for name, value in sorted(flat.items(), key=lambda item: item[0].count(".")):
        *path, last = name.split(".")
        if path and last in _AGGREGATES and ".".join(path) in flat:
            # A metric that was defined with a summary of its own.
            at = found.get(".".join(path))
            found[".".join(path)] = {**(at if isinstance(at, dict) else {}), last: value}
            continue
        at, ok = found, True
        for word in path:
            inner = at.setdefault(word, {})
            ok = ok and isinstance(inner, dict)
            at = inner if isinstance(inner, dict) else {}
        if ok:
            at[last] = value
        else:
            found[name] = value
    return found


__all__ = ["Api", "ApiRun", "ApiSummary", "ApiSweep", "ConfigError", "File", "Run", "Runs", "Sweep"]
