"""Signatures, configs, tasks and the messages of the error tree."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

import thetahat as th
from thetahat.core import ConfigError, Status, ThetahatError, errors, read_signature
from thetahat.core.errors import did_you_mean


def experiment(
    n: int = 5, lr: float = 0.1, flag: bool = False, cut: th.Static[float] = 0.5, seed: th.Seed = 3
) -> th.Task:
    """One line.

    More lines.
    """
    raise NotImplementedError


def test_the_annotation_decides_what_is_traced() -> None:
    signature = read_signature(experiment)
    assert signature.name == "experiment"
    assert signature.doc.startswith("One line.")
    assert signature.traced == ("lr", "seed")
    assert [p.name for p in signature.parameters.values() if p.is_seed] == ["seed"]
    assert not any(p.required for p in signature.parameters.values())


def test_a_config_is_defaults_and_what_was_given_cast() -> None:
    config = read_signature(experiment).config({"lr": 1, "n": 7})
    assert config == {"n": 7, "lr": 1.0, "flag": False, "cut": 0.5, "seed": 3}
    assert isinstance(config["lr"], float)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"learning_rate": 1}, "experiment() has no parameter 'learning_rate'; did you mean 'lr'?"),
        ({"sed": 1}, "experiment() has no parameter 'sed'; did you mean 'seed'?"),
        ({"lr": "a"}, "lr='a' is not a number; give one, such as lr=0.01"),
        ({"lr": True}, "lr=True is not a number; give one, such as lr=0.01"),
        ({"lr": float("nan")}, "lr=nan is not a number; give one, such as lr=0.01"),
        (
            {"seed": 1.5},
            "seed=1.5 is not a seed; give an integer from 0 to 2**31 - 1, such as seed=42",
        ),
        (
            {"seed": 2**31},
            "seed=2147483648 is not a seed; give an integer from 0 to 2**31 - 1, such as seed=42",
        ),
    ],
)
def test_what_was_given_wrongly_is_said(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_signature(experiment).config(given)
    assert str(caught.value) == message
    assert caught.value.exit_code == 2


def test_required_and_nameless_parameters() -> None:
    def needs(x: int, y: float = 1.0) -> None:
        """Nothing."""

    with pytest.raises(ConfigError, match=r"needs\(\) needs x; give x=\.\.\. \(--x=\.\.\.\)"):
        read_signature(needs).config({})
    with pytest.raises(
        ConfigError, match=r"has the parameter \*args; a flag can set named parameters only"
    ):
        read_signature(lambda *args: None)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"epochs": 0}, "epochs=0; give an integer of at least 1"),
        ({"epochs": 2.5}, "epochs=2.5; give an integer of at least 1"),
        ({"batch_size": -1}, "batch_size=-1; give an integer of at least 1"),
        ({"sampling": "shufle"}, "sampling='shufle' is unknown; did you mean 'shuffle'?"),
        ({"dtype": "float16"}, "dtype='float16'; give 'float32' or 'float64'"),
        (
            {"metrics": {"val_risk": lambda h: 0.0}},
            "the metric 'val_risk' would hide the column 'val_risk' of the history; rename it",
        ),
    ],
)
def test_a_task_that_cannot_be_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        th.Task(model=None, data=None, **fields)
    assert str(caught.value) == message


def test_one_rule_needs_no_list() -> None:
    rule = th.Patience(3)
    assert th.Task(None, None, stopping=rule).stopping == (rule,)


def test_hints() -> None:
    assert did_you_mean("epoch", ["epochs", "lr"]) == "; did you mean 'epochs'?"
    assert did_you_mean("learning-rate", ["epochs", "lr"]) == "; did you mean 'lr'?"
    assert did_you_mean("zzz", ["epochs", "lr"]) == "; known: epochs, lr"
    assert did_you_mean("zzz", []) == ""


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    classes = {
        name: kind
        for name, kind in inspect.getmembers(errors, inspect.isclass)
        if issubclass(kind, ThetahatError)
    }
    assert all(name in (errors.__doc__ or "") for name in classes)
    codes = {name: kind.exit_code for name, kind in classes.items()}
    wrong_input = {n for n, k in classes.items() if issubclass(k, errors.InputError)}
    assert {n for n, code in codes.items() if code == 2} == wrong_input
    assert codes["Interrupted"] == 130
    assert str(errors.MissingExtra("to_frame()", "tables")) == (
        "to_frame() needs an extra: pip install 'thetahat[tables]'"
    )


def test_statuses() -> None:
    assert [s.value for s in Status if not s.over] == ["queued", "running"]
    assert f"{Status.DIVERGED}" == "diverged"
