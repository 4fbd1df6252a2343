"""Queries for pages and reports of thousands of runs.

The database joins the stored JSON of columns, four times as fast as Python, so that other requests
do not wait. A column with one value for all runs is sent once.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, case, func, literal_column, or_, select

from thetahat.core.json import from_json
from thetahat.core.run import Status
from thetahat.store._blocks import AXES, Block, read_block
from thetahat.store._dead_agents import STANDING, dead_among, reason_of, status_of
from thetahat.store._schema import agents, notices, records, runs, sweeps
from thetahat.store._sql import (
    among,
    is_sqlite,
    json_array,
    json_list,
    json_number,
    json_value,
    text_array,
    without_keys,
)
from thetahat.store._store import Store


@dataclass(frozen=True, slots=True)
class TriedRun:
    """A run of a sweep, as the search for the best setting needs it."""

    id: str
    name: str
    number: int
    status: Status
    setting: Mapping[str, Any]
    """The config without values that the program added."""
    metrics: Mapping[str, float | None]
    finished: str | None
    contaminated: bool


def tried_runs(store: Store, sweep_id: str) -> list[TriedRun]:
    """Return the runs of a sweep in the order of their numbers, with long texts of configs cut."""
    c = runs.c
    setting = func.coalesce(c.proposed, c.config)
    with store.reading() as connection:
        status = status_of(dead_among(connection, store.folder))
        query = select(
            c.number, c.id, c.name, status, setting, c.metrics, c.finished, c.contaminated
        ).where(c.sweep_id == sweep_id)
        rows = [tuple(row) for row in connection.execute(query)]
    rows.sort(key=itemgetter(0))
    known = {str(status): status for status in Status}
    # One long text is parsed several times as fast as ten thousand short ones.
    settings = from_json(f"[{','.join(_config(row[4]) for row in rows)}]")
    metrics = from_json(f"[{','.join(row[5] or '{}' for row in rows)}]")
    return [
        TriedRun(i, name, number, known[status], setting, found, at, bool(tuned))
        for (number, i, name, status, _, _, at, tuned), setting, found in zip(
            rows, settings, metrics, strict=True
        )
    ]


def shared_orders(store: Store, sweep_id: str | None = None) -> frozenset[str]:
    """Return the ids of runs that share the order of minibatches with their cohort."""
    # A text search first: parsing the JSON of all runs takes longer.
    told = runs.c.detail.contains('"batch_order"')
    query = select(runs.c.id, runs.c.detail).where(told)
    if sweep_id is not None:
        query = query.where(runs.c.sweep_id == sweep_id)
    with store.reading() as connection:
        rows = connection.execute(query).all()
    return frozenset(i for i, text in rows if from_json(text).get("batch_order") == "shared")


def run_configs(
    store: Store, sweep_id: str, ids: Collection[str] | None = None
) -> Iterator[tuple[str, Any]]:
    """Yield (id, config without values that the program added) of runs of a sweep, in any order.

    Args:    ids: only these.
    """
    setting = func.coalesce(runs.c.proposed, runs.c.config)
    query = select(runs.c.id, setting).where(runs.c.sweep_id == sweep_id)
    if ids is not None:
        query = query.where(among(runs.c.id, ids))
    with store.reading() as connection:
        # One at a time: thousands of configs with hundreds of parameters fill the memory.
        for run, config in connection.execute(query):
            yield run, from_json(config)


_SCOPES = ("project", "experiment", "cohort", "sweep_id")


def scope_of(store: Store, given: str) -> str | None:
    """Return the column that has a value in some run: a project, experiment, cohort or sweep.

    If several have it, that of the latest run counts.
    """
    latest = [func.max(case((runs.c[kind] == given, runs.c.number))) for kind in _SCOPES]
    with store.reading() as connection:
        found = connection.execute(select(*latest)).one()
    known = [(number, i) for i, number in enumerate(found) if number is not None]
    return _SCOPES[max(known)[1]] if known else None


def known_scopes(store: Store) -> list[str]:
    """Return the names of all experiments and projects."""
    with store.reading() as connection:
        rows = connection.execute(select(runs.c.project, runs.c.experiment).distinct()).all()
    return list(dict.fromkeys(name for row in rows for name in row if name is not None))


def count_point(store: Store, sweep_id: str, point: int) -> int:
    """Count the runs of a setting of a sweep."""
    query = select(func.count()).where((runs.c.sweep_id == sweep_id) & (runs.c.point == point))
    with store.reading() as connection:
        return connection.execute(query).scalar() or 0


def detail_of_sweep(store: Store, sweep_id: str) -> dict[str, Any]:
    """Return the detail of a run of a sweep that ended without a failure, one of the first.

    The first of all would be found by reading all: an index finds a run by its sweep and status.
    """
    told = [str(status) for status in Status if status.over and not status.failed]
    query = select(runs.c.detail).where((runs.c.sweep_id == sweep_id) & runs.c.status.in_(told))
    with store.reading() as connection:
        found = connection.execute(query.limit(1)).scalar()
    return from_json(found) if found else {}


def leading_run(store: Store, sweep_id: str, metric: str, sign: int) -> tuple[str, float] | None:
    """Return the name of the best run of those that ended well, and its number; the first of ties.

    Args:    sign: 1 where less is better, else -1.
    """
    value = json_number(runs.c.metrics, metric)
    query = select(runs.c.name, json_list(runs.c.metrics, metric))
    well = runs.c.status.in_([str(status) for status in Status if status.well])
    mine = query.where((runs.c.sweep_id == sweep_id) & well & value.is_not(None))
    with store.reading() as connection:
        best_first = value if sign > 0 else value.desc()
        found = connection.execute(mine.order_by(best_first, runs.c.number).limit(1)).first()
    return None if found is None else (found[0], json.loads(found[1])[0])


def failure_reasons(store: Store, sweep_id: str) -> list[tuple[str, str, int]]:
    """Return (status, reason, number of runs) of the runs of a sweep that failed."""
    lost = runs.c.status.in_([str(status) for status in Status if status.failed])
    query = select(runs.c.status, runs.c.reason, func.count())
    with store.reading() as connection:
        mine = query.where((runs.c.sweep_id == sweep_id) & lost)
        rows = connection.execute(mine.group_by(runs.c.status, runs.c.reason)).all()
    return [(status, reason, n) for status, reason, n in rows]


def count_all(store: Store) -> dict[str | None, dict[str, int]]:
    """Count runs by sweep and status; None is the key of runs without a sweep."""
    counts: dict[str | None, dict[str, int]] = {}
    with store.reading() as connection:
        status = status_of(dead_among(connection, store.folder))
        query = select(runs.c.sweep_id, status, func.count()).group_by(runs.c.sweep_id, STANDING)
        for sweep_id, status, n in connection.execute(query):
            counts.setdefault(sweep_id, {})[status] = n
    return counts


_MOMENT = literal_column("CAST(pg_current_snapshot() AS text)")
"""Text that changes with every transaction of PostgreSQL that writes."""


def moment(store: Store) -> str | None:
    """Return a text that changes with every change of a store in PostgreSQL; None for SQLite."""
    with store.reading() as connection:
        return _moment(connection)


def _moment(connection: Connection) -> str | None:
    return None if is_sqlite(connection) else connection.scalar(select(_MOMENT))


def pulse(store: Store) -> dict[str, Any]:
    """Return values that change with every change of the store, read from indexes."""
    store.settle_gone()
    with store.reading() as connection:
        dead = dead_among(connection, store.folder)
        status = status_of(dead)
        last = connection.execute(select(func.max(records.c.id))).scalar()
        number = connection.execute(select(func.max(runs.c.number))).scalar()
        said = connection.execute(select(func.max(notices.c.id))).scalar()
        by_status = select(status, func.count()).group_by(STANDING)
        counts = {row[0]: row[1] for row in connection.execute(by_status)}
        states = [
            tuple(row)
            for row in connection.execute(select(sweeps.c.id, sweeps.c.state, sweeps.c.reason))
        ]
        live = select(agents.c.id, agents.c.doing).where(agents.c.ended.is_(None))
        alive = [tuple(row) for row in connection.execute(live) if row.id not in dead]
        now = _moment(connection)
    return {
        # Numbers are not in the order of commits there: the highest may stay while rows come.
        **({} if now is None else {"moment": now}),
        "records": last or 0,
        "runs": number or 0,
        "notices": said or 0,
        "counts": counts,
        "sweeps": states,
        "agents": alive,
    }


def blocks_after(store: Store, run_id: str, after: int = 0) -> tuple[list[Block], int]:
    """Return a run's blocks of records with ids above ``after``, and the last id."""
    mine = (records.c.run_id == run_id) & (records.c.id > after)
    rows = store.read(select(records).where(mine).order_by(records.c.id))
    return [read_block(row) for row in rows], rows[-1]["id"] if rows else after


def rows_after(store: Store, run_id: str, after: int = 0) -> tuple[list[dict[str, float]], int]:
    """Return a run's records with ids above ``after``, oldest first, as rows; and the last id."""
    blocks, after = blocks_after(store, run_id, after)
    rows = []
    for block in blocks:
        columns = [block.column(name) for name in block.columns]
        rows += [dict(zip(block.columns, row, strict=True)) for row in zip(*columns, strict=True)]
    return rows, after


def _config(text: str) -> str:
    return (text or "{}") if len(text) <= LONG else shortened(text)


PLAIN = (
    *("id", "number", "name", "status", "reason", "epochs", "max_epochs", "n_params"),
    *("best_val_risk", "best_epoch", "created", "started", "finished", "heartbeat", "agent"),
    *("attempt", "contaminated", "point", "replicate", "cohort", "experiment", "project"),
    *("sweep_id",),
)
FIELDS = (*PLAIN, "seconds", "config", "metrics")
"""The columns."""
LONG = 4096
"""Length of a config in characters from which its long texts are cut."""
OPEN = (str(Status.QUEUED), str(Status.RUNNING))
_LONGEST_WORD = 200
_LARGEST = 1.7976931348623157e308


@dataclass(frozen=True)
class Changed:
    """A filter: runs after a number, runs that are not over, runs changed since a time."""

    after: int
    since: str


def run_columns(
    store: Store,
    *,
    sweep_id: str | None = None,
    loose: bool = False,
    changed: Changed | None = None,
    ids: Collection[str] | None = None,
    limit: int | None = None,
) -> str:
    """Return runs by their numbers, as a JSON object: ``n``, ``same`` and ``columns``.

    ``columns`` holds a list for each of ``FIELDS``; a field with one value for all runs is in
    ``same`` instead. The metrics of a running run are its last record.

    Args:    loose: only runs without a sweep.   ids: only these.   limit: only the latest.
    """
    wanted = [] if ids is None else [among(runs.c.id, ids)]
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
        # Chosen runs are looked up one by one, in no order.
        if limit is None and ids is None:
            found = _aggregated(connection, dead, runs, *wanted)
            if found["n"] == 0 or _rise(found["number"]):
                return _object(connection, found, runs, *wanted)
        # Rows are mostly in the order of their numbers already; sorting would copy whole rows.
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
    made: dict[str, Any] = {name: json_array(rows.c[name]) for name in PLAIN}
    made["status"] = json_array(status_of(dead, rows).element)
    made["reason"] = json_array(reason_of(dead, rows))
    risk = rows.c.best_val_risk
    # JSON has no infinity. SQLite writes 15 digits of a number.
    made["best_val_risk"] = json_array(case((func.abs(risk) <= _LARGEST, risk)))
    tuned = case((rows.c.contaminated, literal_column("'true'")), else_=literal_column("'false'"))
    made["contaminated"] = text_array(tuned)
    made["seconds"] = text_array(_or_empty(rows.c.seconds))
    made["config"] = text_array(_or_empty(rows.c.config))
    logged = without_keys(_or_empty(rows.c.last), *AXES)
    metrics = rows.c.metrics
    chosen = case((metrics.in_(["", "{}"]), logged), else_=metrics)
    made["metrics"] = text_array(chosen)
    longest = func.max(func.length(rows.c.config)).label("longest")
    columns = [column.label(name) for name, column in made.items()]
    query = select(func.count().label("n"), longest, *columns).select_from(rows).where(*wanted)
    row = connection.execute(query).one()
    return row._asdict()


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
    """Return the JSON of the value that all entries of a list have; None if they differ."""
    _, end = json.JSONDecoder().raw_decode(text, 1)
    first = text[1:end]
    comma = ", " if text.startswith(", ", end) else ","  # PostgreSQL writes a space
    # The length rules out most lists.
    length = 2 + n * len(first) + (n - 1) * len(comma)
    return first if len(text) == length and text == f"[{comma.join([first] * n)}]" else None


def _shortened_configs(connection: Connection, rows: Any, *wanted: Any) -> str:
    """Return the configs again, with the long texts of long configs cut."""
    query = select(rows.c.config, rows.c.number).where(*wanted)
    found = connection.execute(query).all()
    texts = [config for config, _ in sorted(found, key=lambda row: row[1])]
    return f"[{','.join(shortened(t) if len(t) > LONG else t or '{}' for t in texts)}]"


def shortened(text: str) -> str:
    """Cut the long texts of a config for a listing."""
    if "[" not in text and "\\" not in text and max(map(len, text.split('"'))) <= _LONGEST_WORD:
        # Only short texts: parsing and writing them again takes ten times as long.
        return text
    return json.dumps(_short(from_json(text)), separators=(",", ":"))


def _short(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(k)[:_LONGEST_WORD]: _short(v) for k, v in value.items()}
    if isinstance(value, str) and len(value) > _LONGEST_WORD:
        return value[:_LONGEST_WORD] + "…"
    if isinstance(value, list):
        text = json.dumps(value)
        return value if len(text) <= _LONGEST_WORD else text[:_LONGEST_WORD] + "…"
    return value


_CHUNK = 500


@dataclass(frozen=True)
class Origin:
    """The provenance and the detail that some runs share."""

    provenance: Mapping[str, Any]
    detail: Mapping[str, Any]
    runs: int = 1


def origins(store: Store, sweep_id: str, ids: Collection[str] | None = None) -> Iterator[Origin]:
    """Yield the origins of the runs of a sweep, those that run early first.

    A few hundred runs are in memory at a time. Most runs of a sweep share their origin.

    Args:    ids: only of these runs.
    Raises:  StoreError: the store cannot be read.
    """
    columns = (runs.c.id, runs.c.number, runs.c.provenance, runs.c.detail)
    after = 0
    while True:
        mine = (runs.c.sweep_id == sweep_id) & (runs.c.number > after)
        rows = store.read(select(*columns).where(mine).order_by(runs.c.number).limit(_CHUNK))
        shared = Counter(
            (row["provenance"], row["detail"]) for row in rows if ids is None or row["id"] in ids
        )
        for (provenance, detail), n in shared.items():
            yield Origin(from_json(provenance), from_json(detail), n)
        after = rows[-1]["number"] if rows else after
        if len(rows) < _CHUNK:
            return


_MOST_COMPARED = 5000
"""Runs of a sweep whose program is compared for a table or a page; a report compares all."""


def changed_code(store: Store, sweep_id: str) -> list[str]:
    """Name the program's files that differ between runs of a sweep; none of a very large sweep."""
    code = json_value(runs.c.provenance, "code")
    some = select(code.label("code")).where(runs.c.sweep_id == sweep_id).limit(_MOST_COMPARED + 1)
    part = some.subquery()
    counted = select(part.c.code, func.count().label("n")).group_by(part.c.code)
    rows = store.read(counted)
    if len(rows) < 2 or sum(row["n"] for row in rows) > _MOST_COMPARED:
        return []
    # A run that waits, or a program of another language, has no hashes.
    known = [from_json(row["code"]) for row in rows if row["code"]]
    names = {name for hashes in known for name in hashes}
    return sorted(n for n in names if len({hashes.get(n) for hashes in known}) > 1)


def code_digests(store: Store, sweep_id: str) -> dict[str, str]:
    """Return a digest of the program's files for each run of a sweep that has them, by its id.

    It is the digest of the file, if there is one, as ``thetahat show`` prints it; else one of all.
    """
    code = json_value(runs.c.provenance, "code")
    found: dict[str, str] = {}
    known: dict[str, str] = {}
    for row in store.read(select(runs.c.id, code.label("code")).where(runs.c.sweep_id == sweep_id)):
        if text := row["code"]:
            if text not in known:
                files = sorted(from_json(text).items())
                whole = hashlib.sha256(repr(files).encode("utf-8", "backslashreplace")).hexdigest()
                known[text] = str(files[0][1]) if len(files) == 1 else whole[:16]
            found[row["id"]] = known[text]
    return found


def first_data_files(store: Store, sweep_id: str) -> dict[str, tuple[str, str]]:
    """Return the digest of each data file of a sweep, and the first run that read it."""
    told = runs.c.provenance.contains('"data_files"')
    query = select(runs.c.name, runs.c.provenance).where((runs.c.sweep_id == sweep_id) & told)
    found: dict[str, tuple[str, str]] = {}
    for row in store.read(query.order_by(runs.c.number).limit(_CHUNK)):
        for name, digest in from_json(row["provenance"])["data_files"].items():
            found.setdefault(name, (digest, row["name"]))
    return found
