"""Reading: bytes, YAML's grammar, its limits, and what words mean to W&B's reader."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import yaml
from hypothesis import given, strategies as st

from thetahat.core.errors import ConfigError
from thetahat.core.yaml_tree import MAX_BYTES, MAX_VALUES, Unreadable, read_tree
from thetahat.core.yaml_words import dotted, read_word
from thetahat.sweep import Problem, parse_sweep, read_sweep

GOOD = "method: grid\nparameters:\n  x: {values: [1, 2]}\n"


def refusal(text: str) -> Problem:
    """Why a text cannot be read at all."""
    reading = parse_sweep(text)
    assert reading.spec is None
    assert not reading.valid
    (problem,) = reading.errors
    return problem


GRAMMAR = [
    ("", 1, "the file is empty; it needs at least method and parameters"),
    ("# only a comment\n", 1, "the file is empty; it needs at least method and parameters"),
    (
        "method: grid\nparameters:\n\tx: {value: 1}\n",
        3,
        "a tab in the indentation, which YAML does not allow; use spaces",
    ),
    (
        "method: grid\nname: a: b\n",
        2,
        "a colon too many in «name: a: b», or a wrong indentation; text with a colon goes in quotes",
    ),
    (
        "method: grid\nname: 'a\nparameters: {}\n",
        2,
        "a quote is opened here and never closed; close it",
    ),
    (
        "method: grid\nparameters: {x: {values: [1, 2}}\n",
        2,
        "the [ here is never closed, or lacks a comma before line 2",
    ),
    (
        "method: grid\nparameters: {x: {value: 1}\n",
        2,
        "the { here is never closed, or lacks a comma before line 2",
    ),
    (
        "method: grid\nparameters\n  x: 1\n",
        2,
        "«parameters» has no colon after it; write key: value",
    ),
    (
        "method: grid\nparameters\nname: a\n",
        2,
        "«parameters» has no colon after it; write key: value",
    ),
    (
        "method: grid\nx: *base\n",
        2,
        "*base names nothing; write &base before, at its definition",
    ),
    (
        "method: grid\nparameters: &p\n  x: *p\n",
        3,
        "*p stands inside itself; write out what it stands for",
    ),
    (f"{GOOD}---\n{GOOD}", 4, "a second document begins here (---); keep one sweep in a file"),
    ("method: !new grid\n", 1, "the tag !new is not for sweep files; remove it"),
    ("method: !!python/none grid\n", 1, "the tag !!python/none is not for sweep files; remove it"),
    ("run_cap: !!int many\n", 1, "!!int many is not of type int; remove the tag"),
    ("method: grid\n[1, 2]: 3\n", 2, "a key that is a list or a mapping; give it a name"),
    ("method: grid\n: 3\n", 2, "a colon with no key before it; write key: value"),
    ("method: grid\n<<: 3\n", 2, "<< merges mappings only; give it *name of a mapping"),
    ("name: a\x07b\n", 1, "a character that YAML does not allow (U+0007); remove it"),
]


@pytest.mark.parametrize(("text", "line", "message"), GRAMMAR)
def test_a_mistake_of_grammar_names_its_line_and_the_fix(text, line, message):
    assert refusal(text) == Problem(line, "", message)


def test_a_bomb_of_aliases_is_refused_at_once():
    levels = ["a: &a [x, x, x, x, x, x, x, x, x, x]"]
    levels += [
        f"{b}: &{b} [{', '.join([f'*{a}'] * 10)}]"
        for a, b in zip("abcdefgh", "bcdefghi", strict=True)
    ]
    message = (
        "more than 50,000 values (aliases followed); give ranges (min and max) in place of long"
        " lists, and no aliases of aliases"
    )
    assert refusal("\n".join(levels)) == Problem(5, "", message)


def test_too_many_values_written_out_are_refused_too():
    text = f"method: grid\nparameters: {{x: {{values: [{'1, ' * MAX_VALUES}1]}}}}\n"
    assert refusal(text).message.startswith("more than 50,000 values")


def test_lists_inside_lists_without_end_are_refused():
    message = "more than 50 lists or mappings inside one another; write fewer"
    assert refusal("a: " + "[" * 5000) == Problem(1, "", message)
    chain = ["a0: &a0 [1]"] + [f"a{i}: &a{i} [*a{i - 1}]" for i in range(1, 60)]
    assert refusal("\n".join(chain)) == Problem(50, "", message)


def test_a_file_that_is_too_large(tmp_path: Path):
    file = tmp_path / "large.yaml"
    file.write_bytes(b"#" * (MAX_BYTES + 1))
    (problem,) = read_sweep(file).errors
    assert problem.message == (
        "the file has 1,000,001 bytes, and a sweep file may have 1,000,000; give ranges (min and"
        " max) in place of long lists of values"
    )


def test_a_file_that_is_no_utf_8(tmp_path: Path):
    file = tmp_path / "latin.yaml"
    file.write_bytes("method: grid\nname: Übung\n".encode("latin-1"))
    (problem,) = read_sweep(file).errors
    fix = "save the file as UTF-8 (every editor has that under «save with encoding»)"
    assert problem == Problem(2, "", f"byte 20 of the file (0xdc) is not UTF-8; {fix}")
    file.write_bytes(GOOD.encode("utf-16"))
    (problem,) = read_sweep(file).errors
    assert problem == Problem(1, "", f"the file is UTF-16, and must be UTF-8; {fix}")
    file.write_bytes(b"\xef\xbb\xbf" + GOOD.encode())
    assert read_sweep(file).valid


def test_a_file_that_is_not_there_and_a_folder(tmp_path: Path):
    (tmp_path / "mlp_sweep.yaml").write_text(GOOD, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        read_sweep(tmp_path / "mlp_swep.yaml")
    said = f"there is no file {tmp_path / 'mlp_swep.yaml'}; did you mean 'mlp_sweep.yaml'?"
    assert str(caught.value) == said
    with pytest.raises(ConfigError) as caught:
        read_sweep(tmp_path / "nowhere" / "a.yaml")
    missing = tmp_path / "nowhere" / "a.yaml"
    assert str(caught.value) == f"there is no file {missing}; give the path of a sweep file"
    with pytest.raises(ConfigError) as caught:
        read_sweep(tmp_path)
    such = tmp_path / "mlp_sweep.yaml"
    assert str(caught.value) == f"{tmp_path} is a folder; give the sweep file in it, such as {such}"


SAME_OR_NOT = [
    *[("1", "1"), ("{x: [a, 1]}", "{ x: [ a, 1 ] }"), ("'grid'", "grid")],
    *[("1", "1.0"), ("1", "'1'"), ("{x: 1, y: 2}", "{x: 1}")],
]


def test_lines_and_keys_of_a_tree():
    tree, twice = read_tree("a: 1\nb:\n  - x\n  - {c: off}\nb: 2\n")
    assert [(at.line, at.key, at.value) for at in tree.walk() if at.kind != "mapping"] == [
        (1, "a", 1),
        (5, "b", 2),
    ]
    assert [(at.line, at.key, first, same) for at, first, same in twice] == [(5, "b", 2, False)]
    same = [read_tree(f"a: {one}\na: {other}\n")[1][0][2] for one, other in SAME_OR_NOT]
    assert same == [True, True, True, False, False, False]
    tree, twice = read_tree("b:\n  - x\n  - {c: off}\n")
    assert [(at.line, at.key) for at in tree.walk()] == [
        (1, ""),
        (1, "b"),
        (2, "b[0]"),
        (3, "b[1]"),
        (3, "b[1].c"),
    ]
    assert twice == []


def test_merges_and_aliases_mean_what_they_mean_to_w_and_b():
    text = "a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}\nc: {<<: [*a, {x: 5, z: 6}]}\nd: *a\n"
    assert read_tree(text)[0].value == yaml.safe_load(text)


WORDS = st.one_of(
    st.from_regex(r"[-+]?[0-9_.:eE+x-]{1,8}", fullmatch=True),
    st.from_regex(r"(0x|0b|0o|0)?[0-9a-fA-F_]{1,6}", fullmatch=True),
    st.from_regex(r"[0-9]{1,3}(:[0-9]{1,2}){1,2}(\.[0-9]*)?", fullmatch=True),
    st.sampled_from(
        ["yes", "No", "ON", "off", "true", "FALSE", "~", "null", ".inf", "-.INF", ".NaN", "y", "oN"]
    ),
)


@given(WORDS)
def test_a_plain_word_is_what_w_and_bs_reader_makes_of_it(word):
    try:
        theirs = yaml.safe_load(f"- {word}")
    except (yaml.YAMLError, ValueError, IndexError):
        return  # '1_e', '0x_': their reader breaks on these
    if not isinstance(theirs, list) or isinstance(theirs[0], (list, dict)):
        return  # "- 1: ..." is a mapping, not a word
    try:
        tree, _ = read_tree(f"- {word}", strict=True)
    except Unreadable:
        return
    ours, (their,) = tree.inside[0], theirs
    if ours.kind == "date":
        assert not isinstance(their, (str, int, float))
    elif isinstance(their, float) and math.isnan(their):
        assert math.isnan(ours.value)
    else:
        assert (type(ours.value), ours.value) == (type(their), their)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_that_a_message_writes_is_read_as_that_number_everywhere(value):
    assert yaml.safe_load(dotted(value)) == value
    assert read_word(dotted(value), plain=True) == (value, "float", "")


@given(st.integers(-400, 400), st.integers(0, 99), st.sampled_from("eE"))
def test_numbers_that_only_yaml_takes_for_text_are_fixed(exponent, digits, e):
    for word in (f"{digits}{e}{exponent}", f"-{digits}{e}{exponent}", f"+{digits}{e}{exponent}"):
        assert isinstance(yaml.safe_load(word), str)
        value, kind, trap = read_word(word, plain=True)
        assert (value, kind) == (float(word), "float")
        assert trap.startswith(f"{word} is text to W&B's YAML, and a number here; write ")
        text, kind, _ = read_word(word, plain=True, strict=True)
        assert (text, kind) == (word, "text")


@pytest.mark.parametrize("word", ["1e-4", "off", "1:30", "010", "2024-01-01", "~"])
def test_quotes_make_text(word):
    assert read_word(word, plain=False) == (word, "text", "")
    reading = parse_sweep(f"method: grid\nprogram: a\nparameters: {{x: {{value: '{word}'}}}}\n")
    assert reading.notes == ()
    assert reading.spec is not None
    assert reading.spec.parameters == {"x": {"value": word}}


@given(st.text(max_size=60))
def test_whatever_the_text_a_reading_comes_out(text):
    reading = parse_sweep(text)
    assert reading.valid == (reading.spec is not None)
    assert all(1 <= problem.line <= text.count("\n") + 2 for problem in reading.errors)
