"""The trials of a sweep, for its search: one per run, or one per setting."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from thetahat.core.json import plain_value
from thetahat.core.run import Status
from thetahat.search import (
    Categorical,
    Constant,
    Objective,
    SearchHistory,
    Space,
    Trial,
    best_value,
)
from thetahat.store import Followed, Follower, RunRow

PRUNED = "optuna:"
"""How the reason of a run begins that a study's pruner has stopped."""


class SweepTrials:
    """The trials of a sweep, for its search and for early termination.

    Args:    metric: what is improved; the first of several.
             paths: of the parameters that the sweep proposes, in a config; None where a function
             proposes any.
             seed: the parameter that counts replicates, if settings are replicated.
             words: the answer of ``words_of``.
             objectives: all that is improved.
             folds: whether the replicates are folds, which count by their mean.
             prior: earlier runs with their results, for the search alone.
    """

    def __init__(
        self,
        follower: Follower,
        metric: Objective | None,
        paths: tuple[tuple[str, ...], ...] | None,
        seed: str | None = None,
        words: Mapping[tuple[str, ...], Mapping[str, Any]] | None = None,
        objectives: Sequence[Objective] = (),
        *,
        folds: bool = False,
        prior: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        self.follower, self.metric, self.paths, self.seed = follower, metric, paths, seed
        self.objectives = objectives or (() if metric is None else (metric,))
        self._folds, self._prior = folds, [self._earlier(i, run) for i, run in enumerate(prior)]
        self._words = words or {}
        self._done: dict[str, Trial] = {}

    def refresh(self) -> None:
        """Read the new runs and records."""
        self.follower.refresh()

    def proposed(self, config: Mapping[str, Any], *, with_seed: bool = True) -> dict[str, Any]:
        """The part of a run's config that the sweep proposed."""
        if self.paths is None:
            return {k: v for k, v in config.items() if with_seed or k != self.seed}
        found: dict[str, Any] = {}
        for path in self.paths:
            if len(path) == 1 and path[0] == self.seed and not with_seed:
                continue
            value: Any = config
            # A config that a worker has completed has flat names.
            flat = ".".join(path)
            for name in (flat,) if flat in config else path:
                if not isinstance(value, Mapping) or name not in value:
                    break
                value = value[name]
            else:
                at = found
                for name in path[:-1]:
                    at = at.setdefault(name, {})
                known = self._words.get(path)
                at[path[-1]] = known.get(_stored(value), value) if known else value
        return found

    def proposed_of(self, run: RunRow) -> dict[str, Any]:
        """The part of a claimed run's config that the sweep proposed."""
        return self.proposed(run.setting)

    def all(self) -> list[Trial]:
        """One trial per run, in their order."""
        return [self._trial(run) for run in self.follower.runs.values()]

    def history(self, position: int) -> SearchHistory:
        """The history of the search: replicates of a setting are one trial, their center."""
        if self.seed is None:
            return SearchHistory([*self._prior, *self.all()], position, self.metric)
        points: dict[int, list[Followed]] = {}
        for run in self.follower.runs.values():
            points.setdefault(run.point or 0, []).append(run)
        trials = [self._setting(str(point), group) for point, group in points.items()]
        return SearchHistory([*self._prior, *trials], position, self.metric)

    def _earlier(self, i: int, run: Mapping[str, Any]) -> Trial:
        numbers = [run["metrics"].get(one.name) for one in self.objectives]
        value = numbers[0] if numbers else None
        return Trial(f"prior {i}", run["config"], "finished", (), value, numbers)

    def config_of(self, point: int) -> dict[str, Any] | None:
        """The config of a setting that has begun, without its seed."""
        for run in reversed(self.follower.runs.values()):
            if run.point == point:
                return self._proposed_by(run)
        return None

    def _trial(self, run: Followed) -> Trial:
        if not run.status.over:
            self._done.pop(run.id, None)
        if run.id in self._done:
            return self._done[run.id]
        state = "waiting" if run.status is Status.QUEUED else "running"
        if run.status.over:
            # The numbers of runs that were cut short, or never moved, count as failures.
            state = "finished" if run.status.well else "failed"
        value = None if self.metric is None else run.metrics.get(self.metric.name)
        trial = Trial(
            *(run.id, self._proposed_by(run), state, run.values, value),
            numbers=[run.metrics.get(one.name) for one in self.objectives],
            pruned=run.status is Status.STOPPED and run.reason.startswith(PRUNED),
            began=run.created,
            ended=run.finished or "",
        )
        if self.metric is not None and trial.over:
            trial = replace(trial, value=best_value(trial, self.metric))
        if trial.over:
            self._done[run.id] = trial
        return trial

    def _proposed_by(self, run: Followed) -> dict[str, Any]:
        given = run.setting if self.paths is None else run.config
        return self.proposed(given, with_seed=False)

    def _setting(self, point: str, group: list[Followed]) -> Trial:
        trials = [self._trial(run) for run in group]
        config, began = trials[0].config, min(trial.began for trial in trials)
        if not all(trial.over for trial in trials):
            return Trial(point, config, "running", began=began)
        ended = max(trial.ended for trial in trials)
        values = [t.value for t in trials if t.state == "finished" and t.value is not None]
        if not values:
            return Trial(point, config, "failed", began=began, ended=ended)
        well = [trial.numbers for trial in trials if trial.state == "finished"]
        columns = [[v for v in column if v is not None] for column in zip(*well, strict=True)]
        numbers = [self.center(column) if column else None for column in columns]
        return Trial(
            *(point, config, "finished", (), self.center(values)),
            numbers=numbers,
            spread=[statistics.stdev(c) if len(c) > 1 else 0.0 for c in columns],
            began=began,
            ended=ended,
        )

    def center(self, values: Sequence[float]) -> float:
        """Return the number of a setting: the median over seeds, the mean over folds."""
        return statistics.fmean(values) if self._folds else statistics.median(values)


def words_of(space: Space) -> dict[tuple[str, ...], dict[str, Any]]:
    """Map stored texts back to values that JSON lacks, such as inf and lists with it, by path."""
    found: dict[tuple[str, ...], dict[str, Any]] = {}
    for dimension in space.dimensions:
        kind = dimension.distribution
        values: Sequence[Any] = ()
        if isinstance(kind, Constant):
            values = (kind.value,)
        elif isinstance(kind, Categorical):
            values = kind.values
        finite = {_stored(plain_value(value)) for value in values if _is_finite(value)}
        odd = {_stored(plain_value(value)): value for value in values if not _is_finite(value)}
        # A word that is among the values itself stays a word.
        odd = {word: value for word, value in odd.items() if word not in finite}
        if odd:
            found[dimension.path] = odd
    return found


def _stored(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _is_finite(value: Any) -> bool:
    if isinstance(value, Mapping):
        return all(map(_is_finite, value.values()))
    if isinstance(value, (list, tuple)):
        return all(map(_is_finite, value))
    return not isinstance(value, float) or math.isfinite(value)
