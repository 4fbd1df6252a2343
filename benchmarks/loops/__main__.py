"""python -m benchmarks.loops: see the package."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from typing import Any

import benchmarks.loops
from benchmarks import machine

PACKAGES = (
    "thetahat",
    "jax",
    "jaxlib",
    "flax",
    "optax",
    "numpy",
    "torch",
    "lightning",
    "skorch",
    "keras",
)
SMOKE = ("P3", "P4", "P4x64")


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.loops",
        description=benchmarks.loops.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--problems", help="such as P1,P4x64; all by default")
    parser.add_argument(
        "--peers", help="files of benchmarks/loops/peers, such as torch_loader,jax_step"
    )
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.6, help="CPU time of a round")
    parser.add_argument(
        "--smoke", action="store_true", help="seconds: ours and the floor, one round"
    )
    parser.add_argument(
        "--write", action="store_true", help="write benchmarks/results/loops-<date>.*"
    )
    return parser.parse_args()


def main() -> int:
    """Play all rounds, print the tables, write them if asked."""
    asked = arguments()
    machine.pin()
    with tempfile.TemporaryDirectory() as folder:
        # A first call is a cold one; later fits of the same run find their program compiled.
        os.environ["THETAHAT_CACHE"] = folder
        answer = measure(asked)
    from benchmarks.loops import table

    table.check(answer)
    for line in table.bar_lines(answer["bars"]):
        print(line)
    for name, needs in answer["skipped"].items():
        print(f"left out: {name} (not installed: {', '.join(needs)})")
    if asked.write:
        machine.write_results("loops", answer["facts"], table.markdown(answer), answer)
    return 0


def measure(asked: argparse.Namespace) -> dict[str, Any]:
    """The answer: every problem's contestants, and the bars."""
    from benchmarks.loops import bars, contestants, table
    from benchmarks.loops.problems import PROBLEMS

    names = (
        asked.problems.split(",") if asked.problems else list(SMOKE if asked.smoke else PROBLEMS)
    )
    unknown = [name for name in names if name not in PROBLEMS]
    only = asked.peers.split(",") if asked.peers else None
    unknown += [n for n in only or () if n not in {**contestants.SINGLE, **contestants.MANY}]
    if unknown:
        sys.exit(f"unknown: {', '.join(unknown)}")
    rounds, seconds = (1, 0.02) if asked.smoke else (asked.rounds, asked.seconds)
    found, medians, skipped = {}, {}, {}
    for name in names:
        problem = PROBLEMS[name]
        here = list(contestants.invited(problem, [] if asked.smoke else only))
        skipped |= {n: contestants.missing(n) for n in here if contestants.missing(n)}
        played = play(problem, [n for n in here if n not in skipped], rounds, seconds)
        found[name] = table.entries(played)
        medians[name] = {n: c.median for n, c in played.items()}
        print("\n".join(table.lines(name, found[name])), flush=True)
    return {
        "question": "What does a training step cost, every epoch logged, with a validation risk?",
        "facts": machine.facts(PACKAGES),
        "rounds": rounds,
        "seconds_a_round": seconds,
        "problems": found,
        "bars": bars.judged(medians),
        "skipped": skipped,
    }


def play(problem: Any, names: list[str], rounds: int, seconds: float) -> dict[str, Any]:
    """Prepare the contestants of a problem and play the rounds."""
    from benchmarks.loops import contestants
    from benchmarks.loops.rounds import play, ready

    loaded = {name: contestants.load(name) for name in names}
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)
    ready_ones = {}
    for name, module in loaded.items():
        print(f"{problem.name}: {module.NAME} ...", file=sys.stderr, flush=True)
        ready_ones[name] = ready(module.NAME, module.prepare, problem, seconds)
    play(ready_ones, rounds)
    return ready_ones


if __name__ == "__main__":
    sys.exit(main())
