"""Stores of many runs, alike on every machine."""

from __future__ import annotations

import math
import random
from pathlib import Path
from typing import Any

from thetahat.core.run import Status
from thetahat.store import NewRun, NewSweep, create_sweep, open_store, pack

TEXT = """\
program: b.py
method: random
metric: {name: val_risk}
parameters:
  lr: {distribution: log_uniform_values, min: 0.0001, max: 0.1}
  width: {values: [16, 32, 64, 128]}
  depth: {values: [1, 2, 3]}
  l2: {distribution: log_uniform_values, min: 0.000001, max: 0.01}
  momentum: {min: 0, max: 1}
  act: {values: [relu, tanh, gelu]}
"""
PROVENANCE = {
    "python": "3.11.7",
    "platform": "Linux-6.1-x86_64",
    "machine": "AMD EPYC, x86_64",
    "cpus": 2,
    "device": "cpu",
    "versions": dict.fromkeys(("jax", "jaxlib", "optax", "flax", "numpy", "thetahat"), "1.2.3"),
    "git": {"commit": "0123456789abcdef" * 2, "dirty": False, "folder": "."},
    "argv": ["thetahat", "agent", "abcdefgh"],
    "dtype": "float32",
    "prng": "threefry2x32",
    "data_hash": "ab" * 32,
    "init_hash": "cd" * 32,
}
DETAIL = {"best_by": "val_risk", "traces": 1, "logged": {}, "n_train": 350, "n_val": 75}
_EPOCHS = 20
_AT_ONCE = 1000


def fill(where: Path, runs: int, *, seeds: int = 1) -> str:
    """Write a store with one sweep; return the sweep's id.

    Args:    seeds: runs of each setting; above 1 the seed is a parameter of the sweep.
    """
    rng = random.Random(1)
    steps = list(range(1, _EPOCHS + 1))
    falls = [math.exp(-0.2 * e) for e in steps]
    text = TEXT if seeds == 1 else TEXT + f"  seed: {{values: {list(range(seeds))}}}\n"
    config: dict[str, Any] = {}
    with open_store(where) as store:
        sweep = create_sweep(store, NewSweep(text, f"{runs} runs"))
        for start in range(0, runs, _AT_ONCE):
            with store.batch() as writer:
                for k in range(start, min(runs, start + _AT_ONCE)):
                    config = _draw(rng) if k % seeds == 0 else config
                    made = NewRun(
                        {**config, "seed": k % seeds},
                        experiment="b",
                        source="b.py",
                        sweep_id=sweep.id,
                        point=k // seeds,
                        max_epochs=_EPOCHS,
                        provenance=PROVENANCE,
                    )
                    run, _ = writer.create_run(made)
                    _finish(writer, run, rng, config, steps, falls)
    return sweep.id


def _draw(rng: random.Random) -> dict[str, Any]:
    return {
        "lr": 10 ** rng.uniform(-4, -1),
        "width": rng.choice([16, 32, 64, 128]),
        "depth": rng.choice([1, 2, 3]),
        "l2": 10 ** rng.uniform(-6, -2),
        "momentum": rng.random(),
        "act": rng.choice(["relu", "tanh", "gelu"]),
    }


def _finish(
    writer: Any, run: str, rng: random.Random, config: Any, steps: list[int], falls: list[float]
) -> None:
    floor = 0.02 * (1 + (math.log10(config["lr"]) + 2) ** 2) * rng.uniform(0.8, 1.2)
    curve = [floor + f for f in falls]
    writer.log_blocks([(run, pack({"epoch": steps, "train_risk": curve, "val_risk": curve}))])
    luck = rng.random()
    if luck < 0.02:
        reason = f"ValueError: cannot reshape array of size {rng.randrange(9)}"
        writer.finish_run(run, status=Status.FAILED, reason=reason, detail=DETAIL)
        return
    if luck < 0.03:
        reason = f"diverged at epoch {rng.randrange(1, 20)}"
        writer.finish_run(run, status=Status.DIVERGED, reason=reason, detail=DETAIL)
        return
    risk = math.nan if luck < 0.035 else floor
    metrics = {"train_risk": floor, "val_risk": risk, "test_risk": floor * rng.uniform(0.9, 1.1)}
    writer.finish_run(run, status=Status.FINISHED, metrics=metrics, detail=DETAIL)
