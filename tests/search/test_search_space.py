"""Spaces: what a parameters section means, in which order, and what is wrong in one."""

from __future__ import annotations

import math
import random
import re
import subprocess
import sys
from typing import Any

import pytest

from thetahat.core import ConfigError
from thetahat.search import make_space, read_distribution, space_faults

NESTED = {
    "zeta": {"value": 1},
    "opt": {
        "parameters": {
            "name": {"values": ["adam", "sgd"]},
            "b": {"parameters": {"x": {"min": 1, "max": 2}}},
        }
    },
    "lr.max": {"values": [0.1, 0.2]},
}


def test_names_are_sorted_on_every_level_and_the_last_varies_fastest() -> None:
    space = make_space(NESTED)
    assert [d.name for d in space.dimensions] == ["lr.max", "opt.b.x", "opt.name", "zeta"]
    assert [d.path for d in space.searched] == [("lr.max",), ("opt", "b", "x"), ("opt", "name")]
    assert space.size == 8
    assert space.point(0) == {"lr.max": 0.1, "opt": {"b": {"x": 1}, "name": "adam"}, "zeta": 1}
    assert space.point(1)["opt"] == {"b": {"x": 1}, "name": "sgd"}
    assert space.point(2)["opt"] == {"b": {"x": 2}, "name": "adam"}
    assert space.point(4)["lr.max"] == 0.2
    assert len({space.key(space.point(i)) for i in range(8)}) == 8


def test_points_outside_the_grid() -> None:
    space = make_space(NESTED)
    for i in (8, -1):
        with pytest.raises(IndexError, match=f"point {i} of a grid of 8"):
            space.point(i)


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ({"value": 3}, "constant"),
        ({"values": [3]}, "categorical"),
        ({"values": [1, 2], "probabilities": [0.5, 0.5]}, "categorical_w_probabilities"),
        ({"min": 1, "max": 9}, "int_uniform"),
        ({"min": 1, "max": 9.0}, "uniform"),
        ({"min": 1.0, "max": 9}, "uniform"),
        ({"min": 1, "max": 9, "distribution": "uniform"}, "uniform"),
        ({"distribution": "normal"}, "normal"),
    ],
)
def test_the_distribution_is_inferred(given: dict[str, Any], kind: str) -> None:
    assert read_distribution(given).kind == kind


def test_configs_share_nothing_with_the_space() -> None:
    space = make_space({"layers": {"values": [[64, 64]]}, "fixed": {"value": {"a": [1]}}})
    space.point(0)["layers"].append(9)
    space.point(0)["fixed"]["a"].append(9)
    assert space.point(0) == {"fixed": {"a": [1]}, "layers": [64, 64]}


def test_keys_pass_over_kinds_of_number_and_constants() -> None:
    space = make_space({"a": {"values": [3, 4]}, "b": {"value": 1}, "c": {"values": [1, True]}})
    assert space.key({"a": 3.0, "b": 1, "c": 1}) == space.key({"a": 3, "b": 2, "c": 1, "new": 0})
    assert space.key({"a": 3, "c": 1}) != space.key({"a": 3, "c": True})
    assert space.key({"a": 3}) not in {space.key(space.point(i)) for i in range(4)}


def test_equal_values_count_once_and_the_later_stays() -> None:
    space = make_space({"a": {"values": [1, 2, 1.0]}})
    assert space.size == 2
    assert [repr(space.point(i)["a"]) for i in range(2)] == ["1.0", "2"]


def test_holds() -> None:
    space = make_space(NESTED)
    assert all(space.holds(space.point(i)) for i in range(8))
    good = space.point(0)
    assert not space.holds(good | {"lr.max": 0.3})
    assert not space.holds(good | {"zeta": 2})
    assert not space.holds(good | {"opt": 3})
    assert not space.holds({})


def test_size_is_none_where_the_points_are_endless() -> None:
    endless = make_space({"lr": {"min": 0.0, "max": 1.0}, "n": {"min": 1, "max": 3}})
    assert endless.size is None
    assert not endless.discrete
    rounded = make_space({"n": {"distribution": "q_normal"}})
    assert rounded.size is None
    assert rounded.discrete
    huge = make_space({k: {"min": 0, "max": 10**20} for k in "ab"})
    assert huge.size == (10**20 + 1) ** 2
    assert huge.point(huge.size - 1) == {"a": 10**20, "b": 10**20}


def test_a_space_of_constants_has_one_point() -> None:
    space = make_space({"a": {"value": None}})
    assert (space.size, space.point(0), space.searched) == (1, {"a": None}, ())


def test_samples_are_strictly_inside_infinite_tails() -> None:
    space = make_space({"z": {"distribution": "normal"}})
    rng = random.Random(1)
    draws = [space.draw(rng)[0] for _ in range(2000)]
    assert all(map(math.isfinite, draws))
    assert sum(draws) / 2000 == pytest.approx(0, abs=0.1)

    class Least(random.Random):
        def getrandbits(self, k: int) -> int:
            return 0

    assert math.isfinite(space.draw(Least())[0])


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"valeu": 3}, ".valeu: a parameter has no key 'valeu'; did you mean 'value'?"),
    ({}, ": lr is an empty mapping; give it a value, values, or min and max"),
    ({"min": 1}, ": int_uniform needs max; add max"),
    ({"max": 1}, ": int_uniform needs min; add min"),
    ({"min": 3, "max": 1}, ".min: min 3 is above max 1; swap them: min: 1, max: 3"),
    ({"min": 1, "max": 1}, ".min: min and max are both 1; for one value write value: 1"),
    ({"min": "1e-4", "max": 1.0}, ".min: min is the text '1e-4', and must be a number; write min: 0.0001, without quotes"),
    ({"min": 0.0, "max": math.inf}, ".max: max is inf; give a finite number"),
    ({"min": True, "max": 3}, ".min: min is true, and must be a number; give a number, such as min: 0.001"),
    ({"min": 1, "max": 3, "q": 2}, ".q: int_uniform takes no q, only min and max; for that, write distribution: q_uniform"),
    ({"min": 1, "max": 3, "step": 2}, ".step: int_uniform has no key 'step'"),
    ({"mu": 1}, ": lr has only mu; say which distribution: normal, q_normal, log_normal or q_log_normal"),
    ({"a": 1}, ": lr has only a; say which distribution: beta or q_beta"),
    ({"values": []}, ".values: values is an empty list; give a list of at least one"),
    ({"values": 3}, ".values: values is 3; give a list of at least one, such as [3]"),
    ({"values": [1, 2], "probabilities": [1.0]}, ".probabilities: 1 probabilities for 2 values; give one for each value"),
    ({"values": [1, 2], "probabilities": [0.5, 0.6]}, ".probabilities: the probabilities sum to 1.1, and must sum to 1; divide each by 1.1"),
    ({"values": [1, 2], "probabilities": [-1, 2]}, ".probabilities[0]: a probability is -1; give one from 0 to 1"),
    ({"values": [1, 2], "probabilities": [10**400, 1]}, ".probabilities: the probabilities sum to inf, and must sum to 1"),
    ({"values": [1, 2], "probabilities": 1}, ".probabilities: probabilities is 1; give a list of numbers that sum to 1"),
    ({"distribution": "lognormal"}, ".distribution: there is no distribution 'lognormal'; did you mean 'log_normal'?"),
    ({"distribution": ["normal"]}, ".distribution: there is no distribution ['normal']; known: constant, categorical"),
    ({"distribution": "uniform", "min": 1}, ": uniform needs max; add max"),
    ({"distribution": "int_uniform", "min": 1.0, "max": 3}, ".min: min is 1.0, and int_uniform needs whole numbers; write min: 1"),
    ({"distribution": "log_uniform_values", "min": 0, "max": 1}, ".min: min is 0, and the bounds of log_uniform_values are values above 0; give one, such as min: 0.0001"),
    ({"distribution": "log_uniform", "min": 0, "max": 1000}, ".max: the bounds of log_uniform are exponents of e, and e^1000 is not finite; for values write distribution: log_uniform_values"),
    ({"distribution": "inv_log_uniform", "min": -1000, "max": 0}, ".min: the bounds of inv_log_uniform are exponents of e, and e^-1000 is not finite; for values write distribution: inv_log_uniform_values"),
    ({"distribution": "q_uniform", "min": 0, "max": 1, "q": 0}, ".q: q is 0, and must be above 0"),
    ({"distribution": "normal", "sigma": 0}, ".sigma: sigma is 0, and must be above 0; a fixed value is written value: ..."),
    ({"distribution": "normal", "mu": "0"}, ".mu: mu is the text '0', and must be a number; write mu: 0, without quotes"),
    ({"distribution": "beta", "a": -1}, ".a: a is -1, and must be above 0"),
]  # fmt: skip


@pytest.mark.parametrize(("given", "message"), WRONG)
def test_make_space_names_the_fix_of_a_wrong_parameter(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match="^" + re.escape("parameters.lr" + message)):
        make_space({"lr": given})


SECTIONS: list[tuple[Any, str]] = [
    ({}, "parameters: parameters is an empty mapping; name at least one, such as lr: {min: 0.001"),
    ([1], "parameters: parameters is a list; name at least one, such as lr: {min: 0.001"),
    ({"lr": 0.1}, "parameters.lr: lr is 0.1, and must be a mapping; for a fixed value write lr:"),
    ({"2lr": {"value": 1}}, "parameters.2lr: '2lr' cannot be the name of a parameter: use letters"),
    ({1: {"value": 1}}, "parameters.1: '1' cannot be the name of a parameter: use letters, digits"),
    (
        {True: {"value": 1}},
        "parameters.True: 'True' cannot be the name of a parameter: use letters",
    ),
    ({"m": {"parameters": {}}}, "parameters.m.parameters: parameters is an empty mapping; name at"),
    ({"m": {"parameters": {"a": {}}}}, "parameters.m.parameters.a: a is an empty mapping; give it"),
    (
        {"m": {"parameters": {"a": {"value": 1}}, "value": 3}},
        "parameters.m.value: m holds parameters of its own, and can have no value beside them;",
    ),
]


@pytest.mark.parametrize(("section", "message"), SECTIONS)
def test_make_space_names_the_fix_of_a_wrong_section(section: Any, message: str) -> None:
    with pytest.raises(ConfigError, match="^" + re.escape(message)):
        make_space(section)
    assert str(space_faults(section)[0]).startswith(message)


def test_all_faults_are_found_at_once() -> None:
    faults = space_faults({"a": {"min": 1}, "b": {"value": 1}, "c": {"parameters": {"d": {}}}})
    assert [fault.node.key for fault in faults] == ["parameters.a", "parameters.c.parameters.d"]
    assert space_faults(NESTED) == []


def test_space_faults_say_why_a_grid_is_impossible() -> None:
    section = {
        "a": {"min": 0.0, "max": 1.0},
        "b": {"values": [1, 2], "probabilities": [0.5, 0.5]},
        "c": {"distribution": "q_normal"},
        "d": {"values": [1]},
    }
    first, second, third = map(str, space_faults(section, grid=True))
    assert space_faults(section) == []
    assert first == (
        "parameters.a: a grid cannot run all values of uniform; give values: [...], whole numbers"
        " as min and max, or distribution: q_uniform with a step q; or write method: random"
    )
    assert second == (
        "parameters.b: a grid runs every value once, so probabilities mean nothing; remove them"
    )
    assert "cannot run all values of q_normal" in third
    with pytest.raises(ConfigError, match=re.escape(first)):
        make_space(section).point(0)


def test_the_room_loads_no_library() -> None:
    code = (
        "import sys, thetahat.search as s;"
        "space = s.make_space({'a': {'min': 1, 'max': 3}, 'z': {'distribution': 'normal'}});"
        "s.sampler('random')(space, s.SearchHistory(), 0, 2);"
        "print(*(m for m in ('numpy', 'scipy', 'optuna', 'jax', 'torch') if m in sys.modules))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == ""


@pytest.mark.parametrize(
    "section",
    [
        {"min": 5, "max": 2},
        {"min": 3, "max": 3},
        {"min": 1.5, "max": 1.5},
        {"min": 0.5, "max": math.inf},
        {"min": 10**400, "max": 10**401},
        {"min": 1.0, "max": 3, "distribution": "int_uniform"},
        {"min": 0, "max": 3, "distribution": "log_uniform_values"},
        {"min": -1.0, "max": 3.0, "distribution": "q_log_uniform_values"},
        {"min": 0, "max": 900, "distribution": "log_uniform"},
        {"min": -900, "max": 0, "distribution": "inv_log_uniform"},
        {"min": 0.0, "max": 1.0, "distribution": "q_uniform", "q": 0},
        {"min": 0.0, "max": 1.0, "distribution": "q_uniform", "q": 1e-320},
        {"min": 0.0, "max": 1e308, "distribution": "q_uniform", "q": 0.5},
        {"distribution": "q_normal", "q": 1e-310},
        {"distribution": "normal", "sigma": -1},
        {"distribution": "normal", "mu": math.nan},
        {"distribution": "log_normal", "mu": 800},
        {"distribution": "q_log_normal", "sigma": 1e6},
        {"distribution": "beta", "b": 0.0},
    ],
)
def test_a_file_and_a_space_refuse_the_same_bounds_in_the_same_words(section) -> None:
    from thetahat.sweep import parse_sweep

    with pytest.raises(ConfigError) as caught:
        make_space({"lr": section})
    words = {math.inf: ".inf"}
    lines = [f"    {k}: {'.nan' if v != v else words.get(v, v)}" for k, v in section.items()]
    text = "\n".join(["method: random", "parameters:", "  lr:", *lines, ""])
    first = parse_sweep(text).errors[0]
    assert str(caught.value) == f"{first.key}: {first.message}"
