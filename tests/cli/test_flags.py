"""An experiment's flags: types, messages, config files, help."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given, settings, strategies as st

import thetahat as th

# What the flags read is compared by type; a command prints text only.
from thetahat.cli._flags import dump_config, read_flags, retyped, stored_value
from thetahat.cli._help import help_text
from thetahat.core import ConfigError
from thetahat.core.signature import read_signature


class Colour(Enum):
    """Two colours."""

    RED = 1
    BLUE = 2


@dataclass
class Knobs:
    """A nested group."""

    a: int = 1
    b: float = 0.5


def mlp_regression(
    N: int = 500,
    M: int = 2,
    sigma: float = 1e-4,
    width: int = 128,
    lr: float = 1e-3,
    epochs: int = 2000,
    batch_size: int = 512,
    seed: th.Seed = 42,
) -> th.Task:
    """Fit a two-hidden-layer network.

    It has a second paragraph.

    Args:
        N: observations.
        lr: step length of
            gradient descent.
        sigma (float): noise.
    Returns: a task.
    """
    raise AssertionError


def typed(
    needed: float,
    flag: bool = False,
    activation: Literal["relu", "tanh"] = "relu",
    widths: list[int] = [64, 64],  # noqa: B006
    layers: tuple[int, ...] = (3,),
    most: int | None = None,
    colour: Colour = Colour.RED,
    knobs: Knobs = Knobs(),
    fixed: th.Static[float] = 0.5,
    word: str = "a",
    bare=3,
    function=math.sin,
) -> th.Task:
    raise AssertionError


MLP, TYPED = read_signature(mlp_regression), read_signature(typed)


def config(*words: str, signature=MLP) -> dict:
    return dict(read_flags(signature, words).config)


def message(*words: str, signature=MLP) -> str:
    with pytest.raises(ConfigError) as caught:
        read_flags(signature, words)
    return str(caught.value)


def test_defaults_and_flags() -> None:
    assert config()["lr"] == 1e-3
    found = config("--lr=0.01", "--width", "64", "--batch-size=32", "--seed", "7")
    assert (found["lr"], found["width"], found["batch_size"], found["seed"]) == (0.01, 64, 32, 7)
    assert isinstance(found["width"], int)
    assert isinstance(config("--lr=1")["lr"], float)


def test_what_was_given_is_known() -> None:
    assert read_flags(MLP, ["--lr=0.001"]).given == {"lr"}
    assert read_flags(MLP, []).given == frozenset()


def test_the_last_of_two_flags_counts() -> None:
    assert config("--lr=1", "--lr=2")["lr"] == 2.0


@given(st.floats(allow_nan=False))
@settings(max_examples=40, deadline=None)
def test_every_float_survives_the_command_line(value: float) -> None:
    assert config(f"--lr={value!r}")["lr"] == value


@pytest.mark.parametrize("name", ["learning_rate", "learning-rate"])
def test_an_unknown_flag_is_answered_with_the_nearest_name(name: str) -> None:
    said = f"mlp_regression() has no parameter {name!r}; did you mean 'lr'?"
    assert message(f"--{name}=0.1") == said


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("--lr=abc", "--lr=abc: lr wants a number (float), such as --lr=0.001"),
        ("--width=1.5", "--width=1.5: width wants a whole number (int), such as --width=128"),
        ("--lr=nan", "lr=nan: give a number, such as --lr=0.001"),
        ("--lr=.nan", "lr=nan: give a number, such as --lr=0.001"),
        (
            "--seed=-1",
            "seed=-1 is not a seed; give an integer from 0 to 2**31 - 1, such as seed=42",
        ),
        ("--seed=x", "--seed=x: seed wants a whole number (int), such as --seed=42"),
        ("--lr", "--lr needs a value, such as --lr=0.001"),
        ("--store", "--store needs a value, such as --store=URL"),
        ("--stor=x", "mlp_regression() has no parameter 'stor'; did you mean 'store'?"),
        ("lr=1", "mlp_regression() got the word 'lr=1'; parameters are given as --name=value"),
        ("--epochs=", "--epochs=: epochs wants a whole number (int), such as --epochs=2000"),
    ],
)
def test_messages(word: str, said: str) -> None:
    assert message(word) == said


def test_types_that_never_run_as_one_program() -> None:
    found = config(
        "--needed=1", "--flag", "--activation=tanh", "--widths=[8,4]", "--layers=1,2",
        "--most=5", "--colour=BLUE", "--knobs.a=7", "--fixed=0.25", "--word=true", "--bare=4",
        signature=TYPED,
    )  # fmt: skip
    expected = {
        "needed": 1.0, "flag": True, "activation": "tanh", "widths": [8, 4], "layers": (1, 2),
        "most": 5, "colour": Colour.BLUE, "knobs": Knobs(7, 0.5), "fixed": 0.25, "word": "true",
        "bare": 4, "function": math.sin,
    }  # fmt: skip
    assert found == expected


@pytest.mark.parametrize(
    ("words", "value"),
    [
        (["--flag"], True),
        (["--flag", "false"], False),
        (["--no-flag"], False),
        (["--flag=1"], True),
        ([], False),
    ],
)
def test_truth(words: list[str], value: bool) -> None:
    assert config("--needed=1", *words, signature=TYPED)["flag"] is value


def test_messages_of_other_types() -> None:
    said = "--activation=rel: activation wants one of relu, tanh; did you mean 'relu'?"
    assert message("--needed=1", "--activation=rel", signature=TYPED) == said
    said = "--colour=green: colour wants one of RED, BLUE"
    assert message("--needed=1", "--colour=green", signature=TYPED) == said
    said = "--flag=maybe: flag wants true or false (bool), such as --flag=false"
    assert message("--needed=1", "--flag=maybe", signature=TYPED) == said
    assert message(signature=TYPED) == "typed() needs needed; give needed=... (--needed=...)"


def test_a_config_file_and_flags_over_it(tmp_path: Path) -> None:
    file = tmp_path / "defaults.yaml"
    file.write_text("lr: 1e-4\nwidth: 32\nsigma: '1e-2'\n", encoding="utf-8")
    found = read_flags(MLP, [f"--config={file}", "--width=16"])
    assert found.config["lr"] == 1e-4  # a word in YAML 1.1, where a float needs its point
    assert found.config["sigma"] == 1e-2
    assert found.config["width"] == 16
    assert found.given == {"lr", "width", "sigma"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "learning_rate: 1",
            "{}: mlp_regression() has no parameter 'learning_rate'; did you mean 'lr'?",
        ),
        (
            "lr: [1",
            "--config={} is not valid YAML (line 1: expected ',' or ']', but got '<stream end>')",
        ),
        ("lr", "--config={} must hold lines such as lr: 0.01; it holds 'lr'"),
        ("lr: word", "lr=word in {}: lr wants a number (float), such as --lr=0.001"),
        ("lr: .nan", "lr=nan: give a number, such as --lr=0.001"),
        ("width: 1.5", "width=1.5 in {}: width wants a whole number (int), such as --width=128"),
    ],
)
def test_messages_of_config_files(text: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text(text, encoding="utf-8")
    assert message(f"--config={file}") == said.format(file)


def test_a_config_file_that_is_not_there() -> None:
    assert (
        message("--config=gone.yaml")
        == "--config=gone.yaml cannot be read: No such file or directory"
    )


@given(
    st.fixed_dictionaries(
        {
            "lr": st.floats(allow_nan=False, allow_infinity=False),
            "width": st.integers(1, 10**6),
            "seed": st.integers(0, 2**31 - 1),
        }
    )
)
@settings(max_examples=25, deadline=None)
def test_what_print_config_prints_can_be_read_again(tmp_path_factory, values) -> None:
    file = tmp_path_factory.mktemp("c") / "c.yaml"
    full = MLP.config(values)
    file.write_text(dump_config(MLP, full), encoding="utf-8")
    assert config(f"--config={file}") == full


def test_print_config_keeps_the_order_and_says_what_is_missing() -> None:
    assert dump_config(MLP, MLP.config({})).splitlines()[:3] == ["N: 500", "M: 2", "sigma: 0.0001"]
    flags = read_flags(TYPED, ["--print_config", "--most=3"])
    lines = dump_config(TYPED, flags.config).splitlines()
    assert "most: 3" in lines
    assert "# needed: (needed)" in lines


def test_a_config_comes_back_from_the_store_with_its_types() -> None:
    full = TYPED.config(
        {"needed": 1.5, "colour": Colour.BLUE, "knobs": Knobs(4, 0.1), "layers": (1, 2), "most": 3}
    )
    stored = {name: stored_value(value) for name, value in full.items()}
    assert retyped(TYPED, stored) == full


def test_a_config_of_an_older_signature_is_refused() -> None:
    with pytest.raises(ConfigError) as caught:
        retyped(MLP, {"lrate": 0.1})
    said = "mlp_regression() no longer has the parameter 'lrate'; did you mean 'lr'?"
    assert str(caught.value) == said
    with pytest.raises(ConfigError) as caught:
        retyped(MLP, {"width": "wide"})
    said = "width=wide of mlp_regression(): width wants a whole number (int), such as --width=128"
    assert str(caught.value) == said


def test_help_shows_the_docstring_types_and_defaults() -> None:
    lines = help_text(MLP, 80).splitlines()
    assert lines[2:5] == ["Fit a two-hidden-layer network.", "", "It has a second paragraph."]
    rows = {row.split()[0]: row.split(maxsplit=3)[1:] for row in lines if row.startswith("  --")}
    assert rows["--N"] == ["int", "500", "observations."]
    assert rows["--lr"] == ["float", "0.001", "step length of gradient descent."]
    assert rows["--sigma"] == ["float", "0.0001", "noise."]
    assert rows["--seed"] == ["seed", "42"]
    assert max(map(len, lines)) <= 80
    typed_rows = [row.split()[:3] for row in help_text(TYPED, 100).splitlines()]
    assert ["--needed", "float", "(needed)"] in typed_rows
    assert ["--activation", "relu|tanh", "relu"] in typed_rows
    assert ["--colour", "RED|BLUE", "RED"] in typed_rows


def test_a_parameter_of_the_experiment_wins_over_an_option_of_ours() -> None:
    def named(name: str = "x", lr: float = 0.1) -> th.Task:
        raise AssertionError

    signature = read_signature(named)
    found = read_flags(signature, ["--name=ols"])
    assert found.config["name"] == "ols"
    assert "name" not in found.options
    assert "--name NAME" not in help_text(signature, 80)


@dataclass(frozen=True)
class Parts:
    width: int = 4
    clip: float | None = 1.0


def many(
    clip: float | None = 1.0,
    n: int | None = 1,
    word: str | None = "a",
    plain: str = "a",
    kind: Literal["x"] | None = "x",
    many: list[float] | None = None,
    facts: dict | None = None,
    flag: bool = True,
    parts: Parts = Parts(),
) -> None:
    """What ``${args}`` of a sweep may write."""


@pytest.mark.parametrize(
    "config",
    [
        dict.fromkeys(("clip", "n", "word", "kind", "many")),
        {"clip": math.inf, "n": 3, "word": "b", "plain": "None", "kind": "x", "flag": False},
        {"many": [1.0, 2.5], "facts": {"a": None, "b": [True, "c"]}, "flag": True},
        {"many": [math.inf, 1.0], "facts": {"a": -math.inf, "b": [math.inf, "inf", "nan"]}},
        {"parts.clip": None, "parts.width": 8},
        {"parts": {"width": 8, "clip": None}},
        {"plain": "[1, 2]", "word": "{'a': 1}"},
    ],
)
def test_what_the_args_of_a_sweep_write_is_read_as_what_it_was(config) -> None:
    from thetahat.sweep.spec import argv_of

    argv = argv_of(["go", "${args}"], None, config, env={}, folder=Path())
    found = dict(read_flags(read_signature(many), argv[1:]).config)
    parts = found.pop("parts")
    wanted = {"width": parts.width, "clip": parts.clip}
    if any(name.startswith("parts") for name in config):
        assert wanted == {"width": 8, "clip": None}
    assert {k: found[k] for k in config if not k.startswith("parts")} == {
        k: v for k, v in config.items() if not k.startswith("parts")
    }
