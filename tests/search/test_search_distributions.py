"""Distributions: quantiles and CDFs are each other's inverse, and stay inside their support."""

from __future__ import annotations

import math
import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from thetahat.search import DISTRIBUTIONS, Distribution, Steps, holds, read_distribution, same

RANGE = {"min": 0.5, "max": 8.25}
EXAMPLES: dict[str, dict[str, Any]] = {
    "constant": {"value": "x"},
    "categorical": {"values": ["a", "b", 3]},
    "categorical_w_probabilities": {"values": ["a", "b", 3], "probabilities": [0.5, 0, 0.5]},
    "int_uniform": {"min": -3, "max": 12},
    "uniform": RANGE,
    "q_uniform": {**RANGE, "q": 0.5},
    "log_uniform": {"min": -7, "max": 1},
    "log_uniform_values": {"min": 1e-4, "max": 0.1},
    "q_log_uniform": {"min": 0, "max": 5, "q": 2},
    "q_log_uniform_values": {"min": 8, "max": 1024, "q": 8},
    "inv_log_uniform": {"min": -1, "max": 7},
    "inv_log_uniform_values": {"min": 1e-4, "max": 0.1},
    "normal": {"mu": 1, "sigma": 2},
    "q_normal": {"mu": 1, "sigma": 20, "q": 5},
    "log_normal": {"mu": -1, "sigma": 0.5},
    "q_log_normal": {"mu": 3, "sigma": 1},
    "beta": {"a": 2, "b": 5},
    "q_beta": {"a": 2, "b": 5, "q": 0.1},
}
CONTINUOUS = [k for k in EXAMPLES if not k.startswith(("q_", "int", "cat", "constant"))]
probabilities = st.floats(1e-9, 1 - 1e-9)


def example(kind: str) -> Distribution:
    return read_distribution({"distribution": kind, **EXAMPLES[kind]})


def test_every_distribution_has_an_example() -> None:
    assert set(EXAMPLES) == set(DISTRIBUTIONS)
    assert [example(k).kind for k in EXAMPLES] == list(EXAMPLES)


@pytest.mark.parametrize("kind", CONTINUOUS)
@settings(deadline=None, max_examples=30)
@given(u=probabilities)
def test_the_cdf_undoes_the_quantile(kind: str, u: float) -> None:
    distribution = example(kind)
    assert distribution.cdf(distribution.ppf(u)) == pytest.approx(u, abs=1e-9)


@pytest.mark.parametrize(
    "kind", [k for k in EXAMPLES if k not in ("constant", *list(EXAMPLES)[1:3])]
)
@settings(deadline=None, max_examples=30)
@given(u=probabilities, v=probabilities)
def test_quantiles_rise(kind: str, u: float, v: float) -> None:
    distribution = example(kind)
    assert distribution.ppf(min(u, v)) <= distribution.ppf(max(u, v))


@pytest.mark.parametrize("kind", EXAMPLES)
@settings(deadline=None, max_examples=30)
@given(u=probabilities)
def test_what_is_drawn_is_held(kind: str, u: float) -> None:
    distribution = example(kind)
    value = distribution.ppf(u)
    assert holds(distribution, value)
    if distribution.support is not None:
        low, high = distribution.support
        assert low <= value <= high


@pytest.mark.parametrize("kind", ["log_uniform_values", "inv_log_uniform_values", "uniform"])
def test_the_ends_are_the_bounds_themselves(kind: str) -> None:
    distribution = example(kind)
    low, high = EXAMPLES[kind]["min"], EXAMPLES[kind]["max"]
    assert (distribution.ppf(0.0), distribution.ppf(1.0)) == (low, high)
    assert (distribution.cdf(low), distribution.cdf(high)) == pytest.approx((0, 1))
    assert (distribution.cdf(low - 1), distribution.cdf(high + 1)) == (0, 1)


def test_probabilities_of_nought_and_one_give_the_first_and_the_last() -> None:
    assert example("int_uniform").ppf(0.0) == -3
    assert example("int_uniform").ppf(1.0) == 12
    assert example("categorical").ppf(0.0) == "a"
    assert example("categorical").ppf(1.0) == 3
    weighted = read_distribution({"values": ["a", "b"], "probabilities": [1.0, 0.0]})
    assert weighted.ppf(1.0) == "a"
    assert example("normal").ppf(0.0) == -math.inf
    assert example("normal").ppf(1.0) == math.inf


def test_a_probability_on_a_border_belongs_to_the_value_below() -> None:
    """0.07 * 100 is above 7 in floating point, and the quantile at 0.07 is still the seventh."""
    hundred = read_distribution({"min": 1, "max": 100})
    assert [hundred.ppf(k / 100) for k in range(1, 101)] == list(range(1, 101))


def test_a_rounded_value_may_exceed_its_bounds() -> None:
    found = read_distribution({"distribution": "q_uniform", "min": 0, "max": 11, "q": 4})
    assert found.ppf(0.999) == 12
    assert found.support == (0, 12)
    assert list(found.grid()) == [0, 4, 8]
    assert holds(found, 12)
    assert not holds(found, 11)


def test_q_is_one_unless_given_and_gives_its_own_kind_of_number() -> None:
    plain = read_distribution({"distribution": "q_uniform", "min": 0, "max": 10})
    whole = read_distribution({"distribution": "q_uniform", "min": 0, "max": 10, "q": 1})
    assert (plain.ppf(0.52), whole.ppf(0.52)) == (5.0, 5)
    assert (type(plain.ppf(0.52)), type(whole.ppf(0.52))) == (float, int)


def test_draws_are_distributed_as_they_should_be() -> None:
    rng = random.Random(3)
    for kind in ("int_uniform", "categorical_w_probabilities", "q_uniform"):
        distribution = example(kind)
        draws = [distribution.ppf(rng.random()) for _ in range(4000)]
        values = {same(v) for v in draws}
        counts = [sum(same(v) == k for v in draws) for k in values]
        assert len(values) == {"int_uniform": 16, "q_uniform": 16}.get(kind, 2)
        assert max(counts) / 4000 < {"int_uniform": 0.09, "q_uniform": 0.09}.get(kind, 0.55)


@given(
    start=st.one_of(st.integers(-20, 20), st.floats(-20, 20)),
    length=st.one_of(st.integers(1, 30), st.floats(0.1, 30)),
    step=st.one_of(st.integers(1, 5), st.floats(0.05, 5)),
)
def test_steps_are_those_of_arange(start: float, length: float, step: float) -> None:
    expected = np.arange(start, start + length, step).tolist()
    found = Steps(start, start + length, step)
    assert len(found) == len(expected)
    assert list(found) == expected
    assert [type(v) for v in found] == [type(v) for v in expected]
    assert found[-1] == expected[-1]
    assert found[1:3] == expected[1:3]
    with pytest.raises(IndexError):
        found[len(expected)]


def test_an_endless_range_costs_nothing() -> None:
    assert len(example("int_uniform").grid()) == 16
    huge = read_distribution({"distribution": "q_uniform", "min": 0, "max": 1e9, "q": 0.001}).grid()
    assert isinstance(huge, Steps)
    assert huge.count_steps() == 10**12
    assert huge[10**11] == pytest.approx(1e8)


def test_what_is_the_same_value() -> None:
    assert same(3) == same(3.0)
    assert same(float("nan")) == same(float("nan"))
    assert same({"a": 1, "b": [2]}) == same({"b": [2], "a": 1})
    different = [1, True, "1", None, [1], [1.0], [True], {"a": 1}, {"a": "1"}, 2, 0, False, ""]
    assert len({same(v) for v in different}) == len(different)


def test_what_a_distribution_does_not_hold() -> None:
    for kind, value in (
        ("int_uniform", 2.5),
        ("int_uniform", 13),
        ("int_uniform", True),
        ("uniform", "1"),
        ("uniform", float("nan")),
        ("uniform", 9),
        ("normal", math.inf),
        ("q_uniform", 0.75),
        ("categorical", "c"),
        ("constant", "y"),
    ):
        assert not holds(example(kind), value), (kind, value)
    assert holds(example("int_uniform"), 2.0)


def test_cdf_of_choices_and_constants() -> None:
    assert [example("categorical").cdf(v) for v in ("a", "b", 3.0)] == pytest.approx(
        [1 / 3, 2 / 3, 1]
    )
    assert example("categorical_w_probabilities").cdf("b") == 0.5
    assert example("constant").cdf("x") == 0.0
    assert example("log_normal").cdf(-1) == example("inv_log_uniform").cdf(0) == 0.0
    assert example("int_uniform").cdf(-3.5) == 0.0
