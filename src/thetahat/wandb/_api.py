"""``wandb.Api``: the runs, sweeps, tables, files and artifacts of the local store."""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping, Sequence
from typing import Any

from thetahat.core.errors import ConfigError, StoreError
from thetahat.store import RunRow, Store, find_sweep, list_sweeps, open_store
from thetahat.wandb._api_artifacts import StoredArtifacts
from thetahat.wandb._api_file import File
from thetahat.wandb._api_run import ApiRun, is_of, projects_of
from thetahat.wandb._api_runs import Runs
from thetahat.wandb._api_summary import ApiSummary
from thetahat.wandb._api_sweep import ApiSweep
from thetahat.wandb._artifacts import Artifact
from thetahat.wandb._errors import CommError, UnknownProjectError
from thetahat.wandb._run import current


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
        order: str | Sequence[str] | None = "+created_at",
        per_page: int = 50,
        include_sweeps: bool = True,
        lazy: bool = True,
    ) -> Runs:
        """Return the runs of a project that pass the filters; ``entity/`` is left out of account.

        Raises:  CommError: the store has no such project, or a filter or an order is not answered.
        """
        project = self._project(path)
        return Runs(self, [run for run in self._all() if is_of(run, project)], filters, order)

    def run(self, path: str = "") -> ApiRun:
        """Return a run by ``project/id``, by its id or by its name.

        Raises:  CommError: there is none.
        """
        before, _, word = path.strip("/").replace("/runs/", "/").rpartition("/")
        every = self._all()
        # The store's own ids are those of one run; a program may give an id in each project.
        if mine := [run for run in every if run.id == word]:
            return ApiRun(self, mine[0])
        project = self._project(before) if before else None
        mine = [run for run in every if is_of(run, project)]
        found = [run for run in mine if run.labels.get("id") == word]
        projects = sorted({ApiRun(self, run).project for run in found})
        if len(projects) > 1 and project is None:
            raise CommError(
                f"several projects have a run {path!r}: {', '.join(projects)}; give"
                f" {projects[0]}/{word}"
            )
        if not found:
            found = [run for run in mine if run.name == word]
            try:
                found = found if len(found) == 1 else [self.store.run(word)]
            except StoreError as error:
                raise CommError(f"Could not find run {path!r}: {error}") from error
            if not is_of(found[0], project):
                raise CommError(f"Could not find run {path!r}: the project {project!r} has none")
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
        return [self.project(name) for name in sorted(projects_of(self._all()))]

    def project(self, name: str, entity: str | None = None) -> Any:
        """Return a project by its name."""
        from types import SimpleNamespace

        return SimpleNamespace(
            name=name, entity="local", path=["local", name], sweeps=lambda: self.sweeps(name)
        )

    def create_project(self, name: str, entity: str) -> None:
        """Nothing: the first run makes a project."""

    # -- artifacts ------------------------------------------------------------------------------

    @functools.cached_property
    def stored_artifacts(self) -> StoredArtifacts:
        """The artifacts of the store."""
        return StoredArtifacts(self)

    def artifact(self, name: str, type: str | None = None) -> Artifact:
        """Return an artifact by ``project/name:version``; a table of a run is one too.

        Raises:  CommError: there is none.
        """
        return self.stored_artifacts.find(name, type)

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
        return self.stored_artifacts.versions(type_name, name)

    artifact_versions = artifacts

    # -- the store ------------------------------------------------------------------------------

    def _all(self) -> list[RunRow]:
        return self.store.runs()

    def _project(self, path: str | None) -> str | None:
        word = (path or "").strip("/").rpartition("/")[2] or self.settings.get("project")
        if word is None:
            return None
        known = projects_of(self._all())
        if word not in known:
            there = ", ".join(sorted(known)) or "none"
            raise UnknownProjectError(
                f"the store {self.store.path} has no project {word!r}; its projects: {there}. Give"
                " a sweep's project in its file, or by thetahat sweep --project"
            )
        return word


Run, Sweep = ApiRun, ApiSweep


def restored(name: str, run_path: str | None, root: Any) -> Any:
    """Copy a file of a run to ``root``, and open it; None if the run has none of this name."""
    path = run_path or (current[-1].path if current else "")
    if not path:
        raise CommError("wandb.restore() needs run_path=, or a run that has begun")
    run = Api().run(path)
    if name not in {file.name for file in run.files()}:
        raise CommError(f"the run {run.name} has no file {name!r}")
    return run.file(name).download(root or ".", replace=True)


__all__ = ["Api", "ApiRun", "ApiSummary", "ApiSweep", "ConfigError", "File", "Run", "Runs", "Sweep"]
