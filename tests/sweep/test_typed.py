"""A sweep's values as an experiment wants them."""

from __future__ import annotations

import dataclasses
import enum
from pathlib import Path
from typing import Literal

import pytest

import thetahat as th
from thetahat.core import ConfigError, read_signature
from thetahat.sweep.spec import typed


class Activation(enum.Enum):
    """Named by its members."""

    RELU = "relu"
    TANH = "tanh"


@dataclasses.dataclass(frozen=True)
class Optimizer:
    """A nested parameter."""

    name: str = "sgd"
    lr: float = 0.1


def experiment(
    width: int = 8,
    lr: float = 0.1,
    activation: Activation = Activation.RELU,
    optimizer: Optimizer = Optimizer(),
    widths: tuple[int, ...] = (8,),
    part: Literal["val", "test"] = "val",
    table: Path = Path("wage.csv"),
    note: str | None = None,
    free=None,
    seed: th.Seed = 0,
) -> None:
    """One parameter of each kind."""


SIGNATURE = read_signature(experiment)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({"width": 4, "lr": 1, "seed": 3}, {"width": 4, "lr": 1, "seed": 3}),
        ({"activation": "TANH"}, {"activation": Activation.TANH}),
        ({"widths": [4, 4]}, {"widths": (4, 4)}),
        ({"part": "test"}, {"part": "test"}),
        ({"table": "a.csv"}, {"table": Path("a.csv")}),
        ({"note": None}, {"note": None}),
        ({"free": {"any": [1, "b"]}}, {"free": {"any": [1, "b"]}}),
        ({"optimizer": {"lr": 0.5}}, {"optimizer": Optimizer("sgd", 0.5)}),
        (
            {"optimizer.lr": 0.5, "optimizer.name": "adam"},
            {"optimizer": Optimizer("adam", 0.5)},
        ),
    ],
)
def test_values_take_the_types_of_the_signature(given, wanted) -> None:
    found = typed(SIGNATURE, given)
    assert found == wanted
    assert {k: type(v) for k, v in found.items()} == {k: type(v) for k, v in wanted.items()}


def test_a_value_that_does_not_fit_is_named() -> None:
    with pytest.raises(ConfigError) as caught:
        typed(SIGNATURE, {"activation": "sine"})
    said = str(caught.value)
    assert said.startswith("activation='sine' of the sweep does not fit experiment()")
