"""Why runs failed, counted."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

_MOST = 20
_DIGITS = re.compile(r"-?\d[\d.e+-]*|\bnan\b|-?\binf\b", re.IGNORECASE)


def join_reasons(found: Sequence[tuple[str, str, int]]) -> list[dict[str, Any]]:
    """Join reasons that differ by their numbers only; the most frequent first.

    Args:    found: status, reason and number of runs, as ``store.failure_reasons`` counts them.
    >>> join_reasons([("failed", "lr is 3", 1), ("failed", "lr is 4", 2)])
    [{'status': 'failed', 'why': 'lr is 3', 'n': 3, 'differ': True}]
    """
    counted: Counter[tuple[str, str]] = Counter()
    told: dict[tuple[str, str], list[str]] = {}
    for status, reason, n in found:
        kind = (status, _DIGITS.sub("#", reason))
        counted[kind] += n
        told.setdefault(kind, []).append(reason)
    return [
        {"status": kind[0], "why": told[kind][0], "n": n, "differ": len(told[kind]) > 1}
        for kind, n in counted.most_common(_MOST)
    ]
