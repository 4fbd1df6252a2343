"""Numbers about many runs as JSON: settings, importance, groups, and runs beside each other."""

from __future__ import annotations

import json
import math
import random
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from thetahat.analysis import (
    Standing,
    all_same,
    best_first,
    by_experiment,
    caution,
    center_word,
    check_over,
    counts_by_mean,
    curve_band,
    effects,
    ending,
    flat_config,
    front_of,
    is_seed,
    make_group,
    members_of,
    names_of,
    number,
    over_folds,
    read_file,
    replicates_of,
    running_best,
    runs_planned,
    seeds_of,
    standings,
    tied,
)
from thetahat.core.garbage import uncollected
from thetahat.core.run import Status
from thetahat.store import (
    RunRow,
    Store,
    SweepRow,
    blocks_after,
    list_sweeps,
    run_configs,
    run_values,
    shared_orders,
    standing_runs,
    tried_runs,
)
from thetahat.web._remembered import Remembered
from thetahat.web._series import columns_of

_BOX = (0.0, 0.1, 0.25, 0.75, 0.9, 1.0)
"""Quantiles of the page's bands; of few runs it shows the first and the last."""
_MOST_ROWS = 1_000_000
_MOST_PLACES = 1000
"""Points of a band that are drawn."""
_MOST_GROUPS = 300
"""Settings of a grouping that are listed: the best."""
_MOST_IDS = 100
"""Runs of a setting that are listed."""
_MOST_CELLS = 500_000
"""Runs times parameters of which importance is computed: some seconds."""
_MOST_RESTED_ON = 20_000
"""Runs of which importance is computed."""
_MOST_LOOKED_AT = 100
"""Runs whose configs tell how many parameters vary."""
_LONGEST = 200
"""Characters of a word that are shown."""


@Remembered
def front(store: Store, sweep: SweepRow, metric: str, sign: int) -> dict[str, Any]:
    """Return the Pareto front of a sweep with several objectives."""
    return front_of(sweep, read_file(sweep.spec), tried_runs(store, sweep.id)).listing()


@Remembered
def settings(store: Store, sweep: SweepRow, metric: str, sign: int) -> dict[str, Any]:
    """List the settings of a sweep from the best, the leader, and the best so far."""
    runs = tried_runs(store, sweep.id)
    seeds = seeds_of(sweep, names_of(runs))
    mean = counts_by_mean(sweep)
    found = standings(runs, seeds, metric, sign, replicates=replicates_of(sweep), by_mean=mean)
    replicated = replicates_of(sweep) > 1 or any(one.runs > 1 for one in found)
    shared = shared_orders(store, sweep.id)
    shown = found if replicated else []
    place = {run: i for i, one in enumerate(shown) for run in one.ids}
    # The page has the configs with the runs; of the settings it needs only the numbers.
    listed = [{k: v for k, v in one.listing().items() if k != "config"} for one in shown]
    return {
        "metric": metric,
        "goal": "maximize" if sign < 0 else "minimize",
        "replicated": replicated,
        "replicates": replicates_of(sweep),
        "word": center_word(by_mean=mean),
        "seeds": seeds,
        "shared_order": any(sum(run in shared for run in one.ids) > 1 for one in found),
        "lead": _lead(found, seeds),
        "running": {
            "run": running_best(found, sign, lambda one: one.number),
            "time": running_best(found, sign, lambda one: one.finished),
        },
        "settings": listed,
        "place": place,
    }


def _lead(found: Sequence[Standing], seeds: Sequence[str]) -> dict[str, Any] | None:
    """Describe the best setting; None where no run ended well with a number."""
    if not found or found[0].spread is None:
        return None
    one = found[0]
    config = {k: brief(v) for k, v in one.config.items() if k not in seeds}
    ids = list(one.ids[:_MOST_IDS])
    return {**one.listing(), "config": config, "ids": ids, "tied": tied(found)}


@Remembered
def importance(store: Store, sweep: SweepRow, metric: str, sign: int) -> dict[str, Any]:
    """Estimate the effect of each parameter, over the settings of runs that ended with a number."""
    values: dict[str, float] = {}
    left_out: Counter[str] = Counter()
    ids, columns = run_values(store, sweep.id, ["status", f"m.{metric}"])
    for run, word, found in zip(ids, columns["status"], columns[f"m.{metric}"], strict=True):
        status, value = Status(word), number(found)
        if not status.over:
            left_out["unfinished"] += 1
        elif not status.well:
            left_out[str(status)] += 1
        elif value is None:
            left_out["no number"] += 1
        else:
            values[run] = value
    ids = list(values)
    # A sample suffices to count the parameters that vary: of too many, not all configs are read.
    few = random.Random(1).sample(ids, min(len(ids), _MOST_LOOKED_AT))
    rest_on = [ids[i] for i in drawn(len(ids), len(_varying(store, sweep, few)))]
    varying = _varying(store, sweep, rest_on, whole=len(rest_on) == len(ids))
    doubt = caution(sweep, read_file(sweep.spec))
    found = effects(varying, [values[run] for run in rest_on], sign, blind=not doubt)
    return {
        "n": len(ids),
        "rest_on": len(rest_on),
        "settings": found[0].settings if found else min(1, len(rest_on)),
        "left_out": left_out,
        "caution": doubt,
        "effects": [asdict(e) for e in found],
    }


def drawn(runs: int, parameters: int) -> Sequence[int]:
    """Draw all runs, or as many as take seconds where all would take minutes; always the same."""
    most = min(_MOST_RESTED_ON, max(1000, _MOST_CELLS // max(1, parameters)))
    # At random: every tenth run of a grid might have the same value.
    return range(runs) if runs <= most else sorted(random.Random(0).sample(range(runs), most))


def _varying(
    store: Store, sweep: SweepRow, ids: Sequence[str], *, whole: bool = False
) -> dict[str, list[Any]]:
    """Read the parameters that vary over runs, with their values; None where a run lacks one."""
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


def _varies(values: Sequence[Any]) -> bool:
    first = str(values[0])
    return any(str(value) != first for value in values)


@uncollected()
def groups(
    store: Store, sweep: SweepRow, over: Sequence[str], metric: str, goal: str
) -> dict[str, Any]:
    """List settings with medians and quantiles over the parameters ``over``, the best first;
    over the folds of a sweep with their means, which rank them.

    Raises:  ConfigError: an unknown parameter.
    """
    listed = tried_runs(store, sweep.id)
    names = names_of(listed)
    if not {*over} <= {*names}:
        check_over(standing_runs(store, sweep_id=sweep.id), over)
    shared = shared_orders(store, sweep.id)
    ids: dict[int, list[str]] = {}
    made, mean = [], over_folds(sweep, over)
    for config, runs in members_of(listed, over):
        made.append(make_group(config, runs, _BOX, metric=metric, shared=shared, by_mean=mean))
        ids[id(made[-1])] = [run.id for run in runs]
    planned = runs_planned(sweep, names, over)
    ranked = best_first(made, metric, -1 if goal == "maximize" else 1, planned)
    best = ranked[:_MOST_GROUPS]
    return {
        "n": len(ranked),
        "groups": [{**group.listing(), "ids": ids[id(group)][:_MOST_IDS]} for group in best],
        "shared_order": any(group.shared_order for group in made),
        "same": all_same(made),
        "word": center_word(by_mean=mean),
    }


def comparison(store: Store, runs: Sequence[RunRow], *, bands: bool) -> list[dict[str, Any]]:
    """Join runs of one experiment that differ by their seeds alone: their statuses and bands.

    A band rests on the runs that ended well or still train, and ends where fewer than half of the
    runs have a number.
    """
    sweeps = {row.id: row for row in list_sweeps(store)}
    seeds = {name for run in runs for name in flat_config(run.config) if is_seed(name)}
    for run in runs:
        if (sweep := sweeps.get(run.sweep_id or "")) is not None:
            seeds.update(seeds_of(sweep, flat_config(run.config)))
    made = []
    for experiment, mine in by_experiment(runs):
        for config, members in members_of(mine, seeds):
            ends = Counter(ending(run) for run in members)
            kept = [run for run in members if run.status.well or not run.status.over]
            made.append(
                {
                    "experiment": experiment,
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
    # Very long curves are drawn at some places, the same for all.
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
    """Shorten a config's value for the page: no infinities, no long words."""
    kind = type(value)
    if kind is float:
        return value if math.isfinite(value) else None
    if kind is int or kind is bool or value is None:
        return value
    word = value if kind is str else json.dumps(value, sort_keys=True)
    if len(word) <= _LONGEST:
        return word
    return f"{word[:_LONGEST]}… {zlib.crc32(word.encode(errors='replace')):x}"
