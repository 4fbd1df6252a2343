"""The artifacts of a store, as ``wandb.Api`` gives them; a table of a run is one too."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import re
from collections.abc import Callable, Sequence
from typing import Any

from thetahat.core.errors import did_you_mean
from thetahat.store import UNNAMED, FileRow, RunRow, Store, list_files, list_tables, read_table
from thetahat.wandb._api_asked import AskedApi
from thetahat.wandb._api_run import ApiRun, clean_key, is_of, projects_of
from thetahat.wandb._artifacts import Artifact
from thetahat.wandb._collection import KIND, LINK, Collection, current_aliases, number_of
from thetahat.wandb._errors import CommError, UnknownProjectError
from thetahat.wandb._links import LinkedArtifact, give_link, link_of, target_of
from thetahat.wandb._media import Table
from thetahat.wandb._run import current
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
        project = before[-1] if before else self._own_project()
        there = project is None or self._has(project)
        groups = self._groups(known, project) if there else []
        found = [row for rows in groups if (row := _of_alias(rows, alias, type)) is not None]
        if project is None and len(found) > 1:
            projects = sorted({self._runs[row.run_id].project or UNNAMED for row, _ in found})
            raise CommError(
                f"several projects have an artifact {name!r}: {', '.join(projects)}; give"
                f" {projects[0]}/{name}"
            )
        if found:
            return self.of_row(*found[0])
        if there and (table := self._table(known, alias, project)) is not None:
            return table
        linked = self.linked(target_of(known, project or UNNAMED), alias, type)
        if linked is not None:
            return linked
        names = sorted({str(row.detail.get("artifact")) for row in self._rows(project)})
        raise CommError(f"the store has no artifact {name!r}{did_you_mean(known, names)}")

    def of_run(self, name: str, projects: Sequence[str | None], type: str | None) -> Artifact:
        """Return an artifact by a name that may have no project: in the first that has it.

        Raises:  CommError: there is none.
        """
        if "/" not in name:
            for project in projects:
                if project is not None and self._has(project):
                    with contextlib.suppress(CommError):
                        return self.find(f"{project}/{name}", type)
        if "/" in name or not any(projects):
            return self.find(name, type)
        there = next(project for project in projects if project is not None)
        raise CommError(f"the project {there!r} has no artifact {name!r}; give PROJECT/{name}")

    def versions(self, type_name: str, name: str) -> list[Artifact]:
        """Return the versions of an artifact, the latest first."""
        *before, known = name.strip("/").split("/")
        found = []
        for rows in self._groups(known, before[-1] if before else self._own_project()):
            versions = {str(row.detail["version"]): row for row in reversed(rows)}
            for row in sorted(versions.values(), key=lambda row: -number_of(row.detail)):
                if row.detail["type"] == type_name:
                    found.append(self.of_row(row, _aliases(row, rows)))
        return found

    def origin(self, run: str, name: str) -> ArtifactOrigin:
        """Return where the version ``name`` comes from, which a run has logged."""
        rows = [row for row in list_files(self.store, run) if row.kind == KIND]
        return ArtifactOrigin(self.api, run, next(row for row in rows if row.name == name))

    def linked(self, target: str, alias: str, type: str | None = None) -> LinkedArtifact | None:
        """Return a version of a collection of links by its number or alias there."""
        runs, found = self._runs, []
        for row in self._rows(None):
            place = link_of(row.detail, target, runs[row.run_id].project or UNNAMED)
            if place is not None and type in (None, row.detail.get("type")):
                found.append((row, place))
        wanted = alias or "latest"
        known = [one for one in found if wanted in (one[1]["version"], *one[1]["aliases"])]
        if not known and wanted == "latest":
            known = [one for one in found if not one[1]["version"]][-1:]
        if not known:
            return None
        row, place = known[0]
        made = self.of_row(row, kind=LinkedArtifact)
        made.place_at(target, place)
        return made

    @property
    def _runs(self) -> dict[str, RunRow]:
        return {run.id: run for run in self.store.runs()}

    def _has(self, project: str) -> bool:
        return project in projects_of(self._runs.values())

    def _own_project(self) -> str | None:
        """Return the project of a name without one: that of the program, if the store has it."""
        given = os.environ.get("WANDB_PROJECT")
        if current:  # a sweep may have another project than its program
            run = current[-1]
            given = run._labels.get("project") or (None if run.sweep_id else UNNAMED)
        return given if given is not None and self._has(given) else None

    def _groups(self, known: str, project: str | None) -> list[list[FileRow]]:
        """Return the rows of an artifact by the project that counts its versions."""
        runs = self._runs
        groups: dict[str, list[FileRow]] = {}
        for row in self._rows(project):
            if row.detail.get("artifact") == known:
                groups.setdefault(runs[row.run_id].project or UNNAMED, []).append(row)
        return [groups[name] for name in sorted(groups, key=lambda name: name != project)]

    def _rows(self, project: str | None) -> list[FileRow]:
        from sqlalchemy import text

        with self.store.reading() as connection:
            query = text("SELECT DISTINCT run_id FROM files WHERE kind = :kind")
            ids = {row[0] for row in connection.execute(query, {"kind": KIND})}
        runs = self._runs
        if project is not None and project not in (there := projects_of(runs.values())):
            raise UnknownProjectError(
                f"the store has no project {project!r}; its projects: {', '.join(sorted(there))}"
            )
        rows = [
            row
            for run in ids
            if is_of(runs[run], project)
            for row in list_files(self.store, run)
            if row.kind == KIND
        ]
        return sorted(rows, key=lambda row: row.id)

    def of_row(
        self, row: FileRow, aliases: Sequence[str] | None = None, kind: type[Any] = Artifact
    ) -> Any:
        """Return the artifact of a file of the store."""
        read = json.loads(row.path.read_text(encoding="utf-8"))
        about = row.detail
        made = kind(read["artifact"], read["type"], about["description"], about["metadata"])
        made.version = read["version"]
        made.aliases = list(about["aliases"] if aliases is None else aliases)
        made._known_aliases = list(made.aliases)
        made._entries, made._folder = read["entries"], self.store.folder
        made._row = ArtifactOrigin(self.api, row.run_id, row)
        return made

    def _table(self, known: str, alias: str, project: str | None) -> Artifact | None:
        """Return a table of a run as W&B has it: the artifact ``run-ID-KEY``."""
        for run in self.store.runs():
            if not is_of(run, project):
                continue
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
        if self.row is None:
            return []
        name = f"{self.row.detail['artifact']}:{self.row.detail['version']}"
        mine = self.run.project or UNNAMED
        return [
            ApiRun(self.api, run)
            for run in self.api.store.runs()
            if (name in (used := run.labels.get("used", ())) and is_of(run, mine))
            or f"{mine}/{name}" in used
        ]

    def change(self, artifact: Artifact) -> None:
        """Write description, metadata and aliases again."""
        if self.row is None:
            raise CommError(f"{artifact.name} is the table of a run: it cannot be changed")
        changes = {"description": artifact.description, "metadata": plain(artifact.metadata)}
        new = [one for one in artifact.aliases if one not in artifact._known_aliases]
        removed = [one for one in artifact._known_aliases if one not in artifact.aliases]
        version = artifact.source_version
        with self.api.store.batch() as writer:
            collection = Collection(writer, artifact._name, self.run.id)
            if isinstance(artifact, LinkedArtifact):
                collection.give(version, (), (), changes)
                rows = collection.rows_of(version)
                place = give_link(writer, rows, artifact._target, new, removed)
                artifact.aliases = place["aliases"]
            else:
                artifact.aliases = collection.give(version, new, removed, changes)
        artifact._known_aliases = list(artifact.aliases)

    def link(self, artifact: Artifact, path: str, aliases: Sequence[str]) -> Artifact:
        """Give a version the next place in a collection of links, and return it from there."""
        if self.row is None:
            raise CommError(f"{artifact.name} is the table of a run: it cannot be linked")
        target = target_of(path, artifact.source_project)
        version, named = artifact.source_version, f"{LINK}{path}"
        with self.api.store.batch() as writer:
            collection = Collection(writer, artifact._name, self.run.id)
            whole = collection.give(version, [named])
            rows = collection.rows_of(version)
            place = give_link(writer, rows, target, ["latest", *aliases])
        if not isinstance(artifact, LinkedArtifact):
            artifact.aliases, artifact._known_aliases = whole, list(whole)
        linked = self.api.stored_artifacts.linked(target, place["version"])
        assert linked is not None
        return linked


def artifact_of_run(api: Any, run: Any, name: str, type: str | None) -> Artifact:
    """Return an artifact by a name that a run of this program gives, in the run's project.

    Raises:  CommError: there is none.
    """
    # The label is the program's own project; a sweep may have another.
    row = None if run._sink is None else api.store.run(run._sink.id)
    own = [run._labels.get("project"), None if row is None else row.project or UNNAMED]
    return api.stored_artifacts.of_run(name, own, type)


def _of_alias(
    rows: Sequence[FileRow], alias: str, type: str | None
) -> tuple[FileRow, list[str]] | None:
    """Return the first row of the version of an artifact that an alias names, and its aliases."""
    known = sorted(
        (row for row in rows if type in (None, row.detail.get("type"))),
        key=lambda row: (-number_of(row.detail), row.id),
    )
    for wanted in (alias or "latest",) if alias else ("latest", None):
        for row in known:
            aliases = _aliases(row, rows)
            if wanted in (None, str(row.detail["version"]), *aliases):
                return row, aliases
    return None


def _aliases(row: FileRow, rows: Sequence[FileRow]) -> list[str]:
    return current_aliases(row.detail, [one.detail for one in rows])


def _table_of(store: Store, row: Any) -> Table:
    columns = read_table(store, row.run_id, row.name, row.step)
    cells = [column.tolist() for column in columns.values()]
    return Table(columns=list(columns), data=[list(line) for line in zip(*cells, strict=True)])
