"""python -m benchmarks.startup: see the package."""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from typing import Any

import benchmarks.startup
from benchmarks import machine

PACKAGES = ("thetahat", "jax", "jaxlib", "flax", "optax", "numpy", "torch", "lightning", "keras")
LOADED = "import sys; print(' '.join(m for m in ('jax', 'torch') if m in sys.modules))"
HELP = (
    "import sys; sys.argv = ['thetahat', '--help']; from thetahat.cli import run; sys.exit(run())"
)
LINES = {
    "python": "pass",
    "import thetahat": f"import thetahat; {LOADED}",
    "thetahat --help": HELP,
    "import numpy": "import numpy",
    "import jax": "import jax",
    "import flax.nnx": "from flax import nnx",
    "import torch": "import torch",
    "import lightning": "import lightning",
    "import keras": "import keras",
}
FIRST, SECOND = "a fit, first process", "a fit, second process"
LIMIT_S = 0.2


def main() -> int:
    """Run the rounds, print the table, write it if asked."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.startup",
        description=benchmarks.startup.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--smoke", action="store_true", help="one round, ours alone")
    parser.add_argument("--write", action="store_true")
    asked = parser.parse_args()
    machine.pin()
    machine.as_installed()
    rounds = 1 if asked.smoke else asked.rounds
    answer = measure(rounds, ours_alone=asked.smoke)
    check(answer)
    page = markdown(answer)
    print(page)
    if asked.write:
        machine.write_results("startup", answer["facts"], page, answer)
    return 0


def measure(rounds: int, *, ours_alone: bool) -> dict[str, Any]:
    """Every line's processes, interleaved."""
    lines = {n: code for n, code in LINES.items() if not ours_alone or "thetahat" in n}
    needs = {
        n: code.split()[1].split(".")[0] for n, code in lines.items() if n.startswith("import ")
    }
    absent = [n for n, need in needs.items() if importlib.util.find_spec(need.strip(";")) is None]
    found: dict[str, dict[str, Any]] = {
        n: {"cpu_s": [], "wall_s": []} for n in (*lines, FIRST, SECOND) if n not in absent
    }
    for _ in range(rounds):
        for name, code in lines.items():
            if name in found:
                env = {"KERAS_BACKEND": "jax", **os.environ}
                out = process(found[name], [sys.executable, "-c", code], env)
                if name == "import thetahat":
                    found[name]["loads"] = out.split()
        with tempfile.TemporaryDirectory() as folder:
            for name in (FIRST, SECOND):
                command = [sys.executable, "-m", "benchmarks.startup.experiment"]
                out = process(found[name], command, {**os.environ, "THETAHAT_CACHE": folder})
                for key, value in json.loads(out).items():
                    found[name].setdefault(key, []).append(value)
    return {
        "question": "What does starting cost?",
        "facts": machine.facts(PACKAGES),
        "rounds": rounds,
        "processes": found,
        "bars": bars(found),
        "skipped": absent,
    }


def process(record: dict[str, Any], command: list[str], env: Mapping[str, str]) -> str:
    """Run a process to its end, note its CPU and wall seconds, and hand back what it printed."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(command, env=dict(env), check=True, capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    record["cpu_s"].append(cpu)
    record["wall_s"].append(time.perf_counter() - began)
    return done.stdout


def bars(found: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What the project set itself; never asserted."""
    verdicts = []
    for name in ("import thetahat", "thetahat --help"):
        took = statistics.median(found[name]["cpu_s"])
        bar = f"under {LIMIT_S:g} s of CPU time"
        verdicts.append({"what": name, "bar": bar, "measured": took, "met": took < LIMIT_S})
    loads = len(found["import thetahat"]["loads"])
    misses = max(found[SECOND]["cache_misses"])
    verdicts += [
        {"what": "import thetahat", "bar": "loads no JAX, no torch", "measured": loads,
         "met": not loads},
        {"what": SECOND, "bar": "no compilation anew", "measured": misses, "met": misses == 0},
    ]  # fmt: skip
    return verdicts


def markdown(answer: Mapping[str, Any]) -> str:
    """The whole page."""
    page = ["# What does starting cost?", ""]
    page += [
        f"Processes measured from outside, the median of {answer['rounds']} interleaved rounds."
    ]
    page += ["", *machine.said(answer["facts"]), ""]
    page += ["| process | CPU s | wall s | of it: import / compile / run, s | cache misses |"]
    page += ["|---|---|---|---|---|"]
    for name, record in answer["processes"].items():
        parts, misses = "", ""
        if "compile_s" in record:
            columns = ("import_s", "compile_s", "run_s")
            parts = " / ".join(f"{statistics.median(record[c]):.2f}" for c in columns)
            misses = f"{max(record['cache_misses'])}"
        cpu, wall = (statistics.median(record[c]) for c in ("cpu_s", "wall_s"))
        page.append(f"| {name} | {cpu:.3f} | {wall:.3f} | {parts} | {misses} |")
    page += ["", "| bar | | measured | |", "|---|---|---|---|"]
    for b in answer["bars"]:
        met = "met" if b["met"] else "**NOT met**"
        page.append(f"| {b['what']} | {b['bar']} | {b['measured']:.3g} | {met} |")
    if answer["skipped"]:
        page += ["", f"Not installed, so left out: {', '.join(answer['skipped'])}."]
    return "\n".join(page) + "\n"


def check(answer: Mapping[str, Any]) -> None:
    """The JSON has the shape that readers rely on.

    Raises:  ValueError: it has not.
    """
    again = json.loads(json.dumps(answer, allow_nan=False))
    for name, record in again["processes"].items():
        if len(record["cpu_s"]) != again["rounds"] or not min(record["wall_s"]) > 0:
            raise ValueError(f"{name}: {record}")


if __name__ == "__main__":
    sys.exit(main())
