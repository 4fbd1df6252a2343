"""How long does it take until all records of 10,000 runs of 300 epochs are one pandas frame?

    sweep.history()      one query, columns joined as arrays
    run by run           store.history(run) for each of a tenth of the runs, and pandas.concat

Three numbers a record, three blocks a run. The first call also loads pandas; it is left out. Warm
medians of five, interleaved; a busy machine shows in seconds, hardly in CPU seconds.

    python -m benchmarks.history [--smoke] [--write]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import thetahat as th
from benchmarks import machine
from thetahat.store import NewRun, NewSweep, create_sweep, open_store, pack

RUNS, EPOCHS, BLOCKS, REPEATS = 10_000, 300, 3, 5


def fill(folder: Path, runs: int) -> str:
    """Make a sweep of so many runs; return its id."""
    rng, size = np.random.default_rng(0), EPOCHS // BLOCKS
    blocks = [
        pack(
            {
                "epoch": k * size + np.arange(1, size + 1),
                "a": rng.random(size),
                "b": rng.random(size),
            }
        )
        for k in range(BLOCKS)
    ]
    with open_store(folder) as store:
        sweep = create_sweep(store, NewSweep("method: grid\nparameters: {lr: {value: 1}}", "big"))
        for start in range(0, runs, 1000):
            with store.batch() as writer:
                mine = range(start, min(runs, start + 1000))
                ids = [
                    writer.create_run(NewRun({"lr": float(i)}, sweep_id=sweep.id))[0] for i in mine
                ]
                writer.log_blocks((run, block) for run in ids for block in blocks)
        return sweep.id


def run_by_run(folder: Path, sweep: th.notebook.Sweep) -> Any:
    """The frame of a tenth of the runs."""
    with open_store(folder, create=False) as store:
        some = sweep.runs[: max(1, len(sweep.runs) // 10)]
        return pd.concat([pd.DataFrame({"run": r.name, **store.history(r.id)}) for r in some])


def timed(way: Callable[[], Any]) -> tuple[float, float, int]:
    """Seconds, CPU seconds and rows."""
    began, cpu = time.perf_counter(), time.process_time()
    rows = len(way())
    return time.perf_counter() - began, time.process_time() - cpu, rows


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.history", description=__doc__)
    parser.add_argument("--smoke", action="store_true", help="100 runs, one round")
    parser.add_argument("--write", action="store_true", help="benchmarks/results/history-<date>.*")
    args = parser.parse_args()
    runs, rounds = (100, 1) if args.smoke else (RUNS, REPEATS)
    with tempfile.TemporaryDirectory() as folder:
        where = Path(folder)
        sweep = th.open_sweep(fill(where, runs), where)
        ways: dict[str, Callable[[], Any]] = {
            "sweep.history()": sweep.history,
            "run by run, a tenth of the runs": lambda: run_by_run(where, sweep),
        }
        seen: dict[str, list[tuple[float, float, int]]] = {name: [] for name in ways}
        sweep.history()
        for _ in range(rounds):
            for name, way in ways.items():
                seen[name].append(timed(way))
    found = {
        name: tuple(map(statistics.median, zip(*each, strict=True))) for name, each in seen.items()
    }
    rows = [f"| {name} | {n:,.0f} | {s:.2f} | {cpu:.2f} |" for name, (s, cpu, n) in found.items()]
    table = ["| way | records | seconds | CPU seconds |", "|---|---|---|---|", *rows]
    print("\n".join(table))
    if args.write:
        about = machine.facts(("thetahat", "numpy", "pandas", "sqlalchemy"))
        head = [f"# The records of {runs:,} runs as one frame", "", *machine.said(about), ""]
        page = "\n".join([*head, *table])
        machine.write_results("history", about, page, {"facts": about, "ways": found})


if __name__ == "__main__":
    main()
