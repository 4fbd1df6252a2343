"""The settings of a sweep, and runs beside each other, as JSON: numbers from analysis alone."""

from __future__ import annotations

import json
import math
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from thetahat.analysis import (
    Standing,
    best_first,
    by_experiment,
    check_over,
    curve_band,
    ending,
    flat_config,
    is_seed,
    make_group,
    members_of,
    names_of,
    replicates_of,
    running_best,
    runs_planned,
    seeds_of,
    standings,
    tied,
)
from thetahat.store import (
    RunRow,
    Store,
    SweepRow,
    blocks_after,
    list_sweeps,
    runs_stand,
    shared_orders,
    standing_runs,
    tried_runs,
)
from thetahat.web._series import columns_of

_BOX = (0.0, 0.1, 0.25, 0.75, 0.9, 1.0)
"""Quantiles of the page's bands; of few runs it shows the first and the last."""
_MOST_ROWS = 1_000_000
_MOST_PLACES = 1000
"""Points of a band that are drawn."""
_MOST_KEPT = 64
_MOST_IDS = 100
"""Runs of the best setting that are named."""
_LONGEST = 200
"""Characters that are kept of a word."""
_SETTINGS: dict[tuple[str, str, str, str], tuple[Any, dict[str, Any]]] = {}
"""What was computed last of each sweep, with how its runs stood then."""


def settings(store: Store, sweep: SweepRow, metric: str, goal: str) -> dict[str, Any]:
    """The settings of a sweep from the best, what leads it, and the best so far.

    Kept until another run of the sweep begins or ends.
    """
    stand = runs_stand(store, sweep.id)
    key = (str(store.path), sweep.id, metric, goal)
    known = _SETTINGS.get(key)
    if known is None or known[0] != stand:
        known = (stand, _settings(store, sweep, metric, -1 if goal == "maximize" else 1))
        while len(_SETTINGS) >= _MOST_KEPT:
            _SETTINGS.pop(next(iter(_SETTINGS)), None)
        _SETTINGS[key] = known
    return known[1]


def _settings(store: Store, sweep: SweepRow, metric: str, sign: int) -> dict[str, Any]:
    runs = tried_runs(store, sweep.id)
    seeds = seeds_of(sweep, names_of(runs))
    found = standings(runs, seeds, metric, sign, replicates=replicates_of(sweep))
    replicated = replicates_of(sweep) > 1 or any(one.runs > 1 for one in found)
    shared = shared_orders(store, sweep.id)
    place = {run: i for i, one in enumerate(found) for run in one.ids}
    # The configs are with the runs already; of the settings the numbers alone.
    listed = [{k: v for k, v in one.listing().items() if k != "config"} for one in found]
    return {
        "metric": metric,
        "goal": "maximize" if sign < 0 else "minimize",
        "replicated": replicated,
        "replicates": replicates_of(sweep),
        "seeds": seeds,
        "shared_order": any(sum(run in shared for run in one.ids) > 1 for one in found),
        "lead": None if not found else _lead(found, seeds),
        "running": {
            "run": running_best(found, sign, lambda one: one.number),
            "time": running_best(found, sign, lambda one: one.finished),
        },
        "settings": listed if replicated else [],
        "place": place if replicated else {},
    }


def _lead(found: Sequence[Standing], seeds: Sequence[str]) -> dict[str, Any] | None:
    """The best setting, and how many share its place; None where no run ended well with one."""
    one = found[0]
    if one.spread is None:
        return None
    config = {k: brief(v) for k, v in one.config.items() if k not in seeds}
    ids = list(one.ids[:_MOST_IDS])
    return {**one.listing(), "config": config, "ids": ids, "tied": tied(found)}


def groups(
    store: Store, sweep: SweepRow, over: Sequence[str], metric: str, goal: str
) -> dict[str, Any]:
    """Settings with medians and quantiles over what is averaged out, the best first.

    Raises:  ConfigError: an unknown parameter.
    """
    listed = standing_runs(store, sweep_id=sweep.id)
    check_over(listed, over)
    shared = shared_orders(store, sweep.id)
    ids: dict[int, list[str]] = {}
    made = []
    for config, runs in members_of(listed, over):
        made.append(make_group(config, runs, _BOX, metric=metric, shared=shared))
        ids[id(made[-1])] = [run.id for run in runs]
    planned = runs_planned(sweep, {k for run in listed for k in flat_config(run.setting)}, over)
    ranked = best_first(made, metric, -1 if goal == "maximize" else 1, planned)
    return {
        "groups": [{**group.listing(), "ids": ids[id(group)]} for group in ranked],
        "shared_order": any(group.shared_order for group in made),
    }


def comparison(store: Store, runs: Sequence[RunRow], *, bands: bool) -> list[dict[str, Any]]:
    """Runs that differ by their seeds alone, together: how they ended, and their bands.

    Runs of different experiments never are.

    A band is of the runs that ended well or still train, and of no epoch that fewer than half of
    the runs have reached.
    """
    rows = {row.id: row for row in list_sweeps(store)}
    counted = {
        seed
        for run in runs
        if (row := rows.get(run.sweep_id or "")) is not None
        for seed in seeds_of(row, flat_config(run.config))
    }
    seeds = counted | {name for run in runs for name in flat_config(run.config) if is_seed(name)}
    made = []
    together = [(of, members_of(mine, seeds)) for of, mine in by_experiment(runs)]
    for of, config, members in [(of, *one) for of, found in together for one in found]:
        ends = Counter(ending(run) for run in members)
        kept = [run for run in members if run.status.well or not run.status.over]
        made.append(
            {
                "experiment": of,
                "config": {k: brief(v) for k, v in config.items()},
                "ids": [run.id for run in members],
                "runs": len(members),
                "failed": ends["failed"],
                "unfinished": ends["unfinished"],
                "bands": _bands(store, kept, len(members)) if bands else {},
            }
        )
    return made


def _bands(store: Store, runs: Sequence[RunRow], began: int) -> dict[str, Any]:
    whole = [columns_of(blocks_after(store, run.id, 0)[0], most=_MOST_ROWS) for run in runs]
    names = dict.fromkeys(n for one in whole for n in one["columns"] if n != one["axis"])
    # Of very long curves some places, the same of all.
    xs = sorted({x for one in whole if one["axis"] for x in one["columns"][one["axis"]]})
    every = max(1, -(-len(xs) // _MOST_PLACES))
    places = {*xs[::every], *xs[-1:]}
    found = {}
    for name in names:
        curves = [
            {
                x: y
                for x, y in zip(one["columns"][one["axis"]], one["columns"][name], strict=True)
                if x in places
            }
            for one in whole
            if name in one["columns"]
        ]
        band = curve_band(curves, began=began)
        found[name] = {**asdict(band), "changes": band.changes()}
    return found


def brief(value: Any) -> Any:
    """A config's value as the page shows it: no infinities, no long words."""
    kind = type(value)
    if kind is float:
        return value if math.isfinite(value) else None
    if kind is int or kind is bool or value is None:
        return value
    word = value if kind is str else json.dumps(value, sort_keys=True)
    if len(word) <= _LONGEST:
        return word
    return f"{word[:_LONGEST]}… {zlib.crc32(word.encode(errors='replace')):x}"
