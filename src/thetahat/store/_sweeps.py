"""Sweeps as rows: the file as it was given, the plan beside it, and how far it has come."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from sqlalchemy import func, select, update

from thetahat.core.errors import StoreError
from thetahat.core.json import from_json, to_json
from thetahat.core.sweep_file import file_json, read_file_json, read_plain
from thetahat.store._dead_agents import dead_among, status_of
from thetahat.store._rows import new_id, text, utc_now
from thetahat.store._run_names import run_name
from thetahat.store._schema import agents, runs, sweeps
from thetahat.store._store import Store

RUNNING, PAUSED, CANCELLED, FINISHED = "running", "paused", "cancelled", "finished"
STATES = (RUNNING, PAUSED, CANCELLED, FINISHED)


@dataclass(frozen=True)
class NewSweep:
    """A sweep that begins."""

    text: str
    """The sweep file, as it was written."""
    name: str | None = None
    project: str | None = None
    file: str | None = None
    folder: str | None = None
    """Where the sweep was made: programs are looked for from here."""
    plan: Mapping[str, Any] = field(default_factory=dict)
    """What the flags said beside the file."""
    points: int | None = None
    contaminated: bool = False
    spec: Mapping[str, Any] | None = None
    """The file as it was read, by ``core.sweep_file``; None where the store is to read it."""


@dataclass(frozen=True)
class SweepRow:
    """A sweep as the store knows it. ``position`` is where its search stands.

    ``spec`` is the file as it was read when the sweep was made: nobody reads ``text`` again.
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
        """Whether no run of it will begin any more."""
        return self.state in (CANCELLED, FINISHED)


def create_sweep(store: Store, new: NewSweep, *, join: bool = False) -> SweepRow:
    """Insert a sweep; its row, with id and name.

    Args:    join: take the latest sweep of the same file and plan in its place, one that is not
             over, else one that is finished: two agents that are started at once on one file then
             work on one sweep, and what is done is not done again unasked.
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
    """All sweeps, the oldest first."""
    return [read_sweep_row(row) for row in store.read(select(sweeps).order_by(sweeps.c.number))]


def find_sweep(store: Store, name: str) -> SweepRow:
    """A sweep by its id, its name, the beginning of either, or ``last``.

    Raises:  StoreError: no such sweep (the nearest is offered), or more than one.
    """
    rows = store.read(select(sweeps).where(sweeps.c.id == name))
    if rows:
        return read_sweep_row(rows[0])
    known = list_sweeps(store)
    if not known:
        raise StoreError(
            f"no sweep {name!r}: the store {store.path} has no sweeps yet; make one with"
            " thetahat sweep FILE"
        )
    if name == "last":
        return known[-1]
    exact = [sweep for sweep in known if sweep.name == name]
    near = exact or [
        s for s in known if name and (s.id.startswith(name) or s.name.startswith(name))
    ]
    if len(near) == 1:
        return near[0]
    if near:
        some = ", ".join(f"{s.id} ({s.name})" for s in near[-5:])
        raise StoreError(f"{name!r} could be any of {len(near)} sweeps: {some}; give the id")
    words = [word for s in known for word in (s.id, s.name)]
    close = get_close_matches(name, words, n=1, cutoff=0.5)
    latest = ", ".join(f"{s.id} ({s.name})" for s in known[-3:])
    hint = f"did you mean {close[0]!r}?" if close else f"the latest are {latest}"
    raise StoreError(f"the store {store.path} has no sweep {name!r}; {hint}")


def set_state(store: Store, sweep_id: str, state: str, reason: str = "") -> bool:
    """Pause, resume, cancel or finish a sweep; whether it was not over: one that is stays so."""
    assert state in STATES, state
    with store.batch() as writer:
        values = {"state": state, "reason": text(reason)}
        values["finished"] = utc_now() if state in (CANCELLED, FINISHED) else None
        this = (sweeps.c.id == sweep_id) & sweeps.c.state.in_([RUNNING, PAUSED])
        return bool(writer.connection.execute(update(sweeps).where(this).values(values)).rowcount)


def change_plan(
    store: Store,
    sweep_id: str,
    *,
    text_: str,
    plan: Mapping[str, Any],
    points: int | None,
    spec: Mapping[str, Any] | None = None,
) -> None:
    """Give a sweep another file or plan: it goes on, from the first point not yet run."""
    with store.batch() as writer:
        values = {"text": text_, "plan": to_json(plan), "points": points, "position": 0}
        values["spec"] = _spec_json(text_, spec)
        values |= {"state": RUNNING, "reason": "", "finished": None}
        writer.connection.execute(update(sweeps).where(sweeps.c.id == sweep_id).values(values))


def list_agents(store: Store, sweep_id: str | None = None) -> list[dict[str, Any]]:
    """Agents, the latest first; those that have ended have a time in ``ended``."""
    query = select(agents).order_by(agents.c.started.desc())
    if sweep_id is not None:
        query = query.where(agents.c.sweep_id == sweep_id)
    return [dict(row) for row in store.read(query)]


def count_runs(store: Store, sweep_id: str) -> dict[str, int]:
    """How many runs of a sweep stand how."""
    with store.reading() as connection:
        status = status_of(dead_among(connection, store.folder))
        query = select(status, func.count()).where(runs.c.sweep_id == sweep_id).group_by(status)
        return {row[0]: row[1] for row in connection.execute(query)}


@dataclass(frozen=True)
class Together:
    """Runs that one agent trains together now (or, as processes, beside each other)."""

    agent: str | None
    cohort: str | None
    runs: int
    epochs: tuple[int, int]
    """The least and the most of them has done."""
    max_epochs: int | None
    share: float
    """Parts of runs that are done, summed; 0 where nobody knows."""


def running_now(store: Store, sweep_id: str) -> list[Together]:
    """What runs now, by agent and cohort, in the order in which it was begun."""
    part = func.sum(runs.c.epochs * 1.0 / runs.c.max_epochs)
    columns = (runs.c.agent, runs.c.cohort, func.count(), func.min(runs.c.epochs))
    query = (
        select(*columns, func.max(runs.c.epochs), func.max(runs.c.max_epochs), part)
        .group_by(runs.c.agent, runs.c.cohort)
        .order_by(func.min(runs.c.number))
    )
    with store.reading() as connection:
        status = status_of(dead_among(connection, store.folder))
        mine = (runs.c.sweep_id == sweep_id) & (status == "running")
        rows = connection.execute(query.where(mine)).all()
    return [Together(a, c, n, (low, high), most, s or 0.0) for a, c, n, low, high, most, s in rows]


@dataclass(frozen=True)
class EndedRun:
    """A run that is over, as far as finding the best needs it."""

    id: str
    name: str
    status: str
    metrics: Mapping[str, Any]
    finished: str


def ended_since(store: Store, sweep_id: str, since: str, but: str | None = None) -> list[EndedRun]:
    """Runs of a sweep that ended at a time or later, but for those of one agent."""
    columns = (runs.c.id, runs.c.name, runs.c.status, runs.c.metrics, runs.c.finished)
    query = select(*columns).where((runs.c.sweep_id == sweep_id) & (runs.c.finished >= since))
    if but is not None:
        query = query.where(runs.c.agent != but)
    with store.reading() as connection:
        rows = connection.execute(query).all()
    return [EndedRun(i, n, status, from_json(m), at) for i, n, status, m, at in rows]


def read_sweep_row(row: Mapping[Any, Any]) -> SweepRow:
    """A SweepRow from the columns of the table."""
    values = dict(row)
    values["plan"] = from_json(values["plan"])
    spec = values["spec"]
    values["spec"] = read_plain(values["text"]) if spec is None else read_file_json(spec)
    values["contaminated"] = bool(values["contaminated"])
    return SweepRow(**values)


def _spec_json(text_: str, spec: Mapping[str, Any] | None) -> str:
    return file_json(read_plain(text_) if spec is None else spec)
