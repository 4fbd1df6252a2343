"""python -m benchmarks.wandb_programs: see the package."""

from __future__ import annotations

import argparse
import importlib.util
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import benchmarks.wandb_programs
from benchmarks import machine

# An agent's environment of a program; the benchmark starts it as an agent does.
from thetahat.sweep.processes._process import environment

ROUNDS = 9
SWEEP_ROUNDS, SWEEP_RUNS = 3, 20
GOAL = 1.3
"""Of the CPU seconds of ``th.log``, at most."""
THETAHAT = "import sys; from thetahat.cli import run; sys.exit(run())"
LOGS = """\
import thetahat as th
for step in range(ROWS):
    th.log({"loss": 1 / (1 + step), "accuracy": step / ROWS})
"""
ASKS = """\
import wandb
with wandb.init(config={"lr": 0.1}) as run:
    for step in range(ROWS):
        run.log({"loss": 1 / (1 + step), "accuracy": step / ROWS})
"""
SWEEP = """\
program: program.py
method: grid
metric: {name: loss}
parameters: {x: {min: 1, max: RUNS}}
"""
Ways = dict[str, tuple[str, dict[str, str]]]


def ways(rows: int) -> Ways:
    """Programs by name, with what their environment has besides."""
    real = {"THETAHAT_WANDB": "real", "WANDB_MODE": "offline", "WANDB_SILENT": "true"}
    found: Ways = {
        "bare Python": ("pass\n", {}),
        "th.log": (LOGS.replace("ROWS", str(rows)), {}),
        "import wandb": (ASKS.replace("ROWS", str(rows)), {}),
    }
    if importlib.util.find_spec("wandb") is not None:
        found["the package, offline"] = (ASKS.replace("ROWS", str(rows)), real)
    return found


def spent(command: Sequence[str], cwd: Path, env: Mapping[str, str]) -> float:
    """CPU seconds of a command and all that it started."""
    before = used()
    done = subprocess.run(
        command, cwd=cwd, env=dict(env), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{command}: exit code {done.returncode}\n{done.stderr[-2000:]}")
    return used() - before


def used() -> float:
    """CPU seconds of all processes that ended so far."""
    found = resource.getrusage(resource.RUSAGE_CHILDREN)
    return found.ru_utime + found.ru_stime


def alone(rows: int, rounds: int, folder: Path) -> dict[str, float]:
    """CPU seconds of a process in an agent's environment."""
    base = {k: v for k, v in os.environ.items() if k != "THETAHAT_WANDB"}
    found: dict[str, list[float]] = {}
    for k in range(rounds + 1):
        for name, (text, more) in ways(rows).items():
            desk = folder / f"{k}-{name.replace(' ', '-')}"
            desk.mkdir(parents=True)
            (desk / "program.py").write_text(text, encoding="utf-8")
            given = {"folder": desk / "run", "run_id": "abc12345", "sweep_id": "s1"}
            env = environment({"x": k}, store=desk / "st", base={**base, **more}, **given)
            found.setdefault(name, []).append(spent([sys.executable, "program.py"], desk, env))
    return {name: statistics.median(times[1:]) for name, times in found.items()}  # the first warms


def in_sweeps(rows: int, rounds: int, runs: int, folder: Path) -> dict[str, float]:
    """CPU seconds of a run of a sweep, the agent's share included."""
    found: dict[str, list[float]] = {}
    for k in range(rounds):
        for name, (text, more) in ways(rows).items():
            if name == "bare Python":  # it logs no metric, which pauses a sweep
                continue
            desk = folder / f"{k}-{name.replace(' ', '-')}"
            desk.mkdir(parents=True)
            (desk / "program.py").write_text(text, encoding="utf-8")
            (desk / "sweep.yaml").write_text(SWEEP.replace("RUNS", str(runs)), encoding="utf-8")
            env = {**os.environ, "THETAHAT_STORE": str(desk / "st"), **more}
            command = [sys.executable, "-c", THETAHAT, "sweep", "sweep.yaml", "--run", "--quiet"]
            found.setdefault(name, []).append(spent(command, desk, env) / runs)
    return {name: statistics.median(times) for name, times in found.items()}


def markdown(found: Mapping[str, Mapping[str, float]], facts: Mapping[str, Any]) -> str:
    """The table of the results."""
    lines = ["# What `import wandb` costs a run", "", *machine.said(facts), ""]
    lines += ["CPU seconds of a run.", ""]
    names = list(dict.fromkeys(name for row in found.values() for name in row))
    lines += [
        f"| | {' | '.join(names)} | import wandb over th.log |",
        "|---|" + "---|" * (1 + len(names)),
    ]
    for what, row in found.items():
        cells = [f"{row[name]:.3f}" if name in row else "" for name in names]
        lines.append(
            f"| {what} | {' | '.join(cells)} | {row['import wandb'] / row['th.log']:.2f} |"
        )
    worst = max(row["import wandb"] / row["th.log"] for row in found.values())
    verdict = "met" if worst <= GOAL else "missed"
    return "\n".join(
        [*lines, "", f"The goal, at most {GOAL} times `th.log`, is {verdict}: {worst:.2f}.", ""]
    )


def main() -> int:
    """Measure, print the page, write it if asked."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.wandb_programs",
        description=benchmarks.wandb_programs.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--smoke", action="store_true", help="few runs; the numbers mean nothing")
    parser.add_argument("--write", action="store_true")
    asked = parser.parse_args()
    machine.as_installed()
    rounds, sweeps, runs = (1, 1, 2) if asked.smoke else (ROUNDS, SWEEP_ROUNDS, SWEEP_RUNS)
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        found = {
            f"a process, {rows} rows": alone(rows, rounds, folder / f"alone{rows}")
            for rows in (1, 100)
        }
        found["a run of a sweep, 100 rows"] = in_sweeps(100, sweeps, runs, folder / "sweeps")
    facts = machine.facts(("thetahat", "wandb"))
    page = markdown(found, facts)
    print(page)
    if asked.write:
        machine.write_results("wandb-programs", facts, page, {**facts, "found": found})
    return 0


if __name__ == "__main__":
    sys.exit(main())
