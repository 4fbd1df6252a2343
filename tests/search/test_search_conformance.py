"""What every sampler must do, one suite for all of them."""

from __future__ import annotations

import copy
import importlib.util
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from thetahat.search import (
    SAMPLERS,
    Objective,
    Proposals,
    Sampler,
    SearchHistory,
    Space,
    Trial,
    make_space,
    sampler,
)

METRIC = Objective("val_risk")

GRID = {
    "a": {"values": ["x", "y", "z"]},
    "n": {"min": 1, "max": 4},
    "q": {"distribution": "q_uniform", "min": 0.0, "max": 1.0, "q": 0.5},
    "fixed": {"value": [1, 2]},
}
MIXED = {
    "lr": {"distribution": "log_uniform_values", "min": 1e-4, "max": 0.1},
    "depth": {"min": 1, "max": 5},
    "act": {"values": ["relu", "tanh"], "probabilities": [0.3, 0.7]},
    "z": {"distribution": "normal"},
    "w": {"distribution": "q_log_uniform_values", "min": 8, "max": 512, "q": 8},
    "opt": {"parameters": {"name": {"values": ["adam", "sgd"]}, "beta": {"distribution": "beta"}}},
    "epochs": {"value": 100},
}
NAMES = (*SAMPLERS, "grid, shuffled")


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    if request.param == "gp" and importlib.util.find_spec("torch") is None:
        pytest.skip("the sampler gp needs PyTorch")
    return request.param


def named(name: str) -> Sampler:
    return sampler("grid", shuffle=True) if "shuffled" in name else sampler(name)


def a_space(name: str) -> Space:
    """A space that the sampler can search, with parameters of every kind that it takes."""
    return make_space(GRID if "grid" in name else MIXED)


def leaves(config: Mapping[str, Any]) -> list[Any]:
    return [
        leaf
        for value in config.values()
        for leaf in (leaves(value) if isinstance(value, Mapping) else [value])
    ]


def loss(config: Mapping[str, Any]) -> float:
    """Any smooth function of a config."""
    numbers = [v for v in leaves(config) if isinstance(v, (int, float))]
    return sum(math.log1p(abs(v - 0.3)) for v in numbers) + len(str(leaves(config)))


def some_trials(space: Space, name: str, count: int = 14) -> tuple[Trial, ...]:
    """A history with trials of every state."""
    proposed = named(name)(space, SearchHistory(metric=METRIC), 3, count)
    states = ("finished", "finished", "failed", "running", "waiting", "finished")
    return tuple(
        Trial(
            f"t{i}",
            config,
            "finished" if i < 4 else states[i % 6],  # type: ignore[arg-type]
            () if i % 5 == 4 else (loss(config) + 1, float("nan"), loss(config)),
        )
        for i, config in enumerate(proposed)
    )


def propose(
    name: str, space: Space, history: SearchHistory, seed: int = 3, n: int = 3
) -> Proposals:
    return named(name)(space, history, seed, n)


def test_a_sampler_is_a_function_of_its_arguments(name: str) -> None:
    space = a_space(name)
    history = SearchHistory(some_trials(space, name, 18), 18, METRIC)
    before = copy.deepcopy(history)
    first = propose(name, space, history)
    propose(name, space, SearchHistory(history.trials[:5], 5, METRIC), seed=9)
    again = propose(name, space, history)
    # New objects that are equal: nothing may hang on which call saw what first.
    anew = propose(name, a_space(name), copy.deepcopy(history))
    assert first == again == anew
    assert history == before
    assert first.configs


def test_configs_lie_in_the_space(name: str) -> None:
    space = a_space(name)
    for trials in ((), some_trials(space, name)):
        found = propose(name, space, SearchHistory(trials, len(trials), METRIC), n=5)
        assert len(found.configs) == 5
        assert all(space.holds(config) for config in found)
        assert all(set(config) == set(space.config([0] * 9)) for config in found)


def test_a_seed_changes_what_is_proposed(name: str) -> None:
    space = a_space(name)
    history = SearchHistory(metric=METRIC)
    one, two = propose(name, space, history, seed=1), propose(name, space, history, seed=2)
    assert (one.configs == two.configs) == (name == "grid")


def test_n_at_once_are_as_many_and_differ(name: str) -> None:
    space = a_space(name)
    for trials in ((), some_trials(space, name, 18)):
        found = propose(name, space, SearchHistory(trials, len(trials), METRIC), n=6)
        keys = {space.key(config) for config in found}
        assert len(found.configs) == len(keys) == 6
        assert found.position >= len(trials) + 6
    assert propose(name, space, SearchHistory(metric=METRIC), n=0).configs == []


def test_a_search_goes_on_from_its_position(name: str) -> None:
    """In one call or in several, with no news between them, the same points are proposed."""
    space = a_space(name)
    whole = propose(name, space, SearchHistory(metric=METRIC), n=6)
    trials: list[Trial] = []
    position = 0
    for k in range(3):
        part = propose(name, space, SearchHistory(tuple(trials), position, METRIC), n=2)
        trials += [Trial(f"{k}-{i}", c, "waiting") for i, c in enumerate(part)]
        position = part.position
    assert [t.config for t in trials] == whole.configs
    assert position == whole.position


def test_many_at_once_are_those_that_come_one_by_one(name: str) -> None:
    """The second of two at once is proposed with the first in flight."""
    space = a_space(name)
    trials = some_trials(space, name, 20)
    position = 20
    whole = propose(name, space, SearchHistory(trials, position, METRIC), n=3)
    for k in range(3):
        part = propose(name, space, SearchHistory(trials, position, METRIC), n=1)
        assert part.configs == [whole.configs[k]]
        trials, position = (*trials, Trial(f"w{k}", part.configs[0], "waiting")), part.position


def test_a_small_space_is_run_through_before_anything_comes_twice(name: str) -> None:
    space = make_space({"a": {"values": [1, 2, 3]}, "b": {"min": 0, "max": 1}, "c": {"value": 0}})
    trials: list[Trial] = []
    position, exhausted = 0, False
    while len(trials) < 6 and not exhausted:
        found = propose(name, space, SearchHistory(tuple(trials), position, METRIC), n=1)
        for config in found:
            trials.append(Trial(str(len(trials)), config, "finished", (loss(config),)))
        position, exhausted = found.position, found.exhausted
    assert len({space.key(t.config) for t in trials}) == 6
    last = propose(name, space, SearchHistory(tuple(trials), position, METRIC), n=2)
    if "grid" in name:
        assert (last.configs, last.exhausted) == ([], True)
    else:
        # Methods other than grid never end, as in W&B: run_cap or --count ends them.
        assert len(last.configs) == 2
        assert not last.exhausted
        assert all(space.holds(config) for config in last)


def test_failed_and_flying_trials_are_taken_as_they_are(name: str) -> None:
    space = a_space(name)
    for state in ("failed", "running", "waiting"):
        trials = tuple(replace(t, state=state, values=()) for t in some_trials(space, name))
        found = propose(name, space, SearchHistory(trials, 14, METRIC), n=2)
        assert all(space.holds(config) for config in found)
        seen = {space.key(t.config) for t in trials}
        assert not seen & {space.key(config) for config in found}


def test_trials_from_outside_the_space_do_no_harm(name: str) -> None:
    space = a_space(name)
    odd = [Trial("o1", {}, "finished", (1.0,)), Trial("o2", {"a": 9, "lr": "x"}, "failed")]
    for goal in ("minimize", "maximize"):
        history = SearchHistory((*odd, *some_trials(space, name)), 14, Objective("m", goal))  # type: ignore[arg-type]
        assert all(space.holds(config) for config in propose(name, space, history))


def test_a_space_of_constants_only(name: str) -> None:
    space = make_space({"a": {"value": 1}, "m": {"parameters": {"b": {"value": "x"}}}})
    found = propose(name, space, SearchHistory(metric=METRIC), n=3)
    point = {"a": 1, "m": {"b": "x"}}
    assert found.configs == ([point] if "grid" in name else [point] * 3)
    assert found.exhausted == ("grid" in name)
    trials = tuple(Trial(str(i), point, "finished", (1.0,)) for i in range(12))
    after = propose(name, space, SearchHistory(trials, found.position, METRIC), n=1)
    assert after.configs == ([] if "grid" in name else [point])


@pytest.mark.parametrize("dimensions", [1, 100])
def test_one_and_a_hundred_parameters(name: str, dimensions: int) -> None:
    one = {"min": 1, "max": 50} if "grid" in name else {"min": 0.0, "max": 1.0}
    space = make_space({f"p{i:03d}": one for i in range(dimensions)})
    trials = some_trials(space, name)
    found = propose(name, space, SearchHistory(trials, 14, METRIC), n=2)
    assert all(space.holds(config) for config in found)
    assert [len(config) for config in found] == [dimensions] * 2


def test_nested_configs_come_back_nested(name: str) -> None:
    inner = {"values": [1, 2, 3]} if "grid" in name else {"min": 0.0, "max": 1.0}
    space = make_space({"m": {"parameters": {"n": {"parameters": {"x": inner}}}}, "m.n": inner})
    trials = some_trials(space, name, 6)
    found = propose(name, space, SearchHistory(trials, 6, METRIC), n=1).configs[0]
    assert set(found) == {"m", "m.n"}
    assert set(found["m"]) == {"n"}
    assert set(found["m"]["n"]) == {"x"}


def test_values_of_every_kind_come_back_as_they_are(name: str) -> None:
    values = [None, True, 1.5, "s", [1, {"a": 2}], {"layers": [3, 4]}]
    space = make_space({"v": {"values": values}, "n": {"min": 1, "max": 40}})
    found = propose(name, space, SearchHistory(metric=METRIC), n=40)
    found2 = propose(name, space, SearchHistory(some_trials(space, name, 30), 30, METRIC), n=6)
    for config in (*found, *found2):
        assert next(type(v) for v in values if v == config["v"]) is type(config["v"])
    assert not any(c["v"] is v for c in found for v in values[-2:])
