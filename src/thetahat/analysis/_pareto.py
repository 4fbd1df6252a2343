"""The Pareto front of a sweep with several objectives: what no other run or setting improves on."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from thetahat.analysis._best import counts_by_mean, names_of, replicates_of, seeds_of
from thetahat.analysis._groups import center_word, ending, finite, members_of, settled

if TYPE_CHECKING:
    from thetahat.analysis._search_file import SweepFile
    from thetahat.store import SweepRow, TriedRun


@dataclass(frozen=True)
class FrontPoint:
    """A run of the front, or a setting where settings are replicated."""

    config: Mapping[str, Any]
    """Without the seeds."""
    values: Sequence[float]
    """Of each objective: the run's, or the medians over the setting's runs (means over folds)."""
    ids: Sequence[str]
    name: str
    """Of the run; empty for a setting of several runs."""
    n: int
    """Runs with every number."""

    def listing(self) -> dict[str, Any]:
        """Return it as for JSON."""
        return {**vars(self), "config": dict(self.config)}


@dataclass(frozen=True)
class Front:
    """The front of a sweep, from the best of the first objective."""

    objectives: Sequence[tuple[str, str]]
    """Names and goals."""
    points: Sequence[FrontPoint]
    among: int
    """Runs or settings with every number."""
    replicated: bool
    word: str = "median"
    """What a setting's values are over its runs: "median" or "mean"."""

    def listing(self) -> dict[str, Any]:
        """Return it as for JSON."""
        return {
            "objectives": [{"name": name, "goal": goal} for name, goal in self.objectives],
            "points": [point.listing() for point in self.points],
            "among": self.among,
            "replicated": self.replicated,
            "word": self.word,
        }

    @property
    def says(self) -> str:
        """How large the front is, in words."""
        what = "setting" if self.replicated else "run"
        return f"{len(self.points):,} of {self.among:,} {what}{'s' * (self.among != 1)}"


def pareto_front(points: Sequence[Sequence[float]], signs: Sequence[int]) -> list[int]:
    """Return the places of the points that no other point improves on, from the best of the first.

    A point improves on another if it is at least as good in every objective, and better in one;
    so equal points are all on the front.

    Args:    signs: 1 where less is better, else -1.

    >>> pareto_front([(1, 5), (2, 2), (3, 3), (5, 1)], (1, 1))
    [0, 1, 3]
    """
    costs = [tuple(s * v for s, v in zip(signs, point, strict=True)) for point in points]
    kept: list[int] = []
    front: list[tuple[float, ...]] = []
    two = len(signs) == 2
    # Sorted so, a point can only be improved on by one before it.
    for place in sorted(range(len(costs)), key=costs.__getitem__):
        cost = costs[place]
        if front and cost != front[-1] and any(_covers(f, cost) for f in front[-1 if two else 0 :]):
            continue
        kept.append(place)
        if not front or cost != front[-1]:
            front.append(cost)
    return kept


def _covers(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one != other and all(a <= b for a, b in zip(one, other, strict=True))


def front_of(sweep: SweepRow, file: SweepFile, runs: Sequence[TriedRun]) -> Front:
    """Find the front of a sweep's runs that ended well with every number.

    Settings that are replicated count by their medians (means over folds), once half of their runs
    ended well.
    """
    names = [name for name, _ in file.objectives]
    replicates = replicates_of(sweep)
    found = []
    groups = members_of(runs, set(seeds_of(sweep, names_of(runs))))
    several = replicates > 1 or any(len(members) > 1 for _, members in groups)
    for config, members in groups:
        well = [run for run in members if all(ending(run, name) == "well" for name in names)]
        rows = [[finite(run.metrics.get(name)) for name in names] for run in well]
        whole = [row for row in rows if None not in row]
        if not whole or not settled(len(whole), len(members), replicates):
            continue
        columns = zip(*whole, strict=True)
        center = statistics.fmean if counts_by_mean(sweep) else statistics.median
        values = [center([v for v in column if v is not None]) for column in columns]
        name = members[0].name if len(members) == 1 else ""
        found.append(FrontPoint(config, values, [run.id for run in members], name, len(whole)))
    signs = [-1 if goal == "maximize" else 1 for _, goal in file.objectives]
    best = pareto_front([point.values for point in found], signs)
    word = center_word(by_mean=counts_by_mean(sweep))
    return Front(file.objectives, [found[i] for i in best], len(found), several, word)
