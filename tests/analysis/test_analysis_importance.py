"""Importance finds what matters, gives luck no credit, and says nothing of too few settings."""

from __future__ import annotations

import itertools
import random
from typing import Any

import numpy as np
import pytest
from scipy import stats

from thetahat.analysis import Effect, effects, number

# Bins, ranks and intervals are compared with SciPy each for itself.
from thetahat.analysis._correlation import interval
from thetahat.analysis._importance import savage
from thetahat.analysis._rank_table import Bins, rank_table


def simulated(n: int) -> tuple[dict[str, list[Any]], list[float]]:
    """A metric that ``lr`` moves much, ``width`` little, and ``noise`` not at all."""
    rng = random.Random(1)
    lr = [rng.uniform(0, 1) for _ in range(n)]
    width = [rng.choice([16, 32, 64]) for _ in range(n)]
    noise = [rng.choice(["a", "b", "c"]) for _ in range(n)]
    values = [(x - 0.2) ** 2 + 0.05 * (w == 16) for x, w in zip(lr, width, strict=True)]
    return {"noise": noise, "width": width, "lr": lr}, values


def named(found: list[Effect]) -> dict[str, Effect]:
    return {effect.name: effect for effect in found}


def clears(effect: Effect) -> bool:
    return effect.floor is not None and (effect.importance or 0.0) > effect.floor


def test_what_moves_the_metric_comes_first_and_noise_stays_below_its_floor() -> None:
    found = effects(*simulated(300), sign=1)
    assert found[0].name == "lr"
    by_name = named(found)
    assert by_name["lr"].importance > 2 * by_name["lr"].floor
    assert by_name["noise"].importance < by_name["noise"].floor
    assert sum(effect.importance for effect in found) == pytest.approx(1)
    assert by_name["noise"].correlation is None


def test_too_few_settings_say_nothing_of_importance_and_no_interval() -> None:
    for effect in effects(*simulated(9), sign=1):
        assert effect.importance is None and effect.floor is None and effect.n == 9
        assert effect.low is None and effect.high is None
    assert named(effects(*simulated(9), sign=1))["lr"].correlation is not None


def test_the_guard_for_few_counts_settings_not_runs() -> None:
    columns, values = simulated(9)
    many = {name: column * 20 for name, column in columns.items()}
    for effect in effects(many, values * 20, sign=1):
        assert effect.importance is None and effect.low is None
        assert (effect.n, effect.settings) == (9, 9)


def test_a_setting_is_the_median_of_its_runs() -> None:
    columns, values = simulated(40)
    three = {name: column * 3 for name, column in columns.items()}
    runs = values + [value - 1 for value in values] + [value + 5 for value in values]
    assert effects(three, runs, sign=1) == effects(columns, values, sign=1)
    one = rank_table({"x": [1, 1, 1, 1, 2]}, [1.0, 9.0, 2.0, 4.0, 7.0])
    assert one.values.tolist() == [3.0, 7.0]


def test_neither_the_order_of_runs_nor_that_of_parameters_changes_a_number() -> None:
    columns, values = simulated(60)
    values = [round(value, 1) for value in values]
    order = random.Random(2).sample(range(60), 60)
    turned = {name: [columns[name][i] for i in order] for name in reversed(columns)}
    assert effects(turned, [values[i] for i in order], 1) == effects(columns, values, 1)


def test_the_sign_turns_the_search_around() -> None:
    values = [float(k) for k in range(40)]
    rng = random.Random(0)
    columns = {
        "x": ["low"] * 4 + ["rest"] * 36,
        "y": ["rest"] * 36 + ["high"] * 4,
        "other": [rng.random() for _ in values],
    }
    assert effects(columns, values, sign=1)[0].name == "x"
    assert effects(columns, values, sign=-1)[0].name == "y"


def test_what_clears_the_chance_mark_of_a_small_grid_is_seen_to_clear_it() -> None:
    grid = list(itertools.product([0.2, 1.0], [0, 1], [0, 1, 2]))
    columns = {name: [point[i] for point in grid] for i, name in enumerate("abc")}
    decides = effects(columns, columns["a"], 1)[0]
    assert (decides.name, decides.importance) == ("a", 1.0)
    # All six pairs agree in 2 of 64 orders, five of them in 12 more: the mark lies between the two.
    assert decides.floor is not None
    assert 0.45 < decides.floor < 0.9


@pytest.mark.parametrize("kind", ["words", "numbers"])
def test_a_constant_metric_says_nothing(kind: str) -> None:
    columns = {"a": [k % 3 for k in range(45)], "b": [float(k) for k in range(45)]}
    if kind == "words":
        columns = {name: [str(x) for x in column] for name, column in columns.items()}
    for effect in effects(columns, [0.95] * 45, sign=-1):
        assert effect.importance is None and effect.floor is None and effect.correlation is None


def test_where_nothing_clears_chance_no_parameter_has_a_share() -> None:
    rng = random.Random(5)
    columns = {name: [rng.random() for _ in range(40)] for name in "ab"}
    found = effects(columns, [rng.random() for _ in range(40)], sign=1)
    assert [(e.importance, e.floor) for e in found] == [(0.0, None), (0.0, None)]


def test_what_moves_together_shares_and_is_not_taken_out_of_each_other() -> None:
    x = [float(k) for k in range(40)]
    found = effects({"x": x, "twice": [2 * v for v in x], "word": [str(v) for v in x]}, x, 1)
    by_name = named(found)
    assert by_name["x"].importance == by_name["twice"].importance == pytest.approx(0.5)
    assert by_name["word"].importance == 0, "a word of its own in each setting explains nothing"


def test_a_parameter_of_one_choice_alone_gets_no_credit_for_the_choice() -> None:
    rng = random.Random(0)
    best = [rng.choice(["adam", "sgd"]) for _ in range(200)]
    beta = [rng.random() if name == "adam" else None for name in best]
    null = [rng.choice([None, 0.9]) for _ in range(200)]
    values = [
        (name == "adam") + 0.6 * (x is not None) + rng.gauss(0, 0.3)
        for name, x in zip(best, null, strict=True)
    ]
    found = named(effects({"best": best, "beta": beta, "null": null}, values, 1))
    assert clears(found["best"]) and clears(found["null"])
    assert not clears(found["beta"])


def test_the_same_runs_give_the_same_numbers() -> None:
    assert effects(*simulated(60), sign=1) == effects(*simulated(60), sign=1)


@pytest.mark.parametrize("ties", [False, True])
def test_rank_correlation_is_that_of_scipy(ties: bool) -> None:
    rng = np.random.default_rng(4)
    x, y = rng.normal(size=(2, 50))
    if ties:
        x, y = np.round(x), np.round(y)
    # The second column makes every run a setting of its own.
    columns = {"x": x.tolist(), "run": list(range(50))}
    found = named(effects(columns, y.tolist(), 1))["x"]
    assert found.correlation == pytest.approx(stats.spearmanr(x, y).statistic)
    assert found.low < found.correlation < found.high


def test_a_perfect_correlation_of_few_is_not_said_to_be_perfect() -> None:
    low, high = interval(1.0, 12) or (0.0, 0.0)
    assert 0.9 < low < 0.99 and high == 1.0
    assert interval(1.0, 9) is None


def test_bins_take_few_values_as_they_are_and_many_in_equal_shares() -> None:
    def bins_of(column: list[Any]) -> Bins:
        settings = {"x": column, "y": list(range(len(column)))}
        return rank_table(settings, settings["y"]).columns[0].of_levels

    words = bins_of(["b", "a", "b"])
    assert (*words.codes,) == (0, 1) and words.sizes == (1, 2) and not words.several
    every = bins_of(list(range(120)))
    assert every.sizes == [10] * 12 and every.several
    assert len(bins_of(list(range(10))).sizes) == 4, "a value of its own in each setting is no bin"
    lacking = bins_of([*range(20), None])
    assert len(lacking.sizes) == 5 and lacking.sizes[4] == 1, "those that lack it are a bin"


def test_scores_are_savages_and_equal_ranks_share_theirs() -> None:
    assert savage([1.0, 2.0, 3.0]) == pytest.approx([11 / 6, 5 / 6, 1 / 3])
    assert savage([1.5, 1.5, 3.0]) == pytest.approx([4 / 3, 4 / 3, 1 / 3])


@pytest.mark.parametrize(
    ("value", "expected"),
    [(2, 2.0), (True, 1.0), (float("nan"), None), ("2", None), (None, None), (10**400, None)],
)
def test_only_finite_numbers_are_numbers(value: object, expected: float | None) -> None:
    assert number(value) == expected
