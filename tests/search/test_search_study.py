"""Custom searches against Optuna itself: the same seed and results give the same proposals."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import optuna
import pytest

from thetahat.search import Objective, Proposals, SearchHistory, Trial, make_space

# The module is imported when a sweep needs it: it loads Optuna.
from thetahat.search._study import StudySearch, default_study

PARAMETERS = {
    "lr": {"min": 1e-4, "max": 0.1, "distribution": "log_uniform_values"},
    "act": {"values": ["tanh", "relu", "gelu"]},
    "x": {"min": -2.0, "max": 2.0},
    "depth": {"min": 1, "max": 5},
    "step": {"min": 0, "max": 8, "q": 2, "distribution": "q_uniform"},
    "epochs": {"value": 30},
}
DISTRIBUTIONS = {
    "lr": optuna.distributions.FloatDistribution(1e-4, 0.1, log=True),
    "act": optuna.distributions.CategoricalDistribution(["tanh", "relu", "gelu"]),
    "x": optuna.distributions.FloatDistribution(-2.0, 2.0),
    "depth": optuna.distributions.IntDistribution(1, 5),
    "step": optuna.distributions.IntDistribution(0, 8, step=2),
    "epochs": optuna.distributions.CategoricalDistribution([30]),
}
ONE = (Objective("loss"),)
TWO = (Objective("loss"), Objective("size", "maximize"))
SAMPLERS = {
    "tpe": optuna.samplers.TPESampler,
    "nsga2": optuna.samplers.NSGAIISampler,
    "random": optuna.samplers.RandomSampler,
}


def worth(config: Mapping[str, Any]) -> list[float]:
    return [config["x"] ** 2 + config.get("depth", 0), 3.0 * config["x"]]


class Sweep:
    """Runs that a search proposes, ``together`` at a time, each ending in its turn."""

    def __init__(self, search: Callable[..., Proposals], space: Any, objectives: Any) -> None:
        self.search, self.space, self.objectives = search, space, objectives
        self.trials: list[Trial] = []
        self.clock = 0

    def now(self) -> str:
        self.clock += 1
        return f"{self.clock:06d}"

    def propose(self, n: int) -> Proposals:
        found = self.search(self.space, SearchHistory(self.trials), 0, n)
        for config in found.configs:
            self.trials.append(Trial(str(len(self.trials)), config, "running", began=self.now()))
        return found

    def end(self, i: int) -> None:
        trial = self.trials[i]
        numbers = worth(trial.config)[: len(self.objectives)]
        self.trials[i] = Trial(
            *(trial.id, trial.config, "finished", (), numbers[0]),
            numbers=numbers,
            began=trial.began,
            ended=self.now(),
        )


def by_optuna(sampler: Any, n: int, objectives: Any, define: Any = None) -> list[dict[str, Any]]:
    study = optuna.create_study(directions=[o.goal for o in objectives], sampler=sampler)
    found = []
    for _ in range(n):
        trial = study.ask(DISTRIBUTIONS if define is None else None)
        config = trial.params if define is None else define(trial)
        study.tell(trial, worth(config)[: len(objectives)])
        found.append(dict(config))
    return found


def conditional(trial: optuna.Trial) -> dict[str, Any]:
    found = {"x": trial.suggest_float("x", -2, 2), "net": trial.suggest_categorical("net", "ab")}
    if found["net"] == "b":
        found["depth"] = trial.suggest_int("depth", 1, 9)
    return found


@pytest.fixture(autouse=True)
def quiet() -> Any:
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        yield
    optuna.logging.set_verbosity(before)


@pytest.mark.parametrize("define", [None, conditional])
@pytest.mark.parametrize(
    ("name", "objectives"), [("tpe", ONE), ("random", ONE), ("tpe", TWO), ("nsga2", TWO)]
)
def test_a_study_proposes_what_optuna_proposes(name, objectives, define) -> None:
    space = make_space(PARAMETERS)
    search = StudySearch(lambda: default_study(objectives, name, 7), define)
    search.order = tuple(PARAMETERS)
    sweep = Sweep(search, space, objectives)
    for i in range(25):
        sweep.propose(1)
        sweep.end(i)
    direct = by_optuna(SAMPLERS[name](seed=7), 25, objectives, define)
    assert [trial.config for trial in sweep.trials] == direct


def test_an_agent_that_starts_later_goes_on_with_the_same_proposals() -> None:
    space = make_space(PARAMETERS)

    def search() -> StudySearch:
        return StudySearch(lambda: default_study(ONE, "tpe", 3), order=tuple(PARAMETERS))

    sweeps = [Sweep(search(), space, ONE) for _ in range(2)]
    for k in range(30):
        if k == 17:
            sweeps[1].search = search()
        for sweep in sweeps:
            sweep.propose(3 if k == 0 else 1)
            sweep.end(k + (1 if k % 4 == 0 else 0) - (1 if k % 4 == 1 else 0))
    configs = [[trial.config for trial in sweep.trials] for sweep in sweeps]
    assert configs[0] == configs[1]
    assert len(configs[0]) == 32


def test_runs_that_the_study_did_not_propose_are_learned_from() -> None:
    space = make_space({"x": {"min": -2.0, "max": 2.0}})
    search = StudySearch(lambda: default_study(ONE, "tpe", 3))
    given = [
        Trial(f"prior {i}", {"x": -2 + i / 5}, "finished", numbers=[abs(i / 5 - 3)])
        for i in range(20)
    ]
    proposed = search(space, SearchHistory(given), 0, 8).configs
    drawn = {"x": optuna.distributions.FloatDistribution(-2.0, 2.0)}
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=3))
    for trial in given:
        study.add_trial(
            optuna.trial.create_trial(
                params=dict(trial.config), distributions=dict(drawn), value=trial.numbers[0]
            )
        )
    assert proposed == [dict(study.ask(drawn).params) for _ in range(8)]


@pytest.mark.parametrize("mapped", [True, False])
def test_runs_of_an_earlier_sweep_are_not_proposed_again(mapped: bool) -> None:
    space = make_space({"x": {"min": -2.0, "max": 2.0}, "k": {"values": [1, 2]}})

    def define(trial: optuna.Trial) -> dict[str, Any]:
        k = trial.suggest_categorical("k", [1, 2])
        return {"x": trial.suggest_float("x", -2.0, 2.0), "k": k}

    def search() -> StudySearch:
        return StudySearch(lambda: default_study(ONE, "tpe", 3), None if mapped else define)

    first = search()(space, SearchHistory(), 0, 4).configs
    given = [Trial(f"prior {i}", c, "finished", numbers=[1.0 * i]) for i, c in enumerate(first)]
    again = search()(space, SearchHistory(given), 0, 4).configs
    assert len(again) == 4 and not [one for one in again if one in first]
    # Of two values both have run: they are proposed nevertheless.
    two = make_space({"k": {"values": [1, 2]}})
    given = [Trial(f"prior {k}", {"k": k}, "finished", numbers=[1.0 * k]) for k in (1, 2)]
    search_two = StudySearch(lambda: default_study(ONE, "tpe", 3))
    assert len(search_two(two, SearchHistory(given), 0, 3).configs) == 3


def test_distributions_that_optuna_lacks_are_searched() -> None:
    sections = {
        "normal": {"distribution": "normal", "mu": 3, "sigma": 0.5},
        "beta": {"distribution": "beta", "a": 2, "b": 5},
        "inverse": {"distribution": "inv_log_uniform_values", "min": 0.1, "max": 10},
        "rounded": {"distribution": "q_log_uniform_values", "min": 1, "max": 1000, "q": 8},
        "weighted": {"values": ["a", "b"], "probabilities": [0.9, 0.1]},
        "lists": {"values": [[1, 2], [3], {"a": 1}]},
        "alike": {"values": [1, True, 0, False]},
        "nested": {"parameters": {"lr": {"min": 0.0, "max": 1.0}}},
    }
    search = StudySearch(lambda: default_study(ONE, "random", 1), order=tuple(sections))
    configs = search(make_space(sections), SearchHistory(), 0, 300).configs
    column = {name: [config[name] for config in configs] for name in sections}
    assert abs(sum(column["normal"]) / 300 - 3) < 0.1
    assert abs(sum(column["beta"]) / 300 - 2 / 7) < 0.04
    assert all(v % 8 == 0 for v in column["rounded"])
    assert 230 < column["weighted"].count("a") < 300
    assert {str(v) for v in column["lists"]} == {"[1, 2]", "[3]", "{'a': 1}"}
    assert {(type(v), v) for v in column["alike"]} >= {(int, 1), (bool, True), (int, 0)}
    assert all(0 <= v["lr"] <= 1 for v in column["nested"])


def test_a_terminator_and_a_spent_grid_end_the_search() -> None:
    space = make_space({"x": {"min": -2.0, "max": 2.0}})
    search = StudySearch(lambda: default_study(ONE, "random", 0))
    search.terminator = lambda study: sum(t.state.is_finished() for t in study.trials) >= 2
    sweep = Sweep(search, space, ONE)
    sweep.propose(3)
    sweep.end(0)
    assert not sweep.propose(1).exhausted
    sweep.end(1)
    last = sweep.propose(1)
    assert (last.configs, last.exhausted) == ([], True)

    grid = optuna.samplers.GridSampler({"x": [-1.0, 1.0]})
    sweep = Sweep(StudySearch(lambda: optuna.create_study(sampler=grid)), space, ONE)
    for i in range(2):
        sweep.propose(1)
        sweep.end(i)
    last = sweep.propose(1)
    assert (last.configs, last.exhausted) == ([], True)
    assert sorted(trial.config["x"] for trial in sweep.trials) == [-1.0, 1.0]
