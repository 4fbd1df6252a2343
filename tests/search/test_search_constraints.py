"""Constraints between parameters: their grammar, and searches that keep to them."""

from __future__ import annotations

import itertools

import pytest

from thetahat.core.errors import ConfigError
from thetahat.search import (
    Constraint,
    Objective,
    SearchHistory,
    Trial,
    accepts_all,
    constrained,
    feasible_points,
    make_space,
    sampler,
)

CONFIG = {"width": 8, "depth": 3, "act": "relu", "lr": 0.1, "opt": {"lr": 0.5}, "net.w": 2}


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("width <= 4 * depth", True),
        ("width < depth ** 2 - 1", False),
        ("1 < depth < 4 and not act == 'tanh'", True),
        ("act in ('relu', 'gelu') or lr > 1", True),
        ("max(width, depth) // 3 == 2 and abs(-depth) == 3", True),
        ("opt.lr > lr and net.w == 2", True),
        ("log(lr) < -3 if act == 'relu' else True", False),
        ("momentum > 2", True),
        ("width / depth > 2.6 and round(lr) == 0 and sqrt(4) == 2", True),
    ],
)
def test_a_constraint_is_what_python_says(text, holds) -> None:
    assert Constraint(text).accepts(CONFIG) is holds


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("width <", "is not an expression"),
        ("__import__('os')", "its functions are abs, min"),
        ("[x for x in width]", "it may not contain"),
        ("(lambda: 1)() > 0", "its functions are abs, min"),
        ("width := 3", "is not an expression"),
        ("f'{width}' == '8'", "it may not contain JoinedStr"),
    ],
)
def test_what_is_no_constraint_is_refused(text, said) -> None:
    with pytest.raises(ConfigError) as caught:
        Constraint(text)
    assert said in str(caught.value)


def test_values_that_do_not_compare_are_named() -> None:
    with pytest.raises(ConfigError, match=r"'act < width' fails at \{'act': 'relu', 'width': 8\}"):
        Constraint("act < width").accepts(CONFIG)


@pytest.mark.parametrize("name", ["grid", "random", "tpe", "qmc"])
def test_searches_keep_to_constraints(name) -> None:
    space = make_space({"a": {"min": 0, "max": 5}, "b": {"values": [0, 1, 2, 3]}})
    accepts = accepts_all([Constraint("a + b <= 4"), Constraint("a != b")])
    search = constrained(sampler(name), accepts, walks=name == "grid")
    feasible = {(a, b) for a, b in itertools.product(range(6), range(4)) if a + b <= 4 and a != b}
    trials, position = [], 0
    for _ in range(len(feasible)):
        history = SearchHistory(trials, position, Objective("loss"))
        found = search(space, history, 3, 1)
        position = found.position
        trials += [
            Trial(str(len(trials)), c, "finished", (), float(c["a"]), [c["a"]]) for c in found
        ]
    points = [(t.config["a"], t.config["b"]) for t in trials]
    assert set(points) <= feasible
    assert feasible_points(space, accepts, 100) == len(feasible)
    if name == "grid":
        assert set(points) == feasible
        last = search(space, SearchHistory(trials, position), 3, 1)
        assert (last.configs, last.exhausted) == ([], True)
    elif name != "qmc":
        assert len(set(points)) == len(points)


def test_what_nothing_satisfies_ends_the_search() -> None:
    space = make_space({"a": {"min": 0.0, "max": 1.0}})
    search = constrained(sampler("random"), accepts_all([Constraint("a > 2")]))
    found = search(space, SearchHistory(), 0, 3)
    assert (found.configs, found.exhausted) == ([], True)
