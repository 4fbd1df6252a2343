"""What a program of an agent says of its run: its config, its name and its labels."""

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
    """Add a program's own config, name and labels to its run; return the run's name.

    Args:
        config: the program's values; the values that the sweep ``proposed`` override them (by
            default those that the run has when this is called first).
        name: the run's number is appended if another run has the name.
        project: becomes a label if the run has another project.
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
