"""Cells: the test risk of one estimator on one fold of one table; a line of JSON each."""

from __future__ import annotations

import datetime
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import machine
from benchmarks.tables.data import TABLES, Problem
from benchmarks.tables.estimators import ESTIMATORS

FOLDS = 5
LEAST = 1e-6
"""Least probability of a class."""
Key = tuple[str, str, int, int]
"""Table, estimator, repeat, fold."""


@dataclass(frozen=True)
class Cell:
    """One measurement.

    Args:    risk: mean squared error, or log loss, of the test rows.   accuracy: of classes.
             variance: of the whole table's y, unless it is a class.   train, test: rows.
             cpu_s: to fit and predict, where known.   commit: what was measured.
    """

    table: str
    estimator: str
    repeat: int
    fold: int
    risk: float
    accuracy: float | None
    variance: float | None
    train: int
    test: int
    cpu_s: float | None
    date: str
    commit: str

    @property
    def key(self) -> Key:
        """Identify the cell."""
        return self.table, self.estimator, self.repeat, self.fold


@cache
def problem(table: str) -> Problem:
    """Read a table once."""
    return TABLES[table]()


def folds(table: str, repeat: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Give rows of train and test, stratified by class: the same for all estimators."""
    from sklearn.model_selection import KFold, StratifiedKFold

    kind = StratifiedKFold if problem(table).classes else KFold
    made = kind(FOLDS, shuffle=True, random_state=repeat)
    yield from made.split(problem(table).x, problem(table).y)


def measured(table: str, estimator: str, repeat: int, fold: int) -> Cell:
    """Fit and judge."""
    train, test = list(folds(table, repeat))[fold]
    given, began = problem(table), time.process_time()
    made = np.asarray(ESTIMATORS[estimator](given, train, test), float)
    cpu_s, y, accuracy, variance = time.process_time() - began, given.y[test], None, None
    if given.classes:
        accuracy = float(np.mean(made.argmax(1) == y))
        made = np.clip(made, LEAST, 1)
        risk = -np.log(made[np.arange(len(y)), y] / made.sum(1)).mean()
    else:
        risk = ((made.reshape(len(y)) - y) ** 2).mean()
        variance = float(f"{given.y.var():.7g}")
    return Cell(
        *(table, estimator, repeat, fold),
        risk=float(f"{risk:.7g}"),
        accuracy=accuracy,
        variance=variance,
        train=len(train),
        test=len(test),
        cpu_s=round(cpu_s, 1),
        date=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        commit=machine.commit(),
    )


def plan(titles: Sequence[str], names: Sequence[str], repeats: int) -> Iterator[Key]:
    """List cells so that every stop leaves a balanced table: fold by fold, cheap ones first."""
    for repeat in range(repeats):
        for fold in range(FOLDS):
            for name in names:
                yield from ((title, name, repeat, fold) for title in titles)


def read(path: Path) -> dict[Key, Cell]:
    """Read a file of cells; of two for the same key the later one counts."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    cells = [Cell(**json.loads(line)) for line in lines]
    return {cell.key: cell for cell in cells}


def append(path: Path, cell: Cell) -> None:
    """Write one more cell."""
    said: dict[str, Any] = asdict(cell)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(said) + "\n")
