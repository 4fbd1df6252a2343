"""Early stopping, the metric's target, and the values that trials count as."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from thetahat.core import ConfigError
from thetahat.search import (
    Hyperband,
    Objective,
    SearchHistory,
    Trial,
    asha,
    best_value,
    stop,
    target_reached,
)

LOSS = Objective("loss")


def running(**values: list[float]) -> list[Trial]:
    return [Trial(name, {}, "running", v) for name, v in values.items()]


def test_the_example_of_the_package() -> None:
    """Worked by hand: bands 1 and 2; thresholds 10 and 7; c passes the first and not the second."""
    trials = [
        Trial("a", {}, "finished", (10, 9)),
        Trial("b", {}, "running", (10, 10)),
        Trial("c", {}, "running", (10, 8, 8)),
        Trial("d", {}, "running", (10, 7, 7)),
        Trial("e", {}, "finished", (10, 6, 6)),
    ]
    hyperband = Hyperband(max_iter=5, eta=2, s=2)
    assert hyperband.bands() == (1, 2)
    assert stop(trials, hyperband, LOSS) == {"b"}


def test_bands() -> None:
    assert Hyperband(min_iter=3).bands(upto=243) == (3, 9, 27, 81, 243)
    assert Hyperband(min_iter=3).bands(upto=242) == (3, 9, 27, 81)
    assert Hyperband(min_iter=2, eta=1.5).bands(upto=11) == (2, 3, 4, 6, 10)
    assert len(Hyperband(min_iter=1, eta=1.01).bands()) == 100
    assert Hyperband(max_iter=81, s=10).bands() == (1, 3, 9, 27)
    assert Hyperband(max_iter=27, s=2, min_iter=5).bands() == (3, 9)


def test_a_position_counts_finite_values_not_steps() -> None:
    odd = [float("nan"), float("inf")]
    trials = running(a=[*odd, 1.0], b=[2.0, *odd], c=[*odd, 3.0], d=[*odd, *odd])
    assert stop(trials, Hyperband(min_iter=1), LOSS) == {"c"}
    assert stop(trials, Hyperband(min_iter=2), LOSS) == set()


def test_strict_looks_at_the_band_and_otherwise_the_best_so_far_counts() -> None:
    trials = running(a=[1.0, 1.0], b=[1.5, 1.5], c=[0.5, 9.0], d=[9.0, 9.0, 0.1])
    assert stop(trials, Hyperband(min_iter=2), LOSS) == {"c", "d"}
    assert stop(trials, Hyperband(min_iter=2, strict=False), LOSS) == set()
    assert stop(trials, Hyperband(min_iter=2, eta=4), LOSS) == {"c", "d"}


def test_more_is_better_where_the_goal_says_so() -> None:
    trials = running(a=[0.9], b=[0.5], c=[0.1])
    assert stop(trials, Hyperband(min_iter=1), Objective("r2", "maximize")) == {"c"}
    assert stop(trials, Hyperband(min_iter=1), Objective("r2")) == {"a"}


def test_only_running_trials_stop_but_all_are_compared() -> None:
    trials = [
        Trial("a", {}, "finished", (1.0,)),
        Trial("b", {}, "failed", (2.0,)),
        Trial("c", {}, "running", (3.0,)),
        Trial("d", {}, "finished", (4.0,)),
    ]
    assert stop(trials, Hyperband(min_iter=1, eta=2), LOSS) == set()
    assert stop(trials, Hyperband(min_iter=1), LOSS) == {"c"}


def test_the_threshold_s_place_is_computed_with_the_rounded_share() -> None:
    """(1 / 49) * 49 is below 1 in floating point, so the best of 49 is the threshold."""
    trials = running(**{f"t{i}": [float(i)] for i in range(49)})
    assert len(stop(trials, Hyperband(min_iter=1, eta=49), LOSS)) == 48


def test_nothing_stops_before_the_first_band() -> None:
    assert stop([], Hyperband(min_iter=1), LOSS) == set()
    assert stop(running(a=[1.0], b=[2.0], c=[3.0]), Hyperband(min_iter=2), LOSS) == set()


def test_asha_keeps_one_in_eta_and_waits_for_eta_trials() -> None:
    trials = running(a=[1.0], b=[2.0], c=[3.0], d=[4.0], e=[5.0], f=[6.0])
    assert asha(trials, Hyperband(min_iter=1), LOSS) == {"c", "d", "e", "f"}
    assert stop(trials, Hyperband(min_iter=1), LOSS) == {"d", "e", "f"}
    assert asha(trials[:2], Hyperband(min_iter=1), LOSS) == set()
    assert asha(trials[:3], Hyperband(min_iter=1), LOSS) == {"b", "c"}
    assert asha(trials, Hyperband(min_iter=1, eta=6), Objective("m", "maximize")) == set("abcde")


WRONG: list[tuple[dict[str, Any], str]] = [
    ({}, "early_terminate needs min_iter, or max_iter together with s"),
    ({"max_iter": 9}, "early_terminate needs min_iter, or max_iter together with s"),
    ({"min_iter": 0}, "early_terminate.min_iter is 0; give at least 1"),
    ({"min_iter": 1, "eta": 1}, "early_terminate.eta is 1; give a number above 1"),
    (
        {"max_iter": 2, "s": 2},
        "early_terminate has no band of at least 1: max_iter is 2, s 2 and eta 3; raise"
        " max_iter or s, or lower eta",
    ),
    (
        {"max_iter": 9, "s": 0},
        "early_terminate has no band of at least 1: max_iter is 9, s 0 and eta 3;",
    ),
]


@pytest.mark.parametrize(("given", "message"), WRONG)
def test_a_wrong_hyperband_says_how_to_fix_it(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match="^" + re.escape(message)):
        Hyperband(**given)


METRICS: list[tuple[dict[str, Any], str]] = [
    (
        {"goal": "minimise"},
        "metric.goal is 'minimise'; give one of minimize, maximize; did you mean 'minimize'?",
    ),
    ({"impute": "last"}, "metric.impute is 'last'; give one of latest, best, worst"),
    (
        {"impute_while_running": False},
        "metric.impute_while_running is False; give one of latest, best, worst, false",
    ),
    ({"target": "0.1"}, "metric.target is '0.1'; give a finite number, or none"),
    ({"target": float("nan")}, "metric.target is nan; give a finite number, or none"),
]


@pytest.mark.parametrize(("given", "message"), METRICS)
def test_a_wrong_metric_says_how_to_fix_it(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match="^" + re.escape(message)):
        Objective("loss", **given)


def test_a_target_is_reached_by_any_trial_at_any_time() -> None:
    trials = [Trial("a", {}, "running", (3.0, 0.5, float("nan"), 2.0)), Trial("b", {}, "waiting")]
    assert target_reached(SearchHistory(trials, metric=Objective("m", target=0.5)))
    assert not target_reached(SearchHistory(trials, metric=Objective("m", target=0.4)))
    assert target_reached(SearchHistory(trials, metric=Objective("m", "maximize", target=3)))
    assert not target_reached(SearchHistory(trials, metric=Objective("m", "maximize", target=3.1)))
    assert not target_reached(SearchHistory(trials, metric=Objective("m")))
    assert not target_reached(SearchHistory(trials))


def test_a_failed_trial_does_not_reach_a_target() -> None:
    metric = Objective("m", target=0.5)
    failed = Trial("a", {}, "failed", (3.0, 0.001), 0.001)
    assert not target_reached(SearchHistory([failed], metric=metric))
    assert not target_reached(SearchHistory([failed, *running(b=[0.6])], metric=metric))
    assert target_reached(SearchHistory([failed, *running(b=[0.4])], metric=metric))
    upward = Objective("m", "maximize", target=2.0)
    assert not target_reached(SearchHistory([failed], metric=upward))


def test_the_final_value_counts_beside_the_logged_ones() -> None:
    trial = Trial("a", {}, "finished", (np.float32(2.0), np.float64(3.0), True, None), 1.5)  # type: ignore[arg-type]
    assert trial.finite == [2.0, 3.0]
    assert best_value(trial, LOSS) == 1.5
    assert best_value(trial, Objective("m", "maximize")) == 3.0
    assert best_value(Trial("b", {}, "finished", (), float("nan")), LOSS) is None
