"""Whether the points of a sweep were drawn whatever the results were; if not, why that matters.

A 95 per cent interval and a chance mark rest on it: points that follow the results move parameters
together, so that one has the correlation of another.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from thetahat.analysis._search_file import SweepFile
    from thetahat.store import SweepRow

_BLIND = ("random", "qmc")
"""Searches of method ``bayes`` that follow no results."""
_SO = "no interval of it is given, and what chance reaches is approximate."
FOLLOWS = (
    "The search chose its points by earlier results, so a rank correlation may be another"
    f" parameter's: {_SO}"
)
IN_ORDER = (
    "Hyperband compared the first points of this grid with fewer runs than the last, so a rank"
    f" correlation may come from their order (--shuffle avoids that): {_SO}"
)


def caution(sweep: SweepRow, file: SweepFile) -> str:
    """Why no interval holds for a sweep, in a sentence; empty where intervals hold.

    Hyperband does no harm to points that are in no order: who is stopped then rests on nothing
    that an irrelevant parameter could know.
    """
    if file.method == "bayes" and sweep.plan.get("sampler") not in _BLIND:
        return FOLLOWS
    if file.method == "grid" and file.stops and not sweep.plan.get("shuffle"):
        return IN_ORDER
    return ""
