"""The artifacts of a store, as ``wandb.Api`` gives them; a table of a run is one too."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from thetahat.core.errors import did_you_mean
from thetahat.store import FileRow, RunRow, Store, list_files, list_tables, read_table
from thetahat.wandb._api_asked import AskedApi
from thetahat.wandb._api_run import ApiRun, clean_key, is_of, projects_of
from thetahat.wandb._artifacts import KIND, Artifact
from thetahat.wandb._errors import CommError
from thetahat.wandb._media import Table
from thetahat.wandb._values import plain


class StoredArtifacts:
    """The artifacts of a store; a table of a run is one too, as in W&B.

    Args:    api: whose store it is.
    """

    def __init__(self, api: AskedApi) -> None:
        self.api, self.store = api, api.store

    def find(self, name: str, type: str | None = None) -> Artifact:
        """Return an artifact by ``project/name:version``.

        Raises:  CommError: there is none.
        """
        *before, last = name.strip("/").split("/")
        known, _, alias = last.partition(":")
        project = before[-1] if before else None
        for row in reversed(self._rows(project)):
            about = row.detail
            if about.get("artifact") != known or (type and about.get("type") != type):
                continue
            if (alias or "latest") in _names_of(about) or not alias:
                return self.of_row(row)
        found = self._table(known, alias, project)
        if found is not None:
            return found
        names = sorted({str(row.detail.get("artifact")) for row in self._rows(project)})
        raise CommError(f"the store has no artifact {name!r}{did_you_mean(known, names)}")

    def versions(self, type_name: str, name: str) -> list[Artifact]:
        """Return the versions of an artifact, the latest first."""
        *before, known = name.strip("/").split("/")
        rows = self._rows(before[-1] if before else None)
        mine = [row for row in rows if row.detail.get("artifact") == known]
        return [self.of_row(row) for row in reversed(mine) if row.detail["type"] == type_name]

    def _rows(self, project: str | None) -> list[FileRow]:
        from sqlalchemy import text

        with self.store.reading() as connection:
            query = text("SELECT DISTINCT run_id FROM files WHERE kind = :kind")
            ids = {row[0] for row in connection.execute(query, {"kind": KIND})}
        projects = {run.id: run for run in self.store.runs()}
        known = project if project in projects_of(projects.values()) else None
        rows = [
            row
            for run in ids
            if known is None or is_of(projects[run], known)
            for row in list_files(self.store, run)
            if row.kind == KIND
        ]
        return sorted(rows, key=lambda row: row.id)

    def of_row(self, row: FileRow) -> Artifact:
        """Return the artifact of a file of the store."""
        read = json.loads(row.path.read_text(encoding="utf-8"))
        made = Artifact(read["artifact"], read["type"], read["description"], read["metadata"])
        made.version, made.aliases = read["version"], list(row.detail["aliases"])
        made.metadata = dict(row.detail["metadata"])
        made._entries, made._folder = read["entries"], self.store.folder
        made._row = ArtifactOrigin(self.api, row.run_id, row)
        return made

    def _table(self, known: str, alias: str, project: str | None) -> Artifact | None:
        """Return a table of a run as W&B has it: the artifact ``run-ID-KEY``."""
        for run in self.store.runs():
            for id_ in {run.id, str(run.labels.get("id", run.id))}:
                if not known.startswith(f"run-{id_}-"):
                    continue
                key = known.removeprefix(f"run-{id_}-")
                rows = [r for r in list_tables(self.store, run.id) if clean_key(r.name) == key]
                k = int(alias[1:]) if re.fullmatch(r"v\d+", alias) else -1
                if -len(rows) <= k < len(rows):
                    return self.of_table(run, rows, k, key)
        return None

    def of_table(self, run: RunRow, rows: Sequence[Any], k: int, key: str) -> Artifact:
        """Return version k of a table of a run."""
        row = rows[k]
        made = Artifact(f"run-{run.labels.get('id', run.id)}-{key}", "run_table")
        table = functools.partial(_table_of, self.store, row)
        made.add(table(), key)
        made.version, made.aliases = f"v{k % len(rows)}", ["latest"] if row is rows[-1] else []
        made._row = ArtifactOrigin(self.api, run.id, None, table, row.name)
        return made


class ArtifactOrigin:
    """Where an artifact comes from: its run, and its file there or its table."""

    def __init__(
        self,
        api: AskedApi,
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
        every = self.api.store.runs()
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


def _names_of(about: Mapping[str, Any]) -> set[str]:
    return {str(about.get("version")), *map(str, about.get("aliases", ()))}


def _table_of(store: Store, row: Any) -> Table:
    columns = read_table(store, row.run_id, row.name, row.step)
    cells = [column.tolist() for column in columns.values()]
    return Table(columns=list(columns), data=[list(line) for line in zip(*cells, strict=True)])
