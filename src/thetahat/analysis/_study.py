"""A sweep as a report shows it: settings from the best, their runs, and small-cell suppression."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from types import NoneType
from typing import TYPE_CHECKING, Any

from thetahat.analysis._best import counts_by_mean, replicates_of, seeds_of
from thetahat.analysis._groups import (
    QUANTILES,
    Group,
    Spread,
    center_of,
    center_word,
    directions_in,
    ending,
    flat_config,
    make_group,
    members_of,
    number,
    place_of,
    quantile,
    settled,
    sign_of,
    spread_of,
)
from thetahat.analysis._importance import Effect, caution, effects
from thetahat.analysis._pareto import pareto_front
from thetahat.analysis._search_file import SweepFile, read_file
from thetahat.core.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from thetahat.store import RunRow, Store, SweepRow

MARKS = {
    "c": "contaminated: tuned on the test set, so its test numbers estimate nothing",
    "s": "one seed: how much of it is luck is not known",
    "f": "some of its runs failed or diverged, and gave no number",
    "u": "some of its runs did not finish: not over, cancelled, interrupted, or nothing moved",
    "e": "stopped early by the search: its number is of fewer epochs than others have",
    "o": "seeds share the order of batches, so its band is too narrow",
    "i": "its runs gave identical numbers: the seed changes nothing, so its band shows no spread",
}
"""Letters beside a number, and their meaning."""
_NO_METRICS = ("epoch", "step", "seconds", "_step", "_runtime", "_timestamp")
"""What scripts log beside their metrics."""
_METRICS_FIRST = ("val_risk", "test_risk", "train_risk")
_OBSERVED = ("n_train", "n_val", "n_test", "n_obs", "n_observations", "N")
"""Names under which experiments report their number of observations."""


@dataclass(frozen=True)
class CellRule:
    """Small-cell suppression: hide numbers that rest on fewer than ``least`` runs."""

    least: int = 1

    def __post_init__(self) -> None:
        if self.least < 1:
            raise ConfigError(f"--min-cell={self.least}: give a whole number of at least 1")

    @property
    def on(self) -> bool:
        """Whether anything can be hidden."""
        return self.least > 1

    @property
    def word(self) -> str:
        """Shown in place of a number.

        >>> CellRule(5).word
        'suppressed (<5)'
        """
        return f"suppressed (<{self.least})"

    def hides(self, n: int) -> bool:
        """Tell whether a number that rests on ``n`` runs is hidden."""
        return self.on and n < self.least

    def hides_count(self, n: int) -> bool:
        """Tell whether the count itself is hidden; 0 reveals nothing."""
        return self.on and 0 < n < self.least

    def hides_run(self, run: RunRow) -> bool:
        """Tell whether a run rests on too few observations, if it says how many there were."""
        found = observations(run)
        return found is not None and self.hides(found)

    def hidden(self, sizes: Sequence[int]) -> list[bool]:
        """Mark the hidden cells; never exactly one, which the total would reveal.

        >>> CellRule(5).hidden([9, 3, 6])
        [False, True, True]
        >>> CellRule(5).hidden([9, 3, 2])
        [False, True, True]
        """
        hides = [self.hides(n) for n in sizes]
        if sum(hides) == 1 and len(sizes) > 1:
            open_cells = [i for i, hidden in enumerate(hides) if not hidden]
            hides[min(open_cells, key=lambda i: (sizes[i], i))] = True
        return hides


@dataclass(frozen=True)
class Setting:
    """One setting of a sweep and its runs, which differ in their seeds alone."""

    varying: Mapping[str, Any]
    """The parameters that vary between settings."""
    group: Group
    runs: Sequence[RunRow]
    values: Sequence[float]
    """The metric of each run that ended with a finite number."""
    hidden: bool = False
    """Whether it rests on too few runs or observations to show its numbers."""
    by_mean: bool = False
    """Whether its runs are folds, which count by their mean; else their median counts."""

    def __repr__(self) -> str:
        values = ", ".join(f"{name}={value!r}" for name, value in self.varying.items())
        word = center_word(by_mean=self.by_mean)
        seen = "no number" if self.center is None else f"{word} {self.center:.6g}"
        of = "" if len(self.values) == len(self.runs) else f"{len(self.values)} of "
        runs = f"{of}{len(self.runs)} run{'s' * (len(self.runs) != 1)}"
        return f"Setting({values}; {'hidden' if self.hidden else seen}, {runs})"

    @property
    def config(self) -> Mapping[str, Any]:
        """All of its parameters but the seeds, as ``th.fit(experiment, **config)`` takes them."""
        return self.group.config

    @cached_property
    def median(self) -> float | None:
        """The median of its values; None where no run has one."""
        return quantile(self.values, 0.5) if self.values else None

    @cached_property
    def center(self) -> float | None:
        """What it is ranked by: the median of its values, or the mean of its folds."""
        return self.spread.center if self.spread is not None else None

    @property
    def stopped(self) -> list[RunRow]:
        """Its runs that the search stopped early."""
        return [run for run in self.runs if run.stopped_early]

    @property
    def spread(self) -> Spread | None:
        """Median and band of its values; None where no run has one."""
        return spread_of(self.values, by_mean=self.by_mean) if self.values else None

    def from_the_middle(self, metric: str) -> list[RunRow]:
        """List its runs that ended well with a number, those nearest to the center first."""
        middle = self.center
        have = [run for run in self.runs if counts(run, metric)]
        return sorted(have, key=lambda run: abs(float(run.metrics[metric] or 0.0) - (middle or 0)))

    @property
    def marks(self) -> str:
        """Letters of MARKS."""
        letters = "c" if self.group.contaminated else ""
        letters += "s" if len(self.values) == 1 else ""
        letters += "f" if self.group.failed else ""
        letters += "u" if self.group.unfinished else ""
        letters += "e" if self.stopped else ""
        letters += "o" if self.group.shared_order else ""
        return letters + ("i" if self.group.same else "")

    @property
    def name(self) -> str:
        """The setting in words."""
        return ", ".join(f"{name}={value_word(value)}" for name, value in self.varying.items())


@dataclass(frozen=True)
class StudyFront:
    """The settings of a sweep with several objectives."""

    objectives: Sequence[tuple[str, str]]
    """Names and goals."""
    points: Sequence[tuple[Setting, Sequence[float]]]
    """Settings with their median, or mean over folds, of each objective."""
    best: Sequence[Setting]
    """Those that no other improves on, from the best of the first objective."""


@dataclass(frozen=True)
class Study:
    """A sweep, read."""

    sweep: SweepRow
    file: SweepFile
    runs: Sequence[RunRow]
    metric: str
    declared: bool
    """Whether the sweep file names the metric."""
    parameters: Sequence[str]
    """Those that vary between settings."""
    seeds: Sequence[str]
    """Those that are averaged out."""
    settings: Sequence[Setting]
    """From the best."""
    rule: CellRule
    sign: int = 1
    """1 where less of the metric is better, else -1."""
    dropped: int = 0
    """Runs left out because they rest on too few observations."""
    quantiles: Sequence[float] = QUANTILES

    @property
    def maximize(self) -> bool:
        """Whether more is better."""
        return self.sign < 0

    @property
    def word(self) -> str:
        """What settings are ranked by: their "median", or the "mean" of their folds."""
        return center_word(by_mean=counts_by_mean(self.sweep))

    @cached_property
    def replicated(self) -> bool:
        """Whether some setting has more than one seed."""
        return any(len(setting.runs) > 1 for setting in self.settings)

    @property
    def contaminated(self) -> bool:
        """Whether it was tuned on the test set."""
        return self.sweep.contaminated or any(run.contaminated for run in self.runs)

    @property
    def axis(self) -> str:
        """The metric as figures name it, with a note if it is contaminated."""
        return f"{self.metric} (contaminated)" if self.contaminated else self.metric

    @property
    def counts(self) -> Counter[str]:
        """Runs by status."""
        return Counter(str(run.status) for run in self.runs)

    @cached_property
    def ends(self) -> Counter[str]:
        """Runs that ended "well", that "failed", and that are "unfinished"."""
        return Counter(ending(run, self.metric) for run in self.runs)

    def settled(self, setting: Setting) -> bool:
        """Tell whether at least half of a setting's runs ended well."""
        return settled(len(setting.values), setting.group.runs, self.replicates)

    @property
    def replicates(self) -> int:
        """How many runs each setting is to have."""
        return replicates_of(self.sweep)

    @cached_property
    def counted(self) -> list[RunRow]:
        """Runs that ended well with a finite number, in the order they were made."""
        return [run for run in self.runs if counts(run, self.metric)]

    @cached_property
    def best_runs(self) -> list[RunRow]:
        """The runs that ended well with a number, the best first."""
        return sorted(self.counted, key=lambda run: self.sign * self.value(run))

    @property
    def leading_runs(self) -> list[RunRow]:
        """Runs of the best settings, the middle ones first, where settings are replicated; else the
        best runs."""
        if not self.replicated:
            return self.best_runs
        found: list[RunRow] = []
        for setting in self.settings:
            if not setting.hidden:
                found += setting.from_the_middle(self.metric)
        return found

    @property
    def units(self) -> list[tuple[Mapping[str, Any], float]]:
        """Settings with what ranks them where they are replicated, else runs with their metric; in
        the order they were made."""
        if not self.replicated:
            return list(zip(self._flat, self.values, strict=True))
        made = sorted(self.settings, key=lambda setting: min(run.number for run in setting.runs))
        return [(s.config, s.center) for s in made if s.center is not None and not s.hidden]

    @property
    def best(self) -> Setting | None:
        """The best setting; None where no run has a number, or all settings are hidden."""
        shown = [s for s in self.settings if s.values and not s.hidden]
        return shown[0] if shown else None

    @property
    def metrics(self) -> list[str]:
        """The metrics that runs have, the sweep's own first."""
        known = dict.fromkeys(
            name for s in self.settings for name in s.group.metrics if name not in _NO_METRICS
        )
        first = [name for name in (self.metric, *_METRICS_FIRST) if name in known]
        return list(dict.fromkeys([*first, *known]))

    def value(self, run: RunRow) -> float:
        """Return a run's metric; only for runs that count."""
        return float(run.metrics[self.metric])  # pyright: ignore[reportArgumentType]

    @cached_property
    def values(self) -> list[float]:
        """The metric of each run that counts."""
        return [self.value(run) for run in self.counted]

    def column(self, name: str) -> list[Any]:
        """Return a parameter's value in each run that counts; None where a run lacks it."""
        if name not in self._columns:
            self._columns[name] = [plain(config.get(name)) for config in self._flat]
        return self._columns[name]

    @cached_property
    def _columns(self) -> dict[str, list[Any]]:
        return {}

    @cached_property
    def _flat(self) -> list[dict[str, Any]]:
        return [flat_config(run.config) for run in self.counted]

    def log(self, name: str) -> bool | None:
        """Tell whether a parameter is searched on a log scale; None if the file does not say."""
        return next((swept.log for swept in self.file.parameters if swept.name == name), None)

    @cached_property
    def effects(self) -> list[Effect]:
        """The effect of each parameter on the metric."""
        columns = {name: self.column(name) for name in self.parameters}
        varying = {k: v for k, v in columns.items() if any(str(one) != str(v[0]) for one in v)}
        return effects(varying, self.values, self.sign, blind=not self.caution)

    @cached_property
    def front(self) -> StudyFront | None:
        """The Pareto front of its settings that are shown; None where it has one objective."""
        if not self.file.objectives:
            return None
        names = [name for name, _ in self.file.objectives]
        points = []
        for setting in self.settings:
            known = [setting.group.metrics.get(name) for name in names]
            whole = [center_of(one) for one in known if one is not None]
            small = any(one is None or self.rule.hides(int(one["n"])) for one in known)
            if self.settled(setting) and not (small or setting.hidden):
                points.append((setting, whole))
        signs = [-1 if goal == "maximize" else 1 for _, goal in self.file.objectives]
        best = pareto_front([values for _, values in points], signs)
        return StudyFront(self.file.objectives, points, [points[i][0] for i in best])

    @property
    def caution(self) -> str:
        """Why no interval holds, in a sentence; empty where the points were drawn blind."""
        return caution(self.sweep, self.file)


def read_study(
    store: Store, sweep: SweepRow, *, metric: str | None = None, rule: CellRule | None = None
) -> Study:
    """Read a sweep's runs, but none of their records.

    Args:    metric: in place of the sweep file's.
    Raises:  ConfigError: a metric that no run has.   StoreError: the store cannot be read.
    """
    from thetahat.store import shared_orders, standing_runs

    rule = rule or CellRule()
    file = read_file(sweep.spec)
    runs = standing_runs(store, sweep_id=sweep.id)
    chosen = _metric(runs, file, metric)
    kept = [run for run in runs if not rule.hides_run(run)] if rule.on else runs
    flat = [flat_config(run.setting) for run in kept]
    names = dict.fromkeys(name for config in flat for name in config)
    # A run that failed at its start lacks the defaults: they do not distinguish settings.
    whole = [c for c, r in zip(flat, kept, strict=True) if r.status.well] or flat
    varying = [n for n in names if _differs(n, whole) or _differs(n, [c for c in flat if n in c])]
    seeds = seeds_of(sweep, names)
    parameters = [name for name in varying if name not in seeds]
    shared, mean = shared_orders(store, sweep.id), counts_by_mean(sweep)
    found = _settings(kept, chosen, parameters, seeds, shared, by_mean=mean)
    hides = rule.hidden([len(setting.values) for setting in found])
    settings = [replace(s, hidden=True) if h else s for s, h in zip(found, hides, strict=True)]
    own = chosen == file.metric
    sign = sign_of(chosen, file, {} if own else directions_in(store, sweep.id))
    settings.sort(key=lambda setting: _place(setting, chosen, sign, replicates_of(sweep)))
    return Study(
        sweep=sweep,
        file=file,
        runs=kept,
        metric=chosen,
        declared=metric is None and file.metric is not None,
        parameters=parameters,
        seeds=[name for name in seeds if name in varying],
        settings=settings,
        rule=rule,
        sign=sign,
        dropped=len(runs) - len(kept),
    )


def _differs(name: str, flat: Sequence[Mapping[str, Any]]) -> bool:
    first = _told_apart(flat[0].get(name)) if flat else None
    return any(_told_apart(config.get(name)) != first for config in flat)


def _told_apart(value: Any) -> Any:
    """Return a key of a config's value: 1, 1.0 and true are three."""
    if type(value) in (int, float, str, bool, NoneType):
        return type(value), value
    return json.dumps(value, sort_keys=True)


def counts(run: RunRow, metric: str) -> bool:
    """Tell whether a run ended well, with a finite number."""
    return run.status.well and number(run.metrics.get(metric)) is not None


def plain(value: Any) -> Any:
    """Return a config's value in a form that can be compared: lists and mappings as JSON."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if type(value) is float:
        return value if math.isfinite(value) else None
    if isinstance(value, float):
        return number(value)
    return json.dumps(value, sort_keys=True)


def value_word(value: Any) -> str:
    """Write a config's value for a sentence."""
    if isinstance(value, float):
        return f"{value:.4g}"
    return str(plain(value)) if value is not None else "none"


def _metric(runs: Sequence[RunRow], file: SweepFile, asked: str | None) -> str:
    known = dict.fromkeys(name for run in runs for name in run.metrics)
    if asked is not None:
        if known and asked not in known:
            raise ConfigError(f"--metric {asked}: no run has it{did_you_mean(asked, known)}")
        return asked
    if file.metric is not None:
        return file.metric
    return next((name for name in (*_METRICS_FIRST, *known) if name in known), "val_risk")


def _place(setting: Setting, metric: str, sign: int, replicates: int) -> tuple[int, float, str]:
    """Sort from the best; hidden settings come last, in an order that reveals nothing."""
    if setting.hidden:
        return (3, 0.0, setting.name)
    return (*place_of(setting.group, metric, sign, replicates), "")


def _settings(
    runs: Sequence[RunRow],
    metric: str,
    parameters: Sequence[str],
    seeds: Sequence[str],
    shared: frozenset[str],
    *,
    by_mean: bool,
) -> list[Setting]:
    settings = []
    for config, mine in members_of(runs, seeds):
        group = make_group(config, mine, metric=metric, shared=shared, by_mean=by_mean)
        values = [float(r.metrics[metric] or 0.0) for r in mine if counts(r, metric)]
        varying = {name: config.get(name) for name in parameters}
        settings.append(Setting(varying, group, mine, values, by_mean=by_mean))
    return settings


def observations(run: RunRow) -> int | None:
    """Find the least number of observations that a run's config or metrics name, or None."""
    known: list[Mapping[str, Any]] = [run.config, run.metrics]
    found = [
        int(section[name])
        for section in known
        for name in _OBSERVED
        if isinstance(section.get(name), (int, float)) and not isinstance(section[name], bool)
    ]
    return min((n for n in found if n > 0), default=None)
