"""Grid and random search in particular: order, shuffling, what has run, independence of draws."""

from __future__ import annotations

import re
from collections import Counter

import pytest
from hypothesis import given, settings, strategies as st

from thetahat.core import ConfigError
from thetahat.search import Proposals, SearchHistory, Trial, make_space, sampler, shuffled

# The set of known points has keys of its own.
from thetahat.search._known_points import KnownPoints

SPACE = make_space({"a": {"values": ["x", "y"]}, "n": {"min": 1, "max": 50}})


def test_a_grid_in_order() -> None:
    found = sampler("grid")(SPACE, SearchHistory(), 0, 52)
    assert [c["n"] for c in found.configs] == [*range(1, 51), 1, 2]
    assert (found.position, found.exhausted) == (52, False)


def test_points_that_have_run_are_passed_over_also_as_other_numbers() -> None:
    trials = [Trial("1", {"n": 1.0, "a": "x"}, "failed"), Trial("2", {"a": "x", "n": 3}, "waiting")]
    found = sampler("grid")(SPACE, SearchHistory(trials), 0, 3)
    assert [c["n"] for c in found.configs] == [2, 4, 5]
    assert found.position == 5


def test_a_grid_that_has_run_is_exhausted_at_once() -> None:
    trials = [Trial(str(i), SPACE.point(i), "finished") for i in range(100)]
    assert sampler("grid")(SPACE, SearchHistory(trials), 0, 1) == Proposals([], 100, exhausted=True)
    assert sampler("grid")(SPACE, SearchHistory(trials[:99]), 0, 1).configs == [SPACE.point(99)]


@settings(deadline=None)
@given(size=st.integers(1, 300), seed=st.integers(-5, 2**70))
def test_shuffling_is_a_permutation(size: int, seed: int) -> None:
    assert sorted(shuffled(i, size, seed) for i in range(size)) == list(range(size))


def test_shuffled_places_are_spread_evenly() -> None:
    first = Counter(shuffled(0, 10, seed) for seed in range(5000))
    assert set(first) == set(range(10))
    assert max(first.values()) < 620
    assert min(first.values()) > 390
    pairs = Counter((shuffled(0, 4, s), shuffled(1, 4, s)) for s in range(6000))
    assert len(pairs) == 12
    assert max(pairs.values()) < 620


def test_a_shuffled_grid_needs_no_list_of_its_points() -> None:
    space = make_space({k: {"min": 0, "max": 10**6} for k in "abc"})
    found = sampler("grid", shuffle=True)(space, SearchHistory(), 5, 100)
    assert len({space.key(c) for c in found}) == 100
    assert sum(c["a"] < 500_000 for c in found) in range(30, 70)


def test_a_grid_of_a_continuous_parameter_is_refused() -> None:
    space = make_space({"lr": {"min": 0.1, "max": 1.0}})
    for grid in (sampler("grid"), sampler("grid", shuffle=True)):
        with pytest.raises(
            ConfigError, match=r"parameters\.lr: a grid cannot run all values of uniform"
        ):
            grid(space, SearchHistory(), 0, 1)


def test_a_draw_hangs_on_seed_and_place_alone() -> None:
    space = make_space({"lr": {"min": 0.0, "max": 1.0}, "z": {"distribution": "normal"}})
    draw = sampler("random")
    whole = draw(space, SearchHistory(), 7, 20).configs
    trials = [Trial("t", whole[3], "failed")]
    assert draw(space, SearchHistory(trials, 5), 7, 3).configs == whole[5:8]
    assert draw(space, SearchHistory((), 5), 8, 3).configs != whole[5:8]


def test_draws_of_a_finite_space_come_twice_only_when_they_must() -> None:
    space = make_space({"a": {"min": 1, "max": 30}})
    found = [c["a"] for c in sampler("random")(space, SearchHistory(), 1, 25)]
    assert len(set(found)) >= 24
    covered = [Trial(str(i), {"a": i}, "finished") for i in range(1, 31)]
    assert len(sampler("random")(space, SearchHistory(covered), 1, 4).configs) == 4


def test_what_has_been_seen_is_that_of_the_history_alone() -> None:
    trials = [Trial(str(i), SPACE.point(i), "finished") for i in range(10)]
    keys = [SPACE.key(t.config) for t in trials]
    long = KnownPoints(SPACE, trials)
    assert all(k in long for k in keys)
    short = KnownPoints(SPACE, trials[:4])
    assert [k in short for k in keys] == [True] * 4 + [False] * 6
    assert [k in KnownPoints(SPACE, trials[5:]) for k in keys] == [False] * 5 + [True] * 5
    assert [k in KnownPoints(SPACE, trials) for k in keys] == [True] * 10
    assert (len(long), len(short)) == (10, 4)
    short.add(keys[7])
    assert keys[7] in short
    assert keys[7] not in KnownPoints(SPACE, trials[:4])


def test_a_changed_trial_is_seen_anew() -> None:
    trials = [Trial(str(i), SPACE.point(i), "finished") for i in range(3)]
    assert sampler("grid")(SPACE, SearchHistory(trials), 0, 1).configs == [SPACE.point(3)]
    trials[1] = Trial("new", SPACE.point(50), "finished")
    assert sampler("grid")(SPACE, SearchHistory(trials), 0, 1).configs == [SPACE.point(1)]


def test_samplers_are_called_by_their_names() -> None:
    assert sampler("bayes") is sampler("tpe")
    with pytest.raises(
        ConfigError, match=re.escape("there is no sampler 'tpa'; did you mean 'tpe'?")
    ):
        sampler("tpa")
    with pytest.raises(ConfigError, match="only a grid has an order to shuffle; tpe has none"):
        sampler("tpe", shuffle=True)
