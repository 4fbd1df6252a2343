"""Which rows go where: at random, by group, by time, or in equal shares of every level.

All functions are of positions 0..n-1 and of one integer code per row; they know nothing of tables.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import jax
import numpy as np

from thetahat.core.errors import DataError
from thetahat.data._host_orders import host_order
from thetahat.data._permutation import permutation
from thetahat.data.keys import SPLIT, role_key

GROUPS, ORDER, STRATIFY = "groups", "order", "stratify"


@dataclass(frozen=True)
class Scheme:
    """The rule of a split.

    Args:    kind: "groups", "order" or "stratify".   name: its argument, for messages.
             codes: (n,), of each row its group, its time or its level: 0..len(labels)-1.
             labels: the groups, times or levels, sorted; for messages.
    """

    kind: str
    name: str
    codes: np.ndarray
    labels: Sequence[Any]

    def taken(self, rows: np.ndarray) -> Scheme:
        """Return the scheme of some of the rows."""
        found, codes = np.unique(self.codes[rows], return_inverse=True)
        return Scheme(self.kind, self.name, codes, [self.labels[i] for i in found])


def shuffled(seed: Any, n: int) -> np.ndarray:
    """Return the order of n things for a seed that Python knows."""
    made = host_order(seed, SPLIT, n)  # JAX compiles a program for every n
    if made is not None:
        return made
    with jax.ensure_compile_time_eval():
        return np.asarray(permutation(role_key(seed, SPLIT), n, once=True))


def cut(scheme: Scheme, sizes: Sequence[int], seed: int) -> list[np.ndarray]:
    """Divide rows into parts of about these sizes, none of which is 0.

    Groups and equal times stay whole: a cut moves to the nearest border between two of them. Strata
    are cut to the row. Rows beyond the sizes are left out: of an order, the earliest.

    Raises:  DataError: fewer groups or times than parts.
    """
    n = len(scheme.codes)
    if scheme.kind == STRATIFY:
        return _cut_strata(scheme.codes, sizes, seed)
    count = len(scheme.labels)
    if count < len(sizes):
        what = "group" if scheme.kind == GROUPS else "different value"
        raise DataError(
            f"{scheme.name} has {count} {what}{'s' * (count > 1)} for {len(sizes)} parts, and none"
            " may be in two; leave a part out, or give more of them"
        )
    place = np.arange(count)
    if scheme.kind == GROUPS:
        place[shuffled(seed, count)] = np.arange(count)
    rows = np.argsort(place[scheme.codes], kind="stable")
    ends = np.concatenate([[0], np.cumsum(np.bincount(place[scheme.codes], minlength=count))])
    first = n - sum(sizes) if scheme.kind == ORDER else 0
    borders = _nearest(ends, first + np.concatenate([[0], np.cumsum(sizes)]))
    return [rows[a:b] for a, b in pairwise(borders)]


def _nearest(ends: np.ndarray, wanted: np.ndarray) -> list[int]:
    """Choose increasing ends, each the nearest that leaves one end for each that follows."""
    at, chosen = -1, list[int]()
    for left, cut_at in zip(range(len(wanted) - 1, -1, -1), wanted, strict=True):
        free = ends[at + 1 : len(ends) - left]
        at += 1 + int(np.argmin(np.abs(free - cut_at)))
        chosen.append(int(ends[at]))
    return chosen


def _cut_strata(codes: np.ndarray, sizes: Sequence[int], seed: int) -> list[np.ndarray]:
    order = shuffled(seed, len(codes))
    strata = [order[codes[order] == code] for code in range(int(codes.max()) + 1)]
    left = np.array([len(rows) for rows in strata])
    parts = []
    for size in sizes:
        take = _shared_out(left, size)
        parts.append(np.concatenate([rows[:k] for rows, k in zip(strata, take, strict=True)]))
        strata = [rows[k:] for rows, k in zip(strata, take, strict=True)]
        left = left - take
    mixed = shuffled(seed, len(codes)).argsort()
    return [part[np.argsort(mixed[part], kind="stable")] for part in parts]


def _shared_out(counts: np.ndarray, size: int) -> np.ndarray:
    """Share out ``size`` rows in proportion to counts, to the row, by largest remainders."""
    exact = counts * size / counts.sum()
    take = np.floor(exact + 1e-9).astype(int)
    rest = exact - take
    for i in np.argsort(-rest, kind="stable")[: size - int(take.sum())]:
        take[i] += 1
    return take


def folds(scheme: Scheme | None, n: int, k: int, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return k pairs of (training, held-out) rows; every row is held out once, except by time.

    By time, the fold's training rows are all that are earlier than its held-out rows, as in
    scikit-learn's ``TimeSeriesSplit``.

    Raises:  DataError: fewer groups than folds, or fewer times than k + 1.
    """
    if scheme is not None and scheme.kind == ORDER:
        return _windows(scheme, k)
    if scheme is None:
        fold = np.empty(n, int)
        fold[shuffled(seed, n)] = np.repeat(np.arange(k), _even(n, k))
    elif scheme.kind == GROUPS:
        fold = _fold_of_groups(scheme, k, seed)[scheme.codes]
    else:
        # Levels are dealt out one after the other, so that folds differ by one row at most.
        fold, order = np.empty(n, int), shuffled(seed, n)
        fold[order[np.argsort(scheme.codes[order], kind="stable")]] = np.arange(n) % k
    return [(np.flatnonzero(fold != i), np.flatnonzero(fold == i)) for i in range(k)]


def _even(n: int, k: int) -> list[int]:
    return [n // k + (i < n % k) for i in range(k)]


def _fold_of_groups(scheme: Scheme, k: int, seed: int) -> np.ndarray:
    """Give each group, the largest first, to the fold with the fewest rows."""
    count = len(scheme.labels)
    if count < k:
        raise DataError(
            f"{scheme.name} has {count} groups for {k} folds; give k={count}, or smaller groups"
            if count > 1
            else f"{scheme.name} has a single group ({scheme.labels[0]!r}); folds need two"
        )
    sizes = np.bincount(scheme.codes, minlength=count)
    order = shuffled(seed, count)
    order = order[np.argsort(-sizes[order], kind="stable")]
    filled, fold = np.zeros(k, int), np.empty(count, int)
    for group in order:
        fold[group] = int(filled.argmin())
        filled[fold[group]] += sizes[group]
    return fold


def _windows(scheme: Scheme, k: int) -> list[tuple[np.ndarray, np.ndarray]]:
    n, count = len(scheme.codes), len(scheme.labels)
    if count < k + 1:
        raise DataError(
            f"{scheme.name} has {count} different value{'s' * (count > 1)}, and {k} folds by time"
            f" need {k + 1}:"
            " a first one to train on, and one for each fold"
        )
    rows = np.argsort(scheme.codes, kind="stable")
    ends = np.concatenate([[0], np.cumsum(np.bincount(scheme.codes, minlength=count))])
    size = n // (k + 1)
    borders = _nearest(ends, np.array([0, *range(n - k * size, n + 1, size)]))
    return [(rows[:a], rows[a:b]) for a, b in pairwise(borders[1:])]
