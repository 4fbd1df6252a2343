"""Runs for a page that shows thousands: as columns of JSON, and only what has changed since.

Configs and metrics lie in the store as JSON and leave it as they lie. SQLite itself writes the
columns: ten thousand runs that came into Python value by value would take four times as long, and
hold up whatever else is asked for meanwhile. Columns, not rows, because a column that says the same
of every run says it once.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, case, func, or_, select

from thetahat.core.json import from_json
from thetahat.core.run import Status
from thetahat.store._blocks import AXES
from thetahat.store._dead_agents import dead_among, reason_of, status_of
from thetahat.store._schema import runs
from thetahat.store._store import Store

PLAIN = (
    *("id", "number", "name", "status", "reason", "epochs", "max_epochs", "n_params"),
    *("best_val_risk", "best_epoch", "created", "started", "finished", "heartbeat", "agent"),
    *("attempt", "contaminated", "point", "replicate", "cohort", "experiment", "project"),
    *("sweep_id",),
)
FIELDS = (*PLAIN, "seconds", "config", "metrics")
"""The columns."""
LONG = 4096
"""Characters of a config from which on its words are cut."""
OPEN = (str(Status.QUEUED), str(Status.RUNNING))
_LONGEST_WORD = 200
_LARGEST = 1.7976931348623157e308


@dataclass(frozen=True)
class Changed:
    """Which runs: those after a number, those not over, those touched since a time."""

    after: int
    since: str


def run_columns(
    store: Store,
    *,
    sweep_id: str | None = None,
    loose: bool = False,
    changed: Changed | None = None,
    limit: int | None = None,
) -> str:
    """Runs by their numbers, as a JSON object: ``n``, ``same`` and ``columns``.

    ``columns`` holds a list for each of ``FIELDS``; a field with one value for all runs is in
    ``same`` instead. The metrics of a running run are its last record.

    Args:    loose: only runs of no sweep.   limit: the latest so many.
    """
    wanted = []
    if sweep_id is not None:
        wanted.append(runs.c.sweep_id == sweep_id)
    if loose:
        wanted.append(runs.c.sweep_id.is_(None))
    if changed is not None:
        later = [runs.c.number > changed.after, runs.c.status.in_(OPEN)]
        later += [runs.c.heartbeat >= changed.since, runs.c.finished >= changed.since]
        wanted.append(or_(*later))
    with store.reading() as connection:
        dead = dead_among(connection, store.folder)
        if limit is None:
            found = _aggregated(connection, dead, runs, *wanted)
            if found["n"] == 0 or _rise(found["number"]):
                return _object(connection, found, runs, *wanted)
        # As they lie runs are in the order of their numbers, mostly: a sort would carry whole rows,
        # configs and all.
        rows = _sorted(wanted, limit)
        return _object(connection, _aggregated(connection, dead, rows), rows)


def _sorted(wanted: Sequence[Any], limit: int | None) -> Any:
    rows = select(*(runs.c[name] for name in (*FIELDS, "last"))).where(*wanted)
    if limit is not None:
        rows = select(rows.order_by(runs.c.number.desc()).limit(limit).subquery())
    return rows.order_by(rows.selected_columns["number"]).subquery()


def _aggregated(
    connection: Connection, dead: Collection[str], rows: Any, *wanted: Any
) -> Mapping[str, Any]:
    """Of rows each column as one text; how many rows; the longest config."""
    made: dict[str, Any] = {name: func.json_group_array(rows.c[name]) for name in PLAIN}
    made["status"] = func.json_group_array(status_of(dead, rows))
    made["reason"] = func.json_group_array(reason_of(dead, rows))
    risk = rows.c.best_val_risk
    # JSON has no infinity. SQLite writes 15 digits of a number: enough to be looked at.
    made["best_val_risk"] = func.json_group_array(case((func.abs(risk) <= _LARGEST, risk)))
    made["contaminated"] = _listed(case((rows.c.contaminated, "true"), else_="false"))
    made["seconds"] = _listed(_or_empty(rows.c.seconds))
    made["config"] = _listed(_or_empty(rows.c.config))
    logged = func.json_remove(_or_empty(rows.c.last), *(f"$.{axis}" for axis in AXES))
    metrics = rows.c.metrics
    made["metrics"] = _listed(case((metrics.in_(["", "{}"]), logged), else_=metrics))
    longest = func.max(func.length(rows.c.config)).label("longest")
    columns = [column.label(name) for name, column in made.items()]
    query = select(func.count().label("n"), longest, *columns).select_from(rows).where(*wanted)
    row = connection.execute(query).one()
    return row._asdict()


def _listed(text: Any) -> Any:
    return "[" + func.coalesce(func.group_concat(text, ","), "") + "]"


def _or_empty(text: Any) -> Any:
    return func.coalesce(func.nullif(text, ""), "{}")


def _rise(text: str) -> bool:
    numbers = json.loads(text)
    return numbers == sorted(numbers)


def _object(connection: Connection, found: Mapping[str, Any], rows: Any, *wanted: Any) -> str:
    n = found["n"]
    if n == 0:
        return '{"n":0,"same":{},"columns":{}}'
    same, columns = [], []
    for name in FIELDS:
        text = found[name]
        if name == "config" and found["longest"] > LONG:
            text = _shortened_configs(connection, rows, *wanted)
        one = None if name not in PLAIN or n == 1 else _alike(text, n)
        if one is None:
            columns.append(f'"{name}":{text}')
        else:
            same.append(f'"{name}":{one}')
    return f'{{"n":{n},"same":{{{",".join(same)}}},"columns":{{{",".join(columns)}}}}}'


def _alike(text: str, n: int) -> str | None:
    """The value that all of a JSON list have, as it is written there; None where they differ."""
    _, end = json.JSONDecoder().raw_decode(text, 1)
    first = text[1:end]
    # Lengths tell most lists apart at once.
    alike = len(text) == n * (end - 1) + n + 1 and text == f"[{','.join([first] * n)}]"
    return first if alike else None


def _shortened_configs(connection: Connection, rows: Any, *wanted: Any) -> str:
    """The configs again: those that are long with their long words cut."""
    query = select(rows.c.config, rows.c.number).where(*wanted)
    found = connection.execute(query).all()
    texts = [config for config, _ in sorted(found, key=lambda row: row[1])]
    return f"[{','.join(shortened(t) if len(t) > LONG else t or '{}' for t in texts)}]"


def shortened(text: str) -> str:
    """A long config with its long words cut: a listing shows no more of them."""
    if "[" not in text and "\\" not in text and max(map(len, text.split('"'))) <= _LONGEST_WORD:
        # Very many short words: to read and to write them again would take ten times as long.
        return text
    return json.dumps(_short(from_json(text)), separators=(",", ":"))


def _short(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(k)[:_LONGEST_WORD]: _short(v) for k, v in value.items()}
    if isinstance(value, str) and len(value) > _LONGEST_WORD:
        return value[:_LONGEST_WORD] + "…"
    if isinstance(value, list):
        said = json.dumps(value)
        return value if len(said) <= _LONGEST_WORD else said[:_LONGEST_WORD] + "…"
    return value
