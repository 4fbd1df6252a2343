"""Runs as groups need them: SQLite reads what tells them apart, and the rest is not decoded."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, NamedTuple

from sqlalchemy import Connection, case, func, null, select

from thetahat.core.json import from_json
from thetahat.core.nested import flat_config
from thetahat.core.run import Status
from thetahat.store._dead_agents import dead_agents, standing_runs
from thetahat.store._filters import OWN, Condition, check_columns, value_of
from thetahat.store._owner_lock import gone
from thetahat.store._rows import RunRow, logged_metrics, parse_all
from thetahat.store._schema import runs
from thetahat.store._selection import Reader, chosen_ids, decoded, equals, reader_of
from thetahat.store._sql import among, is_sqlite
from thetahat.store._store import Store

_OWN = 10
"""Columns that are read of every run."""
_KNOWN = {str(status): status for status in Status}


class GroupedRun(NamedTuple):
    """A run as a group of runs needs it."""

    id: str
    experiment: str | None
    sweep_id: str | None
    status: Status
    metrics: Mapping[str, float | None]
    contaminated: bool
    config: Mapping[str, Any]
    """Empty unless settings are asked for."""
    proposed: Mapping[str, Any] | None

    @property
    def setting(self) -> Mapping[str, Any]:
        """The config without values that the program added."""
        return self.config if self.proposed is None else self.proposed


@dataclass(frozen=True)
class Grouping:
    """Runs, and what tells their groups apart."""

    runs: Sequence[RunRow | GroupedRun]
    values: Mapping[str, Sequence[Any]]
    """The value of each run in each column that was asked for."""
    parameters: Collection[str]
    """Flat names of the parameters of all runs."""


def runs_to_group(
    store: Store,
    columns: Sequence[str],
    *,
    settings: bool = False,
    where: Sequence[Condition] = (),
    **equal: Any,
) -> Grouping:
    """Read runs for groups, in the order of their numbers.

    Args:    columns: whose values are returned.   settings: whether the runs have their settings.
             where, equal: as for ``Store.runs``.
    Raises:  ConfigError: a column that no run has; the nearest is offered.
    """
    found = _lean(store, columns, settings, where, equal)
    if found is not None:
        return found
    whole = standing_runs(store, where=where, **equal)
    check_columns(columns, whole)
    return Grouping(
        whole,
        {name: [value_of(run, name) for run in whole] for name in columns},
        dict.fromkeys(name for run in whole for name in flat_config(run.setting)),
    )


def _lean(
    store: Store,
    columns: Sequence[str],
    settings: bool,
    where: Sequence[Condition],
    equal: Mapping[str, Any],
) -> Grouping | None:
    """Read only what is needed; None where runs must be decoded to know their values."""
    readers = {name: reader_of(name) for name in columns}
    read = {name: reader for name, reader in readers.items() if reader is not None}
    store.settle_gone()
    if len(read) < len(readers) or gone(store.folder) or dead_agents(store):
        return None
    wanted = equals(equal)
    with store.reading() as connection:
        if where:
            ids = chosen_ids(connection, wanted, where, "number", None)
            if ids is None:
                return None
            wanted = [among(runs.c.id, ids)]
        parameters = None if settings else _parameters(connection, wanted)
        settings = parameters is None
        rows = _rows(connection, wanted, read, settings)
    values, at = {}, _OWN
    for name, reader in read.items():
        values[name], at = decoded(reader, rows, at), at + len(reader.columns)
        if rows and name not in OWN and not any(value is not None for value in values[name]):
            return None  # of no run: the names that runs have are offered
    made = _runs(rows)
    if parameters is None:
        parameters = dict.fromkeys(name for run in made for name in flat_config(run.setting))
    return Grouping(made, values, parameters)


def _parameters(connection: Connection, wanted: Sequence[Any]) -> list[str] | None:
    """Return the names of all parameters; None if some are nested, or the database cannot tell."""
    if not is_sqlite(connection):
        return None
    setting = func.coalesce(func.nullif(func.coalesce(runs.c.proposed, runs.c.config), ""), "{}")
    each = func.json_each(setting).table_valued("key", "type", joins_implicitly=True)
    query = select(each.c.key, each.c.type == "object").where(*wanted).distinct()
    found = connection.execute(query.select_from(runs, each)).all()
    return None if any(nested for _, nested in found) else [name for name, _ in found]


def _rows(
    connection: Connection, wanted: Sequence[Any], read: Mapping[str, Reader], settings: bool
) -> list[Any]:
    c = runs.c
    last = case((c.metrics.in_(["", "{}"]), c.last))
    own = (c.number, c.id, c.experiment, c.sweep_id, c.status, c.metrics, last, c.contaminated)
    setting = (c.config, c.proposed) if settings else (null(), null())
    query = select(*own, *setting, *(e for reader in read.values() for e in reader.columns))
    # Mostly in the order of their numbers already.
    return sorted(connection.execute(query.where(*wanted)).all(), key=itemgetter(0))


def _runs(rows: Sequence[Any]) -> list[GroupedRun]:
    if not rows:
        return []
    _, ids, experiments, sweeps, statuses, metrics, last, tuned, configs, proposed = zip(
        *(row[:_OWN] for row in rows), strict=True
    )
    return list(
        map(
            GroupedRun,
            *(ids, experiments, sweeps, map(_KNOWN.__getitem__, statuses)),
            *(logged_metrics(metrics, last), map(bool, tuned), parse_all(configs)),
            (None if text is None else from_json(text) for text in proposed),
        )
    )
