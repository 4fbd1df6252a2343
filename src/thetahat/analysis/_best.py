"""The leader of a sweep: the best setting by its median where settings are replicated (by the mean
of its folds, as its search sees it), else the best run; for the page, the terminal and the live
line alike."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from thetahat.analysis._groups import (
    QUANTILES,
    Group,
    Spread,
    ending,
    finite,
    flat_config,
    make_group,
    members_of,
    settled,
    spread_of,
)

if TYPE_CHECKING:
    from thetahat.analysis._search_file import SweepFile
    from thetahat.store import RunRow, SweepRow, TriedRun

_SEED = re.compile(r"(^|[._-])(seed|random_state)$", re.IGNORECASE)


def is_seed(name: str) -> bool:
    """Tell by its name whether a parameter is a seed, which is not tuned.

    >>> is_seed("seed"), is_seed("data.seed"), is_seed("random_state"), is_seed("seedling")
    (True, True, True, False)
    """
    return _SEED.search(name) is not None


def seeds_of(sweep: SweepRow, names: Iterable[str]) -> list[str]:
    """List the parameters to average out: seeds by name, those of type ``th.Seed``, and the one
    that ``--replicates`` counts up."""
    found = sweep.plan.get("found") or {}
    declared = {found.get("seed"), *(found.get("seeds") or ())}
    return [name for name in names if name in declared or is_seed(name)]


def replicates_of(sweep: SweepRow) -> int:
    """Return how many runs each setting should have."""
    found = [sweep.plan.get(name) for name in ("replicates", "folds")]
    return max([1, *(n for n in found if isinstance(n, int))])


def counts_by_mean(sweep: SweepRow) -> bool:
    """Tell whether a setting counts by the mean of its runs, which are folds, as the search sees
    it; settings over seeds count by their median."""
    return int(sweep.plan.get("folds") or 1) > 1


def over_folds(sweep: SweepRow, over: Iterable[str]) -> bool:
    """Tell whether the parameters ``over``, which are averaged out, are the folds of a sweep."""
    return counts_by_mean(sweep) and (sweep.plan.get("found") or {}).get("seed") in {*over}


def runs_planned(sweep: SweepRow, names: Iterable[str], over: Iterable[str]) -> int:
    """Return how many runs each group should have if ``over`` is averaged out: the replicates of
    a setting if all seeds are averaged out, else 1.

    Args:    names: of all parameters.
    """
    return replicates_of(sweep) if {*seeds_of(sweep, names)} <= {*over} else 1


def may_repeat(sweep: SweepRow, file: SweepFile) -> bool:
    """Tell whether a sweep may run a setting more than once, with different seeds."""
    searched = (swept.name for swept in file.parameters if not swept.constant)
    return replicates_of(sweep) > 1 or bool(seeds_of(sweep, searched))


@dataclass(frozen=True)
class Standing:
    """How one setting stands: its spread over the runs that ended well, and the others counted."""

    config: Mapping[str, Any]
    """Without the seeds."""
    ids: Sequence[str]
    failed: int
    unfinished: int
    spread: Spread | None
    """None where no run ended well with a number."""
    settled: bool
    """Whether at least half of its runs did."""
    number: int
    """The highest of its runs' numbers."""
    finished: str
    """When the last of them ended."""
    contaminated: bool = False

    @property
    def runs(self) -> int:
        """How many have begun."""
        return len(self.ids)

    def listing(self) -> dict[str, Any]:
        """Return it as for JSON."""
        known = self.spread
        return {
            "config": dict(self.config),
            "runs": self.runs,
            "failed": self.failed,
            "unfinished": self.unfinished,
            "n": 0 if known is None else known.n,
            "median": None if known is None else known.median,
            "mean": None if known is None else known.mean,
            "low": None if known is None else known.low,
            "high": None if known is None else known.high,
            "says": "" if known is None else known.says,
            "settled": self.settled,
            "contaminated": self.contaminated,
        }


def standings(
    runs: Sequence[TriedRun],
    seeds: Iterable[str],
    metric: str,
    sign: int,
    *,
    replicates: int = 1,
    quantiles: Sequence[float] = QUANTILES,
    by_mean: bool = False,
) -> list[Standing]:
    """Rank the settings of a sweep, the best first.

    Args:    sign: 1 where less is better, else -1.   replicates: runs that each is to have.
             by_mean: whether these are folds, which count by their mean.
    """
    found = []
    for config, members in members_of(runs, set(seeds)):
        ends = [ending(run, metric) for run in members]
        values = [
            value
            for run, how in zip(members, ends, strict=True)
            if how == "well" and (value := finite(run.metrics.get(metric))) is not None
        ]
        found.append(
            Standing(
                config=config,
                ids=[run.id for run in members],
                failed=ends.count("failed"),
                unfinished=ends.count("unfinished"),
                spread=spread_of(values, quantiles, by_mean=by_mean) if values else None,
                settled=settled(len(values), len(members), replicates),
                number=max(run.number for run in members),
                finished=max(run.finished or "" for run in members),
                contaminated=any(run.contaminated for run in members),
            )
        )
    return sorted(found, key=lambda one: _place(one, sign))


def settings_of(
    sweep: SweepRow,
    runs: Sequence[RunRow],
    metric: str | None = None,
    quantiles: Sequence[float] = QUANTILES,
    shared: frozenset[str] = frozenset(),
) -> list[Group]:
    """Group the runs of a sweep by setting, in the order of their first runs."""
    seeds = seeds_of(sweep, dict.fromkeys(n for run in runs for n in flat_config(run.setting)))
    return [
        make_group(
            config, members, quantiles, metric=metric, shared=shared, by_mean=counts_by_mean(sweep)
        )
        for config, members in members_of(runs, seeds)
    ]


def _place(one: Standing, sign: int) -> tuple[int, float]:
    if one.spread is None:
        return (2, 0.0)
    return (0 if one.settled else 1, sign * one.spread.center)


def tied(found: Sequence[Standing]) -> int:
    """Count the settings that share the first place with one number.

    Args:    found: as ``standings`` gives them.
    """
    if not found or found[0].spread is None:
        return 0
    first, center = found[0], found[0].spread.center
    return sum(
        one.spread is not None and one.spread.center == center and one.settled == first.settled
        for one in found
    )


def running_best(
    found: Sequence[Standing], sign: int, at: Callable[[Standing], Any]
) -> list[tuple[Any, float]]:
    """List the steps of the best setting so far; a setting counts when the last of its runs has
    begun or ended, and only if it is settled.

    Args:    at: where a setting stands, such as its number.
    """
    steps: list[tuple[Any, float]] = []
    for one in sorted((s for s in found if s.settled and s.spread), key=at):
        assert one.spread is not None
        if not steps or sign * one.spread.center < sign * steps[-1][1]:
            steps.append((at(one), one.spread.center))
    return steps


def names_of(runs: Iterable[TriedRun]) -> list[str]:
    """List all parameters of runs, nested names with dots."""
    return list(dict.fromkeys(name for run in runs for name in flat_config(run.setting)))
