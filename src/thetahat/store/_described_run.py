"""What a program says of its run: its config, its name and its labels. Plain SQL, as all that a
program itself writes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from thetahat.core.json import from_json, merge, to_json
from thetahat.store._rows import text
from thetahat.store._run_writer import RunWriter

_READ = "SELECT number, name, project, config, labels, proposed FROM runs WHERE id = :run"
_WRITE = (
    "UPDATE runs SET name = :name, config = :config, proposed = :proposed, labels = :labels,"
    " project = :project WHERE id = :run"
)
_TAKEN = "SELECT id FROM runs WHERE name = :name AND id <> :run"


def describe_run(
    writer: RunWriter,
    run_id: str,
    *,
    config: Mapping[str, Any],
    proposed: Mapping[str, Any] | None = None,
    name: str | None = None,
    project: str | None = None,
    labels: Mapping[str, Any] | None = None,
    swept: bool = True,
) -> str:
    """Add a program's own config, name and labels to its run; return the run's name.

    Args:
        config: the program's values; the values that the sweep ``proposed`` override them (by
            default those that the run has when this is called first).
        name: the run's number is appended if another run has the name.
        project: becomes a label if the run has another project.
        swept: False for a run that no sweep proposed: the program's latest values stand.
    """
    row = writer.execute(_READ, {"run": run_id}).fetchone()
    number, word, known_project, known_config, known_labels, known_proposed = row
    before = from_json(known_config)
    if proposed is None and known_proposed is not None:
        proposed = from_json(known_proposed)
    whole = merge(before, config)
    stands = before if proposed is None else proposed
    if swept:
        whole = merge(whole, stands)
    found = {**from_json(known_labels), **(labels or {})}
    project = project or found.pop("project", None)
    if project is not None and known_project not in (None, project):
        found["project"] = project
    word = _own_name(writer, run_id, number, word, text(name))
    values = {
        "run": run_id,
        "name": word,
        "config": to_json(whole),
        "proposed": to_json(stands) if swept else known_proposed,
        "labels": to_json(found),
        "project": known_project or text(project),
    }
    writer.execute(_WRITE, values)
    return word


def _own_name(writer: RunWriter, run_id: str, number: int, before: str, wanted: str | None) -> str:
    if not wanted or before in (wanted, f"{wanted}-{number}"):
        return before
    while writer.execute(_TAKEN, {"name": wanted, "run": run_id}).fetchone() is not None:
        wanted = f"{wanted}-{number}"
    return wanted
