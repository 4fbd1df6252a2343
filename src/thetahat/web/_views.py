"""What each page shows, as JSON: read from the store, nothing kept, nothing changed."""

from __future__ import annotations

import json
import random
import shlex
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from thetahat.analysis import (
    SweepFile,
    caution,
    directions_in,
    effects,
    flat_config,
    may_repeat,
    members_of,
    names_of,
    number,
    read_file,
    seeds_of,
)
from thetahat.core.run import Status
from thetahat.store import (
    Changed,
    RunRow,
    Store,
    SweepRow,
    blocks_after,
    count_all,
    count_point,
    count_runs,
    dead_agents,
    list_agents,
    list_sweeps,
    metric_values,
    run_columns,
    run_configs,
    run_metrics,
    runs_stand,
    tried_runs,
)
from thetahat.web._logs import tails
from thetahat.web._series import columns_of
from thetahat.web._settings import brief, settings
from thetahat.web._source import Source

LATEST = 200
_FAILED = tuple(str(status) for status in Status if status.over and not status.well)
"""How runs are over whose numbers do not count."""
_SILENT_S = 60.0
"""Luck is nothing to tune."""
_MOST_KEPT = 64
_MOST_CELLS = 500_000
"""Runs times parameters of which importance is computed: some seconds."""
_MOST_LOOKED_AT = 100
"""Runs that tell how many parameters vary."""
_EFFECTS: dict[tuple[str, str, str, str], tuple[Any, dict[str, Any]]] = {}
"""What was computed last of each sweep, with how its runs stood then."""


def home(store: Store) -> str:
    """All sweeps, the latest runs of no sweep, agents that live, and what failed."""
    listed = list_sweeps(store)
    counts = count_all(store)
    files = {sweep.id: read_file(sweep.spec) for sweep in listed}
    best = _best(store, listed, files)
    dead = dead_agents(store)
    live = [agent for agent in list_agents(store) if agent["ended"] is None]
    shown = [
        {
            **about(sweep, files[sweep.id], with_text=False),
            "counts": counts.get(sweep.id, {}),
            "best": best.get(sweep.id),
        }
        for sweep in reversed(listed)
    ]
    failed = [
        {"name": run.name, "id": run.id, "status": run.status, "reason": run.reason}
        | {"sweep_id": run.sweep_id, "at": run.finished or run.created}
        for status in map(str, (s for s in Status if s.failed))
        for run in store.runs(status=status, sort="-number", limit=LATEST)
    ]
    head = {
        "sweeps": shown,
        "agents": [_agent(agent, dead) for agent in live],
        "failures": failed,
        "counts": _sum(counts.values()),
        "loose_total": sum(counts.get(None, {}).values()),
    }
    return f'{json.dumps(head)[:-1]},"loose":{run_columns(store, loose=True, limit=LATEST)}}}'


def about(sweep: SweepRow, file: SweepFile, *, with_text: bool = True) -> dict[str, Any]:
    """A sweep itself."""
    hidden = ("text", "spec", "position", "folder")
    found: dict[str, Any] = {k: v for k, v in vars(sweep).items() if k not in hidden}
    found |= {"method": file.method, "metric": file.metric, "goal": file.goal}
    searched = [p.name for p in file.parameters if not p.constant]
    counted = (sweep.plan.get("found") or {}).get("seed")
    # What tells no settings apart.
    found["seeds"] = [*dict.fromkeys(seeds_of(sweep, searched) + [counted] * bool(counted))]
    found["seeded"] = bool(found["seeds"])
    if with_text:
        found |= {
            "text": sweep.text,
            "description": file.description,
            "parameters": [swept.listing() for swept in file.parameters],
        }
    return found


def sweep_page(source: Source, sweep: SweepRow, changed: Changed | None = None) -> str:
    """A sweep with its runs, or with those that changed."""
    store = source.store()
    file, dead = read_file(sweep.spec), dead_agents(store)
    # The time is taken before the runs are read.
    head: dict[str, Any] = {
        "sweep": about(sweep, file, with_text=changed is None)
        | {"directions": directions_in(store, sweep.id)},
        "counts": count_runs(store, sweep.id),
        "agents": [_agent(agent, dead) for agent in list_agents(store, sweep.id)],
        "now": _earlier(),
    }
    if file.metric is not None and may_repeat(sweep, file):
        head["settings"] = settings(store, sweep, file.metric, file.goal)
    if changed is None:
        found = runs_of(source, sweep)
    else:
        found = run_columns(store, sweep_id=sweep.id, changed=changed)
        # Whether the counts are those of the runs that come with them.
        head["settled"] = head["counts"] == count_runs(store, sweep.id)
    return f'{json.dumps(head)[:-1]},"runs":{found}}}'


def runs_of(source: Source, sweep: SweepRow) -> str:
    """All runs of a sweep as columns of JSON, kept until the store changes."""
    # An agent that was killed has not changed the store.
    key = " ".join([sweep.id, *sorted(dead_agents(source.store()))])
    return source.kept(key, lambda store: run_columns(store, sweep_id=sweep.id))


def importance(store: Store, sweep: SweepRow, metric: str, goal: str) -> dict[str, Any]:
    """What each parameter does to a metric, over the settings of runs that ended with a number.

    Kept until another run of the sweep ends: of ten thousand runs it takes most of a second.
    """
    stand = runs_stand(store, sweep.id)
    key = (str(store.path), sweep.id, metric, goal)
    known = _EFFECTS.get(key)
    if known is None or known[0] != stand:
        known = (stand, _importance(store, sweep, metric, -1 if goal == "maximize" else 1))
        while len(_EFFECTS) >= _MOST_KEPT:
            _EFFECTS.pop(next(iter(_EFFECTS)), None)
        _EFFECTS[key] = known
    return known[1]


def _importance(store: Store, sweep: SweepRow, metric: str, sign: int) -> dict[str, Any]:
    values: dict[str, float] = {}
    left_out: Counter[str] = Counter()
    for run, word, metrics in run_metrics(store, sweep.id):
        status, value = Status(word), number(metrics.get(metric))
        if not status.over:
            left_out["unfinished"] += 1
        elif status in _FAILED:
            left_out[str(status)] += 1
        elif value is None:
            left_out["no number"] += 1
        else:
            values[run] = value
    ids = list(values)
    # Of so many parameters that not all runs can count, not all configs need be read.
    few = random.Random(1).sample(ids, min(len(ids), _MOST_LOOKED_AT))
    rest_on = [ids[i] for i in _drawn(len(ids), len(_varying(store, sweep, few)))]
    whole = len(rest_on) == len(ids)
    columns = _varying(store, sweep, rest_on, whole=whole)
    doubt = caution(sweep, read_file(sweep.spec))
    found = effects(columns, [values[run] for run in rest_on], sign, blind=not doubt)
    return {
        "n": len(ids),
        "rest_on": len(rest_on),
        "settings": found[0].settings if found else min(1, len(rest_on)),
        "left_out": left_out,
        "caution": doubt,
        "effects": [asdict(e) for e in found],
    }


def _varying(
    store: Store, sweep: SweepRow, ids: Sequence[str], *, whole: bool = False
) -> dict[str, list[Any]]:
    """The parameters that vary over runs, with their values in each; None where a run lacks one."""
    place = {run: i for i, run in enumerate(ids)}
    columns: dict[str, list[Any]] = {}
    for run, config in run_configs(store, sweep.id, None if whole else ids):
        i = place.get(run)
        if i is None:
            continue
        for name, value in flat_config(config).items():
            if name not in columns:
                columns[name] = [None] * len(ids)
            columns[name][i] = brief(value)
    seeds = {*seeds_of(sweep, columns)}
    return {k: v for k, v in columns.items() if k not in seeds and _varies(v)}


def _drawn(runs: int, parameters: int) -> Sequence[int]:
    """All runs; where that would take minutes, as many as take seconds, the same each time."""
    most = max(1000, _MOST_CELLS // max(1, parameters))
    # By lot: every tenth of a grid might be all of one value.
    return range(runs) if runs <= most else sorted(random.Random(0).sample(range(runs), most))


def _varies(values: Sequence[Any]) -> bool:
    first = str(values[0])
    return any(str(value) != first for value in values)


def run_page(store: Store, run: RunRow) -> dict[str, Any]:
    """A run with all that is known of it, but for its curves."""
    provenance = run.provenance or {}
    found = asdict(run)
    found |= {
        "status": str(run.status),
        "total_seconds": run.total_seconds,
        "notices": store.notices(run.id),
        "logs": tails(store.folder, provenance),
        "again": again(run),
        "silent_s": _silence(run),
    }
    if run.sweep_id is not None:
        row = next((s for s in list_sweeps(store) if s.id == run.sweep_id), None)
        if row is not None:
            found["sweep"] = about(row, read_file(row.spec), with_text=False)
            found["seeds"] = _replicates(store, run, row, tried=found["sweep"]["seeded"])
    return found


def curves(store: Store, run_id: str, after: int, most: int) -> dict[str, Any]:
    """A run's records as columns, those after a block only; thinned where they are many."""
    blocks, last = blocks_after(store, run_id, after)
    return {"last": last, **columns_of(blocks, most)}


def again(run: RunRow) -> list[dict[str, str]]:
    """Commands that run it again, or go on with it."""
    said = []
    if run.status is Status.INTERRUPTED and run.checkpoint:
        said.append({"what": "go on with it", "command": f"thetahat resume {run.name}"})
    argv = (run.provenance or {}).get("argv")
    if isinstance(argv, list) and argv:
        command = shlex.join(str(word) for word in argv)
    elif run.command and run.sweep_id is None:
        command = run.command
    elif run.source:
        flags = [f"--{k}={_flag(v)}" for k, v in flat_config(run.config).items()]
        command = shlex.join(["python", run.source, *flags])
    else:
        command = run.command or ""
    if command:
        said.append({"what": "run it again", "command": command})
    return said


def _flag(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _best(
    store: Store, listed: Sequence[SweepRow], files: Mapping[str, SweepFile]
) -> dict[str, dict[str, Any]]:
    """What leads each sweep: a setting where they are replicated, else a run."""
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
            replicated = found["replicated"]
            lead = {k: v for k, v in found["lead"].items() if k != "ids"}
            best[sweep.id] = {**lead, "value": lead["median"], "replicated": replicated}
    for sweep_id, name, _, metrics in metric_values(store, single) if single else ():
        file = files[sweep_id]
        value = number(metrics.get(file.metric))
        if value is None:
            continue
        sign = -1 if file.goal == "maximize" else 1
        if sweep_id not in best or sign * value < sign * best[sweep_id]["value"]:
            best[sweep_id] = {"value": value, "run": name}
    return best


def _replicates(store: Store, run: RunRow, sweep: SweepRow, *, tried: bool) -> int:
    """How many runs of its sweep have this run's setting, itself among them.

    Args:    tried: whether the sweep tries seeds.
    """
    if not tried:
        return 1 if run.point is None else count_point(store, sweep.id, run.point)
    runs = tried_runs(store, sweep.id)
    settings = members_of(runs, seeds_of(sweep, names_of(runs)))
    return next((len(mine) for _, mine in settings if run.id in {one.id for one in mine}), 1)


def _agent(agent: Mapping[str, Any], dead: Collection[str]) -> dict[str, Any]:
    silent = _since(agent["heartbeat"])
    alive = agent["ended"] is None and silent < _SILENT_S and agent["id"] not in dead
    return {**agent, "silent_s": silent, "alive": alive}


def _silence(run: RunRow) -> float | None:
    if run.status is not Status.RUNNING or not run.heartbeat:
        return None
    return _since(run.heartbeat)


def _since(stamp: str) -> float:
    try:
        return (datetime.now(UTC) - datetime.fromisoformat(stamp)).total_seconds()
    except ValueError:
        return 1e9


def _earlier() -> str:
    """A little before now: what was written while this was read is read again."""
    return datetime.fromtimestamp(datetime.now(UTC).timestamp() - 2.0, UTC).isoformat(
        timespec="milliseconds"
    )


def _sum(counts: Any) -> dict[str, int]:
    total: Counter[str] = Counter()
    for one in counts:
        total.update(one)
    return dict(total)
