"""In which direction a column of a sweep's runs is better: the one place that readers ask."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from thetahat.core.metric import RISKS

if TYPE_CHECKING:
    from thetahat.analysis._search_file import SweepFile
    from thetahat.store import Store


def directions_in(store: Store, sweep_id: str) -> dict[str, Any]:
    """ "min" or "max" of every column of a sweep's runs whose direction is known.

    Runs of experiments say so when they end.
    """
    from thetahat.store import detail_of_sweep

    said = detail_of_sweep(store, sweep_id).get("directions")
    return {**RISKS, **(said if isinstance(said, Mapping) else {})}


def sign_of(metric: str, file: SweepFile, directions: Mapping[str, Any]) -> int:
    """1 where less of a metric is better, -1 where more is.

    The sweep's own metric has the goal of its file; another one has its own direction. Where nobody
    knows, less is better, as in a sweep file without goal.
    """
    if metric == file.metric:
        return -1 if file.goal == "maximize" else 1
    return -1 if directions.get(metric) == "max" else 1
