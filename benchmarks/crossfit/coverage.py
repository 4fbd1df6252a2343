"""How often do 95 % intervals of th.dml cover the truth?

The partially linear model of DoubleML's ``make_plr_CCDDHNR2018`` (Chernozhukov et al. 2018), with 5
correlated controls, n = 500 and theta = 0.5:

    d = x_0 + 0.25 s(x_2) + v,   y = 0.5 d + s(x_0) + 0.25 x_2 + u,   s the logistic function

Nets are the default ones, with 5 folds and one repetition. The nets of 50 simulations train
together: their rows are stacked, and each fold trains on rows of its own simulation.

Every simulation is a line of a file (its seed, theta and se), so that a measurement that was
stopped goes on where it was.

    python -m benchmarks.crossfit.coverage [--simulations 500] [--keep FILE] [--write]
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import machine

THETA, N, CONTROLS, TOGETHER = 0.5, 500, 5, 50


def simulated(seed: int) -> tuple[Any, Any, Any]:
    """(x, d, y) of one simulation."""
    rng = np.random.default_rng([1, seed])
    at = np.arange(CONTROLS)
    root = np.linalg.cholesky(0.7 ** np.abs(at[:, None] - at))
    x = rng.normal(size=(N, CONTROLS)) @ root.T
    s = 1 / (1 + np.exp(-x))
    d = x[:, 0] + 0.25 * s[:, 2] + rng.normal(size=N)
    y = THETA * d + s[:, 0] + 0.25 * x[:, 2] + rng.normal(size=N)
    return x, d, y


def simulate(seeds: range, nets: int) -> list[dict[str, Any]]:
    """Theta and its standard error of each simulation; their nets train together."""
    import thetahat as th

    drawn = [simulated(seed) for seed in seeds]
    x, d, y = (np.concatenate(part) for part in zip(*drawn, strict=True))
    pairs = []
    for k, seed in enumerate(seeds):
        for data in th.folds(np.arange(N), k=5, seed=seed):
            pairs.append((data.rows["train"] + k * N, data.rows["test"] + k * N))
    stages = th.crossfit(th.causal.net, x, {"l": y, "m": d}, folds=[pairs], nets=nets)
    found = []
    for k, (seed, (own_x, own_d, own_y)) in enumerate(zip(seeds, drawn, strict=True)):
        given = {name: s.predictions[k * N : (k + 1) * N] for name, s in stages.items()}
        one = th.dml(own_y, own_d, own_x, predictions=given, repetitions=1)
        found.append({"seed": seed, "nets": nets, "theta": one.theta, "se": one.se})
    return found


def summary(found: list[dict[str, Any]]) -> dict[str, float]:
    """Coverage of the intervals theta +- 1.96 se, and how theta and se are distributed."""
    theta, se = (np.array([one[name] for one in found]) for name in ("theta", "se"))
    inside = np.abs(theta - THETA) < 1.959964 * se
    share = float(inside.mean())
    return {
        "simulations": len(found),
        "coverage": share,
        "coverage_se": float(np.sqrt(share * (1 - share) / len(found))),
        "theta": float(theta.mean()),
        "sd": float(theta.std(ddof=1)) if len(found) > 1 else 0.0,
        "se": float(se.mean()),
    }


def markdown(one: dict[str, float], nets: int, cpu_s: float) -> str:
    """The whole page."""
    lines = [
        "# How often do 95 % intervals of th.dml cover the truth?", "",
        *machine.said(machine.facts(("thetahat", "jax", "numpy"))), "",
        f"Partially linear model with theta = {THETA}, n = {N}, {CONTROLS} controls; the default"
        f" nets, {nets} averaged in each of 5 folds, one repetition. {cpu_s:.0f} CPU s.", "",
        "| simulations | coverage | its standard error | mean theta | sd of theta | mean se |",
        "|---|---|---|---|---|---|",
        f"| {one['simulations']} | {one['coverage']:.1%} | {one['coverage_se']:.1%} |"
        f" {one['theta']:.4f} | {one['sd']:.4f} | {one['se']:.4f} |",
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def main() -> None:
    """Simulate, and print after every batch."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.crossfit.coverage")
    parser.add_argument("--simulations", type=int, default=500)
    parser.add_argument("--nets", type=int, default=4, help="that are averaged in each fold")
    parser.add_argument("--keep", type=Path, help="a file of simulations, which is extended")
    parser.add_argument("--write", action="store_true", help="benchmarks/results/coverage-<date>.*")
    asked = parser.parse_args()
    found: list[dict[str, Any]] = []
    if asked.keep and asked.keep.exists():
        found = [json.loads(line) for line in asked.keep.read_text().splitlines()]
    if any(one["nets"] != asked.nets for one in found):
        parser.error(f"{asked.keep} has simulations with other --nets; give another file")
    for start in range(len(found), asked.simulations, TOGETHER):
        began = time.process_time()
        seeds = range(start, min(start + TOGETHER, asked.simulations))
        new = simulate(seeds, asked.nets)
        taken = (time.process_time() - began) / len(new)
        found += [{**one, "cpu_s": taken} for one in new]
        if asked.keep:
            with asked.keep.open("a") as file:
                file.writelines(json.dumps(one) + "\n" for one in found[-len(new) :])
        print(json.dumps(summary(found)), flush=True)
    page = markdown(summary(found), asked.nets, sum(one["cpu_s"] for one in found))
    print(page)
    if asked.write:
        date = machine.facts(())["date"][:10]
        path = machine.RESULTS / f"coverage-{date}.md"
        path.write_text(page)
        lines = "".join(json.dumps(one) + "\n" for one in found)
        path.with_suffix(".jsonl").write_text(lines)
        print(f"written: {path}")


if __name__ == "__main__":
    main()
