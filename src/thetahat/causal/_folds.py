"""Folds of several repetitions, as rows: drawn, or given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from thetahat.core import DataError
from thetahat.core.numbers import whole
from thetahat.data import folds as folds_of

Pair = tuple[np.ndarray, np.ndarray]
"""Rows to train on, and rows to predict."""


def repeated_folds(
    n: int, folds: Any, repetitions: int, seed: int, groups: Any = None, stratify: Any = None
) -> list[list[Pair]]:
    """Draw the folds of every repetition, or read those that are given.

    Args:    folds: a count, or by repetition a list of pairs (train, test) of rows, as
             ``CrossFit.samples``.   seed: repetition r has the folds of ``th.folds`` at seed + r.
    Raises:  DataError: as ``th.folds``; given folds that do not predict every row once, or that
             divide a group.
    """
    whole("repetitions", repetitions, 1, of="crossfit", error=DataError)
    seed = whole("seed", seed, 0, of="crossfit", error=DataError)
    if isinstance(folds, Sequence) and not isinstance(folds, str):
        given = [_checked(n, r, list(one)) for r, one in enumerate(folds)]
        if groups is not None:
            folds_of(np.arange(n), 2, groups=groups)  # refuses missing groups
            _check_whole(given, np.asarray(groups))
        return given
    count = whole("folds", folds, 2, of="crossfit", error=DataError)
    found = []
    for r in range(repetitions):
        made = folds_of(np.arange(n), count, seed=seed + r, groups=groups, stratify=stratify)
        found.append([(data.rows["train"], data.rows["test"]) for data in made])
    return found


def folds_among(n: int, folds: Any, rows: np.ndarray) -> Any:
    """Translate given folds of n rows to folds of some of these rows; a count stays as it is.

    Raises:  DataError: folds that are no lists of pairs, or have rows that there are not.
    """
    if not isinstance(folds, Sequence) or isinstance(folds, str):
        return folds
    place = np.full(n, -1)
    place[rows] = np.arange(len(rows))

    def there(part: np.ndarray) -> np.ndarray:
        found = place[part]
        return found[found >= 0]

    made = []
    for r, one in enumerate(folds):
        pairs = [(there(train), there(test)) for train, test in _read(n, r, list(one))]
        made.append([pair for pair in pairs if pair[1].size])
    return made


def _checked(n: int, repetition: int, pairs: list[Any]) -> list[Pair]:
    """Check that the folds of a repetition predict every row once, by fits without it."""
    where, rows = _where(repetition), _read(n, repetition, pairs)
    held = np.concatenate([test for _, test in rows])
    if not np.array_equal(np.sort(held), np.arange(n)):
        raise DataError(f"{where}: every one of the {n} rows must be in one test part")
    for k, (train, test) in enumerate(rows):
        if not train.size or np.isin(train, test).any():
            raise DataError(f"{where}: fold {k} has no training row, or trains on a test row")
    return rows


def _where(repetition: int) -> str:
    return f"folds, repetition {repetition}"


def _read(n: int, repetition: int, pairs: list[Any]) -> list[Pair]:
    """Read the folds of a repetition as pairs of rows."""
    where = _where(repetition)
    shaped = all(isinstance(pair, Sequence) and len(pair) == 2 for pair in pairs)
    if not pairs or not shaped:
        raise DataError(
            f"{where}: give by repetition a list of pairs (train, test) of rows, as in"
            " [[(train, test), ...], ...]"
        )
    rows = [(np.asarray(train, np.int64), np.asarray(test, np.int64)) for train, test in pairs]
    for k, pair in enumerate(rows):
        every = np.concatenate(pair)
        if every.size and (every.min() < 0 or every.max() >= n):
            raise DataError(f"{where}: fold {k} has rows outside 0 to {n - 1}")
    return rows


def _check_whole(given: list[list[Pair]], groups: np.ndarray) -> None:
    """Check that no group is in the training and the test rows of a fold."""
    for r, pairs in enumerate(given):
        for k, (train, test) in enumerate(pairs):
            divided = np.intersect1d(groups[train], groups[test])
            if divided.size:
                raise DataError(
                    f"folds, repetition {r}: fold {k} trains on rows of the group {divided[0]},"
                    " which it predicts too; give folds that hold whole groups, or a count, such as"
                    " folds=5"
                )
