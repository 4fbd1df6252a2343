"""python -m benchmarks.goals: see the package."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import benchmarks.goals
from benchmarks import machine
from benchmarks.goals.goals import GOALS, Goal

ROOT = Path(__file__).parents[2]
PARTS: dict[str, tuple[str, ...]] = {
    "fits": (),
    "sweeps": ("--rounds", "3", "--some", "3"),
    "reading": ("--rounds", "3"),
    "web": ("--rounds", "3"),
    "loops": ("--rounds", "3", "--seconds", "0.2"),
}
"""What is run, with the options that keep all of it within twenty minutes."""
BROWSERS = ("reading", "web")
SMOKE = {"reading": ("--runs", "2000", "--rounds", "1", "--chromium", "")}
"""In place of ``--smoke``."""


def main() -> int:
    """Run the benchmarks, print the table, write it if asked; 1 if a benchmark failed."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.goals",
        description=benchmarks.goals.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--smoke", action="store_true", help="all parts, small; the table is old")
    parser.add_argument("--table", action="store_true", help="measure nothing")
    parser.add_argument("--only", default=",".join(PARTS), help="such as fits,reading")
    parser.add_argument("--chromium", default="/usr/bin/chromium", help="'' for no browser")
    asked = parser.parse_args()
    names = [] if asked.table else asked.only.split(",")
    if unknown := set(names) - set(PARTS):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    took = {name: run(name, asked) for name in names}
    failed = [name for name, (code, _) in took.items() if code]
    page = markdown(newest({goal.benchmark for goal in GOALS}), took)
    print(page)
    if asked.write:
        path = machine.RESULTS / f"goals-{time.strftime('%Y-%m-%d', time.gmtime())}.md"
        path.write_text(page, encoding="utf-8")
        print(f"written: {path}")
    return 1 if failed else 0


def run(name: str, asked: argparse.Namespace) -> tuple[int, float]:
    """Run a benchmark on the sources beside this file; return its exit code and seconds.

    One that fails does not stop the others.
    """
    words = [*(SMOKE.get(name, ("--smoke",)) if asked.smoke else PARTS[name])]
    words += ["--write"] if asked.write and not asked.smoke else []
    words += (
        ["--chromium", asked.chromium] if name in BROWSERS and "--chromium" not in words else []
    )
    if name == "web" and not asked.chromium:
        print("web: left out, as it needs a browser", file=sys.stderr)
        return 0, 0.0
    env = {key: value for key, value in os.environ.items() if key not in machine.PINNED}
    env |= {"PYTHONPATH": os.pathsep.join((str(ROOT / "src"), str(ROOT)))}
    for unwanted in ("THETAHAT_CACHE", "PYTHONDONTWRITEBYTECODE"):
        env.pop(unwanted, None)
    began = time.perf_counter()
    print(f"{name}: {' '.join(words)} ...", file=sys.stderr, flush=True)
    command = [sys.executable, "-m", f"benchmarks.{name}", *words]
    done = subprocess.run(command, check=False, cwd=ROOT, env=env, stdout=subprocess.DEVNULL)
    code = done.returncode
    seconds = time.perf_counter() - began
    print(f"{name}: exit code {code} after {seconds:.0f} s", file=sys.stderr, flush=True)
    return code, seconds


def newest(names: set[str]) -> dict[str, tuple[str, dict[str, Any]]]:
    """Read the newest results of each benchmark: their date and the answer."""
    found = {}
    for name in names:
        files = sorted(machine.RESULTS.glob(f"{name}-[0-9]*.json"))
        if files:
            found[name] = (files[-1].stem[-10:], json.loads(files[-1].read_text("utf-8")))
    return found


def markdown(
    known: Mapping[str, tuple[str, Mapping[str, Any]]],
    took: Mapping[str, tuple[int, float]],
    goals: Sequence[Goal] = GOALS,
) -> str:
    """The whole page."""
    lines = [_line(goal, known) for goal in goals]
    reached = sum(" met " in line for line in lines)
    page = ["# Which goals of speed are reached?", ""]
    page += [f"{reached} of {len(goals)}. A line says of which day and commit its number is.", ""]
    page += [
        "| what | goal | measured | | beside it | of |",
        "|---|---|---|---|---|---|",
        *lines,
        "",
    ]
    for name in sorted(known):
        page += [f"## {name}", "", *machine.said(known[name][1]["facts"])]
        if name in took:
            page.append(f"- took {took[name][1]:.0f} s, exit code {took[name][0]}")
        page.append("")
    others = [name for name in took if name not in known]
    page += [f"{name} took {took[name][1]:.0f} s, exit code {took[name][0]}." for name in others]
    return "\n".join(page).rstrip("\n") + "\n"


def _line(goal: Goal, known: Mapping[str, tuple[str, Mapping[str, Any]]]) -> str:
    limit = f"{'at most' if goal.at_most else 'at least'} {goal.limit:g} {goal.unit}".rstrip()
    try:
        day, answer = known[goal.benchmark]
        measured = goal.read(answer)
        beside = goal.also(answer) if goal.also is not None else ""
    except KeyError:  # never measured, or by an older benchmark
        return f"| {goal.what} | {limit} | not measured | | | |"
    verdict = "met" if goal.met(measured) else "**NOT met**"
    number = f"{measured:.3g} {goal.unit}".rstrip()
    of = f"{day}, {answer['facts']['commit']}"
    return f"| {goal.what} | {limit} | {number} | {verdict} | {beside} | {of} |"


if __name__ == "__main__":
    sys.exit(main())
