"""Stores with runs that were never trained: what a page must show, made by the store's own functions."""

from __future__ import annotations

import math
import random
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from thetahat.core.run import Status
from thetahat.store import (
    NewRun,
    NewSweep,
    Store,
    SweepRow,
    create_sweep,
    open_store,
    pack,
    set_state,
)

# Agents are put into the store without a process each.
from thetahat.store._schema import agents

HOSTILE = "<script>document.title='owned'</script><img src=x onerror=alert(1)>"

TUNING = """\
# Two hidden layers on simulated wages.
program: wages.py
name: wages, two layers
project: wages
method: random
metric:
  name: val_risk
  goal: minimize
parameters:
  lr:
    distribution: log_uniform_values
    min: 0.0001
    max: 0.1
  width:
    values: [16, 32, 64, 128, 256]
  depth:
    values: [1, 2, 3]
  l2:
    distribution: log_uniform_values
    min: 1.0e-6
    max: 0.01
  optimizer:
    values: [adam, sgd, rmsprop]
  momentum:
    min: 0.0
    max: 0.99
  epochs:
    value: 120
"""
SEEDS = """\
program: wages.py
name: twenty seeds a width
project: wages
method: grid
metric:
  name: val_risk
parameters:
  width:
    values: [16, 64, 256]
  seed:
    min: 1
    max: 20
"""
TESTED = """\
program: lecture.py
name: tuned on the test set
project: lectures
method: bayes
metric:
  name: test_loss
  goal: minimize
parameters:
  lr:
    min: 0.0001
    max: 0.01
  width:
    values: [64, 128, 256]
"""
ORIGIN = {
    "versions": {"thetahat": "0.1.0", "jax": "0.10.2", "numpy": "2.4.6"},
    "python": "3.11.9",
    "platform": "Linux-6.1-x86_64",
    "cpus": 8,
    "settings": {"OMP_NUM_THREADS": "1"},
    "git": {"commit": "0123456789abcdef0123456789abcdef01234567", "dirty": False, "folder": "."},
    "prng_impl": "threefry2x32",
    "dtype": "float32",
    "device": "cpu: cpu",
    "data_train": "9c1185a5c5e9fc54",
    "init": "2c26b46b68ffc68f",
}


def curve(rng: random.Random, floor: float, speed: float, epochs: int, wiggle: float = 0.03) -> Any:
    """Train and val risk of a run that learns at ``speed`` down to ``floor``."""
    train, val = [], []
    for epoch in range(1, epochs + 1):
        falls = math.exp(-speed * epoch)
        train.append((floor * 0.8 + falls) * math.exp(rng.gauss(0, wiggle)))
        late = max(0.0, epoch / epochs - 0.6) * floor * 0.8 * speed
        val.append((floor + 1.1 * falls + late) * math.exp(rng.gauss(0, wiggle)))
    return {"epoch": list(range(1, epochs + 1)), "train_risk": train, "val_risk": val}


def tuning_config(rng: random.Random) -> dict[str, Any]:
    """A config of TUNING."""
    return {
        "lr": 10 ** rng.uniform(-4, -1),
        "width": rng.choice([16, 32, 64, 128, 256]),
        "depth": rng.choice([1, 2, 3]),
        "l2": 10 ** rng.uniform(-6, -2),
        "optimizer": rng.choice(["adam", "sgd", "rmsprop"]),
        "momentum": rng.uniform(0, 0.99),
        "epochs": 120,
    }


def floor_of(config: dict[str, Any]) -> float:
    """The risk such a config ends at: mostly its learning rate, then its width."""
    off = math.log10(config["lr"]) + 2.2
    kind = {"adam": 1.0, "rmsprop": 1.15, "sgd": 1.6}[config["optimizer"]]
    return 0.02 * kind * (1 + 1.6 * off**2) * (1 + 12 / config["width"]) * (1 + 8 * config["l2"])


def add_run(
    store: Store,
    sweep: SweepRow | None,
    config: dict[str, Any],
    columns: dict[str, list[float]],
    status: Status = Status.FINISHED,
    **fields: Any,
) -> str:
    """A run with its records and its ending; its id."""
    reason = fields.pop("reason", "all epochs done" if status is Status.FINISHED else "")
    metrics = fields.pop("metrics", None)
    detail = fields.pop("detail", {"best_epoch": 80, "traces": 1, "mode": "cohort"})
    epochs = len(next(iter(columns.values()))) if columns else 0
    given = {"experiment": "wages", "source": "wages.py", "max_epochs": 120, "n_params": 4417}
    given |= {"provenance": ORIGIN, "sweep_id": sweep.id if sweep else None, **fields}
    with store.batch() as writer:
        begun = Status.RUNNING if status is not Status.QUEUED else Status.QUEUED
        run_id, _ = writer.create_run(NewRun(config=config, status=begun, **given))
        if columns:
            writer.log_blocks([(run_id, pack(columns))])
        if status.over:
            if metrics is None and columns:
                finite = [v for v in columns["val_risk"] if math.isfinite(v)]
                best = min(finite) if finite else math.nan
                metrics = {
                    "train_risk": columns["train_risk"][-1],
                    "val_risk": best,
                    "test_risk": best * 1.06,
                }
            writer.finish_run(
                run_id,
                status=status,
                reason=reason,
                epochs=epochs,
                metrics=metrics or {},
                seconds={"compile": 2.1, "run": 0.01 * epochs + 0.4},
                detail=detail,
            )
    return run_id


def add_agent(store: Store, sweep: SweepRow, doing: str, beat: str) -> None:
    """An agent that has not ended."""
    row = {"id": f"a{len(doing):07d}", "sweep_id": sweep.id, "host": "workstation", "pid": 4711}
    row |= {"started": beat, "heartbeat": beat, "doing": doing}
    with store.batch() as writer:
        writer.connection.execute(agents.insert(), row)


def tuning_sweep(store: Store, runs: int = 220, epochs: int = 120, **fields: Any) -> SweepRow:
    """A sweep over six parameters, with all that can become of a run."""
    sweep = create_sweep(
        store,
        NewSweep(
            TUNING, "wages, two layers", "wages", "wages.yaml", points=None, plan={"count": 400}
        ),
    )
    rng = random.Random(3)
    for k in range(runs):
        config = tuning_config(rng)
        columns = curve(rng, floor_of(config), 0.03 + config["lr"], epochs)
        more = {"agent": "a0000007", "point": k, "project": "wages", **fields}
        if k % 23 == 22:
            columns = {c: v[:14] for c, v in columns.items()}
            columns["val_risk"] = [*columns["val_risk"][:12], math.nan, math.nan]
            why = "train_risk = nan at epoch 14"
            add_run(store, sweep, config, columns, Status.DIVERGED, reason=why, **more)
        elif k % 31 == 30:
            why = "ValueError: the table wages.csv has no column 'tenure'"
            add_run(store, sweep, config, {}, Status.FAILED, reason=why, metrics={}, **more)
        elif k % 12 == 11:
            columns = {c: v[: epochs // 3] for c, v in columns.items()}
            why = f"Hyperband: not among the best third at epoch {epochs // 3}"
            add_run(store, sweep, config, columns, Status.STOPPED, reason=why, **more)
        elif k == runs - 1:
            columns = {c: v[: epochs // 2] for c, v in columns.items()}
            add_run(store, sweep, config, columns, Status.RUNNING, **more)
        else:
            add_run(store, sweep, config, columns, **more)
    return sweep


def seeds_sweep(store: Store, seeds: int = 20) -> SweepRow:
    """Three settings with many seeds each."""
    new = NewSweep(SEEDS, "twenty seeds a width", "wages", plan={"replicates": seeds}, points=60)
    sweep = create_sweep(store, new)
    rng = random.Random(5)
    for point, width in enumerate((16, 64, 256)):
        for seed in range(1, seeds + 1):
            luck = math.exp(rng.gauss(0, 0.25))
            columns = curve(rng, 0.02 * luck * (1 + 12 / width), 0.08, 80)
            bad = width == 256 and seed == 13
            status = Status.DIVERGED if bad else Status.FINISHED
            config = {"width": width, "seed": seed}
            why = "train_risk = inf at epoch 31" if bad else "all epochs done"
            more = {"point": point, "replicate": seed, "reason": why, "project": "wages"}
            add_run(store, sweep, config, columns, status, **more)
    set_state(store, sweep.id, "finished")
    return sweep


def tested_sweep(store: Store) -> SweepRow:
    """A sweep that tunes on the test set."""
    new = NewSweep(TESTED, "tuned on the test set", "lectures", contaminated=True)
    sweep = create_sweep(store, new)
    rng = random.Random(7)
    for k in range(12):
        config = {"lr": rng.uniform(1e-4, 1e-2), "width": rng.choice([64, 128, 256])}
        columns = curve(rng, 0.02, 0.05, 40)
        metrics = {"test_loss": columns["val_risk"][-1], "train_loss": columns["train_risk"][-1]}
        more = {"contaminated": True, "point": k, "project": "lectures", "metrics": metrics}
        add_run(store, sweep, config, columns, **more)
    set_state(store, sweep.id, "paused", "by hand")
    return sweep


def realistic(where: Path, runs: int = 220) -> dict[str, SweepRow]:
    """A store of 300 runs: three sweeps, and runs of no sweep."""
    with open_store(where) as store:
        made = {
            "tested": tested_sweep(store),
            "seeds": seeds_sweep(store),
            "tuning": tuning_sweep(store, runs),
        }
        rng = random.Random(11)
        for k in range(8):
            columns = curve(rng, 0.03, 0.06, 60)
            status = Status.INTERRUPTED if k == 7 else Status.FINISHED
            why = "Ctrl-C" if k == 7 else "val_risk has not improved for 20 epochs"
            more = {"checkpoint": str(store.folder / "checkpoints" / "x.npz")} if k == 7 else {}
            add_run(store, None, {"lr": 0.01, "seed": k}, columns, status, reason=why, **more)
        add_agent(
            store,
            made["tuning"],
            "training a cohort of 16",
            datetime.now(UTC).isoformat(timespec="milliseconds"),
        )
    return made


def large_sweep(store: Store, runs: int = 2500) -> SweepRow:
    """More runs than the page draws all at once."""
    sweep = create_sweep(store, NewSweep(TUNING, "large"))
    rng = random.Random(13)
    with store.batch() as writer:
        for k in range(runs):
            config = tuning_config(rng)
            new = NewRun(config=config, sweep_id=sweep.id, point=k)
            run_id, _ = writer.create_run(new)
            metrics = {"val_risk": floor_of(config) * math.exp(rng.gauss(0, 0.1))}
            writer.finish_run(run_id, status=Status.FINISHED, metrics=metrics)
    return sweep


def searched(store: Store, method: str, *, stops: bool = False, **plan: Any) -> SweepRow:
    """Forty finished runs of a sweep by a method, with its flags, that ``x`` moves."""
    text = f"program: wages.py\nmethod: {method}\nmetric: {{name: val_risk}}\n"
    text += "early_terminate: {type: hyperband, min_iter: 3}\n" if stops else ""
    text += "parameters:\n  x: {values: [0, 1, 2, 3, 4]}\n  z: {values: [0, 1, 2, 3, 4, 5, 6, 7]}\n"
    sweep = create_sweep(store, NewSweep(text, f"{method} {stops} {plan}", plan=plan))
    rng = random.Random(3)
    for k in range(40):
        metrics = {"val_risk": k % 5 + rng.random()}
        add_run(store, sweep, {"x": k % 5, "z": k // 5}, {}, metrics=metrics)
    return sweep
