"""Targets that a loss needs, and the check of the data against them, on the host."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from thetahat.core.errors import DataError
from thetahat.data import NamedRows, blocks

SUM_WITHIN = 1e-3
"""Tolerance of the sum of probabilities in float32 or in printed tables."""

_FEW = 8
"""Number of distinct values that a message lists; it gives more as a range."""


class NotFinite(DataError):
    """Targets that are NaN or infinite."""


def _nothing(values: list[float], k: int | None) -> str:
    """Suggest no fix."""
    del values, k
    return ""


@dataclass(frozen=True)
class Need:
    """Requirement of a loss on each target.

    Args:    said: the requirement in words, for a model with k outputs (None: unknown).
             holds: from targets (n,) or (n, k), and k, to bool, for each target or each number
             of one: which are right.
             fix: from the sorted distinct values (none for targets (n, k)), and k, to words.
    >>> counts = Need(lambda k: "counts, at least 0", lambda y, k: y >= 0)
    >>> counts.holds(np.array([2.0, -1.0]), None)
    array([ True, False])
    """

    said: Callable[[int | None], str]
    holds: Callable[[np.ndarray, int | None], np.ndarray]
    fix: Callable[[list[float], int | None], str] = _nothing


def _rows(good: np.ndarray) -> np.ndarray:
    """Return, for each target whether all components are good, (n,)."""
    return np.asarray(good.reshape(len(good), -1).all(1))


def _is_class(y: np.ndarray, k: int | None) -> np.ndarray:
    if y.ndim > 1:
        off = np.abs(y.reshape(len(y), -1).sum(1) - 1)
        return _rows(y >= 0) & (off <= SUM_WITHIN)
    return (y == np.floor(y)) & (y >= 0) & (y < (np.inf if k is None else k))


def _to_binary(values: list[float], k: int | None) -> str:
    inside = bool(values) and values[0] >= 0 and values[-1] <= 1
    if inside:
        return "give loss=th.risk.fractional_logit for shares or probabilities"
    if len(values) == 2:
        low, high = values
        if (low, high) == (-1, 1):
            return "give (y + 1) / 2"
        if high - low == 1:
            return f"give y - {low:g}" if low > 0 else f"give y + {-low:g}"
        return f"give (y == {high:g})"
    if len(values) > 2 and all(value == int(value) for value in values[:99]):
        return f'give loss="cross_entropy" and a model with out={len(values)} for classes'
    return 'give labels, such as (y > 0), or loss="squared" for numbers'


def _to_classes(values: list[float], k: int | None) -> str:
    if not values:
        return "give rows of at least 0 that sum to 1: divide each by its sum"
    if any(value != int(value) for value in values):
        return 'give whole numbers, or loss="squared" for a target that is a number'
    low, high = int(values[0]), int(values[-1])
    outputs = k or 0
    if len(values) == high - low + 1 <= outputs:
        return f"give y - {low}" if low > 0 else f"give y + {-low}"
    if low < 0 or len(values) <= outputs:
        return "give np.unique(y, return_inverse=True)[1]"
    n = len(values) if len(values) < 1000 else high + 1
    return f"give the model out={n}, a score for each class"


FINITE = Need(lambda k: "finite numbers", lambda y, k: np.isfinite(y))
"""Requirement of every loss."""
BINARY = Need(lambda k: "0 or 1", lambda y, k: (y == 0) | (y == 1), _to_binary)
"""Requirement of the logistic loss."""
SHARES = Need(
    lambda k: "numbers from 0 to 1",
    lambda y, k: (y >= 0) & (y <= 1),
    lambda values, k: "give y / max(y), or labels in {0, 1}",
)
"""Requirement of the fractional logit."""
CLASSES = Need(
    lambda k: f"{'0, 1, ...' if k is None else f'0..{k - 1}'} or rows of probabilities",
    _is_class,
    _to_classes,
)
"""Requirement of the cross-entropy."""


def check_targets(
    name: str,
    need: Need,
    where: str,
    y: Any,
    k: int | None,
    hint: str = "",
    names: NamedRows = NamedRows(),
) -> None:
    """Check that targets meet the requirement of a loss.

    Args:    name: of the loss.   where: name of the targets in messages.
             y: (n,) or (n, k), in memory or on disk, read block by block.
             k: outputs of the model, if the loss depends on them.
             hint: how they could be declared as labels, if the loss is one of labels.
             names: names of the rows.
    Raises:  DataError: some do not; the message names the first rows, their values and the fix.
    """
    if not y.shape[0]:
        return
    rows, count, first = 0, 0, list[tuple[int, Any]]()
    for block in blocks(y):
        block = np.asarray(block)
        if block.dtype == bool:
            block = block.astype(np.int8)
        if block.dtype.kind not in "iuf":  # bfloat16, for example
            block = block.astype(np.float64)
        finite = _rows(np.isfinite(block))
        with np.errstate(invalid="ignore"):
            wrong = np.flatnonzero(~(_rows(np.asarray(need.holds(block, k), bool)) & finite))
        if wrong.size:
            own = names.of(rows + wrong)
            some = np.argsort(own, kind="stable")[:3]
            first += [(int(own[i]), block[wrong[i]]) for i in some]
            first = sorted(first, key=lambda one: one[0])[:3]
        count += wrong.size
        rows += len(block)
    if count:
        lost = not all(np.all(np.isfinite(value)) for _, value in first)
        raise (NotFinite if lost else DataError)(
            _message(name, need, where, y, k, count, first, hint, names)
        )


def _message(
    name: str,
    need: Need,
    where: str,
    y: Any,
    k: int | None,
    count: int,
    first: Any,
    hint: str,
    names: NamedRows,
) -> str:
    at = f"{names.word} {names.said([row for row, _ in first], count)}"
    if not all(np.all(np.isfinite(value)) for _, value in first):
        gone = ", ".join(_shown(value) for _, value in first)
        return (
            f"{where} has {count} target{'s' * (count > 1)} that {name} cannot use: {gone} {at};"
            f" {name} needs {need.said(k)}: drop those rows or impute them"
        )
    if len(y.shape) > 1:
        row, value = first[0]
        fix = need.fix([], k) or "fix or drop those rows"
        return (
            f"{where} has the target {_shown(value)} {names.word} {names.said([row], 1)}"
            f" ({count} such); {name} needs {need.said(k)}: {fix}"
        )
    values = _distinct(y)
    few = ", ".join(f"{v:g}" for v in values) if len(values) <= _FEW else _range(y)
    labels = any(need is one for one in (BINARY, SHARES, CLASSES))
    hint = hint if labels and len(values) <= (2 if need is BINARY else _FEW) else ""
    fix = ", or ".join(part for part in (need.fix(values, k), hint) if part)
    return (
        f"{where} has the values {few} ({count} wrong, {at}); {name} needs {need.said(k)}:"
        f" {fix or 'fix or drop those rows'}"
    )


def _shown(value: Any) -> str:
    return f"{value:g}" if np.ndim(value) == 0 else str(np.asarray(value))


def _distinct(y: Any) -> list[float]:
    """List the distinct finite values, sorted; stop when there are thousands."""
    seen: set[float] = set()
    for block in _flat(y):
        seen |= set(np.unique(block[np.isfinite(block)]).tolist())
        if len(seen) > 4096:
            break
    return sorted(seen)


def _range(y: Any) -> str:
    low, high = np.inf, -np.inf
    for block in _flat(y):
        low, high = min(low, float(np.nanmin(block))), max(high, float(np.nanmax(block)))
    return f"{low:g} to {high:g}"


def _flat(y: Any) -> Iterator[np.ndarray]:
    for block in blocks(y):
        yield np.asarray(block, np.float64).ravel()
