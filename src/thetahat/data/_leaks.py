"""Notes on features that are too good: a copy of the target, and a number of the row."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from thetahat.core.errors import notify
from thetahat.data._columns import TableColumn
from thetahat.data._encoder import Encoder, feature_codes

_LEAST_ROWS = 30
_SAMPLE, _NUMBERS = 200, 1 << 21
"""Rows of a first look, and how many numbers it may have."""
_CHANCE = 1e-6
"""Probability below which a perfect order is not taken for chance."""


def say_suspicious(
    encoder: Encoder,
    columns: Mapping[str, TableColumn],
    keep: np.ndarray,
    y: np.ndarray,
    *,
    chosen: bool,
) -> None:
    """Say which features determine the target, or number the rows, in a notice.

    A few rows of all features are looked at first, and all rows of what is left.

    Args:    y: (n,) or (n, K), of the kept rows.   chosen: whether the user listed the features.
    """
    rows = np.flatnonzero(keep)
    names = [feature.name for feature in encoder.features]
    if len(rows) < _LEAST_ROWS or len(names) < 2:
        return
    for j, name in enumerate(encoder.targets or (encoder.target,)):
        target = y[:, j] if encoder.targets else y
        sure = _determine(encoder, columns, rows, target)
        if sure:
            which = " and ".join(map(repr, sure[:3])) + (", ..." if len(sure) > 3 else "")
            _say(
                f"{which} determine{'s' * (len(sure) == 1)} the target {name!r}, as a transform or"
                " a copy of it does; leave out what is not known before the target (ignore=,"
                " --ignore)"
            )
    for name in () if chosen else names:
        if _numbers_rows(columns[name], rows):
            _say(
                f"column {name!r} numbers the rows; if it is an index, leave it out of the features"
                f" (ignore={name!r}, --ignore {name})"
            )


def _determine(
    encoder: Encoder, columns: Mapping[str, TableColumn], rows: np.ndarray, y: np.ndarray
) -> list[str]:
    """List the features of which the target is a monotone or an exact function."""
    features = encoder.features
    size = min(len(rows), max(_LEAST_ROWS, min(_SAMPLE, _NUMBERS // len(features))))
    at = np.linspace(0, len(rows) - 1, size).astype(int)
    some = np.stack([feature_codes(f, columns[f.name], rows[at]) for f in features], axis=1)
    likely = _explained(some, y[at])
    if not likely.any() or _log_orders(y) < math.log(len(features) / _CHANCE):
        return []
    found = [f for f, ok in zip(features, likely, strict=True) if ok]
    return [
        f.name for f in found if _explained(feature_codes(f, columns[f.name], rows)[:, None], y)[0]
    ]


def _explained(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return whether y is a monotone function of each column, or of one with many ties: (d,)."""
    order = np.argsort(x, axis=0, kind="stable")
    xs, ys = np.take_along_axis(x, order, axis=0), y[order]
    step, same = np.diff(ys, axis=0), np.diff(xs, axis=0) == 0
    function = ~np.any(same & (step != 0), axis=0) & ~np.isnan(xs).any(axis=0)
    monotone = np.all(step >= 0, axis=0) | np.all(step <= 0, axis=0)
    return function & (monotone | (same.mean(axis=0) > 0.5))


def _log_orders(y: np.ndarray) -> float:
    """Return the logarithm of the number of different orders of the values of y."""
    counts = np.unique(y, return_counts=True)[1]
    return math.lgamma(len(y) + 1) - sum(math.lgamma(c + 1) for c in counts.tolist())


def _numbers_rows(column: TableColumn, rows: np.ndarray) -> bool:
    if column.kind != "number":
        return False
    values = column.values
    if values[0] not in (0, 1) or values[-1] - values[0] != len(values) - 1:
        return False
    return bool(np.array_equal(values, values[0] + np.arange(len(values)))) and rows.size > 0


def _say(text: str) -> None:
    notify(text)
