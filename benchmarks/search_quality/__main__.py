"""Does a search find what Optuna's own TPE finds?

Nine test functions, twenty seeds, one trial after another, each search 500 trials long. Optuna's
TPESampler(multivariate=True, constant_liar=True) is asked in one of three ways:

    (none)         on the way, with our search's trials and seed: is its proposal the same? Where it
                   always is, Optuna's search finds what ours finds
    --independent  as a search of its own, with random numbers of its own
    --long         (not Optuna) 2,000 trials, of which tpe sees the best 25 and the newest 500; the
                   other sees them all

Compared is the regret: the best value, above the function's minimum. A difference is the mean over
seeds of log10(tpe's regret / the other's), with its standard error: below zero tpe is better, and
-0.3 is half the regret.

    python -m benchmarks.search_quality [--smoke] [--independent | --long] [--write]
"""

from __future__ import annotations

import argparse
import math
import statistics
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import optuna

from benchmarks import machine
from thetahat.search import (
    Objective,
    SearchHistory,
    Space,
    Trial,
    _parzen,  # pyright: ignore[reportPrivateUsage]
    make_space,
    sampler,
)
from thetahat.search._parzen import ParzenStudy
from thetahat.search._trial_arrays import trial_arrays

SEEDS, TRIALS, LONG = 20, (100, 250, 500), (500, 1000, 2000)
FLOOR = 1e-12
"""Added to a regret, whose logarithm is taken."""
METRIC = Objective("f")
NOTHING: dict[int, Callable[..., None]] = {}


@dataclass(frozen=True)
class Problem:
    """A function of a config, and its least value."""

    parameters: Mapping[str, Any]
    f: Callable[[Mapping[str, Any]], float]
    least: float = 0.0


def box(f: Callable[[list[float]], float], n: int, low: float, high: float, least: float = 0.0):
    """A function of n numbers between bounds."""
    names = [f"x{i}" for i in range(n)]
    axes = {name: {"min": float(low), "max": float(high)} for name in names}
    return Problem(axes, lambda config: f([config[name] for name in names]), least)


def sphere(x: list[float]) -> float:
    return sum((v - 0.3) ** 2 for v in x)


def rosenbrock(x: list[float]) -> float:
    return sum(100 * (b - a * a) ** 2 + (1 - a) ** 2 for a, b in pairwise(x))


def ackley(x: list[float]) -> float:
    n, y = len(x), [v - 1.2 for v in x]
    wide = -20 * math.exp(-0.2 * math.sqrt(sum(v * v for v in y) / n))
    return wide - math.exp(sum(math.cos(2 * math.pi * v) for v in y) / n) + 20 + math.e


def rastrigin(x: list[float]) -> float:
    y = [v - 0.7 for v in x]
    return 10 * len(y) + sum(v * v - 10 * math.cos(2 * math.pi * v) for v in y)


def styblinski(x: list[float]) -> float:
    return sum(v**4 - 16 * v * v + 5 * v for v in x) / 2


def branin(x: list[float]) -> float:
    a, b = 15 * x[0] - 5, 15 * x[1]
    bow = b - 5.1 / (4 * math.pi**2) * a * a + 5 / math.pi * a - 6
    return bow * bow + 10 * (1 - 1 / (8 * math.pi)) * math.cos(a) + 10


_A = ((10, 3, 17, 3.5, 1.7, 8), (0.05, 10, 17, 0.1, 8, 14))
_A += ((3, 3.5, 1.7, 10, 17, 8), (17, 8, 0.05, 10, 0.1, 14))
_P = ((1312, 1696, 5569, 124, 8283, 5886), (2329, 4135, 8307, 3736, 1004, 9991))
_P += ((2348, 1451, 3522, 2883, 3047, 6650), (4047, 8828, 8732, 5743, 1091, 381))


def hartmann(x: list[float]) -> float:
    return -sum(
        c * math.exp(-sum(a * (v - p / 1e4) ** 2 for a, p, v in zip(row, places, x, strict=True)))
        for c, row, places in zip((1.0, 1.2, 3.0, 3.2), _A, _P, strict=True)
    )


def training(config: Mapping[str, Any]) -> float:
    """A validation loss as of a net: a rate, a width, a depth, an optimizer, a penalty."""
    rate, penalty = math.log10(config["lr"]) + 2.5, math.log10(config["decay"]) + 4
    best = {"adam": 0.0, "sgd": 0.8, "rmsprop": 0.3}[config["optimizer"]]
    size = math.log2(config["width"]) - 6 + 0.3 * (config["depth"] - 2)
    return (rate + best) ** 2 + 0.3 * size**2 + 0.1 * penalty**2 + 0.2 * best


def coffee(config: Mapping[str, Any]) -> float:
    """Choices whose best number depends on the choice."""
    target = {"a": 0.2, "b": 0.5, "c": 0.9, "d": 0.7}[config["kind"]]
    rest = {"a": 0.3, "b": 0.1, "c": 0.0, "d": 0.2}[config["kind"]]
    return (config["x"] - target) ** 2 + rest + 0.05 * abs(config["n"] - 13) / 20


_RATES = {"distribution": "log_uniform_values", "min": 1e-6, "max": 1.0}
PROBLEMS = {
    "sphere, 6": box(sphere, 6, -1, 1),
    "Rosenbrock, 4": box(rosenbrock, 4, -2, 2),
    "Ackley, 5": box(ackley, 5, -5, 5),
    "Rastrigin, 4": box(rastrigin, 4, -5, 5),
    "Styblinski-Tang, 5": box(styblinski, 5, -5, 5, -39.16616570377142 * 5),
    "Branin": box(branin, 2, 0, 1, 0.397887357729738),
    "Hartmann, 6": box(hartmann, 6, 0, 1, -3.322368011391339),
    "rate, width, depth, optimizer": Problem(
        {
            "lr": _RATES,
            "decay": _RATES,
            "width": {"min": 4, "max": 512},
            "depth": {"min": 1, "max": 6},
            "optimizer": {"values": ["adam", "sgd", "rmsprop"]},
        },
        training,
    ),
    "choice and its number": Problem(
        {
            "kind": {"values": list("abcd")},
            "x": {"min": 0.0, "max": 1.0},
            "n": {"min": 1, "max": 40},
        },
        coffee,
    ),
}


def ours(
    problem: Problem, seed: int, n: int, checked: Mapping[int, Callable[..., None]] = NOTHING
) -> list[float]:
    """The values of one search by thetahat.

    Args:    checked: called after so many trials.
    """
    space, ask = make_space(problem.parameters), sampler("tpe")
    trials: list[Trial] = []
    for _ in range(n):
        found = ask(space, SearchHistory(trials, len(trials), METRIC), seed, 1)
        value = problem.f(found.configs[0])
        trials.append(Trial(str(len(trials)), found.configs[0], "finished", (value,)))
        if len(trials) in checked:
            checked[len(trials)](space, trials)
    return [trial.values[0] for trial in trials]


def optunas(problem: Problem, seed: int, n: int) -> list[float]:
    """The values of one search by Optuna, whose numbers have the same scales."""
    space = make_space(problem.parameters)
    given = {d.name: _distribution(d) for d in space.searched}
    tpe = optuna.samplers.TPESampler(seed=seed, multivariate=True, constant_liar=True)
    study = optuna.create_study(sampler=tpe)
    values = []
    for _ in range(n):
        trial = study.ask(given)
        codes = (trial.params[d.name] for d in space.searched)
        config = space.config([d.decode(c) for d, c in zip(space.searched, codes, strict=True)])
        values.append(problem.f(config))
        study.tell(trial, values[-1])
    return values


def _distribution(axis: Any) -> optuna.distributions.BaseDistribution:
    if axis.choices is None:
        return optuna.distributions.FloatDistribution(0.0, 1.0)
    if axis.ranked:
        return optuna.distributions.IntDistribution(0, axis.choices - 1)
    return optuna.distributions.CategoricalDistribution(range(axis.choices))


def largest_gap(space: Space, trials: Sequence[Trial], seed: int) -> float:
    """How far Optuna's next proposal is from ours, in the codes of the parameters."""
    codes, losses = trial_arrays(space, SearchHistory(trials, len(trials), METRIC))
    given = {d.name: _distribution(d) for d in space.searched}
    tpe = {"multivariate": True, "constant_liar": True, "n_startup_trials": 0}
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed, **tpe))
    for row, loss in zip(codes.tolist(), losses.tolist(), strict=True):
        params = {
            d.name: c if d.choices is None else int(c)
            for d, c in zip(space.searched, row, strict=True)
        }
        told = {"params": params, "distributions": given, "value": loss}
        study.add_trial(optuna.trial.create_trial(**told))
    theirs = study.ask(given).params
    mine = space.encode(space.config(ParzenStudy(space, codes, losses).ask(seed))) or []
    return max(abs(m - theirs[d.name]) for d, m in zip(space.searched, mine, strict=True))


def same(at: Sequence[int], seeds: int) -> Iterator[tuple[dict[str, Any], list[str]]]:
    """Yield, after every seed, our regrets, and how far Optuna's proposals were from ours."""
    found: dict[str, Any] = {name: {"log10_regrets": [], "gaps": []} for name in PROBLEMS}
    for seed in range(seeds):
        for name, problem in PROBLEMS.items():
            gaps: list[float] = found[name]["gaps"]

            def check(space: Space, trials: list[Trial], gaps: list[float] = gaps) -> None:
                gaps.append(largest_gap(space, trials, 1000 + len(gaps)))

            values = ours(problem, seed, at[-1], dict.fromkeys(at, check))
            found[name]["log10_regrets"].append(regrets(values, at, problem.least))
        head = (
            f"| after {at[-1]:,} trials | regret (log10) | asked of Optuna | same | largest gap |"
        )
        lines = [head, "|---|---|---|---|---|"]
        for name, row in found.items():
            mean = statistics.mean(each[-1] for each in row["log10_regrets"])
            gaps = row["gaps"]
            equal = sum(gap < 1e-9 for gap in gaps)
            lines.append(f"| {name} | {mean:.2f} | {len(gaps)} | {equal} | {max(gaps):.1e} |")
        yield found, lines


def sees_all(problem: Problem, seed: int, n: int) -> list[float]:
    """The values of one search by thetahat that sees every trial."""
    before, _parzen.NEWEST = _parzen.NEWEST, n
    try:
        return ours(problem, seed, n)
    finally:
        _parzen.NEWEST = before


def regrets(values: Sequence[float], at: Sequence[int], least: float) -> list[float]:
    """log10 of the best value's distance to the minimum after so many trials."""
    return [math.log10(max(min(values[:n]) - least, 0.0) + FLOOR) for n in at]


Found = dict[str, list[list[list[float]]]]
"""By problem: for each seed, our and the other's log10 regret after so many trials."""


def measure(
    other: Callable[[Problem, int, int], list[float]], at: Sequence[int], seeds: int
) -> Iterator[Found]:
    """Yield what is known after every seed."""
    found: Found = {name: [] for name in PROBLEMS}
    for seed in range(seeds):
        for name, problem in PROBLEMS.items():
            each = (way(problem, seed, at[-1]) for way in (ours, other))
            found[name].append([regrets(values, at, problem.least) for values in each])
        yield found


def _cells(pairs: list[list[list[float]]], k: int) -> str:
    """Mean log10 regrets, and the mean of the paired differences with its standard error."""
    mine, theirs = ([pair[who][k] for pair in pairs] for who in (0, 1))
    mean, error = _paired(pairs, k)
    means = f"{statistics.mean(mine):.2f} | {statistics.mean(theirs):.2f}"
    return f"{means} | {mean:+.3f} ± {error:.3f}"


def _paired(pairs: list[list[list[float]]], k: int) -> tuple[float, float]:
    gaps = [mine[k] - theirs[k] for mine, theirs in pairs]
    error = statistics.stdev(gaps) / math.sqrt(len(gaps)) if len(gaps) > 1 else math.nan
    return statistics.mean(gaps), error


def table(found: Mapping[str, Any], at: Sequence[int], other: str) -> list[str]:
    """A row for each problem at the last number of trials, and their mean at each number."""
    lines = [f"| after {at[-1]:,} trials | tpe | {other} | difference |", "|---|---|---|---|"]
    lines += [f"| {name} | {_cells(pairs, len(at) - 1)} |" for name, pairs in found.items()]
    for k, n in enumerate(at):
        each = [_paired(pairs, k) for pairs in found.values()]
        mean = statistics.mean(gap for gap, _ in each)
        error = math.sqrt(sum(e * e for _, e in each)) / len(each)
        lines.append(f"| **all, after {n:,}** | | | **{mean:+.3f} ± {error:.3f}** |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.search_quality", description=__doc__
    )
    parser.add_argument("--smoke", action="store_true", help="2 seeds, 30 trials")
    parser.add_argument("--independent", action="store_true", help="Optuna searches by itself")
    parser.add_argument("--long", action="store_true", help="2,000 trials, against all trials seen")
    parser.add_argument("--write", action="store_true", help="benchmarks/results/search-quality-*")
    args = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    at = (20, 30) if args.smoke else LONG if args.long else TRIALS
    seeds = 2 if args.smoke else 5 if args.long else SEEDS
    way, other = (sees_all, "tpe, all") if args.long else (optunas, "Optuna, tpe")
    kind = "-long" if args.long else "-independent" if args.independent else ""
    rounds: Iterator[tuple[Any, list[str]]] = same(at, seeds)
    if kind:
        rounds = ((found, table(found, at, other)) for found in measure(way, at, seeds))
    for k, (found, lines) in enumerate(rounds, 1):
        print("\n".join(lines), flush=True)
        if args.write:
            write(found, [f"Means over {k} seeds.", "", *lines], at, kind)


def write(found: Any, lines: list[str], at: Sequence[int], suffix: str) -> None:
    """Dated Markdown and JSON in ``benchmarks/results``."""
    about = machine.facts(("thetahat", "optuna", "numpy"))
    head = ["# Does a search find what Optuna's own TPE finds?", "", *machine.said(about), ""]
    answer = {"facts": about, "trials": at, "found": found}
    machine.write_results(f"search-quality{suffix}", about, "\n".join([*head, *lines]), answer)


if __name__ == "__main__":
    main()
