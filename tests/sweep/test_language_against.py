"""A sweep against an experiment's signature: names, types, ranges, and what is missing."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Literal

import pytest

import thetahat as th
from thetahat.core import read_signature
from thetahat.sweep import Problem, check_against, notes_against, parse_sweep
from thetahat.sweep.spec import ValueReader


class Loss(Enum):
    """Two losses."""

    SQUARED = 1
    HUBER = 2


@dataclass(frozen=True)
class Net:
    """A net's shape."""

    width: int = 8
    depth: int = 2


@dataclass(frozen=True)
class Model:
    """A model with a net."""

    net: Net = field(default_factory=Net)
    scale: float = 1.0


def growth(
    N: int = 500,
    lr: float = 0.001,
    epochs: int = 100,
    beta: th.Static[float] = 0.9,
    seed: th.Seed = 42,
    optimizer: str = "adam",
    activation: Literal["relu", "tanh", "off"] = "relu",
    loss: Loss = Loss.SQUARED,
    nesterov: bool = False,
    layers: list[int] = [64, 64],  # noqa: B006
    patience: int | None = None,
    model: Model = Model(),
    extra: dict[str, Any] = {},  # noqa: B006
    anything: Any = None,
) -> th.Task:
    """Never called."""
    raise AssertionError


def needy(alpha: float, kind: str, lr: float = 0.1) -> th.Task:
    """Never called."""
    raise AssertionError


GROWTH = read_signature(growth)


def against(section: str, name: str = "x") -> list[Problem]:
    reading = parse_sweep(f"method: random\nparameters:\n  {name}: {section}\n")
    return check_against(reading.require(), GROWTH)


@pytest.mark.parametrize(
    ("name", "fix"),
    [
        ("learning_rate", "; did you mean 'lr'?"),
        ("num_epochs", "; did you mean 'epochs'?"),
        ("Seed", "; did you mean 'seed'?"),
        ("n", "; did you mean 'N'?"),
        ("qqq", f"; known: {', '.join(GROWTH.parameters)}"),
        ("wandb_mode", ", and needs none: runs are kept here, with no account; remove it"),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest(name, fix):
    message = f"growth() has no parameter {name!r}{fix}"
    assert against("{value: 1}", name) == [Problem(3, f"parameters.{name}", message)]


GOOD = [
    ("N", "{values: [1, 100]}"),
    ("N", "{min: 1, max: 9}"),
    ("N", "{distribution: q_uniform, min: 8, max: 64, q: 8}"),
    ("N", "{distribution: q_log_uniform_values, min: 8, max: 64, q: 1}"),
    ("lr", "{values: [1, 0.1, 1e-3]}"),
    ("lr", "{distribution: log_uniform_values, min: 0.001, max: 1}"),
    ("lr", "{min: 0, max: 9}"),
    ("beta", "{distribution: beta}"),
    ("seed", "{min: 0, max: 2147483647}"),
    ("optimizer", "{values: [adam, 'off', '3']}"),
    ("activation", "{values: [relu, 'off']}"),
    ("loss", "{values: [SQUARED, HUBER]}"),
    ("nesterov", "{values: [true, false]}"),
    ("layers", "{values: [[64], [32, 32], []]}"),
    ("patience", "{values: [~, 5]}"),
    ("patience", "{min: 1, max: 5}"),
    ("model.net.width", "{min: 1, max: 9}"),
    ("model.scale", "{min: 0.5, max: 1.5}"),
    ("model", "{parameters: {net: {parameters: {width: {value: 3}}}, scale: {value: 2}}}"),
    ("model", "{parameters: {net.width: {value: 3}}}"),
    ("model", "{values: [{scale: 2.0, net: {width: 3}}]}"),
    ("extra.a.b", "{value: text}"),
    ("extra", "{parameters: {a: {value: text}}}"),
    ("anything", "{values: [1, a, [2]]}"),
    ("anything.inner", "{value: 3}"),
]


@pytest.mark.parametrize(("name", "section"), GOOD)
def test_what_fits_is_let_through(name, section):
    assert against(section, name) == []


WHOLE = "a whole number (int)"
BAD = [
    ("N", "{value: 64.0}", ".value", f"N is 64.0, and must be {WHOLE}; write 64"),
    ("N", "{value: '64'}", ".value", f"N is '64', and must be {WHOLE}; write 64 without quotes"),
    ("N", "{value: 1.5}", ".value", f"N is 1.5, and must be {WHOLE}; give one, such as 10"),
    ("N", "{values: [1, off]}", ".values[1]", f"N is false, and must be {WHOLE}; give one, such as 10"),
    ("N", "{value: ~}", ".value", f"N is null, and must be {WHOLE}; give one, such as 10"),
    ("N", "{min: 1.5, max: 9.5}", "", f"N must be {WHOLE}, but uniform draws numbers such as 4.46; write whole bounds: min: 2, max: 10"),
    ("N", "{distribution: normal}", "", f"N must be {WHOLE}, but normal draws numbers such as -0.3319; write distribution: q_normal with q: 1"),
    ("N", "{distribution: inv_log_uniform_values, min: 1, max: 9}", "", f"N must be {WHOLE}, but inv_log_uniform_values draws numbers such as 2.255; write whole numbers as min and max"),
    ("N", "{distribution: q_uniform, min: 1, max: 9}", "", f"N must be {WHOLE}, but q_uniform draws numbers such as 1.0; write q: 1, a whole number"),
    ("N", "{distribution: q_uniform, min: 1, max: 9, q: 0.5}", "", f"N must be {WHOLE}, but q_uniform draws numbers such as 0.5; write q: 1, a whole number"),
    ("patience", "{min: 1.5, max: 9.0}", "", f"patience must be {WHOLE}, but uniform draws numbers such as 4.275; write whole bounds: min: 2, max: 9"),
    ("lr", "{value: '0.1'}", ".value", "lr is '0.1', and must be a number (float); write 0.1 without quotes"),
    ("lr", "{values: [low]}", ".values[0]", "lr is 'low', and must be a number (float); give one, such as 0.01"),
    ("lr", "{value: true}", ".value", "lr is true, and must be a number (float); give one, such as 0.01"),
    ("lr", "{value: .nan}", ".value", "lr is nan, and must be a number (float); give one, such as 0.01"),
    ("beta", "{value: high}", ".value", "beta is 'high', and must be a number (float); give one, such as 0.01"),
    ("optimizer", "{values: [adam, off]}", ".values[1]", "optimizer is false, and must be a word (str): YAML reads off as false; write 'off', in quotes"),
    ("optimizer", "{value: 3}", ".value", "optimizer is 3, and must be a word (str); write '3', in quotes"),
    ("optimizer", "{value: 1:30:00}", ".value", "optimizer is 5400, and must be a word (str): YAML reads 1:30:00 as 5400; write '1:30:00', in quotes"),
    ("optimizer", "{min: 1, max: 3}", "", "optimizer must be a word (str), but int_uniform draws numbers; list its values: values: [...]"),
    ("activation", "{value: rleu}", ".value", "activation is 'rleu', and must be one of 'relu', 'tanh', 'off'; did you mean 'relu'?"),
    ("activation", "{value: off}", ".value", "activation is false, and must be one of 'relu', 'tanh', 'off': YAML reads off as false; write 'off', in quotes"),
    ("activation", "{distribution: normal}", "", "activation must be one of 'relu', 'tanh', 'off', but normal draws numbers; list its values: values: [relu, tanh, off]"),
    ("loss", "{value: huber}", ".value", "loss is 'huber', and must be one of 'SQUARED', 'HUBER'; did you mean 'HUBER'?"),
    ("nesterov", "{value: 1}", ".value", "nesterov is 1, and must be true or false (bool); write true"),
    ("nesterov", "{min: 0, max: 1}", "", "nesterov must be true or false (bool), but int_uniform draws numbers; list its values: values: [true, false]"),
    ("layers", "{value: 64}", ".value", "layers is 64, and must be list[int]"),
    ("layers", "{value: [a]}", ".value", "layers is ['a'], and must be list[int]"),
    ("patience", "{value: never}", ".value", f"patience is 'never', and must be {WHOLE}; give one, such as 10"),
    ("model.net.wdth", "{value: 3}", "", "model.net has no field 'wdth'; did you mean 'width'?"),
    ("model.net.width", "{value: a}", ".value", f"model.net.width is 'a', and must be {WHOLE}; give one, such as 10"),
    ("model.net.width.x", "{value: 3}", "", f"model.net.width is {WHOLE}, and has no part 'x'"),
    ("optimizer.lr", "{value: 3}", "", "optimizer is a word (str), and has no part 'lr'; write lr alone"),
    ("lr.init", "{value: 3}", "", "lr is a number (float), and has no part 'init'"),
    ("model", "{value: {net: {width: a}}}", ".value", "model is {'net': {'width': 'a'}}, and must be Model"),
    ("seed", "{value: -1}", ".value", "-1 cannot be a seed; give integers from 0 to 2**31 - 1 (2147483647)"),
    ("seed", "{min: -5, max: 3}", ".min", "-5 cannot be a seed; give integers from 0 to 2**31 - 1 (2147483647)"),
    ("seed", "{min: 0, max: 2147483648}", ".max", "2147483648 cannot be a seed; give integers from 0 to 2**31 - 1 (2147483647)"),
    ("seed", "{values: [1, 1.5]}", ".values[1]", f"seed is 1.5, and must be {WHOLE}; give one, such as 10"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "section", "part", "message"), BAD)
def test_what_does_not_fit_is_said_with_its_fix(name, section, part, message):
    assert against(section, name) == [Problem(3, f"parameters.{name}{part}", message)]


def test_a_part_of_a_nested_section_names_its_own_line():
    text = (
        "method: random\nparameters:\n  model:\n    parameters:\n      scale:\n        value: a\n"
    )
    (problem,) = check_against(parse_sweep(text).require(), GROWTH)
    assert (problem.line, problem.key) == (6, "parameters.model.parameters.scale.value")


def test_missing_parameters_are_all_named():
    text = "method: random\nparameters:\n  lr: {value: 1.0}\n"
    message = "needy() needs {0}, which has no default; add {0}: {{value: {1}}}"
    assert check_against(parse_sweep(text).require(), read_signature(needy)) == [
        Problem(2, "parameters", message.format("alpha", "0.01")),
        Problem(2, "parameters", message.format("kind", "word")),
    ]


def test_all_mistakes_come_at_once_and_in_order():
    text = """\
method: grid
parameters:
  seed: {values: [-1, 2, -3]}
  learning_rate: {values: [0.1]}
  N: {values: ['1', 2.0]}
"""
    found = check_against(parse_sweep(text).require(), GROWTH)
    assert [(problem.line, problem.key) for problem in found] == [
        (3, "parameters.seed.values[0]"),
        (3, "parameters.seed.values[2]"),
        (4, "parameters.learning_rate"),
        (5, "parameters.N.values[0]"),
        (5, "parameters.N.values[1]"),
    ]


def test_names_are_checked_in_a_file_with_other_mistakes():
    text = "method: gird\nparameters:\n  lr: {min: 3, max: 1}\n  zeta: {min: 3, max: 1}\n"
    sound = parse_sweep(text).sound
    assert sound is not None
    (problem,) = check_against(sound, GROWTH)
    assert problem.key == "parameters.zeta"
    assert [p.key for p in check_against(sound, read_signature(needy))] == [
        "parameters",
        "parameters",
        "parameters.zeta",
    ]


def test_whole_numbers_alone_for_a_float_are_a_note():
    spec = parse_sweep("method: random\nparameters:\n  lr: {min: 1, max: 10}\n").require()
    assert check_against(spec, GROWTH) == []
    message = (
        "lr is a float, but whole bounds draw whole numbers only; for all numbers between write"
        " min: 1.0, max: 10.0"
    )
    assert notes_against(spec, GROWTH) == [Problem(3, "parameters.lr", message)]
    for section in ("N: {min: 1, max: 10}", "lr: {min: 1.0, max: 10.0}", "lr: {value: 3}"):
        spec = parse_sweep(f"method: random\nparameters:\n  {section}\n").require()
        assert notes_against(spec, GROWTH) == []


@pytest.mark.parametrize(
    ("annotation", "good", "bad"),
    [
        (int, [0, -3, 2**40], [True, 1.0, "1", None]),
        (float, [0, 1.5, float("inf")], [True, "1", None, float("nan")]),
        (bool, [True, False], [0, 1, "true", None]),
        (str, ["", "a"], [1, None, True]),
        (tuple[int, str], [[1, "a"]], [[1], [1, 2], "ab"]),
        (tuple[int, ...], [[], [1, 2]], [["a"], 3]),
        (tuple, [[1, "a"]], [3]),
        (list, [[1, "a"]], [3]),
        (dict[str, int], [{"a": 1}], [3, {"a": "x"}, {"a": "1"}]),
        (list[int], [[], [1]], [["1"], [1.0], [None]]),
        (Model, [{"net": {"width": 3}}], [{"net": {"width": "3"}}, {"net": {"wdth": 3}}]),
        (float | str, [1.0, "a", 2], [None, True]),
        (None, [None], [0]),
        (Literal[1, 2], [1], [True, 3, "1"]),
    ],
)
def test_what_fits_an_annotation(annotation, good, bad):
    reader = ValueReader(annotation)
    before = repr([good, bad])
    assert all(map(reader.fits, good))
    assert not any(map(reader.fits, bad))
    assert repr([good, bad]) == before
