"""Runs that do nothing, through the whole of an agent: what the book-keeping alone costs.

    python -m benchmarks.sweeps.trivial RUNS TOGETHER METHOD

prints JSON: seconds, runs a second, and resident memory along the way.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from thetahat.core.run import Status
from thetahat.store import RunRow, open_store
from thetahat.sweep import SweepOptions, Work, parse_sweep
from thetahat.sweep.agent import (
    AgentEvent,
    Ended,
    Logged,
    RunEvent,
    Runner,
    Started,
    new_sweep,
    work_on,
)

SWEEP = """\
program: nothing.py
method: {method}
metric: {{name: loss}}
run_cap: {n}
parameters:
  x: {x}
"""
METHODS = {"grid": "{min: 1, max: RUNS}", "random": "{min: 0.0, max: 1.0}"}
LOOKS = 5
"""How often memory is looked at."""


class Instant(Runner):
    """Takes runs and ends them at once, with one record each."""

    ready = True

    def __init__(self, together: int) -> None:
        self.together = together
        self.held: list[RunRow] = []

    @property
    def busy(self) -> set[str]:
        return {run.id for run in self.held}

    def room(self) -> int:
        return self.together - len(self.held)

    def take(self, again: Sequence[Sequence[RunRow]], fresh: Sequence[RunRow]) -> None:
        self.held += [*(run for group in again for run in group), *fresh]

    def follow(self, proposed: Any) -> None: ...

    def poll(self, timeout_s: float) -> list[RunEvent]:
        done, self.held = self.held, []
        events: list[RunEvent] = []
        for run in done:
            loss = float(run.config["x"])
            events += [
                Started(0, run.config, 1, 1, {}, run=run.id),
                Logged(0, {"epoch": [1.0], "loss": [loss]}, run.id),
                Ended(0, Status.FINISHED, "", 1, {"loss": loss}, {"run": 0.0}, run=run.id),
            ]
        return events

    def stop(self, reasons: Mapping[str, str]) -> None: ...

    def forget(self, runs: set[str]) -> None: ...

    def halt(self) -> None: ...

    def close(self) -> None: ...


def resident_mb() -> float:
    """Memory that this process holds now."""
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE") / 1e6


def measure(n: int, together: int, method: str, folder: Path) -> dict[str, Any]:
    """``n`` runs of one sweep, ``together`` claimed at a time."""
    (folder / "nothing.py").write_text("", encoding="utf-8")
    os.chdir(folder)
    x = METHODS[method].replace("RUNS", str(n))
    spec = parse_sweep(SWEEP.format(method=method, n=n, x=x), "sweep.yaml").require()
    memory = [resident_mb()]
    with open_store(folder / "store") as store:
        sweep = new_sweep(store, spec, SweepOptions())

        ended = 0

        def say(event: AgentEvent) -> None:
            nonlocal ended
            ended += isinstance(event, Ended)
            if ended >= len(memory) * n / LOOKS:
                memory.append(resident_mb())

        began, cpu = time.perf_counter(), time.process_time()
        tally = work_on(store, sweep, Work(), say, runner=Instant(together))
        seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
        runs = store.runs(sweep_id=sweep.id)
        if tally.ended != n or len({run.id for run in runs}) != n:
            raise RuntimeError(
                f"{n} runs were asked for, {tally.ended} ended, {len(runs)} are kept"
            )
    size = sum(file.stat().st_size for file in (folder / "store").glob("*.db*"))
    return {
        "runs": n,
        "together": together,
        "method": method,
        "wall_s": seconds,
        "cpu_s": cpu,
        "runs_per_s": n / seconds,
        "resident_mb": memory,
        "bytes_per_run": size / n,
    }


if __name__ == "__main__":
    asked_n, asked_together, asked_method = sys.argv[1:]
    with tempfile.TemporaryDirectory() as place:
        found = measure(int(asked_n), int(asked_together), asked_method, Path(place))
    print(json.dumps(found))
