"""A sweep file as plain data, and as the JSON that a store keeps."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from thetahat.core.sweep_file import file_json, read_file_json, read_plain
from thetahat.core.yaml_tree import Unreadable, read_tree
from thetahat.core.yaml_words import read_word

WORDS = st.text('$floatné\ud800\0"', max_size=6)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=8,
)


def alike(one: Any, two: Any) -> bool:
    """Equal, with equal types; a NaN equals a NaN."""
    if type(one) is not type(two):
        return False
    if isinstance(one, dict):
        return list(one) == list(two) and all(alike(one[k], two[k]) for k in one)
    if isinstance(one, list):
        return len(one) == len(two) and all(map(alike, one, two))
    if isinstance(one, float) and math.isnan(one):
        return math.isnan(two)
    return repr(one) == repr(two)


@settings(suppress_health_check=[HealthCheck.too_slow])  # the first draw, on a busy machine
@given(st.dictionaries(WORDS, VALUES, max_size=4))
def test_every_value_survives_the_json_of_a_store(plain: dict[str, Any]) -> None:
    text = file_json(plain)
    text.encode("utf-8")  # SQLite takes it
    json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
    assert alike(read_file_json(text), plain)


@pytest.mark.parametrize(
    "plain",
    [
        {"x": [None, True, False, 1, 1.0, -0.0, 10**300, 1e-5, "1e-4", "2026-01-31", "off"]},
        {"x": [math.nan, math.inf, -math.inf, "nan", "inf"]},
        {"$float": "nan", "$$float": {"$float": "inf"}, "x": {"$float": "nan", "y": 1}},
        {"x": "\ud800"},
    ],
)
def test_odd_values_survive(plain: dict[str, Any]) -> None:
    assert alike(read_file_json(file_json(plain)), plain)


def test_a_file_is_read_by_yaml_1_1_and_texts_keep_their_letters() -> None:
    text = """\
program: 1e-4
name: '007'
method: grid
command: [python, 1e-4, 010, off, "${args}"]
metric: {name: 1e-4, impute_while_running: false}
early_terminate: {type: hyperband, min_iter: 3}
run_cap: 4
parameters:
  a: {values: [010, off, ~, 1:30, 0x10, 1_000, 1e-3, '1e-3', 2026-01-31, .nan, .inf, 1, 1.0]}
  on: {value: {yes: [no, 1]}}
"""
    plain = read_plain(text)
    assert [plain[k] for k in ("program", "name", "run_cap")] == ["1e-4", "007", 4]
    assert plain["command"] == ["python", "1e-4", "8", "False", "${args}"]
    assert plain["metric"] == {"name": "1e-4", "impute_while_running": "false"}
    values = [8, False, None, 90, 16, 1000, 0.001, "1e-3", "2026-01-31", math.nan, math.inf, 1, 1.0]
    assert alike(plain["parameters"]["a"]["values"], values)
    assert plain["parameters"]["on"] == {"value": {"yes": [False, 1]}}


@pytest.mark.parametrize("text", ["", "- a\n- b\n", "method: [", "a: *b", "5"])
def test_what_is_no_sweep_file_is_empty(text: str) -> None:
    assert read_plain(text) == {}


@pytest.mark.parametrize(
    ("word", "value"), [("1e400", math.inf), ("-1.0e+309", -math.inf), ("1_0e999", math.inf)]
)
def test_a_number_beyond_all_is_said(word: str, value: float) -> None:
    found, kind, trap = read_word(word, plain=True)
    assert (found, kind) == (value, "float")
    assert f"{'-' * (value < 0)}.inf" in trap and "beyond all numbers" in trap
    assert read_word(".inf", plain=True) == (math.inf, "float", "")


@pytest.mark.parametrize("digits", ["9" * 1001, "9" * 5000, "0x" + "f" * 5000, "-" + "7" * 4300])
def test_a_whole_number_that_python_cannot_write_is_refused_with_its_line(digits: str) -> None:
    with pytest.raises(Unreadable, match="digits, and one may have 1,000") as caught:
        read_tree(f"method: grid\nparameters: {{x: {{value: {digits}}}}}\n")
    assert caught.value.line == 2
    assert read_plain(f"x: '{digits}'") == {"x": digits}
