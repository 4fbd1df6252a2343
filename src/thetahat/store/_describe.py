"""What a run's own program says of it: more of its config, a name, labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, select, update

from thetahat.core.json import from_json, merge, to_json
from thetahat.store._rows import text
from thetahat.store._schema import runs
from thetahat.store._writer import Writer


def describe_run(
    writer: Writer,
    run_id: str,
    *,
    config: Mapping[str, Any],
    proposed: Mapping[str, Any] | None = None,
    name: str | None = None,
    project: str | None = None,
    labels: Mapping[str, Any] | None = None,
) -> str:
    """Keep what a run's own program says of it, beneath what its sweep said; its name then.

    Args:
        config: values of the program's own; what its sweep ``proposed`` stays where they differ
            (by default, what it proposed is what the run has when it is first described).
        name: taken over; one that another run has gets the run's number behind it.
        project, labels: a project is taken over where the run has none, and a label else.
    """
    connection = writer.connection
    known = ("number", "name", "project", "config", "labels", "proposed")
    query = select(*(runs.c[column] for column in known))
    row = connection.execute(query.where(runs.c.id == run_id)).one()
    before = from_json(row.config)
    if proposed is None and row.proposed is not None:
        proposed = from_json(row.proposed)
    whole = merge(merge(before, config), before if proposed is None else proposed)
    found = {**from_json(row.labels), **(labels or {})}
    project = project or found.pop("project", None)
    if project is not None and row.project not in (None, project):
        found["project"] = project
    word = _own_name(connection, run_id, row.number, row.name, text(name))
    values = {
        "name": word,
        "config": to_json(whole),
        "proposed": to_json(before if proposed is None else proposed),
        "labels": to_json(found),
        "project": row.project or text(project),
    }
    connection.execute(update(runs).where(runs.c.id == run_id).values(values))
    return word


def _own_name(
    connection: Connection, run_id: str, number: int, before: str, wanted: str | None
) -> str:
    if not wanted or before in (wanted, f"{wanted}-{number}"):
        return before
    taken = select(runs.c.id).where((runs.c.name == wanted) & (runs.c.id != run_id))
    while connection.execute(taken).first() is not None:
        wanted = f"{wanted}-{number}"
        taken = select(runs.c.id).where((runs.c.name == wanted) & (runs.c.id != run_id))
    return wanted
