"""Importance finds what matters, gives luck no credit, and says nothing of too few runs."""

from __future__ import annotations

import random

import pytest
from scipy import stats

from thetahat.analysis import effects, number
from thetahat.analysis._importance import binned, correlation, interval, ranks


def simulated(n: int) -> tuple[dict[str, list[object]], list[float]]:
    """A metric that ``lr`` moves much, ``width`` little, and ``noise`` not at all."""
    rng = random.Random(1)
    lr = [rng.uniform(0, 1) for _ in range(n)]
    width = [rng.choice([16, 32, 64]) for _ in range(n)]
    noise = [rng.choice(["a", "b", "c"]) for _ in range(n)]
    values = [(x - 0.2) ** 2 + 0.05 * (w == 16) for x, w in zip(lr, width, strict=True)]
    return {"noise": noise, "width": width, "lr": lr}, values


def test_what_moves_the_metric_comes_first_and_noise_stays_below_its_floor() -> None:
    found = effects(*simulated(300), sign=1)
    assert found[0].name == "lr"
    by_name = {effect.name: effect for effect in found}
    assert by_name["lr"].importance > 2 * by_name["lr"].floor
    assert by_name["noise"].importance < by_name["noise"].floor
    assert sum(effect.importance for effect in found) == pytest.approx(1)
    assert by_name["noise"].correlation is None


def test_too_few_runs_say_nothing_of_importance() -> None:
    for effect in effects(*simulated(9), sign=1):
        assert effect.importance is None and effect.floor is None and effect.n == 9


def test_the_sign_turns_the_search_around() -> None:
    values = [float(k) for k in range(40)]
    columns = {"x": ["low"] * 4 + ["rest"] * 36, "y": ["rest"] * 36 + ["high"] * 4}
    assert effects(columns, values, sign=1)[0].name == "x"
    assert effects(columns, values, sign=-1)[0].name == "y"


def test_the_same_runs_give_the_same_numbers() -> None:
    assert effects(*simulated(60), sign=1) == effects(*simulated(60), sign=1)


def test_rank_correlation_is_that_of_scipy() -> None:
    x, y = [3.0, 1.0, 1.0, 8.0, 5.0], [1.0, 2.0, 2.0, 0.5, 9.0]
    mine = correlation(ranks(x), ranks(y))
    assert mine == pytest.approx(stats.spearmanr(x, y).statistic)
    assert correlation([1.0, 1.0], [1.0, 2.0]) is None
    low, high = interval(0.5, 50)
    assert -1 < low < 0.5 < high < 1


def test_bins_take_few_values_as_they_are_and_many_in_equal_shares() -> None:
    assert binned(["b", "a", "b"]) == ([0, 1, 0], 2)
    codes, bins = binned([float(k) for k in range(120)])
    assert bins == 12 and [codes.count(k) for k in range(12)] == [10] * 12


@pytest.mark.parametrize(
    ("value", "expected"),
    [(2, 2.0), (True, 1.0), (float("nan"), None), ("2", None), (None, None)],
)
def test_only_finite_numbers_are_numbers(value: object, expected: float | None) -> None:
    assert number(value) == expected
