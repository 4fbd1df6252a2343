"""The search of ``method: custom``: an Optuna study that is asked and told as Optuna's own loop is.

The study sees asks and results in the order of the runs in the store. So it proposes what Optuna
proposes for the same seed and results, and an agent that starts later repeats the asks and goes on
with the same proposals. A run that the study did not propose is given to it as a fixed trial.

This file imports Optuna, and is imported when a custom search begins.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import TrialState

from thetahat.core.errors import ConfigError, did_you_mean
from thetahat.core.json import plain_value
from thetahat.core.nested import flat_config
from thetahat.search._distributions import (
    Categorical,
    Constant,
    IntUniform,
    LogUniform,
    Quantised,
    Uniform,
)
from thetahat.search._optuna import quiet
from thetahat.search._space import Dimension, Space
from thetahat.search._trials import Objective, Proposals, SearchHistory, Trial

Define = Callable[[optuna.Trial], Mapping[str, Any]]
"""A user's ``search_space``: it asks a trial for values, and returns a config."""
Terminator = Callable[[optuna.Study], bool]
_PRIMITIVE = (bool, int, float, str, type(None))
_ASKS = 1000
"""Proposals in a row that a constraint may refuse, after which none is left."""
_REPEATS = 20
"""Proposals that an earlier sweep has run, after which one is taken."""
_STOPPED = "`Study.stop` is supposed to be invoked inside"
"""A sampler that is done calls ``stop``, which Optuna refuses outside its own loop."""


def default_study(objectives: Sequence[Objective], name: str, seed: int) -> optuna.Study:
    """Make the study of a file that names no optimizer.

    Args:    name: of a sampler, one of ``STUDY_SAMPLERS``.
    """
    samplers = optuna.samplers
    made: dict[str, Callable[[], optuna.samplers.BaseSampler]] = {
        "tpe": lambda: samplers.TPESampler(seed=seed),
        "nsga2": lambda: samplers.NSGAIISampler(seed=seed),
        "nsga3": lambda: samplers.NSGAIIISampler(seed=seed),
        "gp": lambda: samplers.GPSampler(seed=seed),
        "cmaes": lambda: samplers.CmaEsSampler(seed=seed),
        "qmc": lambda: samplers.QMCSampler(seed=seed),
        "random": lambda: samplers.RandomSampler(seed=seed),
    }
    if name not in made:
        raise ConfigError(f"there is no sampler {name!r}{did_you_mean(name, made)}")
    if len(objectives) > 1 and name == "cmaes":
        raise ConfigError(
            "--sampler=cmaes searches one objective, and the file has several; take tpe, nsga2,"
            " nsga3, gp, qmc or random"
        )
    with quiet():
        return optuna.create_study(
            directions=[one.goal for one in objectives],
            sampler=made[name](),
            pruner=optuna.pruners.NopPruner(),
        )


def prunes(study: optuna.Study) -> bool:
    """Tell whether a study's pruner can stop runs: of several objectives it cannot."""
    return len(study.directions) == 1 and not isinstance(study.pruner, optuna.pruners.NopPruner)


def check_study(study: Any, objectives: Sequence[Objective], where: str) -> optuna.Study:
    """Check that a user's study has the directions and names of the file's metrics.

    Raises:  ConfigError: they differ, or the value is not an Optuna study.
    """
    if not isinstance(study, optuna.Study):
        raise ConfigError(
            f"{where} returned {_kind(study)}; return an optuna.Study, or (study, terminator)"
        )
    asked = [one.goal for one in objectives]
    given = [direction.name.lower() for direction in study.directions]
    if asked != given:
        raise ConfigError(
            f"{where}: the study's directions are {', '.join(given)}, and the goals of the file"
            f" are {', '.join(asked)}; create the study with directions={asked!r}"
        )
    names, known = study.metric_names, [one.name for one in objectives]
    if names and list(names) != known:
        raise ConfigError(
            f"{where}: the study's metric names are {', '.join(names)}, and the file's are"
            f" {', '.join(known)}; give both the same"
        )
    return study


@dataclass(eq=False)
class StudySearch:
    """A sampler behind which one study is kept: a ``Sampler``.

    Args:    make: makes the study, at the first call.
             define: the user's search space; None for that of the file.
             terminator: says when the search is over.
             accepts: whether a config satisfies the constraints.
             chosen: points at the beginning of the sweep that the user chose.
             label: begins messages about the user's functions.
    """

    make: Callable[[], optuna.Study]
    define: Define | None = None
    terminator: Terminator | None = None
    accepts: Callable[[Mapping[str, Any]], bool] | None = None
    chosen: int = 0
    order: Sequence[str] = ()
    """The file's parameters in its order, in which they are drawn."""
    label: str = ""
    prunes: bool = False
    """Whether the study's pruner stops runs."""
    fixed: int = field(default=0, init=False)
    """Trials at the beginning that the study did not propose."""
    _study: optuna.Study | None = None
    _numbers: dict[str, int] = field(default_factory=dict)
    """The study's number of each run."""
    _live: dict[int, optuna.Trial] = field(default_factory=dict)
    _reported: dict[int, int] = field(default_factory=dict)
    """The number of values of each live trial that the pruner knows."""
    _told: set[str] = field(default_factory=set)
    _offered: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    """Proposals that have not come back as runs."""
    _earlier: Sequence[Mapping[str, Any]] = ()
    """Configs of an earlier sweep's runs."""
    _done: bool = False
    _mapped: _Mapped | None = None

    def __call__(self, space: Space, history: SearchHistory, seed: int, n: int) -> Proposals:
        """Tell the study what has happened, and ask it for up to ``n`` configs."""
        with quiet():
            if self._study is None:
                self._study = self.make()
            mapped = None if self.define is not None else _Mapped(space, self.order)
            self._mapped = mapped
            earlier = [t.config for t in history.trials if t.is_prior]
            self.fixed = self.chosen + len(earlier)
            self._earlier = earlier
            self._follow(self._study, mapped, history)
            over = self._terminated(self._study)
            configs: list[dict[str, Any]] = []
            while not over and len(configs) < n:
                if len(self._offered) == len(configs):
                    asked = self._ask(self._study, mapped)
                    if asked is None:
                        over = True
                        break
                    self._offered.append(asked)
                configs.append(self._offered[len(configs)][1])
        return Proposals(configs, history.position + len(configs), exhausted=over)

    def losers(self, trials: Sequence[Trial]) -> set[str]:
        """Return the running trials that the study's pruner stops, judged from their second value.

        They count as pruned once they have ended so.
        """
        found: set[str] = set()
        if self._study is None:
            return found
        with quiet():
            self._follow(self._study, self._mapped, SearchHistory(trials))
            for trial in trials:
                live = self._live.get(self._numbers.get(trial.id, -1))
                if live is None or trial.state != "running" or len(trial.values) < 2:
                    continue
                if any(step and live.should_prune() for step in self._report(live, trial)):
                    found.add(trial.id)
        return found

    def _report(self, live: optuna.Trial, trial: Trial) -> Iterator[int]:
        """Give the pruner the values of a trial that it has not seen, one by one."""
        for step in range(self._reported.get(live.number, 0), len(trial.values)):
            live.report(trial.values[step], step)
            self._reported[live.number] = step + 1
            yield step

    # -- what has happened ----------------------------------------------------------------------

    def _follow(self, study: optuna.Study, mapped: _Mapped | None, history: SearchHistory) -> None:
        """Repeat the asks and results that the study has not seen, in their order."""
        events: list[tuple[str, int, int, Trial]] = []
        for place, trial in enumerate(history.trials):
            if trial.id not in self._numbers:
                events.append((trial.began, 1, place, trial))
            if trial.over and trial.id not in self._told:
                events.append((trial.ended, 0, place, trial))
        for _, asks, place, trial in sorted(events, key=lambda event: event[:3]):
            if asks:
                known = trial.id in self._numbers
                number = None if known else self._adopt(study, mapped, trial, place)
                if number is not None:
                    self._numbers[trial.id] = number
                    if trial.over and trial.ended <= trial.began:
                        self._tell(study, trial)
            elif trial.id in self._numbers:
                self._tell(study, trial)

    def _adopt(
        self, study: optuna.Study, mapped: _Mapped | None, trial: Trial, place: int
    ) -> int | None:
        """Return the study's number of a run: of the trial that proposed it, or of a new one."""
        config = plain_value(dict(trial.config))
        for i, (number, offered) in enumerate(self._offered):
            if plain_value(offered) == config:
                del self._offered[i]
                return number
        if place >= self.fixed:
            asked = self._ask(study, mapped)
            if asked is not None and plain_value(asked[1]) == config:
                return asked[0]
            if asked is not None:  # the study proposes otherwise this time
                self._end(study, asked[0], None)
        params = trial.config if mapped is None else mapped.params(trial.config)
        study.enqueue_trial(dict(params))
        return self._raw_ask(study, mapped)[0].number

    def _tell(self, study: optuna.Study, trial: Trial) -> None:
        self._told.add(trial.id)
        numbers = [v for v in trial.numbers if v is not None and math.isfinite(v)]
        well = trial.state == "finished" and len(numbers) == len(study.directions)
        live = self._live.get(self._numbers[trial.id])
        if live is not None and trial.spread:
            live.set_user_attr("spread", list(trial.spread))
        if live is not None and self.prunes:
            list(self._report(live, trial))
        if trial.pruned:
            self._end(study, self._numbers[trial.id], None, TrialState.PRUNED)
            return
        self._end(study, self._numbers[trial.id], numbers if well else None)

    def _end(
        self,
        study: optuna.Study,
        number: int,
        values: Sequence[float] | None,
        failed: TrialState = TrialState.FAIL,
    ) -> None:
        """End a trial; without values it has failed, or was pruned."""
        self._live.pop(number, None)
        self._reported.pop(number, None)
        state = failed if values is None else TrialState.COMPLETE
        try:
            study.tell(number, values, state=state)
        except RuntimeError as error:
            if _STOPPED not in str(error):
                raise
            self._done = True

    def _terminated(self, study: optuna.Study) -> bool:
        if self._done or self.terminator is None:
            return self._done
        try:
            self._done = bool(self.terminator(study))
        except Exception as error:
            raise ConfigError(f"{self.label}: the terminator raised {_said(error)}") from error
        return self._done

    # -- what comes next ------------------------------------------------------------------------

    def _ask(
        self, study: optuna.Study, mapped: _Mapped | None
    ) -> tuple[int, dict[str, Any]] | None:
        """Ask for a config that satisfies the constraints; None if the study is exhausted.

        A study begins with the same draws as an earlier one of its seed. So a config that is that
        of an earlier sweep's run is asked anew, until the study proposes little else.
        """
        spent = getattr(study.sampler, "is_exhausted", None)
        repeated = 0
        for _ in range(_ASKS):
            if self._done or (spent is not None and spent(study)):
                return None
            trial, config = self._raw_ask(study, mapped)
            accepted = self.accepts is None or self.accepts(config)
            if accepted and repeated < _REPEATS and self._ran_earlier(mapped, config):
                repeated += 1
            elif accepted:
                return trial.number, config
            self._end(study, trial.number, None)
        return None

    def _ran_earlier(self, mapped: _Mapped | None, config: Mapping[str, Any]) -> bool:
        if not self._earlier:
            return False
        if mapped is not None:
            key = mapped.space.key(config)
            return any(mapped.space.key(one) == key for one in self._earlier)
        mine = flat_config(plain_value(dict(config)))
        return any(all(one.get(k, _Mapped) == v for k, v in mine.items()) for one in self._earlier)

    def _raw_ask(
        self, study: optuna.Study, mapped: _Mapped | None
    ) -> tuple[optuna.Trial, dict[str, Any]]:
        if mapped is not None:
            trial = study.ask(mapped.distributions)
            self._live[trial.number] = trial
            return trial, mapped.config(trial.params)
        trial = study.ask()
        self._live[trial.number] = trial
        return trial, defined(self.define, trial, self.label)


def defined(define: Define | None, trial: optuna.Trial, where: str) -> dict[str, Any]:
    """Return the config that a user's search space makes of a trial.

    Raises:  ConfigError: the function raised, or returned no dict.
    """
    assert define is not None
    try:
        config: Any = define(trial)
    except Exception as error:
        raise ConfigError(f"{where} raised {_said(error)}; fix it, and try again") from error
    if not isinstance(config, Mapping) or not all(isinstance(name, str) for name in config):
        raise ConfigError(f"{where} returned {_kind(config)}; return a dict of parameter values")
    return dict(config)


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".rstrip(": ")


def _kind(value: Any) -> str:
    name = type(value).__name__
    return "None" if value is None else f"a{'n' * (name[0].lower() in 'aeiou')} {name}"


# -- the file's parameters as Optuna's distributions ----------------------------------------------


class _Mapped:
    """A space in Optuna's distributions, as W&B's scheduler maps it where it can.

    What Optuna lacks (normal, beta, weights, rounded logarithms) is searched as a probability.
    """

    def __init__(self, space: Space, order: Sequence[str]) -> None:
        self.space = space
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # a max that no step reaches
            self._axes = [_StudyAxis(d) for d in space.dimensions]
        drawn = sorted(self._axes, key=lambda axis: _place(axis.dimension.path, order))
        self.distributions = {a.name: a.distribution for a in drawn if a.distribution is not None}

    def config(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Return the config of Optuna's parameters."""
        return self.space.config(a.decode(params[a.name]) for a in self._axes if a.searched)

    def params(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """Return Optuna's parameters of a config; a value that it lacks is left open."""
        found = {}
        for axis in self._axes:
            value: Any = config
            for name in axis.dimension.path:
                value = value.get(name, _Mapped) if isinstance(value, Mapping) else _Mapped
            if value is not _Mapped and axis.distribution is not None:
                try:
                    found[axis.name] = axis.encode(value)
                except (KeyError, TypeError, ValueError):
                    continue
        return found


def _place(path: tuple[str, ...], order: Sequence[str]) -> int:
    return order.index(path[0]) if path[0] in order else len(order)


class _StudyAxis:
    """One dimension as a distribution of Optuna's."""

    def __init__(self, dimension: Dimension) -> None:
        self.dimension, self.name = dimension, dimension.name
        self.searched = not isinstance(dimension.distribution, Constant)
        self._as_is = True
        self._choices: Sequence[Any] | None = None
        self.distribution = self._distribution()

    def _distribution(self) -> BaseDistribution | None:
        match self.dimension.distribution:
            case Constant(value=value):
                return CategoricalDistribution([value]) if isinstance(value, _PRIMITIVE) else None
            case Categorical(probabilities=None) as drawn:
                self._choices = drawn.distinct
                return CategoricalDistribution(self._named(drawn.distinct))
            case IntUniform(min=low, max=high):
                return IntDistribution(low, high)
            case Uniform(min=low, max=high):
                return FloatDistribution(low, high)
            case LogUniform(support=(low, high)):
                return FloatDistribution(low, high, log=True)
            case Quantised(of=Uniform(min=low, max=high), q=q):
                if all(isinstance(v, int) for v in (low, high, q)):
                    return IntDistribution(int(low), int(high), step=int(q))
                return FloatDistribution(low, high, step=float(q))
            case Quantised(of=LogUniform(support=(low, high), kind="log_uniform_values"), q=1) if (
                low >= 1 and low.is_integer() and high.is_integer()
            ):
                return IntDistribution(int(low), int(high), log=True)
        self._as_is = False
        return FloatDistribution(0.0, 1.0)

    def _named(self, values: Sequence[Any]) -> Sequence[Any]:
        """Return the values if Optuna tells them apart, else their places."""
        primitive = all(isinstance(v, _PRIMITIVE) for v in values)
        if primitive and len(set(values)) == len(values):
            return list(values)
        self._as_is = False
        return list(range(len(values)))

    def decode(self, value: Any) -> Any:
        """Return a parameter's value of Optuna's."""
        if self._as_is:
            return value
        return self._choices[value] if self._choices is not None else self.dimension.proposed(value)

    def encode(self, value: Any) -> Any:
        """Return Optuna's value of a parameter's."""
        if self._as_is:
            return value
        code = self.dimension.encode(value)
        return int(code) if self._choices is not None else code
