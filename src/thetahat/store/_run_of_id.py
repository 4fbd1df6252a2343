"""Find a run by its id: the store's, or one that a program gave, which belongs to a project."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from thetahat.core.errors import ConfigError
from thetahat.core.json import from_json

if TYPE_CHECKING:
    from thetahat.store._plain_store import PlainStore
    from thetahat.store._run_writer import RunWriter
    from thetahat.store._store import Store

UNNAMED = "uncategorized"
"""The project of a run that names none."""
_OF_ID = (
    "SELECT id, name, config, labels, project, last, epochs, detail FROM runs"
    " WHERE id = :wanted OR json_extract(labels, '$.id') = :wanted ORDER BY number DESC"
)


def run_of_id(writer: RunWriter, wanted: str, project: str | None) -> Any:
    """Return the latest row of this id in a project, as ``_OF_ID`` selects it; None without one.

    Args:    project: None is that of runs that name none, else the only one with such a run.
    Raises:  ConfigError: several projects have one, and none was given.
    """
    of = _rows_of_id(writer, wanted)
    if project is not None or UNNAMED in of:
        return of.get(project or UNNAMED)
    if len({row[0] for row in of.values()}) > 1:
        raise ConfigError(
            f"several projects have a run {wanted!r}: {', '.join(sorted(of))}; give project="
        )
    return next(iter(of.values()), None)


def knows_id(store: Store | PlainStore, wanted: str, project: str | None = None) -> bool:
    """Whether a store, or one project of it, has a run of this id: the store's, or a program's."""
    with store.batch() as writer:
        of = _rows_of_id(writer, wanted)
    return bool(of) if project is None else project in of


def _rows_of_id(writer: RunWriter, wanted: str) -> dict[str, Any]:
    """Return the latest row of this id by project: the store's, and the one of the program."""
    of: dict[str, Any] = {}
    for row in writer.execute(_OF_ID, {"wanted": wanted}).fetchall():
        of.setdefault(row[4] or UNNAMED, row)
        if own := from_json(row[3] or "{}").get("project"):
            of.setdefault(own, row)
    return of
