"""How long does a sweep take to propose its next trial?

Eight parameters (four real, two integers, two lists), or their values in lists for a grid. A search
that has run 100, 1,000 or 10,000 trials proposes one more, that trial ends, and so on; medians
of such asks, warm, all ways interleaved in one process:

    grid, random, qmc, tpe, cmaes, gp   thetahat.search, one ask with the whole history
    anew                                the same, when no trial has been seen before
    Optuna, random or tpe               ask and tell of a study that stays in memory
    stop                                Hyperband's stop set over all trials, 50 values each

    python -m benchmarks.search [--smoke] [--write]
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
from collections.abc import Callable, Iterator

import optuna

from benchmarks import machine
from thetahat.search import (
    Hyperband,
    Objective,
    SearchHistory,
    Space,
    Trial,
    make_space,
    sampler,
    stop,
)

SIZES = (100, 1_000, 10_000)
ASKS = {"gp": 3, "tpe": 15, "cmaes": 15}
METRIC = Objective("val_risk")

REAL = {f"r{i}": {"min": 0.0, "max": 1.0} for i in range(4)}
REST = {
    "n1": {"min": 1, "max": 256},
    "n2": {"min": 1, "max": 8},
    "c1": {"values": ["relu", "tanh", "gelu"]},
    "c2": {"values": ["adam", "sgd"]},
}
SPACE = make_space(REAL | REST)
LISTED = {name: {"values": [k / 8 for k in range(8)]} for name in REAL}
GRID = make_space(LISTED | REST)


def a_history(name: str, space: Space, size: int) -> list[Trial]:
    """Trials that the sampler itself has proposed, or random ones where that takes too long."""
    proposes = name if name in ("grid", "random", "qmc") else "random"
    rng = random.Random(0)
    return [
        Trial(str(i), config, "finished", tuple(rng.random() for _ in range(50)))
        for i, config in enumerate(sampler(proposes)(space, SearchHistory(), 1, size))
    ]


def asks(name: str, size: int, *, anew: bool = False) -> Iterator[float]:
    """Seconds of one ask after another, each with the trial of the one before."""
    space, ask = GRID if name == "grid" else SPACE, sampler(name)
    trials = a_history(name, space, size)
    position = size
    while True:
        if anew:
            trials = [Trial(t.id, dict(t.config), t.state, t.values) for t in trials]
            space = make_space((LISTED if name == "grid" else REAL) | REST)
        began = time.perf_counter()
        found = ask(space, SearchHistory(trials, position, METRIC), 1, 1)
        yield time.perf_counter() - began
        position = found.position
        trials = [*trials, Trial(str(len(trials)), found.configs[0], "finished", (0.5,))]


def optuna_asks(name: str, size: int) -> Iterator[float]:
    """Seconds of ask and tell of Optuna's own study in memory."""
    samplers = optuna.samplers
    chosen = samplers.TPESampler(seed=1) if name == "tpe" else samplers.RandomSampler(seed=1)
    study = optuna.create_study(sampler=samplers.RandomSampler(seed=0))
    rng = random.Random(0)
    for _ in range(size):
        study.tell(study.ask(SUGGESTED), rng.random())
    study.sampler = chosen
    while True:
        began = time.perf_counter()
        study.tell(study.ask(SUGGESTED), 0.5)
        yield time.perf_counter() - began


SUGGESTED: dict[str, optuna.distributions.BaseDistribution] = {
    **{name: optuna.distributions.FloatDistribution(0.0, 1.0) for name in REAL},
    "n1": optuna.distributions.IntDistribution(1, 256),
    "n2": optuna.distributions.IntDistribution(1, 8),
    "c1": optuna.distributions.CategoricalDistribution(["relu", "tanh", "gelu"]),
    "c2": optuna.distributions.CategoricalDistribution(["adam", "sgd"]),
}


def stops(size: int) -> Iterator[float]:
    """Seconds of one stop set; one running trial is new each time."""
    trials = a_history("random", SPACE, size)
    while True:
        trials[-1] = Trial("new", {}, "running", tuple([0.9] * 9))
        began = time.perf_counter()
        stop(trials, Hyperband(min_iter=3), METRIC)
        yield time.perf_counter() - began


WAYS: dict[str, Callable[[int], Iterator[float]]] = {
    "grid": lambda size: asks("grid", size),
    "grid, anew": lambda size: asks("grid", size, anew=True),
    "random": lambda size: asks("random", size),
    "qmc": lambda size: asks("qmc", size),
    "tpe": lambda size: asks("tpe", size),
    "tpe, anew": lambda size: asks("tpe", size, anew=True),
    "cmaes": lambda size: asks("cmaes", size),
    "gp": lambda size: asks("gp", size),
    "Optuna, random": lambda size: optuna_asks("random", size),
    "Optuna, tpe": lambda size: optuna_asks("tpe", size),
    "stop": stops,
}
LARGEST = {"gp": 100}
"""What takes minutes is left out."""


def measure(smoke: bool) -> dict[str, dict[str, float]]:
    """Median seconds by way and size; the first ask of each is not counted."""
    found: dict[str, dict[str, float]] = {name: {} for name in WAYS}
    for size in SIZES[: 1 if smoke else None]:
        ways = {n: make(size) for n, make in WAYS.items() if size <= LARGEST.get(n, size)}
        for way in ways.values():
            next(way)
        seen: dict[str, list[float]] = {name: [] for name in ways}
        for turn in range(2 if smoke else 40):
            for name, way in ways.items():
                if turn < ASKS.get(name.removesuffix(", anew").removeprefix("Optuna, "), 40):
                    seen[name].append(next(way))
        for name, times in seen.items():
            found[name][str(size)] = statistics.median(times)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.search", description=__doc__)
    parser.add_argument("--smoke", action="store_true", help="100 trials, two asks")
    parser.add_argument("--write", action="store_true", help="benchmarks/results/search-<date>.*")
    args = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    ways = measure(args.smoke)
    lines = table(ways)
    print("\n".join(lines))
    if args.write:
        write(ways, lines)


def table(ways: dict[str, dict[str, float]]) -> list[str]:
    """Milliseconds an ask, as Markdown."""
    sizes = list(ways["random"])
    heads = " | ".join(f"{int(size):,} trials" for size in sizes)
    rows = [f"| ms an ask | {heads} |", "|---" * (1 + len(sizes)) + "|"]
    for name, row in ways.items():
        cells = (f"{1e3 * row[s]:.2f}" if s in row else "" for s in sizes)
        rows.append(f"| {name} | {' | '.join(cells)} |")
    return rows


def write(ways: dict[str, dict[str, float]], lines: list[str]) -> None:
    """Dated Markdown and JSON in ``benchmarks/results``."""
    about = machine.facts(("thetahat", "optuna", "cmaes", "torch", "numpy", "scipy"))
    head = ["# Milliseconds to propose a trial", "", *machine.said(about), ""]
    page = "\n".join([*head, *lines])
    machine.write_results("search", about, page, {"facts": about, "seconds": ways})


if __name__ == "__main__":
    main()
