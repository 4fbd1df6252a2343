"""Artifacts: named, versioned sets of files, kept beside the store under their digests.

A version is a file of the run that logged it, ``NAME:vK``: its manifest. Its own files are
``NAME:vK/PATH``.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from thetahat.core.json import plain_value
from thetahat.store._logged_things import stored_file
from thetahat.store._run_of_id import UNNAMED
from thetahat.wandb._collection import KIND, PART
from thetahat.wandb._errors import CommError
from thetahat.wandb._files import scratch_folder
from thetahat.wandb._media import Media, Table
from thetahat.wandb._run import UsageError, current
from thetahat.wandb._values import load


class ArtifactTTL:
    """How long an artifact lives: for ever."""

    INHERIT = None


class Artifact:
    """A set of files under a name; ``run.log_artifact`` makes a version of it."""

    def __init__(
        self,
        name: str,
        type: str,
        description: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        incremental: bool = False,
        use_as: str | None = None,
        **_: Any,
    ) -> None:
        if not re.fullmatch(r"[A-Za-z0-9_\-.]+", name):
            raise ValueError(
                f"Artifact name {name!r} may only contain alphanumeric characters, dashes,"
                " underscores, and dots"
            )
        self._name, self.type, self.description = name, type, description
        self.metadata: dict[str, Any] = dict(metadata or {})
        self.aliases: list[str] = []
        self.version = ""
        self.ttl = None
        self._given: dict[str, bytes | Path] = {}
        """Contents that were added here."""
        self._entries: dict[str, dict[str, Any]] = {}
        """Contents of the store, and references."""
        self._folder: Path | None = None
        self._row: Any = None
        self._logged_to = ""
        """The run that logged this object."""
        self._known_aliases: list[str] = []
        """The aliases that the store had when this was logged, read or saved."""
        self._scratch = self._copies = ""

    # -- what it is -----------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """The name, with the version once it is logged."""
        return f"{self._name}:{self.version}" if self.version else self._name

    @property
    def qualified_name(self) -> str:
        """``entity/project/name:version``."""
        return f"{self.entity}/{self.project}/{self.name}"

    full_name = qualified_name
    is_link = False

    @property
    def source_qualified_name(self) -> str:
        """``entity/project/name:version`` that it was logged as."""
        return f"{self.entity}/{self.source_project}/{self.source_name}"

    @property
    def source_name(self) -> str:
        """The name with the version."""
        return self.name

    @property
    def source_version(self) -> str:
        """The version."""
        return self.version

    @property
    def source_project(self) -> str:
        """The project."""
        return self.project

    @property
    def project(self) -> str:
        """The project of the run that logged it."""
        if self._row is not None:
            return self._row.run.project or UNNAMED
        return current[-1].project if current else UNNAMED

    @property
    def entity(self) -> str:
        """The entity: a store has none."""
        return "local"

    @property
    def id(self) -> str:
        """The digest."""
        return self.digest

    @property
    def state(self) -> str:
        """PENDING before it is logged."""
        return "COMMITTED" if self.version else "PENDING"

    @property
    def digest(self) -> str:
        """One digest of all its files."""
        parts = {path: _digest(content) for path, content in self._given.items()}
        parts |= {path: str(e.get("digest") or e.get("ref")) for path, e in self._entries.items()}
        return hashlib.sha256(json.dumps(sorted(parts.items())).encode()).hexdigest()[:32]

    @property
    def size(self) -> int:
        """Bytes of its files."""
        given = [len(c) if isinstance(c, bytes) else c.stat().st_size for c in self._given.values()]
        return sum(given) + sum(int(e.get("size", 0)) for e in self._entries.values())

    @property
    def file_count(self) -> int:
        """The number of its files."""
        return len(self._given) + len(self._entries)

    @property
    def created_at(self) -> str:
        """When the run that logged it began."""
        return "" if self._row is None else self._row.run.created

    @property
    def manifest(self) -> Any:
        """The entries by path, as ``manifest.entries``."""
        from types import SimpleNamespace

        paths = [*self._entries, *self._given]
        return SimpleNamespace(entries={path: self.get_entry(path) for path in paths})

    # -- adding ---------------------------------------------------------------------------------

    def add_file(
        self,
        local_path: str | os.PathLike[str],
        name: str | None = None,
        is_tmp: bool | None = False,
        policy: str | None = "mutable",
        **_: Any,
    ) -> ArtifactEntry:
        """Add a file as it is now; ``policy="immutable"`` copies it only when it is logged."""
        self._may_change()
        path = Path(local_path)
        if not path.is_file():
            raise ValueError(f"Path is not a file: {os.fspath(local_path)!r}")
        inner = name or path.name
        self._given[inner] = path.absolute() if policy == "immutable" else self._copied(path)
        return ArtifactEntry(self, inner)

    def add_dir(
        self,
        local_path: str | os.PathLike[str],
        name: str | None = None,
        policy: str | None = "mutable",
        **_: Any,
    ) -> None:
        """Add the files of a folder as they are now; ``policy`` as for ``add_file``."""
        root = Path(local_path)
        if not root.is_dir():
            raise ValueError(f"Path is not a directory: {os.fspath(local_path)!r}")
        for path in sorted(root.rglob("*")):
            if path.is_file():
                inner = path.relative_to(root).as_posix()
                self.add_file(path, f"{name}/{inner}" if name else inner, policy=policy)

    def add(self, obj: Any, name: str, overwrite: bool = False) -> ArtifactEntry:
        """Add a table, an image or other media."""
        self._may_change()
        if isinstance(obj, Table):
            inner = name if name.endswith(".table.json") else f"{name}.table.json"
            cells = {
                "columns": obj.columns,
                "data": obj.data,
                "ncols": len(obj.columns),
                "nrows": len(obj.data),
            }
            # NaN stays a number.
            self._given[inner] = json.dumps(cells, default=plain_value).encode()
        elif isinstance(obj, Media) and hasattr(obj, "content"):
            from thetahat.store._logged_file import given_file

            inner = name + getattr(obj, "ending", "")
            _, given = given_file(inner, obj.content())  # pyright: ignore[reportAttributeAccessIssue]
            self._given[inner] = self._copied(given) if isinstance(given, Path) else given
        else:
            raise ValueError(
                f"Artifact.add() takes a Table, an Image or other media; got {type(obj).__name__}"
            )
        return ArtifactEntry(self, inner)

    def add_reference(
        self, uri: Any, name: str | None = None, checksum: bool = True, max_objects: Any = None
    ) -> list[ArtifactEntry]:
        """Add a link to data elsewhere: the link is kept, the data are not."""
        self._may_change()
        ref = str(getattr(uri, "ref_url", lambda: uri)())
        inner = name or ref.rstrip("/").rpartition("/")[2]
        self._entries[inner] = {"ref": ref}
        return [ArtifactEntry(self, inner)]

    @contextlib.contextmanager
    def new_file(
        self, name: str, mode: str = "x", encoding: str | None = None
    ) -> Iterator[io.IOBase]:
        """Open a new file of the artifact, to write it."""
        self._may_change()
        self._scratch = self._scratch or scratch_folder()
        path = Path(self._scratch, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open(mode, encoding=encoding) as file:
            yield file  # pyright: ignore[reportReturnType]
        self._given[name] = path

    def _copied(self, path: Path) -> Path:
        """Copy a file: what the program writes there later is not the artifact's."""
        self._copies = self._copies or scratch_folder()
        handle, copy = tempfile.mkstemp(dir=self._copies)
        os.close(handle)
        shutil.copyfile(path, copy)
        return Path(copy)

    def remove(self, item: Any) -> None:
        """Take a file out."""
        inner = getattr(item, "path", item)
        self._given.pop(str(inner), None)
        self._entries.pop(str(inner), None)

    def _may_change(self) -> None:
        if self.version:
            raise UsageError(
                f"the artifact {self.name} is logged; make a new Artifact to change it"
            )

    # -- reading --------------------------------------------------------------------------------

    def get_entry(self, name: str) -> ArtifactEntry:
        """Return a file by its path.

        Raises:  KeyError: there is none.
        """
        if name not in self._given and name not in self._entries:
            raise KeyError(f"Path not contained in artifact: {name}")
        return ArtifactEntry(self, name)

    get_path = get_entry

    def get(self, name: str) -> Any:
        """Return a table that was added under this name; None if there is none."""
        for inner in (f"{name}.table.json", name):
            if inner in self._given or inner in self._entries:
                if not inner.endswith(".table.json"):
                    return ArtifactEntry(self, inner)
                read = json.loads(self._content(inner))
                return Table(columns=read["columns"], data=read["data"])
        if self._row is not None and self._row.table is not None and name == self._row.table_name:
            return self._row.table()
        return None

    def download(
        self,
        root: Any = None,
        allow_missing_references: bool = False,
        skip_cache: bool | None = None,
        path_prefix: Any = None,
        **_: Any,
    ) -> str:
        """Copy its files into a folder (``./artifacts/NAME:vK``), and return its path."""
        to = Path(root or Path("artifacts", self.name))
        to.mkdir(parents=True, exist_ok=True)
        for inner in [*self._entries, *self._given]:
            if path_prefix is not None and not inner.startswith(str(path_prefix)):
                continue
            if "ref" not in self._entries.get(inner, {}):
                self._copy(inner, to)
        return str(to)

    checkout = download

    def file(self, root: Any = None) -> str:
        """Copy its only file, and return the path."""
        names = [*self._entries, *self._given]
        if len(names) != 1:
            raise ValueError(
                f"This artifact contains {len(names)} files; use download(), or get_entry(name)"
            )
        return str(Path(self.download(root), names[0]))

    def files(self, names: Sequence[str] | None = None, per_page: int = 50) -> list[ArtifactEntry]:
        """Return its files."""
        every = [ArtifactEntry(self, name) for name in [*self._entries, *self._given]]
        return [one for one in every if names is None or one.path in names]

    def verify(self, root: Any = None) -> None:
        """Compare a downloaded folder with the artifact.

        Raises:  ValueError: a file differs or is missing.
        """
        at = Path(root or Path("artifacts", self.name))
        for inner in [*self._entries, *self._given]:
            path = at / inner
            if not path.is_file() or path.read_bytes() != self._content(inner):
                raise ValueError(f"Digest mismatch for file: {path}")

    def _content(self, inner: str) -> bytes:
        given = self._given.get(inner)
        if given is None:
            assert self._folder is not None
            given = stored_file(self._folder, self._entries[inner]["digest"])
        return given if isinstance(given, bytes) else given.read_bytes()

    def _copy(self, inner: str, to: Path) -> Path:
        path = Path(os.path.normpath(to / inner))
        if not path.is_relative_to(os.path.normpath(to)):
            raise UsageError(f"the artifact {self.name} has a file {inner!r} outside its folder")
        path.parent.mkdir(parents=True, exist_ok=True)
        given = self._given.get(inner)
        if isinstance(given, bytes):
            path.write_bytes(given)
            return path
        assert given is not None or self._folder is not None
        source = given or stored_file(self._folder, self._entries[inner]["digest"])  # pyright: ignore[reportArgumentType]
        shutil.copyfile(source, path)
        return path

    # -- the store ------------------------------------------------------------------------------

    def wait(self, timeout: Any = None) -> Artifact:
        """Return it: nothing is sent anywhere."""
        return self

    def is_draft(self) -> bool:
        """Whether it is not logged yet."""
        return not self.version

    def save(self, *_: Any, **__: Any) -> None:
        """Log it to the run of this program, or change its description, metadata and aliases."""
        if (row := self._origin()) is not None:
            row.change(self)
            return
        if self.version:
            return  # of a run that keeps nothing
        if not current:
            raise UsageError("artifact.save() needs a run; call wandb.init(), or run.log_artifact")
        load("_artifact_calls").log_artifact(current[-1], self)

    def _origin(self) -> Any:
        """Return where it comes from in the store; None if it is not there."""
        if self._row is None and self._logged_to:
            stored = load("_api").Api().stored_artifacts
            self._row = stored.origin(self._logged_to, self.name)
        return self._row

    def link(self, target_path: str, aliases: Sequence[str] | None = None) -> Artifact:
        """Give it another name, such as that of a registry, with aliases of its own there."""
        if not current and self._row is None:
            raise UsageError("artifact.link() needs an artifact that is logged")
        if not self.version:
            self.save()
        row = self._origin()
        return self if row is None else row.link(self, target_path, aliases or ())

    def logged_by(self) -> Any:
        """Return the run that logged it, as ``wandb.Api`` has runs."""
        return None if self._row is None else self._row.api_run()

    def used_by(self) -> list[Any]:
        """Return the runs that used it."""
        return [] if self._row is None else self._row.used_by()

    def __setitem__(self, name: str, item: Any) -> None:
        self.add(item, name)

    def __getitem__(self, name: str) -> Any:
        return self.get(name)

    def __repr__(self) -> str:
        return f"<Artifact {self.name} ({self.type})>"


class ArtifactEntry:
    """One file of an artifact."""

    def __init__(self, artifact: Artifact, path: str) -> None:
        self._artifact, self.path = artifact, path
        self.name = path

    @property
    def size(self) -> int:
        """Its bytes."""
        return len(self._artifact._content(self.path))

    @property
    def ref(self) -> str | None:
        """The link, if it is one."""
        return self._artifact._entries.get(self.path, {}).get("ref")

    def ref_target(self) -> str:
        """Return the link."""
        return str(self.ref)

    ref_url = ref_target

    def download(self, root: Any = None, **_: Any) -> str:
        """Copy it, and return the path."""
        return str(
            self._artifact._copy(self.path, Path(root or Path("artifacts", self._artifact.name)))
        )

    def __repr__(self) -> str:
        return f"<file {self.path} of {self._artifact.name}>"


def _digest(content: bytes | Path) -> str:
    data = content if isinstance(content, bytes) else content.read_bytes()
    return hashlib.sha256(data).hexdigest()


__all__ = ["KIND", "PART", "Artifact", "ArtifactEntry", "ArtifactTTL", "CommError"]
