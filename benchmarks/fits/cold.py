"""A cold process to its first result, and a second one, beside the leanest script by hand.

The script by hand imports JAX alone, draws parameters and orders in NumPy, compiles one program for
all epochs, and keeps nothing on disk.

    python -m benchmarks.fits.cold {thetahat,hand} PROBLEM EPOCHS
"""

from __future__ import annotations

import itertools
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from typing import Any

WAYS = ("thetahat, cold", "thetahat, second process", "by hand")


def cpu_s(who: str, problem: str, epochs: int, cache: str) -> float:
    """CPU seconds of a process of its own."""
    command = [sys.executable, "-m", "benchmarks.fits.cold", who, problem, str(epochs)]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, env=os.environ | {"THETAHAT_CACHE": cache})
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measure(rounds: int, epochs: int) -> dict[str, Any]:
    """Median CPU seconds by problem and way, in interleaved rounds."""
    found: dict[str, Any] = {}
    for problem in ("P3", "P4"):
        taken: dict[str, list[float]] = {way: [] for way in WAYS}
        for _ in range(rounds):
            with tempfile.TemporaryDirectory() as cache:
                for way in WAYS:
                    who = "hand" if way == "by hand" else "thetahat"
                    taken[way].append(cpu_s(who, problem, epochs, cache))
        found[problem] = {way: statistics.median(times) for way, times in taken.items()}
    return found


def lines(found: dict[str, Any], epochs: int) -> list[str]:
    """The table."""
    page = ["", f"A process to its first result, {epochs} epochs, CPU seconds:", ""]
    page += ["| problem | process | CPU s | over the script by hand |", "|---|---|---|---|"]
    for problem, ways in found.items():
        for way, took in ways.items():
            page.append(f"| {problem} | {way} | {took:.2f} | {took / ways['by hand']:.2f} |")
    return page


def _first_result(who: str, name: str, epochs: int) -> float:
    from benchmarks.loops.problems import PROBLEMS

    problem = PROBLEMS[name]
    if who == "thetahat":
        import thetahat as th
        from benchmarks.fits.__main__ import task

        return th.fit(task(problem, problem.data, epochs)).risk["val"]
    return _by_hand(problem, epochs)


def _by_hand(problem: Any, epochs: int) -> float:
    import jax
    import numpy as np

    from benchmarks.loops.peers import by_hand

    rng, sizes = np.random.default_rng(0), problem.sizes
    params = [
        (rng.normal(size=(a, b)).astype(np.float32) / np.float32(a**0.5), np.zeros(b, np.float32))
        for a, b in itertools.pairwise(sizes)
    ]
    orders = np.stack([rng.permutation(problem.n) for _ in range(epochs)]).astype(np.int32)

    @jax.jit
    def fit(params: Any, orders: Any, data: Any) -> Any:
        def one(params: Any, order: Any) -> Any:
            params, train, val = by_hand.epoch(problem, params, data, order, problem.lr)
            return params, (train, val)

        return jax.lax.scan(one, params, orders)

    return float(np.asarray(fit(params, orders, problem.data)[1][1])[-1])


if __name__ == "__main__":
    who, name, epochs = sys.argv[1:]
    assert _first_result(who, name, int(epochs)) < 1
