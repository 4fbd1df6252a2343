"""Runs by setting: medians and quantiles over seeds, counts of failures, direction of metrics."""

from __future__ import annotations

import functools
import json
import math
import statistics
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from thetahat.core.errors import ConfigError, did_you_mean
from thetahat.core.metric import RISKS
from thetahat.core.nested import flat_config
from thetahat.core.run import Status

if TYPE_CHECKING:
    from thetahat.analysis._search_file import SweepFile
    from thetahat.store import GroupedRun, Grouping, RunRow, Store, TriedRun

LEAST = 10
"""Settings that importance and intervals need at least."""
R = TypeVar("R", bound="RunRow | TriedRun | GroupedRun")
E = TypeVar("E", bound="RunRow | GroupedRun")
QUANTILES = (0.1, 0.9)
FEW = 5
"""For fewer values the least and the greatest replace the quantiles."""


class Ran(Protocol):
    """A run with a status and metrics."""

    @property
    def status(self) -> Status: ...
    @property
    def metrics(self) -> Mapping[str, float | None]: ...


@dataclass(frozen=True)
class Spread:
    """Where some values lie: their median, two quantiles, and how many they are."""

    n: int
    median: float
    low: float
    high: float
    says: str
    """What low and high are, such as "10 to 90 %"."""
    mean: float | None = None
    """Of a setting's folds, which count by their mean; None where the median counts."""

    @property
    def center(self) -> float:
        """What the setting is ranked by."""
        return self.median if self.mean is None else self.mean

    @property
    def word(self) -> str:
        """The name of ``center``."""
        return center_word(by_mean=self.mean is not None)


def center_word(*, by_mean: bool) -> str:
    """Name what settings are ranked by: the median over seeds, the mean over folds."""
    return "mean" if by_mean else "median"


def center_of(numbers: Mapping[str, float]) -> float:
    """Return what a setting is ranked by, of the numbers of one metric of a Group."""
    return numbers.get("mean", numbers["median"])


def spread_of(
    values: Sequence[float], quantiles: Sequence[float] = QUANTILES, *, by_mean: bool = False
) -> Spread:
    """Compute the spread of at least one value; of fewer than FEW, from least to greatest.

    Args:    by_mean: whether the values are those of folds, which count by their mean.

    >>> spread_of([1.0, 2.0])
    Spread(n=2, median=1.5, low=1.0, high=2.0, says='least to greatest', mean=None)
    >>> spread_of([1.0, 2.0, 3.0, 4.0, 5.0]).says
    '10 to 90 %'
    """
    low, high = min(quantiles), max(quantiles)
    if len(values) < FEW:
        ends, says = (min(values), max(values)), "least to greatest"
    else:
        ends = (quantile(values, low), quantile(values, high))
        says = f"{100 * low:g} to {100 * high:g} %"
    mean = statistics.fmean(values) if by_mean else None
    return Spread(len(values), quantile(values, 0.5), *ends, says, mean)


def ending(run: Ran, metric: str | None = None) -> str:
    """Classify a run as "well", "failed" or "unfinished": the one definition for all aggregates.

    Args:    metric: a run that ended with a number of it that is not finite has failed.
    """
    if not run.status.well:
        return "failed" if run.status.failed else "unfinished"
    lost = metric is not None and metric in run.metrics and finite(run.metrics[metric]) is None
    return "failed" if lost else "well"


def settled(n: int, runs: int, replicates: int = 1) -> bool:
    """Tell whether a setting can be judged: at least half of its runs ended well.

    Args:    n: runs with a number.   runs: all that began.   replicates: that it is to have.
    """
    return n > 0 and 2 * n >= max(runs, replicates)


@dataclass(frozen=True)
class Group:
    """The runs of one setting: a config without what is averaged out."""

    config: Mapping[str, Any]
    runs: int
    """All of them, failed ones included."""
    failed: int
    """Those that failed, diverged or were rejected."""
    unfinished: int
    """Those that are not over, were cancelled or interrupted, or did not move."""
    metrics: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """By metric: n, median, and quantiles such as q10, over the runs that ended well with a finite
    value; of folds their mean too, which then counts in place of the median."""
    contaminated: bool = False
    shared_order: bool = False
    """Whether its runs share the order of their minibatches: their spread is then too small."""
    experiment: str = ""
    """The experiment of the runs, if several are listed."""

    @property
    def same(self) -> bool:
        """Whether several runs gave the same numbers, so that what is averaged out changes none."""
        counts = [numbers["n"] for numbers in self.metrics.values()]
        spreads = [
            {value for name, value in numbers.items() if name != "n"}
            for numbers in self.metrics.values()
        ]
        return bool(counts) and min(counts) > 1 and all(len(values) == 1 for values in spreads)

    def listing(self) -> dict[str, Any]:
        """Return it as for JSON."""
        shared = {"shared_order": True} if self.shared_order else {}
        of = {"experiment": self.experiment} if self.experiment else {}
        return {
            **of,
            "config": dict(self.config),
            "runs": self.runs,
            "failed": self.failed,
            "unfinished": self.unfinished,
            "metrics": {name: dict(numbers) for name, numbers in self.metrics.items()},
            "contaminated": self.contaminated,
            **shared,
        }


def all_same(groups: Sequence[Group]) -> bool:
    """Tell whether runs of every group gave the same numbers: a band over them shows no spread."""
    several = [group for group in groups if group.runs > 1]
    return bool(several) and all(group.same for group in several)


def best_first(groups: Sequence[Group], metric: str, sign: int, replicates: int = 1) -> list[Group]:
    """Sort settings by what ranks them; unsettled ones follow, then those without a number.

    Args:    sign: 1 where less is better, else -1.   replicates: runs that each is to have.
    """
    return sorted(groups, key=lambda group: place_of(group, metric, sign, replicates))


def place_of(group: Group, metric: str, sign: int, replicates: int = 1) -> tuple[int, float]:
    """Return a key that sorts settings from the best."""
    numbers = group.metrics.get(metric)
    if numbers is None:
        return (2, 0.0)
    enough = settled(int(numbers["n"]), group.runs, replicates)
    return (0 if enough else 1, sign * center_of(numbers))


def group_runs(
    runs: Sequence[RunRow | GroupedRun],
    over: Sequence[str],
    quantiles: Sequence[float] = QUANTILES,
    *,
    metric: str | None = None,
    shared: frozenset[str] = frozenset(),
    by_mean: bool = False,
) -> list[Group]:
    """Group runs by all of their config but the parameters ``over``, which are averaged out.

    Runs of different experiments are never of one group, however equal their configs are.

    Args:    over: names, such as "seed"; dots reach into mappings.
             quantiles: in [0, 1], by linear interpolation (Hyndman and Fan's type 7).
             metric: what is tuned: a run that ends well without a finite number of it has failed.
             shared: ids of runs that share the order of minibatches with others.
             by_mean: whether a group's runs are folds, which count by their mean.
    Returns: groups in the order of their first runs.
    Raises:  ConfigError: no run has such a parameter (the nearest is offered), a bad quantile.
    """
    check_quantiles(quantiles)
    check_over(runs, over)
    return [
        replace(
            make_group(config, members, quantiles, metric=metric, shared=shared, by_mean=by_mean),
            experiment=of,
        )
        for of, mine in by_experiment(runs)
        for config, members in members_of(mine, over)
    ]


def group_by(
    grouping: Grouping,
    quantiles: Sequence[float] = QUANTILES,
    *,
    metric: str | None = None,
    shared: frozenset[str] = frozenset(),
) -> list[Group]:
    """Group runs by the values of columns, as SQL and pandas do.

    Args:    grouping: runs, and their values in columns; runs without a value form a group of their
             own.
             quantiles, metric, shared: as for ``group_runs``.
    Returns: groups in the order of their first runs.
    Raises:  ConfigError: a bad quantile.
    """
    check_quantiles(quantiles)
    names, columns = list(grouping.values), grouping.values.values()
    found: dict[Any, tuple[dict[str, Any], list[Any]]] = {}
    for run, *row in zip(grouping.runs, *columns, strict=True):
        values = dict(zip(names, row, strict=True))
        found.setdefault(_key(values), (values, []))[1].append(run)
    return [
        make_group(values, members, quantiles, metric=metric, shared=shared)
        for values, members in found.values()
    ]


def by_experiment(runs: Sequence[E]) -> list[tuple[str, list[E]]]:
    """Split runs by experiment, with its name; all of them with "" if there is only one."""
    names = dict.fromkeys(run.experiment for run in runs)
    if len([name for name in names if name is not None]) < 2:
        return [("", list(runs))]
    return [(name or "", [run for run in runs if run.experiment == name]) for name in names]


def members_of(runs: Sequence[R], over: Collection[str]) -> list[tuple[dict[str, Any], list[R]]]:
    """Split runs by setting, in the order of their first runs.

    The config of a run that failed before it began lacks the parameters that are not searched: it
    joins the only setting with the same values of the others, if there is one.
    """
    found: dict[Any, tuple[dict[str, Any], list[R]]] = {}
    for run in runs:
        setting = flat_config(run.setting)
        for name in over:
            setting.pop(name, None)
        key = _key(setting)
        if key in found:
            found[key][1].append(run)
        else:
            found[key] = (setting, [run])
    whole = {key for key, one in found.items() if any(r.status.well for r in one[1])}
    _join(found, [key for key in found if key not in whole], whole)
    # Settings of which no run ended well: those that began tell what the others lack.
    lost = [key for key in found if key not in whole]
    _join(found, sorted(lost, key=lambda key: -len(found[key][0])), lost)
    return list(found.values())


def _join(
    found: dict[Any, tuple[dict[str, Any], list[R]]],
    lost: Sequence[Any],
    candidates: Collection[Any],
) -> None:
    """Move the runs of each lost setting to the only candidate that has all of its values."""
    by_names: dict[frozenset[str], dict[Any, list[Any]]] = {}
    for key in lost:
        names = frozenset(found[key][0])
        if names not in by_names:
            projected: dict[Any, list[Any]] = {}
            for other in candidates:
                if other in found and names < found[other][0].keys():
                    projected.setdefault(_part(found[other][0], names), []).append(other)
            by_names[names] = projected
        mine = by_names[names].get(_part(found[key][0], names), [])
        if len(mine) == 1:
            found[mine[0]][1].extend(found.pop(key)[1])


def _part(setting: Mapping[str, Any], names: Iterable[str]) -> Any:
    return _key({name: setting[name] for name in names})


def _key(setting: Mapping[str, Any]) -> Any:
    """Return a hashable key of a setting; true differs from 1."""
    try:
        return frozenset(
            (name, value, value is True or value is False) for name, value in setting.items()
        )
    except TypeError:  # lists
        return json.dumps(setting, sort_keys=True)


def check_over(runs: Sequence[RunRow | GroupedRun], over: Sequence[str]) -> None:
    """Refuse parameters to average out that no run has.

    Raises:  ConfigError: the nearest is offered.
    """
    known = dict.fromkeys(name for run in runs for name in flat_config(run.config))
    for name in over:
        if runs and name not in known:
            raise ConfigError(f"no run has the parameter {name!r}{did_you_mean(name, known)}")


def check_quantiles(quantiles: Sequence[float]) -> None:
    """Refuse numbers outside [0, 1].

    Raises:  ConfigError.
    """
    for q in quantiles:
        if not 0 <= q <= 1:
            raise ConfigError(f"--quantiles: {q:g} is outside [0, 1]; give numbers from 0 to 1")


@functools.cache
def quantile_name(q: float) -> str:
    """Name the column of a quantile.

    >>> quantile_name(0.1), quantile_name(0.025)
    ('q10', 'q2.5')
    """
    return f"q{100 * q:g}"


def quantile(values: Sequence[float], q: float) -> float:
    """Interpolate a quantile linearly between order statistics, as NumPy does.

    >>> quantile([1.0, 2.0, 4.0], 0.25)
    1.5
    """
    return _quantile(sorted(values) if len(values) > 1 else values, q)


def _quantile(ordered: Sequence[float], q: float) -> float:
    if len(ordered) == 1:
        return ordered[0]
    at = q * (len(ordered) - 1)
    low = math.floor(at)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (at - low) * (ordered[high] - ordered[low])


def make_group(
    setting: Mapping[str, Any],
    runs: Sequence[RunRow | TriedRun | GroupedRun],
    quantiles: Sequence[float] = QUANTILES,
    *,
    metric: str | None = None,
    shared: frozenset[str] = frozenset(),
    by_mean: bool = False,
) -> Group:
    """Summarise the runs of one setting.

    Args:    by_mean: whether they are folds, which count by their mean.
    """
    ends = [ending(run, metric) for run in runs]
    done = [run for run, how in zip(runs, ends, strict=True) if how == "well"]
    labels = [*map(quantile_name, quantiles)]
    every = [*labels, "mean"] if by_mean else labels
    # One run a setting is what most large sweeps have.
    alone = done[0].metrics if len(done) == 1 else {}
    metrics: dict[str, dict[str, float]] = {
        name: {"n": 1, "median": one, **dict.fromkeys(every, one)}
        for name, value in alone.items()
        if (one := finite(value)) is not None
    }
    for name in {n: 0 for run in done for n in run.metrics} if not alone else ():
        values = [v for run in done if (v := finite(run.metrics.get(name))) is not None]
        if values:
            values.sort()
            numbers: dict[str, float] = {"n": len(values), "median": _quantile(values, 0.5)}
            for label, q in zip(labels, quantiles, strict=True):
                numbers[label] = _quantile(values, q)
            if by_mean:
                numbers["mean"] = statistics.fmean(values)
            metrics[name] = numbers
    return Group(
        config=setting,
        runs=len(runs),
        failed=ends.count("failed"),
        unfinished=ends.count("unfinished"),
        metrics=metrics,
        contaminated=any(run.contaminated for run in runs),
        shared_order=sum(run.id in shared for run in runs) > 1,
    )


def finite(value: Any) -> float | None:
    """Return a value as a float; None unless it is a finite number."""
    if type(value) is float:
        return value if math.isfinite(value) else None
    plain = isinstance(value, (int, float)) and not isinstance(value, bool)
    return float(value) if plain and math.isfinite(value) else None


def band_words(spread: Spread, digits: int = 4) -> str:
    """Describe in words where values lie.

    >>> band_words(spread_of([1.0, 2.0]))
    'least to greatest: 1 to 2'
    """
    if spread.n == 1:
        return "one run"
    return f"{spread.says}: {spread.low:.{digits}g} to {spread.high:.{digits}g}"


def number(value: Any) -> float | None:
    """Return a finite number, or None; truth values count as 0 and 1."""
    if not isinstance(value, (int, float)):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:  # A whole number beyond all floats.
        return None


def directions_in(store: Store, sweep_id: str) -> dict[str, Any]:
    """Read "min" or "max" of every column of a sweep's runs whose direction is known.

    Runs of experiments say so when they end.
    """
    from thetahat.store import detail_of_sweep

    directions = detail_of_sweep(store, sweep_id).get("directions")
    return {**RISKS, **(directions if isinstance(directions, Mapping) else {})}


def sign_of(metric: str, file: SweepFile, directions: Mapping[str, Any]) -> int:
    """Return 1 if less of a metric is better, -1 if more is.

    The sweep's own metric has the goal of its file; another one has its own direction. By default
    less is better, as in a sweep file without goal.
    """
    if metric == file.metric:
        return -1 if file.goal == "maximize" else 1
    return -1 if directions.get(metric) == "max" else 1
