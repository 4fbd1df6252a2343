"""Runs for a page that shows thousands: as columns of JSON, and only what has changed since.

Configs and metrics lie in the store as JSON and leave it as they lie; reading them into Python and
writing them again would cost more than all the rest. Columns, not rows, because one call then
writes ten thousand values, and a column that says the same of every run says it once.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from sqlalchemy import func, or_, select

from thetahat.core.run import Status
from thetahat.store._json import from_json
from thetahat.store._records import AXES, Block, read_block
from thetahat.store._schema import agents, notices, records, runs, sweeps
from thetahat.store._store import Store

PLAIN = (
    *("id", "number", "name", "status", "reason", "epochs", "max_epochs", "n_params"),
    *("best_val_risk", "best_epoch", "created", "started", "finished", "heartbeat", "agent"),
    *("attempt", "contaminated", "point", "replicate", "cohort", "experiment", "project"),
    *("sweep_id",),
)
FIELDS = (*PLAIN, "seconds", "config", "metrics")
"""The columns."""
_LONG = 4096
_LONGEST_WORD = 200
_OPEN = (str(Status.QUEUED), str(Status.RUNNING))


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
    query = select(*(runs.c[name] for name in (*FIELDS, "last")))
    if sweep_id is not None:
        query = query.where(runs.c.sweep_id == sweep_id)
    if loose:
        query = query.where(runs.c.sweep_id.is_(None))
    if changed is not None:
        later = [runs.c.number > changed.after, runs.c.status.in_(_OPEN)]
        later += [runs.c.heartbeat >= changed.since, runs.c.finished >= changed.since]
        query = query.where(or_(*later))
    if limit is not None:
        query = query.order_by(runs.c.number.desc()).limit(limit)
    with store.reading() as connection:
        rows = connection.execute(query).all()
    if not rows:
        return '{"n":0,"same":{},"columns":{}}'
    # Sorted here: the database would carry whole rows, configs and all, through its sort.
    rows = sorted(rows, key=itemgetter(FIELDS.index("number")))
    same, columns = [], []
    by_name = dict(zip((*FIELDS, "last"), zip(*rows, strict=True), strict=True))
    for name in PLAIN:
        values = by_name[name]
        if name == "best_val_risk":
            values = tuple(v if v is not None and math.isfinite(v) else None for v in values)
        if len(rows) > 1 and values.count(values[0]) == len(values):
            same.append(f'"{name}":{json.dumps(values[0])}')
        else:
            columns.append(f'"{name}":{json.dumps(values, separators=(",", ":"))}')
    texts = {
        "seconds": [text or "{}" for text in by_name["seconds"]],
        "config": [_config(text) for text in by_name["config"]],
        "metrics": [
            _last(last) if text in ("", "{}") else text
            for text, last in zip(by_name["metrics"], by_name["last"], strict=True)
        ],
    }
    columns += [f'"{name}":[{",".join(values)}]' for name, values in texts.items()]
    return f'{{"n":{len(rows)},"same":{{{",".join(same)}}},"columns":{{{",".join(columns)}}}}}'


def run_values(store: Store, sweep_id: str) -> Iterator[tuple[str, Any, Any]]:
    """(status, config, metrics) of every run of a sweep, in the order of their numbers."""
    query = select(runs.c.number, runs.c.status, runs.c.config, runs.c.metrics)
    with store.reading() as connection:
        rows = connection.execute(query.where(runs.c.sweep_id == sweep_id)).all()
    for _, status, config, metrics in sorted(rows, key=itemgetter(0)):
        yield status, from_json(_config(config)), from_json(metrics)


def count_point(store: Store, sweep_id: str, point: int) -> int:
    """How many runs of a sweep have one setting."""
    query = select(func.count()).where((runs.c.sweep_id == sweep_id) & (runs.c.point == point))
    with store.reading() as connection:
        return connection.execute(query).scalar() or 0


def metric_values(store: Store, sweep_ids: Sequence[str]) -> Iterator[tuple[str, str, str, Any]]:
    """(sweep, run's name, status, metrics) of the runs that are over, to find the best."""
    query = select(runs.c.sweep_id, runs.c.name, runs.c.status, runs.c.metrics)
    over = runs.c.sweep_id.in_(list(sweep_ids)) & runs.c.status.not_in(_OPEN)
    with store.reading() as connection:
        rows = connection.execute(query.where(over)).all()
    for sweep_id, name, status, metrics in rows:
        yield sweep_id, name, status, from_json(metrics)


def count_all(store: Store) -> dict[str | None, dict[str, int]]:
    """How many runs stand how, by sweep; None for those of no sweep."""
    query = select(runs.c.sweep_id, runs.c.status, func.count()).group_by(
        runs.c.sweep_id, runs.c.status
    )
    counts: dict[str | None, dict[str, int]] = {}
    with store.reading() as connection:
        for sweep_id, status, n in connection.execute(query):
            counts.setdefault(sweep_id, {})[status] = n
    return counts


def pulse(store: Store) -> dict[str, Any]:
    """What changes whenever something in the store does, read from indexes."""
    with store.reading() as connection:
        last = connection.execute(select(func.max(records.c.id))).scalar()
        number = connection.execute(select(func.max(runs.c.number))).scalar()
        said = connection.execute(select(func.max(notices.c.id))).scalar()
        by_status = select(runs.c.status, func.count()).group_by(runs.c.status)
        counts = {row[0]: row[1] for row in connection.execute(by_status)}
        states = [
            tuple(row)
            for row in connection.execute(select(sweeps.c.id, sweeps.c.state, sweeps.c.reason))
        ]
        live = select(agents.c.id, agents.c.doing).where(agents.c.ended.is_(None))
        alive = [tuple(row) for row in connection.execute(live)]
    return {
        "records": last or 0,
        "runs": number or 0,
        "notices": said or 0,
        "counts": counts,
        "sweeps": states,
        "agents": alive,
    }


def blocks_after(store: Store, run_id: str, after: int = 0) -> tuple[list[Block], int]:
    """A run's blocks of records with ids above ``after``, and the last id."""
    mine = (records.c.run_id == run_id) & (records.c.id > after)
    blocks = []
    for row in store.read(select(records).where(mine).order_by(records.c.id)):
        after = row["id"]
        blocks.append(
            read_block(row["first"], row["last"], row["count"], row["columns"], row["data"])
        )
    return blocks, after


def _config(text: str) -> str:
    return (text or "{}") if len(text) <= _LONG else _shortened(text)


def _last(text: str) -> str:
    if not text or text == "{}":
        return "{}"
    return json.dumps({k: v for k, v in from_json(text).items() if k not in AXES})


def _shortened(text: str) -> str:
    """A long config with its long words cut: a listing shows no more of them."""
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
