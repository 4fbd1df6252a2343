"""How many of 100 seeds solve each functional equation of ``examples/equations``, and how well?

    accepted   runs that pass the checks of their Task, and the solutions that they found
    error      99 % quantile of the absolute Euler errors off the points that a run was solved at:
               the median over the runs, and that of the worst accepted run
    one        seconds of one fit alone, compiling included, in this process
    all        wall and CPU seconds of the cohort of 100, compiling included

Investment with 128 firms is fitted from 20 seeds, since a fit takes two CPU seconds; its mean
relative error against the closed form stands below the table.

    python -m benchmarks.equations [--smoke] [--write] [--only NAME ...]
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import machine

machine.pin()

import thetahat as th  # noqa: E402  (threads are pinned before JAX is imported)

FOLDER = Path(__file__).parents[2] / "examples" / "equations"
CASES: dict[str, tuple[str, list[dict[str, Any]]]] = {
    "asset prices, sequential": ("asset_prices", [{"recursive": False}]),
    "asset prices, recursive": ("asset_prices", [{"recursive": True}]),
    "growth, sequential": ("growth", [{"recursive": False}]),
    "growth, recursive": ("growth", [{"recursive": True}]),
    "growth, full depreciation": ("growth", [{"recursive": True, "delta": 1.0, "k0": 0.1}]),
    "growth, two steady states": ("growth_two_states", [{"k0": k} for k in (0.5, 1.0, 3.0, 4.0)]),
    "growth, stochastic": ("growth_stochastic", [{}]),
    "cake eating": ("cake_eating", [{}]),
    "income fluctuation": ("income_fluctuation", [{}]),
    "optimal stopping": ("optimal_stopping", [{}]),
    "investment, 128 firms": ("investment", [{}]),
}


def experiment(name: str) -> Any:
    """Import an example and return its experiment."""
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return getattr(module, name)


def measure(case: str, seeds: int) -> dict[str, Any]:
    """Fit one case alone and from many seeds."""
    name, varied = CASES[case]
    model = experiment(name)
    began = time.perf_counter()
    th.fit(model, **varied[0])
    alone = time.perf_counter() - began
    n = max(1, min(seeds, 20) if name == "investment" else seeds // len(varied))
    configs = [{**one, "seed": seed} for one in varied for seed in range(n)]
    wall, cpu = time.perf_counter(), time.process_time()
    fits = th.fit_many(model, configs)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    errors = np.array([fit.tables["errors"]["error"][2] for fit in fits if fit.tables])
    good = [fit.tables["errors"]["error"][2] for fit in fits if fit.accepted]
    found = sorted({fit.solution for fit in fits if fit.solution})
    return {
        "case": case,
        "runs": len(fits),
        "accepted": sum(bool(fit.accepted) for fit in fits),
        "solutions": {one: sum(fit.solution == one for fit in fits) for one in found},
        "median": float(np.median(errors)),
        "worst": float(max(good, default=np.nan)),
        "against": [against for fit in fits if (against := closed(fit)) is not None],
        "one": alone,
        "wall": wall,
        "cpu": cpu,
        "rejected": sorted({fit.reason for fit in fits if not fit.accepted})[:5],
    }


def closed(fit: Any) -> float | None:
    """Return the mean relative error of investment against its closed form; None elsewhere."""
    policy = fit.tables.get("policy", {})
    if "exact" not in policy:
        return None
    return float(np.mean(np.abs(policy["u"] / policy["exact"] - 1)))


def row(found: dict[str, Any]) -> str:
    """Return a line of the table."""
    named = ", ".join(f"{n} {name}" for name, n in found["solutions"].items())
    return (
        f"| {found['case']} | {found['accepted']} of {found['runs']} | {named}"
        f" | {found['median']:.1e} | {found['worst']:.1e} | {found['one']:.1f}"
        f" | {found['wall']:.1f} | {found['cpu']:.1f} |"
    )


def beside(found: dict[str, Any]) -> str:
    """Return a line on the closed form."""
    errors = found["against"]
    return (
        f"{found['case']}: mean relative error against the closed form {np.median(errors):.1e}"
        f" (median over seeds), {max(errors):.1e} (worst)"
    )


HEAD = (
    "| equation | accepted | solutions | error: median | worst accepted | one, s | all, s"
    " | all, CPU s |\n|---|---|---|---|---|---|---|---|"
)


def main() -> int:
    """Measure, print, and write if asked."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.equations",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--smoke", action="store_true", help="4 seeds of two equations")
    parser.add_argument(
        "--only", nargs="+", default=[""], metavar="NAME", help="cases whose names contain one"
    )
    parser.add_argument("--write", action="store_true", help="benchmarks/results/equations-DATE.*")
    args = parser.parse_args()
    cases = [case for case in CASES if any(name in case for name in args.only)]
    cases = ["growth, recursive", "cake eating"] if args.smoke else cases
    print(HEAD, flush=True)
    found = []
    for case in cases:
        found.append(measure(case, 4 if args.smoke else 100))
        print(row(found[-1]), flush=True)
        for reason in found[-1]["rejected"]:
            print("   ", reason, file=sys.stderr)
    notes = [beside(one) for one in found if one["against"]]
    print(*notes, sep="\n")
    facts = machine.facts(("jax", "jaxlib", "numpy", "thetahat"))
    if args.write:
        text = "\n".join(["# Functional equations from 100 seeds", "", *machine.said(facts), "",
                          HEAD, *map(row, found), "", *notes, ""])  # fmt: skip
        machine.write_results("equations", facts, text, {**facts, "found": found})
    return 0


if __name__ == "__main__":
    sys.exit(main())
