"""The JSON of each page, read from the store."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from thetahat.analysis import (
    SweepFile,
    again,
    directions_in,
    may_repeat,
    members_of,
    members_of_bag,
    names_of,
    read_file,
    risk_in_units,
    seeds_of,
)
from thetahat.core.run import Status
from thetahat.store import (
    Changed,
    RunRow,
    Store,
    SweepRow,
    changed_code,
    count_all,
    count_point,
    count_runs,
    dead_agents,
    leading_run,
    list_agents,
    list_sweeps,
    run_columns,
    tried_runs,
)
from thetahat.web._many import sampled, settings_of_some
from thetahat.web._over_all import counts_of, n_drawn, ranked_by, runs_of, stand_of
from thetahat.web._series import tails
from thetahat.web._settings import front, settings
from thetahat.web._source import Source

LATEST = 200
_SILENT_S = 60.0


def home(store: Store) -> str:
    """List all sweeps, the latest runs outside sweeps, live agents and failures."""
    listed = list_sweeps(store)
    counts = count_all(store)
    files = {sweep.id: read_file(sweep.spec) for sweep in listed}
    best = _best(store, listed, files)
    dead = dead_agents(store)
    total: Counter[str] = Counter()
    for one in counts.values():
        total.update(one)
    head = {
        "sweeps": [
            {
                **about(sweep, files[sweep.id], with_text=False),
                "counts": counts.get(sweep.id, {}),
                "best": best.get(sweep.id),
            }
            for sweep in reversed(listed)
        ],
        "agents": [_agent(agent, dead) for agent in list_agents(store) if agent["ended"] is None],
        "failures": [
            {
                "name": run.name,
                "id": run.id,
                "status": run.status,
                "reason": run.reason,
                "sweep_id": run.sweep_id,
                "at": run.finished or run.created,
            }
            for status in Status
            if status.failed
            for run in store.runs(status=str(status), sort="-number", limit=LATEST)
        ],
        "counts": dict(total),
        "loose_total": sum(counts.get(None, {}).values()),
    }
    return _with_runs(head, "loose", run_columns(store, loose=True, limit=LATEST))


def _with_runs(head: Mapping[str, Any], name: str, runs: str) -> str:
    """Join JSON with runs that are JSON already: to read and write ten thousand takes too long."""
    return f'{json.dumps(head)[:-1]},"{name}":{runs}}}'


def about(sweep: SweepRow, file: SweepFile, *, with_text: bool = True) -> dict[str, Any]:
    """Describe a sweep itself."""
    hidden = ("text", "spec", "position", "folder")
    found: dict[str, Any] = {k: v for k, v in vars(sweep).items() if k not in hidden}
    found["plan"] = {k: v for k, v in sweep.plan.items() if k != "prior"}
    found |= {"method": file.method, "metric": file.metric, "goal": file.goal}
    searched = [p.name for p in file.parameters if not p.constant]
    counted = (sweep.plan.get("found") or {}).get("seed")
    found["seeds"] = [*dict.fromkeys(seeds_of(sweep, searched) + [counted] * bool(counted))]
    found["seeded"] = bool(found["seeds"])
    if with_text:
        found |= {
            "text": sweep.text,
            "description": file.description,
            "parameters": [swept.listing() for swept in file.parameters],
        }
    return found


@dataclass(frozen=True)
class Asked:
    """What a browser asks of a sweep's page."""

    sample: int = 0
    """Runs to draw at most; 0: all runs, of a very large sweep as many as charts can show."""
    metric: str = ""
    goal: str = "minimize"


def sweep_page(
    source: Source, sweep: SweepRow, changed: Changed | None = None, asked: Asked | None = None
) -> str:
    """Describe a sweep with its runs, or with those that changed, or with a sample of them."""
    store, asked = source.store(), asked or Asked()
    file, dead = read_file(sweep.spec), dead_agents(store)
    # Some time before the runs are read: writes during the read are then read again.
    now = (datetime.now(UTC) - timedelta(seconds=2)).isoformat(timespec="milliseconds")
    # What a sample needs to know holds the counts too.
    metric, goal = _shown(file, asked)
    stand = stand_of(source, sweep, metric, goal) if changed is None else None
    counted = count_runs(store, sweep.id) if stand is None else counts_of(stand)
    head: dict[str, Any] = {
        "sweep": about(sweep, file, with_text=changed is None)
        | {"directions": directions_in(store, sweep.id)},
        "counts": counted,
        "agents": [_agent(agent, dead) for agent in list_agents(store, sweep.id)],
        "now": now,
    }
    if changed is None:
        head["sweep"]["changed_code"] = changed_code(store, sweep.id)
    ranked = file.metric is not None and may_repeat(sweep, file)
    if file.objectives:
        head["front"] = front(store, sweep, ",".join(name for name, _ in file.objectives), "")
    most = n_drawn(counted, asked.sample)
    if most is not None:
        head["sampled"], found = sampled(store, sweep, metric, goal, most, stand)
        if ranked:
            standing = settings(store, sweep, metric, goal)
            head["settings"] = settings_of_some(standing, json.loads(found)["columns"]["id"])
        return _with_runs(head, "runs", found)
    if ranked:
        assert file.metric is not None
        head["settings"] = settings(store, sweep, file.metric, file.goal)
    if changed is None:
        return _with_runs(head, "runs", runs_of(source, sweep))
    found = run_columns(store, sweep_id=sweep.id, changed=changed)
    # Whether the counts belong to the runs beside them.
    head["settled"] = head["counts"] == count_runs(store, sweep.id)
    return _with_runs(head, "runs", found)


def _shown(file: SweepFile, asked: Asked) -> tuple[str, str]:
    if asked.metric:
        return asked.metric, asked.goal
    return ranked_by(file)


def run_page(source: Source, run: RunRow) -> dict[str, Any]:
    """Describe a run, without its curves."""
    store = source.store()
    found = asdict(run)
    found |= {
        "status": str(run.status),
        "total_seconds": run.total_seconds,
        "notices": store.notices(run.id),
        "logs": tails(store.folder, run.provenance or {}),
        "silent_s": None,
        "risk_in_units": risk_in_units(run),
        "members": [
            {name: getattr(one, name) for name in ("id", "name", "status", "metrics", "best_epoch")}
            for one in members_of_bag(store, run)
        ],
        "model": str(path) if (path := store.model_path(run.id)).is_file() else None,
    }
    if run.status is Status.RUNNING and run.heartbeat:
        found["silent_s"] = _since(run.heartbeat)
    row = next((s for s in list_sweeps(store) if s.id == run.sweep_id), None)
    found["again"] = [
        {"what": what, "command": line} for what, line in again(run, row, source.flag)
    ]
    if row is not None:
        found["sweep"] = about(row, read_file(row.spec), with_text=False)
        found["seeds"] = _replicates(store, run, row, seeded=found["sweep"]["seeded"])
    return found


def _best(
    store: Store, listed: Sequence[SweepRow], files: Mapping[str, SweepFile]
) -> dict[str, dict[str, Any]]:
    """Find the leader of each sweep: a setting where they are replicated, else a run."""
    best: dict[str, dict[str, Any]] = {}
    single = []
    for sweep in listed:
        file = files[sweep.id]
        if file.metric is None:
            continue
        if not may_repeat(sweep, file):
            single.append(sweep.id)
            continue
        found = settings(store, sweep, file.metric, file.goal)
        if found["lead"] is not None:
            lead = {k: v for k, v in found["lead"].items() if k != "ids"}
            replicated = found["replicated"]
            lead["value"] = lead["median"] if lead["mean"] is None else lead["mean"]
            best[sweep.id] = {**lead, "word": found["word"], "replicated": replicated}
    for sweep_id in single:
        file = files[sweep_id]
        assert file.metric is not None
        found = leading_run(store, sweep_id, file.metric, -1 if file.goal == "maximize" else 1)
        if found is not None:
            best[sweep_id] = {"value": float(found[1]), "run": found[0]}
    return best


def _replicates(store: Store, run: RunRow, sweep: SweepRow, *, seeded: bool) -> int:
    """Count the runs of its sweep with this run's setting, itself included."""
    if not seeded:
        return 1 if run.point is None else count_point(store, sweep.id, run.point)
    runs = tried_runs(store, sweep.id)
    found = members_of(runs, seeds_of(sweep, names_of(runs)))
    return next((len(mine) for _, mine in found if any(one.id == run.id for one in mine)), 1)


def _agent(agent: Mapping[str, Any], dead: Collection[str]) -> dict[str, Any]:
    silent = _since(agent["heartbeat"])
    alive = agent["ended"] is None and silent < _SILENT_S and agent["id"] not in dead
    return {**agent, "silent_s": silent, "alive": alive}


def _since(stamp: str) -> float:
    try:
        return (datetime.now(UTC) - datetime.fromisoformat(stamp)).total_seconds()
    except ValueError:
        return 1e9
