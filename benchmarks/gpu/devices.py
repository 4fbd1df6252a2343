"""Do several devices train a cohort faster than one, and the same numbers?

64 seeds of P3 of benchmarks.loops (2-16-16-1 ReLU, N = 1,000, batch 16) as one cohort, on one
device and on several that XLA makes of the CPU; each in a process of its own, in turn, warm. The
machine's cores are not pinned: one device may use the threads that XLA gives it. The members of
several devices are compared with cohorts of as many members on one, bit for bit.

    python -m benchmarks.gpu.devices [--devices 4] [--members 64] [--smoke] [--write]

Exit code 1: a bit differs. Nothing that was timed fails.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks import machine

PACKAGES = ("thetahat", "jax", "jaxlib", "flax", "optax", "numpy")
ROUNDS, EPOCHS = 7, 200
FORCED = "--xla_force_host_platform_device_count="


class Fits:
    """A process with so many devices, which trains the cohort when asked."""

    def __init__(self, devices: int, members: int, epochs: int, cache: str) -> None:
        words = [sys.executable, "-m", "benchmarks.gpu.devices", "--child", str(members)]
        env = {k: v for k, v in os.environ.items() if k not in machine.PINNED}
        env |= {"XLA_FLAGS": f"{FORCED}{devices}", "JAX_PLATFORMS": "cpu", "THETAHAT_CACHE": cache}
        self._process = subprocess.Popen(
            [*words, "--epochs", str(epochs)],
            env=env,
            cwd=Path(__file__).parents[2],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def train(self) -> dict[str, Any]:
        """Train once: seconds an epoch, processor seconds an epoch, and digests of the members."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def close(self) -> None:
        """End the process."""
        self._process.communicate()


def child(members: int, epochs: int) -> None:
    """Train the cohort at each line of input; a cohort of each device's size at the first too."""
    import jax
    import numpy as np

    import thetahat as th
    from benchmarks.loops.peers.ours import experiment
    from benchmarks.loops.problems import PROBLEMS
    from benchmarks.loops.rounds import Stopwatch

    fit_net = experiment(PROBLEMS["P3"])
    for _ in sys.stdin:
        watch, cpu = Stopwatch(), time.process_time()
        configs = [{"seed": seed, "epochs": epochs} for seed in range(members)]
        results = th.fit_many(
            fit_net, configs, mode="vmap", progress=lambda p, watch=watch: watch(p.epoch)
        )
        done, _, wall = watch.measured
        digests = [
            hashlib.sha256(
                b"".join(np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(one.params))
            ).hexdigest()[:16]
            for one in results
        ]
        found = {
            "epoch_s": wall / done,
            "cpu_s": (time.process_time() - cpu) / epochs,
            "width": results[0].provenance.get("members_per_device", members),
            "digests": digests,
        }
        print(json.dumps(found), flush=True)


def measure(devices: int, members: int, epochs: int, rounds: int) -> dict[str, Any]:
    """All numbers."""
    with tempfile.TemporaryDirectory() as cache:
        both = {n: Fits(n, members, epochs, cache) for n in (1, devices)}
        small = Fits(1, -(-members // devices), epochs, cache)
        first = {n: one.train() for n, one in both.items()}  # compiles
        expected = small.train()
        took: dict[int, list[dict[str, Any]]] = {n: [] for n in both}
        for _ in range(rounds):
            for n, one in both.items():
                took[n].append(one.train())
        for one in (*both.values(), small):
            one.close()
    width = first[devices]["width"]
    rows = [
        {
            "devices": n,
            "members_per_device": first[n]["width"],
            "epoch_ms": 1e3 * statistics.median(one["epoch_s"] for one in all_),
            "fastest_ms": 1e3 * min(one["epoch_s"] for one in all_),
            "cpu_ms": 1e3 * statistics.median(one["cpu_s"] for one in all_),
        }
        for n, all_ in took.items()
    ]
    return {
        "question": __doc__.splitlines()[0],  # pyright: ignore[reportOptionalMemberAccess]
        "members": members,
        "rounds": rounds,
        "epochs": epochs,
        "rows": rows,
        "times_faster": rows[0]["epoch_ms"] / rows[1]["epoch_ms"],
        "times_faster_fastest": rows[0]["fastest_ms"] / rows[1]["fastest_ms"],
        "same_bits": first[devices]["digests"][:width] == expected["digests"],
        "facts": machine.facts(PACKAGES),
    }


def markdown(answer: dict[str, Any]) -> str:
    """The whole page."""
    page = [f"# {answer['question']}", ""]
    page += [line for line in machine.said(answer["facts"]) if not line.startswith("- pinned")]
    page += ["", f"{answer['members']} members of P3, {answer['rounds']} rounds in turn:", ""]
    page += ["| devices | members on each | ms an epoch, median | fastest | ms of processor |"]
    page += ["|---|---|---|---|---|"]
    page += [
        f"| {row['devices']} | {row['members_per_device']} | {row['epoch_ms']:.2f} |"
        f" {row['fastest_ms']:.2f} | {row['cpu_ms']:.2f} |"
        for row in answer["rows"]
    ]
    page += [
        "",
        f"Several devices are {answer['times_faster']:.2f} times as fast by the medians,"
        f" {answer['times_faster_fastest']:.2f} by the fastest rounds. The first device's members"
        f" are {'the same bits as' if answer['same_bits'] else 'NOT'} a cohort of as many on one"
        " device.",
    ]
    return "\n".join(page) + "\n"


def main() -> int:
    """Measure, print, and write if asked."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu.devices",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--devices", type=int, default=4)
    parser.add_argument("--members", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--smoke", action="store_true", help="five epochs, one round")
    parser.add_argument("--write", action="store_true", help="benchmarks/results/devices-<date>.*")
    parser.add_argument("--child", type=int, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.child is not None:
        child(asked.child, asked.epochs)
        return 0
    epochs, rounds = (5, 1) if asked.smoke else (asked.epochs, ROUNDS)
    answer = measure(asked.devices, asked.members, epochs, rounds)
    page = markdown(answer)
    print(page)
    if asked.write:
        machine.write_results("devices", answer["facts"], page, answer)
    return 0 if answer["same_bits"] else 1


if __name__ == "__main__":
    sys.exit(main())
