"""Sweeps that were never trained, with all that can become of a run, and what their runs say in JSON.

The numbers of the tests come from :func:`raw_runs` alone: what ``thetahat runs --format json`` prints.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from thetahat.core import Status
from thetahat.store import NewRun, NewSweep, create_sweep, open_store, pack

REPLICATES = 7
EPOCHS = 12
WELL = ("finished", "stopped")
FAILED = ("failed", "diverged")
SWEEP = """\
program: simulated.py
method: grid
metric:
  name: {metric}
  goal: {goal}
parameters:
  lr:
    values: [0.001, 0.01, 0.1]
  width:
    values: [8, 16, 32]
  seed:
    min: 1
    max: 7
"""
STATUSES = {
    (0.001, 8): ["finished"] * 7,
    (0.001, 16): ["finished", "failed", "diverged", "finished", "stopped", "finished", "failed"],
    (0.001, 32): ["finished"] * 7,
    (0.01, 8): ["failed", "diverged", "failed", "failed", "finished", "finished", "stopped"],
    (0.01, 16): [
        "finished",
        "cancelled",
        "interrupted",
        "running",
        "unmoved",
        "finished",
        "finished",
    ],
    (0.01, 32): ["finished", "finished", "no number", "finished", "finished", "stopped", "failed"],
    (0.1, 8): ["failed"] * 7,
    (0.1, 16): ["finished"],
    (0.1, 32): ["finished", "finished", "stopped", "cancelled", "running"],
}
"""How the runs of each setting end. (0.01, 8) and (0.1, 16) have the best numbers, but too few."""
LUCKY = ((0.01, 8), (0.1, 16))


def make(where: Path, goal: str = "minimize", metric: str = "val_risk", rng_seed: int = 3) -> str:
    """Make a sweep with replicates, in an order in which settings are interleaved; its id."""
    rng = np.random.default_rng(rng_seed)
    sign = 1 if goal == "minimize" else -1
    with open_store(where) as store:
        spec = SWEEP.format(metric=metric, goal=goal)
        plan = {"replicates": REPLICATES}
        sweep = create_sweep(store, NewSweep(spec, "simulated", "recomputed", plan=plan, points=63))
        for replicate in range(1, REPLICATES + 1):
            luck = rng.normal(0, 1.5, len(STATUSES))
            luck[2] = luck[0] + 2  # Settings 0 and 2 tie, run by run.
            for point, ((lr, width), statuses) in enumerate(STATUSES.items()):
                if replicate <= len(statuses):
                    level = 20.0 - point + luck[point] - 30 * ((lr, width) in LUCKY)
                    config = {"lr": lr, "width": width, "seed": replicate}
                    said = statuses[replicate - 1]
                    _run(store, sweep.id, point, replicate, config, said, metric, sign * level, rng)
        return sweep.id


def _run(store: Any, sweep: str, point: int, replicate: int, config: dict[str, Any], said: str,
         metric: str, level: float, rng: np.random.Generator) -> None:  # fmt: skip
    status = Status.FINISHED if said == "no number" else Status(said)
    epochs = EPOCHS if status is Status.FINISHED else int(rng.integers(3, EPOCHS))
    curve = level + np.exp(-0.4 * np.arange(epochs)) + rng.normal(0, 0.2, epochs)
    values = curve.tolist()
    if status is Status.DIVERGED:
        values[-1] = math.nan
    columns = {"epoch": list(range(1, epochs + 1)), metric: values}
    with store.batch() as writer:
        new = NewRun(config=config, sweep_id=sweep, point=point, replicate=replicate)
        run, _ = writer.create_run(new)
        writer.log_blocks([(run, pack(columns))])
        if status.over:
            # A run that ended badly has the best number of all: it must not count.
            number = level if status.well else level - 100 * math.copysign(1, level)
            number = math.nan if said == "no number" else number
            metrics = {metric: number, "test_risk": float(rng.exponential())}
            writer.finish_run(run, status=status, reason=f"it {said}", epochs=epochs,
                              metrics=metrics, seconds={"run": 1.0})  # fmt: skip


def flat(config: dict[str, Any]) -> dict[str, Any]:
    """A config with dots in the names of what is nested."""
    if not any(isinstance(value, dict | list | None) for value in config.values()):
        return config
    (row,) = pd.json_normalize(config).to_dict("records")
    return {str(name): value for name, value in row.items()}


def raw_runs(
    thetahat: Callable[..., tuple[int, str, str]], where: Path, sweep: str
) -> pd.DataFrame:
    """The runs of a sweep as the command prints them: id, config, metrics, status; in their order."""
    words = ["--sort=number", "--format=json", f"--store={where}"]
    code, out, _ = thetahat("runs", sweep, *words)
    assert code == 0
    rows = [
        {"id": run["id"], "status": run["status"], **flat(run["config"])}
        | {f"metric {name}": value for name, value in run["metrics"].items()}
        for run in json.loads(out)
    ]
    return pd.DataFrame(rows)


def ends(runs: pd.DataFrame, metric: str) -> pd.Series:
    """How each run counts: well with a number, failed, or unfinished."""
    value = pd.to_numeric(runs[f"metric {metric}"])
    well = runs["status"].isin(WELL)
    failed = runs["status"].isin(FAILED) | (well & ~np.isfinite(value))
    return pd.Series(np.select([failed, well], ["failed", "well"], "unfinished"), runs.index)


def by_setting(
    runs: pd.DataFrame, over: list[str], metric: str, sign: int, planned: int = 1
) -> pd.DataFrame:
    """Settings from the best, a row each: counts, median and quantiles of the metric.

    Of settings that are equal, the one whose first run came first stands first.
    """
    names = [n for n in runs if not n.startswith("metric ") and n not in ("id", "status", *over)]
    table = runs.assign(end=ends(runs, metric), value=pd.to_numeric(runs[f"metric {metric}"]))
    rows = []
    for setting, members in table.groupby(names, sort=False):
        values = members.loc[members["end"] == "well", "value"].to_numpy(float)
        n = len(values)
        low, middle, high = np.quantile(values, [0.1, 0.5, 0.9]) if n else [np.nan] * 3
        enough = n > 0 and 2 * n >= max(len(members), planned)
        rows.append(
            dict(zip(names, setting, strict=True))
            | {"runs": len(members), "n": n, "median": middle, "q10": low, "q90": high}
            | {"least": values.min() if n else np.nan, "greatest": values.max() if n else np.nan}
            | {"failed": (members["end"] == "failed").sum()}
            | {"unfinished": (members["end"] == "unfinished").sum(), "enough": enough}
            | {"ids": list(members["id"]), "place": 0 if enough else 1 if n else 2}
            | {"last": members.index.max(), "key": sign * middle if n else 0.0}
        )
    return pd.DataFrame(rows).sort_values(["place", "key"], kind="stable", ignore_index=True)


GRID = {"lr": [0.001, 0.01, 0.1, 1.0], "width": [8, 16, 32], "depth": [1, 2]}


def tuned(where: Path, *, grid: bool, n: int = 80, seeds: int = 3) -> str:
    """A sweep whose metric follows its learning rate, less its width, and nothing else; its id.

    Args:    grid: all of GRID; else ``n`` draws of a search in which the others do nothing.
    """
    rng = np.random.default_rng(8)
    if grid:
        frame = pd.MultiIndex.from_product(GRID.values(), names=[*GRID]).to_frame(index=False)
    else:
        draws = {name: rng.choice(values, n) for name, values in GRID.items() if name != "depth"}
        frame = pd.DataFrame(draws)
        frame["l2"], frame["dropout"] = rng.uniform(0, 0.01, n), rng.uniform(0, 0.5, n)
        frame["kind"] = rng.choice(["relu", "tanh", "gelu"], n)
    searched = list(frame)
    listed = "".join(f"  {name}: {{values: {[*set(frame[name])]}}}\n" for name in searched)
    spec = (
        f"program: simulated.py\nmethod: {'grid' if grid else 'random'}\n"
        f"metric: {{name: val_risk, goal: minimize}}\nparameters:\n{listed}  seed: {{min: 1, max: 3}}\n"
    )
    with open_store(where) as store:
        plan = {"replicates": seeds}
        sweep = create_sweep(store, NewSweep(spec, "tuned", plan=plan))
        for replicate in range(1, seeds + 1):
            for point, config in enumerate(frame.to_dict("records")):
                level = (
                    1.5 * abs(np.log10(config["lr"]) + 2)
                    + 7 / config["width"]
                    + rng.exponential(0.6)
                )
                said = "diverged" if rng.random() < 0.1 else "finished"
                plain = {k: v.item() if hasattr(v, "item") else v for k, v in config.items()}
                _run(store, sweep.id, point, replicate, {**plain, "seed": replicate}, said,
                     "val_risk", float(level), rng)  # fmt: skip
        return sweep.id


def single(where: Path, goal: str, n: int = 30) -> str:
    """A sweep without seeds, its parameters nested, of runs that end in all ways; its id."""
    rng = np.random.default_rng(4)
    sign = 1 if goal == "minimize" else -1
    spec = (
        f"program: simulated.py\nmethod: random\nmetric: {{name: score, goal: {goal}}}\n"
        "parameters:\n  optim:\n    parameters:\n      lr: {min: 0.0, max: 1.0}\n"
        "  width: {values: [8, 16]}\n"
    )
    odd = ["failed", "diverged", "cancelled", "interrupted", "unmoved", "running", "no number"]
    with open_store(where) as store:
        sweep = create_sweep(store, NewSweep(spec, "single"))
        for point in range(n):
            said = odd[point // 4] if point % 4 == 1 and point // 4 < len(odd) else "finished"
            said = "stopped" if point % 4 == 2 else said
            config = {"optim": {"lr": float(rng.random())}, "width": int(rng.choice([8, 16]))}
            level = sign * float(10 + rng.normal(0, 3) - 0.2 * point)
            _run(store, sweep.id, point, 1, config, said, "score", level, rng)
        return sweep.id
