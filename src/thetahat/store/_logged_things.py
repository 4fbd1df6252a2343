"""Record the tables and files of a run: the one way in, for programs and for other clients.

A table replaces that of the same run, name and step; so does a file. Files lie beside the store,
under the digest of their bytes: what several runs log alike is kept once.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from thetahat.core.errors import ConfigError, StoreError
from thetahat.core.packed_table import checked_name, pack_table
from thetahat.store._logged_file import given_file, media_type

if TYPE_CHECKING:
    from thetahat.store._run_writer import RunWriter

FILES = "files"
"""The folder, beside a store's file, of the files that runs have logged."""


class OpenRun(Protocol):
    """A run that its program may write to: ``th.start`` returns one."""

    id: str

    def writing(self) -> AbstractContextManager[RunWriter]:
        """Begin a transaction that writes to the run's store, while the run is the program's."""
        ...

    @property
    def folder(self) -> Path:
        """The folder of the run's store."""
        ...


def record_table(
    run: OpenRun,
    name: str,
    columns: Any,
    *,
    step: int | None = None,
    kind: str = "table",
    detail: Mapping[str, Any] | None = None,
) -> None:
    """Record a table of a run.

    Args:    columns: by name, of equal length; or a frame of pandas, polars or pyarrow.
             step: of the run's records at which it was logged; None: of the run as a whole.
             kind: "table", or another word for what it is, such as "histogram".
             detail: what else readers should know of it, as JSON.
    Raises:  ConfigError: a name or columns that cannot be kept.   StoreError: the store cannot.
    """
    name = checked_name("run.log_table", name)
    packed, at = pack_table(name, columns), _checked_step("run.log_table", step)
    with run.writing() as writer:
        writer.keep_table(run.id, name, packed, step=at, kind=kind, detail=detail)


def record_file(
    run: OpenRun,
    name: str | os.PathLike[str],
    content: Any = None,
    *,
    step: int | None = None,
    kind: str = "file",
    media: str | None = None,
    detail: Mapping[str, Any] | None = None,
) -> str:
    """Record a file of a run; return the digest under which its bytes are kept.

    Args:    name, content: as for ``given_file``; a name is a label, not a path,
             and may have slashes.
             media: its media type; by default by the ending of the name.
             (the others as for ``record_table``; a kind is such as "artifact")
    Raises:  ConfigError: a name or content that cannot be kept.   StoreError: the store cannot.
    """
    given, source = given_file(name, content)
    named, at = checked_name("run.log_file", given), _checked_step("run.log_file", step)
    digest, size = put_file(run.folder, source)
    about = {"media": media or media_type(named), "digest": digest, "bytes": size}
    with run.writing() as writer:
        writer.keep_file(run.id, named, about, step=at, kind=kind, detail=detail)
    return digest


def put_file(folder: Path, source: bytes | Path) -> tuple[str, int]:
    """Keep bytes, or the bytes of a file, beside a store; return their SHA-256 and their number.

    Raises:  StoreError: they cannot be written.
    """
    try:
        (folder / FILES).mkdir(exist_ok=True)
        new = folder / FILES / f".{os.getpid()}-{secrets.token_hex(6)}.part"
        try:
            digest, size = _copied(source, new)
            path = stored_file(folder, digest)
            path.parent.mkdir(exist_ok=True)
            os.replace(new, path)
        finally:
            new.unlink(missing_ok=True)
    except OSError as error:
        raise StoreError(
            f"a file cannot be kept in {folder / FILES} ({error.strerror or error}); free some"
            " space, or give another store with store= (--store)"
        ) from error
    return digest, size


def stored_file(folder: Path, digest: str) -> Path:
    """Return where the bytes of this digest lie, beside a store."""
    return folder / FILES / digest[:2] / digest


def _copied(source: bytes | Path, new: Path) -> tuple[str, int]:
    hashed, size = hashlib.sha256(), 0
    with new.open("wb") as to:
        if isinstance(source, bytes):
            hashed.update(source)
            size = to.write(source)
        else:
            with source.open("rb") as given:
                while part := given.read(2**20):
                    hashed.update(part)
                    size += to.write(part)
    return hashed.hexdigest(), size


def _checked_step(what: str, step: Any) -> int | None:
    if step is None or (hasattr(step, "__index__") and not isinstance(step, bool)):
        return None if step is None else int(step)
    raise ConfigError(f"{what}: step={step!r} is not an integer; leave it out")
