"""Which parameters matter, and how far to believe it: PED-ANOVA and rank correlation.

Importance compares where the best tenth of the runs lie with where all of them lie, parameter by
parameter: the Pearson divergence of the two densities. The same number is computed for random
tenths: what chance gives is the noise floor below which an importance means nothing.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

TOP = 0.1
_BINS = 12
_DRAWS = 40
_LEAST = 10
"""With fewer runs nothing is said."""


@dataclass(frozen=True)
class Effect:
    """What is known of one parameter's effect on the metric."""

    name: str
    n: int
    importance: float | None
    """Its share: the importances of a sweep sum to 1."""
    floor: float | None
    """The share that chance alone would give it, in one case of twenty more."""
    correlation: float | None
    """Spearman's, of the parameter with the metric; None for words."""
    low: float | None
    high: float | None
    """The 95 per cent interval of the correlation."""


def effects(
    columns: Mapping[str, Sequence[Any]], values: Sequence[float], sign: int, seed: int = 0
) -> list[Effect]:
    """The effect of each parameter, the most important first.

    Args:
        columns: by parameter, its value in each run; None where a run lacks it.
        values: the metric of each run, finite.   sign: 1 where less is better, else -1.
    Source:  Watanabe, Bansal & Hutter (2023), PED-ANOVA, with quantiles 0.1 and 1.
    """
    n = len(values)
    best_first = sorted(range(n), key=lambda i: sign * values[i])
    top = best_first[: max(3, math.ceil(TOP * n))]
    rng = random.Random(seed)
    draws = [rng.sample(range(n), len(top)) for _ in range(_DRAWS)] if n >= _LEAST else []
    metric_ranks = ranks(values)
    raw: list[tuple[str, float | None, float | None, Sequence[Any]]] = []
    for name, column in columns.items():
        codes, bins = binned(column)
        if n < _LEAST or bins < 2:
            raw.append((name, None, None, column))
            continue
        shares = _shares(codes, range(n), bins)
        found = _divergence(_shares(codes, top, bins), shares)
        chance = sorted(_divergence(_shares(codes, draw, bins), shares) for draw in draws)
        raw.append((name, found, chance[math.ceil(0.95 * _DRAWS) - 1], column))
    total = sum(found for _, found, _, _ in raw if found is not None)
    made = [_effect(*one, total, values, metric_ranks) for one in raw]
    return sorted(made, key=lambda e: (-(e.importance or 0.0), e.name))


def _effect(
    name: str,
    found: float | None,
    floor: float | None,
    column: Sequence[Any],
    total: float,
    values: Sequence[float],
    metric_ranks: Sequence[float],
) -> Effect:
    known = [i for i, value in enumerate(column) if number(value) is not None]
    rho = low = high = None
    if len(known) >= 4 and len(known) == sum(value is not None for value in column):
        all_known = len(known) == len(values)
        of_metric = metric_ranks if all_known else ranks([values[i] for i in known])
        rho = correlation(ranks([float(column[i]) for i in known]), of_metric)
    if rho is not None:
        low, high = interval(rho, len(known))
    share = None if found is None or total <= 0 else found / total
    line = None if floor is None or total <= 0 else floor / total
    n = sum(value is not None for value in column)
    return Effect(name, n, share, line, rho, low, high)


def binned(column: Sequence[Any]) -> tuple[list[int], int]:
    """A code per run: its value among few, else its place among equally filled bins."""
    keys = [value if number(value) is not None else str(value) for value in column]
    distinct = list(dict.fromkeys(keys))
    if len(distinct) <= _BINS or any(isinstance(key, str) for key in distinct):
        code = {key: i for i, key in enumerate(distinct)}
        return [code[key] for key in keys], len(distinct)
    order = ranks([float(key) for key in keys])
    bins = min(_BINS, max(4, len(keys) // 10))
    return [min(bins - 1, int((rank - 0.5) / len(keys) * bins)) for rank in order], bins


def ranks(values: Sequence[float]) -> list[float]:
    """Ranks from 1, the mean of them where values are equal."""
    order = sorted(range(len(values)), key=values.__getitem__)
    found = [0.0] * len(values)
    start = 0
    while start < len(order):
        end = start
        while end < len(order) and values[order[end]] == values[order[start]]:
            end += 1
        for i in order[start:end]:
            found[i] = (start + 1 + end) / 2
        start = end
    return found


def correlation(x: Sequence[float], y: Sequence[float]) -> float | None:
    """Pearson's correlation; None where one of them does not vary."""
    n = len(x)
    mean_x, mean_y = sum(x) / n, sum(y) / n
    xy = sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True))
    xx = sum((a - mean_x) ** 2 for a in x)
    yy = sum((b - mean_y) ** 2 for b in y)
    if xx <= 0 or yy <= 0:
        return None
    return max(-1.0, min(1.0, xy / math.sqrt(xx * yy)))


def interval(rho: float, n: int) -> tuple[float, float]:
    """The 95 per cent interval of a rank correlation, by Fisher's z (Fieller et al. 1957)."""
    z = math.atanh(max(-0.9999999, min(0.9999999, rho)))
    wide = 1.96 * 1.03 / math.sqrt(max(1, n - 3))
    return math.tanh(z - wide), math.tanh(z + wide)


def number(value: Any) -> float | None:
    """A finite number, or None; truth values count as 0 and 1."""
    if isinstance(value, (int, float)) and math.isfinite(value):
        return float(value)
    return None


def _shares(codes: Sequence[int], which: Sequence[int] | range, bins: int) -> list[float]:
    counts = [0.0] * bins
    for i in which:
        counts[codes[i]] += 1
    return [count / len(which) for count in counts]


def _divergence(top: Sequence[float], every: Sequence[float]) -> float:
    return sum((t / e - 1) ** 2 * e for t, e in zip(top, every, strict=True) if e > 0)
