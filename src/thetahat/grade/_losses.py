"""A logged loss against the right value, and against the values that errors give."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

TOLERANCE = 5e-4
"""Relative: programs compute in float32; an error changes a loss by more."""
LARGEST = 1e8


def close(a: float, b: float) -> bool:
    """Whether two losses are the same up to rounding."""
    return math.isfinite(a) and math.isfinite(b) and abs(a - b) <= TOLERANCE * max(abs(a), abs(b))


def mean_square(predicted: np.ndarray, y: np.ndarray) -> float:
    """The mean squared error."""
    with np.errstate(all="ignore"):
        return float(np.mean((predicted - y) ** 2))


def batch_means(predicted: np.ndarray, y: np.ndarray, size: int) -> list[float]:
    """The mean squared error of each batch, in the order of the rows."""
    return [
        mean_square(predicted[i : i + size], y[i : i + size]) for i in range(0, len(y), size)
    ]


def wrong_values(
    predicted: np.ndarray, y: np.ndarray, size: int, n_train: int
) -> Mapping[int, Sequence[float]]:
    """What errors 2, 9 and 7 make of a mean squared error; those that change nothing are left out.

    Args:    size: of a batch.   n_train: observations of the training part.
    """
    right = mean_square(predicted, y)
    means = batch_means(predicted, y, size)
    counts = {math.ceil(n_train / size), max(n_train // size, 1)}
    two = [value / m for m in counts for value in (right, sum(means))]
    two += [right * len(y) / n_train]
    squares = [(predicted[i : i + size], y[i : i + size]) for i in range(0, len(y), size)]
    blocks = [mean_square(p[:, None], t[None]) for p, t in squares]
    sizes = [len(t) for _, t in squares]
    seven = [
        mean_square(predicted[:, None], y[None]),
        float(np.average(blocks, weights=sizes)),
        float(np.mean(blocks)),
    ]
    found = {2: two, 9: [float(np.mean(means))], 7: seven}
    return {
        error: [value for value in values if not close(value, right)]
        for error, values in found.items()
    }


def explain(
    logged: Sequence[float],
    right: Sequence[float],
    wrong: Sequence[Mapping[int, Sequence[float]]],
) -> tuple[int | None, int]:
    """Which error explains all wrong values of a column, and the first place that is wrong.

    Returns: the error, 0 if none is needed, None if none explains it; and the place.
    """
    places = [
        k
        for k, (value, truth) in enumerate(zip(logged, right, strict=True))
        if math.isfinite(truth) and truth < LARGEST and not close(value, truth)
    ]
    if not places:
        return 0, 0
    if 0 not in places and all(logged[k] == 0 or math.isnan(logged[k]) for k in places):
        return 3, places[0]
    for error in (2, 9, 7):
        if all(any(close(logged[k], one) for one in wrong[k][error]) for k in places):
            return error, places[0]
    return None, places[0]
