"""Wide cohorts: what own data and an own order cost a member, and the memory of 4,096 members.

python -m benchmarks.fits.wide SIZE EPOCHS     prints the MB that the fits of P3 add at most
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import thetahat as th

KINDS = {"shared data and order": (False, False), "own data": (True, False),
         "own order": (False, True), "own data and order": (True, True)}  # fmt: skip


def experiment(problem: Any, epochs: int, own_data: bool, own_order: bool) -> Callable[..., Any]:
    """An experiment on a problem, whose members have data, or an order, of their own."""
    import optax

    x, y, x_val, y_val = problem.data

    def fit(lr: float = 0.01, seed: th.Seed = 0) -> th.Task:
        data = th.Data(train=(x, y), val=(x_val, y_val))
        if own_data:
            n, m = len(x), len(x_val)
            drawn = th.dgp.linear(n + m, 2, 0.01, seed=seed)
            data = th.split(drawn, train=n, val=m, test=0, seed=seed)
        width = problem.width
        net = th.models.Linear(2) if width is None else th.models.MLP(2, width=width, depth=2)
        return th.Task(net, data, optimizer=optax.sgd(lr), epochs=epochs, seed=seed,
                       batch_size=problem.batch,
                       sampling=th.Shuffle(seed=seed) if own_order else "shuffle")  # fmt: skip

    return fit


def configs(problem: Any, size: int) -> list[dict[str, Any]]:
    """Rates and seeds of a cohort."""
    return [{"lr": problem.lr * (1 + k / size) / 2, "seed": k} for k in range(size)]


def by_hand(problem: Any, size: int, epochs: int) -> Callable[[], Any]:
    """Own data and order by hand: ``vmap`` of a scan, with ``jax.random.permutation``."""
    import jax
    import numpy as np

    from benchmarks.fits.__main__ import samples
    from benchmarks.loops.peers import by_hand

    drawn = [np.stack(leaves) for leaves in zip(*samples(problem, size), strict=True)]

    def one(key: Any, data: Any) -> Any:
        def epoch(params: Any, i: Any) -> Any:
            order = jax.random.permutation(jax.random.fold_in(key, i), problem.n)
            params, train, val = by_hand.epoch(problem, params, data, order, problem.lr)
            return params, (train, val)

        start = by_hand.init(problem, key)
        return jax.lax.scan(epoch, start, jax.numpy.arange(epochs))[1]

    fit = jax.jit(jax.vmap(one))
    keys = jax.random.split(jax.random.key(0), size)
    return lambda: jax.block_until_ready(fit(keys, drawn))


def trained_s(make: Callable[..., Any], given: list[dict[str, Any]]) -> float:
    """CPU seconds between the end of the first chunk and that of the last, by epoch."""
    seen: list[tuple[int, float]] = []
    th.fit_many(make, given, mode="vmap",
                progress=lambda p: seen.append((p.epoch, time.process_time())))  # fmt: skip
    (first, began), (last, ended) = seen[0], seen[-1]
    return (ended - began) / (last - first)


def costs(rounds: int, size: int, epochs: int) -> dict[str, float]:
    """CPU microseconds of a step and member of P4, by what members have of their own."""
    from benchmarks.loops.problems import PROBLEMS

    problem = PROBLEMS["P4"]
    given = configs(problem, size)
    makes = {kind: experiment(problem, epochs, *own) for kind, own in KINDS.items()}
    hand = by_hand(problem, size, epochs // 8)
    hand()
    taken: dict[str, list[float]] = {name: [] for name in (*KINDS, "the last, by hand")}
    for _ in range(rounds):
        for kind, make in makes.items():
            taken[kind].append(trained_s(make, given))
        began = time.process_time()
        hand()
        taken["the last, by hand"].append((time.process_time() - began) / (epochs // 8))
    each = 1e6 / (problem.steps * size)
    return {name: each * statistics.median(times) for name, times in taken.items()}


def peak_mb(size: int, epochs: int) -> float:
    """The most megabytes that ``size`` fits of P3 add to a process that has fitted one."""
    command = [sys.executable, "-m", "benchmarks.fits.wide", str(size), str(epochs)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=os.environ)
    return float(done.stdout)


def lines(size: int, found: dict[str, float], memory: tuple[int, float]) -> list[str]:
    """The tables."""
    page = ["", f"{size} members of P4 together, CPU microseconds of a step and member:", ""]
    page += ["| members have | us | over shared |", "|---|---|---|"]
    shared = next(iter(found.values()))
    page += [f"| {name} | {took:.3f} | {took / shared:.1f} |" for name, took in found.items()]
    return [*page, "", f"{memory[0]} members of P3 add at most {memory[1]:.0f} MB to a process."]


def _added_mb(size: int, epochs: int) -> float:
    import psutil

    from benchmarks.loops.problems import PROBLEMS

    problem, me = PROBLEMS["P3"], psutil.Process()
    make, done = experiment(problem, epochs, False, False), threading.Event()
    th.fit(make)
    base = most = me.memory_info().rss

    def watch() -> None:
        nonlocal most
        while not done.wait(0.005):
            most = max(most, me.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    th.fit_many(make, configs(problem, size), mode="vmap")
    done.set()
    watcher.join()
    return (most - base) / 1e6


if __name__ == "__main__":
    print(_added_mb(*map(int, sys.argv[1:])))
