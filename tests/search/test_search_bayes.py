"""Optimisers in particular: they learn, they heed what is in flight, and they stay quiet."""

from __future__ import annotations

import logging
import math
import statistics
import sys
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import optuna
import pytest

from thetahat.core import ConfigError, MissingExtra
from thetahat.search import (
    Objective,
    SearchHistory,
    Space,
    Trial,
    make_space,
    sampler,
    trial_values,
)

# What the study is told, and the points it must avoid, show in no proposal.
from thetahat.search._bayes import _fresh
from thetahat.search._known_points import KnownPoints
from thetahat.search._optuna import HistoryStudy

PLANE = make_space(
    {
        "x": {"min": 0.0, "max": 1.0},
        "lr": {"distribution": "log_uniform_values", "min": 1e-5, "max": 1.0},
        "n": {"min": 1, "max": 64},
        "act": {"values": ["relu", "tanh", "gelu"]},
    }
)


def bowl(config: Mapping[str, Any]) -> float:
    return (
        (config["x"] - 0.7) ** 2
        + (math.log10(config["lr"]) / 5 + 0.4) ** 2
        + (config["n"] / 64 - 0.3) ** 2
        + 0.2 * (config["act"] != "tanh")
    )


NUMBERS = make_space({k: {"min": 0.0, "max": 1.0} for k in "abc"})


def rounder(config: Mapping[str, Any]) -> float:
    return sum((v - 0.8) ** 2 for v in config.values())


def search(
    name: str, space: Space, f: Callable[[Any], float], n: int, seed: int, sign: int = 1
) -> list[float]:
    metric = Objective("f", "minimize" if sign > 0 else "maximize")
    trials: list[Trial] = []
    position = 0
    for i in range(n):
        found = sampler(name)(space, SearchHistory(tuple(trials), position, metric), seed, 1)
        position = found.position
        trials.append(Trial(str(i), found.configs[0], "finished", (sign * f(found.configs[0]),)))
    return [sign * t.values[0] for t in trials]


@pytest.mark.parametrize("name", ["tpe", "gp", "cmaes"])
def test_optimisers_learn(name: str) -> None:
    n, late, seeds = (20, 6, (0,)) if name == "gp" else (80, 20, (0, 1, 2))
    # CMA-ES draws what has no order, and would be judged by that.
    space, f = (NUMBERS, rounder) if name == "cmaes" else (PLANE, bowl)
    last = [statistics.median(search(name, space, f, n, seed)[-late:]) for seed in seeds]
    drawn = statistics.median(search("random", space, f, 200, 0))
    assert max(last) < 0.5 * drawn


def test_the_goal_turns_the_search_round() -> None:
    assert search("tpe", PLANE, bowl, 30, 4) == search("tpe", PLANE, bowl, 30, 4, sign=-1)


def test_qmc_fills_the_space_more_evenly_than_random_draws() -> None:
    space = make_space({"a": {"min": 0.0, "max": 1.0}, "b": {"min": 0.0, "max": 1.0}})

    def empty_cells(name: str) -> int:
        found = sampler(name)(space, SearchHistory(), 3, 64)
        return 64 - len({(int(c["a"] * 8), int(c["b"] * 8)) for c in found})

    assert empty_cells("qmc") < 8 < 15 < empty_cells("random")


def test_the_first_proposals_are_random_draws() -> None:
    trials = [Trial(str(i), c, "finished", (bowl(c),)) for i, c in enumerate(draws(PLANE, 9))]
    history = SearchHistory(trials, 9, Objective("f"))
    assert sampler("tpe")(PLANE, history, 5, 1) == sampler("random")(PLANE, history, 5, 1)
    tenth = [*trials, Trial("9", trials[0].config | {"x": 0.5}, "finished", (0.1,))]
    more = SearchHistory(tenth, 9, Objective("f"))
    assert sampler("tpe")(PLANE, more, 5, 1) != sampler("random")(PLANE, more, 5, 1)


@pytest.mark.parametrize("name", ["random", "tpe", "qmc"])
def test_the_first_proposals_are_not_those_of_an_earlier_sweep(name: str) -> None:
    space, propose = make_space({"x": {"min": 0.0, "max": 1.0}}), sampler(name)
    loss = Objective("loss")
    first = propose(space, SearchHistory((), 0, loss), 3, 4).configs
    earlier = [Trial(f"prior {i}", one, "finished", (), 1.0) for i, one in enumerate(first)]
    again = propose(space, SearchHistory(earlier, 0, loss), 3, 4).configs
    assert len(again) == 4 and not [one for one in again if one in first]


def draws(space: Space, n: int) -> list[dict[str, Any]]:
    return sampler("random")(space, SearchHistory(), 11, n).configs


@pytest.mark.parametrize("name", ["tpe", "gp"])
def test_trials_in_flight_are_kept_away_from(name: str) -> None:
    space = make_space({"x": {"min": 0.0, "max": 1.0}})
    over = [Trial(str(i), {"x": i / 20}, "finished", (abs(i / 20 - 0.5),)) for i in range(21)]
    metric = Objective("f")

    def nearest(flying: list[Trial]) -> float:
        found = [
            sampler(name)(space, SearchHistory((*over, *flying), 30, metric), seed, 1).configs[0][
                "x"
            ]
            for seed in range(6)
        ]
        return statistics.mean(abs(x - 0.5) for x in found)

    flying = [Trial(f"f{i}", {"x": 0.46 + i / 100}, "running") for i in range(9)]
    assert nearest(flying) > nearest([])


def test_what_failed_counts_as_the_file_says() -> None:
    config: dict[str, Any] = {}
    trials = [
        Trial("good", config, "finished", (5.0, 1.0, 2.0)),
        Trial("failed", config, "failed", (4.0, 0.5, 3.0)),
        Trial("nothing", config, "failed"),
        Trial("nan", config, "finished", (float("nan"),), float("inf")),
        Trial("flying", config, "running", (0.1, 7.0)),
        Trial("new", config, "waiting"),
    ]

    def losses(**given: Any) -> list[float | None]:
        return [t.loss for t in trial_values(SearchHistory(trials, metric=Objective("m", **given)))]

    assert losses() == [1.0, 5.0, 5.0, 5.0, None, None]
    assert losses(impute="best") == [1.0, 0.5, 5.0, 5.0, None, None]
    assert losses(impute="latest") == [1.0, 3.0, 5.0, 5.0, None, None]
    assert losses(impute_while_running="worst") == [1.0, 5.0, 5.0, 5.0, 0.1, None]
    assert losses(goal="maximize") == [-5.0, -0.5, -0.5, -0.5, None, None]


def test_where_nothing_can_be_imputed_a_failed_trial_teaches_nothing() -> None:
    trials = [Trial("a", {}, "failed"), Trial("b", {}, "running"), Trial("c", {}, "finished")]
    running = Objective("m", impute_while_running="best")
    assert [t.trial.id for t in trial_values(SearchHistory(trials, metric=running))] == ["b"]


@pytest.mark.parametrize("name", ["tpe", "gp", "cmaes"])
def test_without_a_metric_there_is_nothing_to_optimise(name: str) -> None:
    message = "bayes needs a metric to optimise; add metric: with its name, or use method: random"
    with pytest.raises(ConfigError, match=message):
        sampler(name)(PLANE, SearchHistory(), 0, 1)


@pytest.mark.parametrize(
    ("name", "missing", "message"),
    [
        ("gp", "optuna", r"the sampler gp needs an extra: .*'thetahat\[sweep\]'"),
        ("gp", "torch", r"the sampler gp needs an extra: .*'thetahat\[sweep,torch\]'"),
        ("cmaes", "cmaes", r"the sampler cmaes needs an extra: .*'thetahat\[sweep\]'"),
    ],
)
def test_a_missing_library_is_one_line_before_a_sweep_is_made(
    name: str, missing: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def find_spec(wanted: str) -> object | None:
        return None if wanted == missing else object()

    monkeypatch.setattr(sys.modules["thetahat.search._samplers"], "find_spec", find_spec)
    with pytest.raises(MissingExtra, match=message):
        sampler(name)


def test_optuna_says_nothing_and_is_left_as_it_was(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    optuna.logging.set_verbosity(optuna.logging.DEBUG)
    optuna.logging.enable_propagation()
    try:
        with caplog.at_level(logging.DEBUG):
            search("gp", PLANE, bowl, 11, 0)
        assert optuna.logging.get_verbosity() == optuna.logging.DEBUG
    finally:
        optuna.logging.disable_propagation()
        optuna.logging.set_verbosity(optuna.logging.INFO)
    assert caplog.records == []
    assert capsys.readouterr() == ("", "")


def test_experimental_samplers_warn_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    made = optuna.samplers.GPSampler

    def warning(**given: Any) -> optuna.samplers.GPSampler:
        warnings.warn("experimental", optuna.exceptions.ExperimentalWarning, stacklevel=2)
        return made(**given)

    monkeypatch.setattr(optuna.samplers, "GPSampler", warning)
    assert len(search("gp", PLANE, bowl, 11, 0)) == 11


def test_a_worse_trial_changes_what_failed_ones_count_as() -> None:
    trials = [
        Trial("a", draws(PLANE, 2)[0], "finished", (1.0,)),
        Trial("b", draws(PLANE, 2)[1], "failed"),
    ]

    def values(*more: Trial) -> list[float]:
        history = SearchHistory((*trials, *more), metric=Objective("m"))
        return [t.value for t in HistoryStudy(PLANE, trial_values(history))._trials]

    assert values() == [1.0, 1.0]
    assert values(Trial("c", trials[0].config, "finished", (9.0,))) == [1.0, 9.0, 9.0]
    assert values() == [1.0, 1.0]


def test_an_optimiser_may_try_again_before_a_random_point_replaces_its_own() -> None:
    space = make_space({"a": {"min": 1, "max": 9}})
    seen = KnownPoints(space, [Trial("1", {"a": 1}, "finished"), Trial("2", {"a": 2}, "finished")])
    asked = iter([[1], [2], [3], [1], [3], [2]])
    assert _fresh(space, seen, 0, 0, lambda _: next(asked)) == [3]
    assert _fresh(space, seen, 0, 1, lambda _: next(asked)) is None


def test_codes_and_values_are_each_other_s_inverse() -> None:
    space = make_space(
        {
            "a": {"values": ["x", [1], {"b": 2}]},
            "n": {"min": -3, "max": 9},
            "q": {"distribution": "q_uniform", "min": 0, "max": 11, "q": 4},
            "z": {"distribution": "normal", "mu": 3},
            "u": {"distribution": "log_uniform_values", "min": 0.01, "max": 10},
        }
    )
    for config in draws(space, 200):
        codes = space.encode(config)
        assert codes is not None
        back = space.config([d.decode(c) for d, c in zip(space.searched, codes, strict=True)])
        assert [back[k] for k in "anq"] == [config[k] for k in "anq"]
        assert back["u"] == pytest.approx(config["u"])
        assert back["z"] == pytest.approx(min(max(config["z"], 3 - 3.2906), 3 + 3.2906), abs=1e-3)
    assert space.encode({"a": "x"}) is None
    assert space.encode(space.config(["y", 1, 4, 1.0, 1.0])) is None


def test_optimisers_stay_out_of_endless_tails() -> None:
    axis = make_space({"z": {"distribution": "normal"}}).searched[0]
    assert axis.decode(0.0) == pytest.approx(-3.29, abs=0.01)
    assert axis.decode(1.0) == pytest.approx(3.29, abs=0.01)
    assert math.isfinite(axis.at(0.0))
    uniform = make_space({"u": {"min": 0.0, "max": 1.0}}).searched[0]
    assert uniform.decode(1.0) == pytest.approx(1.0, abs=1e-12)


def test_when_every_point_has_run_the_optimiser_is_free() -> None:
    space = make_space({"a": {"min": 1, "max": 12}})
    trials = [Trial(str(i), {"a": i}, "finished", (float((i - 4) ** 2),)) for i in range(1, 13)]
    found = sampler("tpe")(space, SearchHistory(trials, 12, Objective("m")), 0, 8)
    assert len(found.configs) == 8
    assert statistics.mean(c["a"] for c in found) < 7.5
