"""What a program says of its run: its config, its name and its labels. Plain SQL, as all that a
program itself writes.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from thetahat.core.json import from_json, merge, to_json
from thetahat.store._rows import text
from thetahat.store._run_writer import RunWriter

_READ = "SELECT number, name, project, config, labels, proposed FROM runs WHERE id = :run"
_WRITE = (
    "UPDATE runs SET name = :name, config = :config, proposed = :proposed, labels = :labels,"
    " project = :project WHERE id = :run"
)
GIVEN_NAME = "_given_name"
"""The hidden label of a run whose name in the store had a number appended: the name without it."""
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
    if name is not None:
        found.pop(GIVEN_NAME, None)
        if word != text(name):
            found[GIVEN_NAME] = text(name)
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


def edit_run(
    writer: RunWriter,
    run_id: str,
    *,
    values: Mapping[str, Any],
    removed: Collection[str] = (),
    labels: Mapping[str, Any],
    swept: bool,
) -> list[str]:
    """Change a run's config and labels; return the names of values that its sweep proposed.

    These are not changed, and then nothing is.

    Args:
        values: of the config, each as a whole: a mapping replaces the mapping that was there.
        removed: names of the config.
        labels: those that are empty are removed.
        swept: whether a sweep proposed the run.
    """
    _, name, project, known, known_labels, proposed = writer.execute(
        _READ, {"run": run_id}
    ).fetchone()
    before = from_json(known)
    stands = (before if proposed is None else from_json(proposed)) if swept else {}
    fixed = [k for k in removed if k in stands]
    fixed += [k for k, v in values.items() if k in stands and _over(v, stands[k]) != v]
    if fixed:
        return fixed
    whole = {k: v for k, v in {**before, **values}.items() if k not in removed}
    found = {k: v for k, v in {**from_json(known_labels), **labels}.items() if v or k not in labels}
    given = {"config": to_json(whole), "labels": to_json(found), "proposed": proposed}
    writer.execute(_WRITE, {"run": run_id, "name": name, "project": project, **given})
    return []


def _over(value: Any, stands: Any) -> Any:
    both = isinstance(value, Mapping) and isinstance(stands, Mapping)
    return merge(value, stands) if both else stands


def _own_name(writer: RunWriter, run_id: str, number: int, before: str, wanted: str | None) -> str:
    if not wanted or before in (wanted, f"{wanted}-{number}"):
        return before
    while writer.execute(_TAKEN, {"name": wanted, "run": run_id}).fetchone() is not None:
        wanted = f"{wanted}-{number}"
    return wanted
