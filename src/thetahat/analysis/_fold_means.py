"""Settings of a sweep over folds, by the mean of their folds: as its search sees them."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from thetahat.analysis._best import replicates_of
from thetahat.analysis._groups import ending, finite, members_of, settled

if TYPE_CHECKING:
    from thetahat.store import SweepRow, TriedRun


@dataclass(frozen=True)
class FoldMean:
    """A setting: the mean of its folds that ended well, and their standard deviation."""

    config: Mapping[str, Any]
    n: int
    failed: int
    mean: float
    sd: float | None
    """None of one fold."""
    settled: bool
    """Whether at least half of its folds ended well."""


def fold_means(sweep: SweepRow, runs: Sequence[TriedRun], metric: str, sign: int) -> list[FoldMean]:
    """Rank the settings of a sweep with ``--folds``, the best first.

    Args:    sign: 1 where less is better, else -1.
    """
    fold = str((sweep.plan.get("found") or {}).get("seed"))
    found = []
    for config, members in members_of(runs, {fold}):
        ends = [ending(run, metric) for run in members]
        pairs = zip(members, ends, strict=True)
        known = [finite(run.metrics.get(metric)) for run, how in pairs if how == "well"]
        values = [value for value in known if value is not None]
        if values:
            sd = statistics.stdev(values) if len(values) > 1 else None
            enough = settled(len(values), len(members), replicates_of(sweep))
            mean = statistics.fmean(values)
            found.append(FoldMean(config, len(values), ends.count("failed"), mean, sd, enough))
    return sorted(found, key=lambda one: (not one.settled, sign * one.mean))
