"""Sweeps as rows: the text of the file, the parsed file, the flags, and the state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import delete, func, literal_column, select, update

from thetahat.core.acceptance import ACCEPTED, FOUND, solutions_found
from thetahat.core.json import from_json, to_json
from thetahat.core.run import Status
from thetahat.core.sweep_file import file_json, read_file_json, read_plain
from thetahat.store._dead_agents import STANDING, dead_among, status_of
from thetahat.store._rows import new_id, resolve, text, utc_now
from thetahat.store._run_names import run_name
from thetahat.store._run_writer import WORK
from thetahat.store._schema import agents, points as ahead, runs, sweeps
from thetahat.store._store import Store

RUNNING, PAUSED, CANCELLED, FINISHED = "running", "paused", "cancelled", "finished"
STATES = (RUNNING, PAUSED, CANCELLED, FINISHED)


@dataclass(frozen=True)
class NewSweep:
    """A sweep that begins."""

    text: str
    """The text of the sweep file."""
    name: str | None = None
    project: str | None = None
    file: str | None = None
    folder: str | None = None
    """Where the sweep was made, and where its program is looked up."""
    plan: Mapping[str, Any] = field(default_factory=dict)
    """The flags of the command line."""
    points: int | None = None
    contaminated: bool = False
    spec: Mapping[str, Any] | None = None
    """The parsed file, by ``core.sweep_file``; if None, the store parses the text."""


@dataclass(frozen=True)
class SweepRow:
    """A sweep as the store knows it.

    ``position`` is that of its search. ``spec`` is the parsed file: ``text`` is parsed only once.
    """

    id: str
    number: int
    name: str
    project: str | None
    file: str | None
    folder: str | None
    text: str
    plan: Mapping[str, Any]
    state: str
    reason: str
    position: int
    points: int | None
    contaminated: bool
    created: str
    finished: str | None
    spec: Mapping[str, Any]

    @property
    def over(self) -> bool:
        """Whether no further run will begin."""
        return self.state in (CANCELLED, FINISHED)


def create_sweep(store: Store, new: NewSweep, *, join: bool = False) -> SweepRow:
    """Insert a sweep; return its row.

    Args:    join: return the latest sweep of the same file and plan instead, if there is one that
             is not cancelled: two agents that start on one file then work on one sweep.
    """
    with store.batch() as writer:
        if join:
            same = (sweeps.c.text == new.text) & (sweeps.c.plan == to_json(new.plan))
            query = select(sweeps).where(same & (sweeps.c.state != CANCELLED))
            latest = (sweeps.c.state == FINISHED, sweeps.c.number.desc())
            row = writer.connection.execute(query.order_by(*latest)).mappings()
            found = row.first()
            if found is not None:
                return read_sweep_row(found)
        highest = writer.connection.execute(select(func.max(sweeps.c.number))).scalar() or 0
        sweep_id = new_id()
        row = {
            "id": sweep_id,
            "number": highest + 1,
            "name": text(new.name) or run_name(highest + 1),
            "project": text(new.project),
            "file": text(new.file),
            "folder": text(new.folder),
            "text": new.text,
            "spec": _spec_json(new.text, new.spec),
            "plan": to_json(new.plan),
            "state": RUNNING,
            "points": new.points,
            "contaminated": new.contaminated,
            "created": utc_now(),
        }
        writer.connection.execute(sweeps.insert(), row)
    return find_sweep(store, sweep_id)


def list_sweeps(store: Store) -> list[SweepRow]:
    """Return all sweeps, the oldest first."""
    return [read_sweep_row(row) for row in store.read(select(sweeps).order_by(sweeps.c.number))]


def find_sweep(store: Store, name: str) -> SweepRow:
    """Return a sweep by its id, its name, the beginning of either, or ``last``.

    Raises:  StoreError: no such sweep (the nearest is offered), or more than one.
    """
    rows = store.read(select(sweeps).where(sweeps.c.id == name))
    if rows:
        return read_sweep_row(rows[0])
    rows = store.read(select(sweeps).order_by(sweeps.c.number.desc()))
    found = resolve(rows, name, "sweep", store.path)
    return next(read_sweep_row(row) for row in rows if row["id"] == found)


def set_state(store: Store, sweep_id: str, state: str, reason: str = "") -> bool:
    """Pause, resume, cancel or finish a sweep; return False if it was over already."""
    assert state in STATES, state
    with store.batch() as writer:
        values = {"state": state, "reason": text(reason)}
        values["finished"] = utc_now() if state in (CANCELLED, FINISHED) else None
        this = (sweeps.c.id == sweep_id) & sweeps.c.state.in_([RUNNING, PAUSED])
        writer.told = WORK
        return bool(writer.connection.execute(update(sweeps).where(this).values(values)).rowcount)


def cancel_sweep(store: Store, sweep_id: str, reason: str = "") -> bool:
    """Cancel a sweep and the runs that wait; return False if it was over already."""
    from thetahat.store._dead_agents import standing_runs

    if not set_state(store, sweep_id, CANCELLED, reason):
        return False
    for run in standing_runs(store, sweep_id=sweep_id, status="queued"):
        store.finish_run(run.id, status="cancelled", reason="the sweep was cancelled")
    return True


def change_plan(
    store: Store,
    sweep_id: str,
    *,
    text_: str,
    plan: Mapping[str, Any],
    points: int | None,
    spec: Mapping[str, Any] | None = None,
    again: bool = True,
    contaminated: bool | None = None,
) -> None:
    """Replace the file or the plan of a sweep.

    Args:    again: whether its search starts again at the first point.
             contaminated: whether the sweep and its runs chose by the test set; None: as before.
    """
    with store.batch() as writer:
        values = {"text": text_, "plan": to_json(plan), "points": points}
        writer.told = WORK
        if again:
            values["position"] = 0
            # Points of the old file that no agent has begun.
            writer.connection.execute(delete(ahead).where(ahead.c.sweep_id == sweep_id))
        values["spec"] = _spec_json(text_, spec)
        values |= {"state": RUNNING, "reason": "", "finished": None}
        if contaminated is not None:
            values["contaminated"] = contaminated
            mine = (runs.c.sweep_id == sweep_id) & (runs.c.contaminated != contaminated)
            writer.connection.execute(update(runs).where(mine).values(contaminated=contaminated))
        writer.connection.execute(update(sweeps).where(sweeps.c.id == sweep_id).values(values))


def list_agents(store: Store, sweep_id: str | None = None) -> list[dict[str, Any]]:
    """Return agents, the latest first; ``ended`` is None while they run."""
    query = select(agents).order_by(agents.c.started.desc())
    if sweep_id is not None:
        query = query.where(agents.c.sweep_id == sweep_id)
    return [dict(row) for row in store.read(query)]


def count_runs(store: Store, sweep_id: str) -> dict[str, int]:
    """Count the runs of a sweep by status."""
    with store.reading() as connection:
        status = status_of(dead_among(connection, store.folder))
        query = select(status, func.count()).where(runs.c.sweep_id == sweep_id).group_by(STANDING)
        return {row[0]: row[1] for row in connection.execute(query)}


def count_accepted(store: Store, sweep_id: str) -> int:
    """Count the runs of a sweep whose solutions passed their checks."""
    query = select(func.count()).where(
        (runs.c.sweep_id == sweep_id)
        & runs.c.status.in_([str(status) for status in Status if status.well])
        & runs.c.reason.endswith(ACCEPTED)
    )
    with store.reading() as connection:
        return int(connection.execute(query).scalar_one())


def count_solutions(store: Store, sweep_id: str) -> dict[str, int]:
    """Count the solutions that the accepted runs of a sweep found, by name."""
    query = select(runs.c.reason, func.count()).where(
        (runs.c.sweep_id == sweep_id)
        & runs.c.status.in_([str(status) for status in Status if status.well])
        & runs.c.reason.contains(FOUND, autoescape=True)
    )
    with store.reading() as connection:
        rows = connection.execute(query.group_by(runs.c.reason))
        return solutions_found({row[0]: row[1] for row in rows})


@dataclass(frozen=True)
class Together:
    """Runs of one agent that run now, as one cohort or as processes."""

    agent: str | None
    cohort: str | None
    runs: int
    epochs: tuple[int, int]
    """The fewest and the most that a run of them has done."""
    max_epochs: int | None
    share: float
    """The sum of the done parts of the runs; 0 if unknown."""


def running_now(store: Store, sweep_id: str) -> list[Together]:
    """Return what runs now, by agent and cohort, in the order of the runs' numbers."""
    part = func.sum(runs.c.epochs * literal_column("1e0") / func.nullif(runs.c.max_epochs, 0))
    columns = (runs.c.agent, runs.c.cohort, func.count(), func.min(runs.c.epochs))
    query = (
        select(*columns, func.max(runs.c.epochs), func.max(runs.c.max_epochs), part)
        .group_by(runs.c.agent, runs.c.cohort)
        .order_by(func.min(runs.c.number))
    )
    with store.reading() as connection:
        status = status_of(dead_among(connection, store.folder))
        mine = (runs.c.sweep_id == sweep_id) & (status.element == "running")
        rows = connection.execute(query.where(mine)).all()
    return [
        Together(a, c, n, (low, high), most, float(s or 0.0))
        for a, c, n, low, high, most, s in rows
    ]


@dataclass(frozen=True)
class EndedRun:
    """A run that is over, as the search for the best run needs it."""

    id: str
    name: str
    status: str
    metrics: Mapping[str, Any]
    finished: str


def ended_since(store: Store, sweep_id: str, since: str, but: str | None = None) -> list[EndedRun]:
    """Return the runs of a sweep that ended at ``since`` or later, but those of agent ``but``."""
    columns = (runs.c.id, runs.c.name, runs.c.status, runs.c.metrics, runs.c.finished)
    query = select(*columns).where((runs.c.sweep_id == sweep_id) & (runs.c.finished >= since))
    if but is not None:
        query = query.where(runs.c.agent != but)
    with store.reading() as connection:
        rows = connection.execute(query).all()
    return [EndedRun(i, n, status, from_json(m), at) for i, n, status, m, at in rows]


def read_sweep_row(row: Mapping[Any, Any]) -> SweepRow:
    """Return a SweepRow from a row of the table."""
    values = dict(row)
    values["plan"] = from_json(values["plan"])
    spec = values["spec"]
    values["spec"] = read_plain(values["text"]) if spec is None else read_file_json(spec)
    values["contaminated"] = bool(values["contaminated"])
    return SweepRow(**values)


def _spec_json(text_: str, spec: Mapping[str, Any] | None) -> str:
    return file_json(read_plain(text_) if spec is None else spec)
