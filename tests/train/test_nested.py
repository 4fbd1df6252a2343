"""Nested (dataclass) parameters: flat names, traced floats, and configs that a store gives back."""

from __future__ import annotations

import enum
import json
from dataclasses import dataclass, field

import numpy as np
import pytest

import thetahat as th
from thetahat.core import ConfigError, read_signature


class Act(enum.Enum):
    """Stored by value."""

    TANH = "tanh"
    RELU = "relu"


@dataclass(frozen=True)
class Decay:
    """Inside another."""

    rate: float = 0.5
    steps: tuple[int, ...] = (3, 4)


@dataclass(frozen=True)
class Net:
    """A parameter with parts."""

    width: int = 2
    scale: float = 1.0
    seed: th.Seed = 0
    act: Act = Act.TANH
    decay: Decay = field(default_factory=Decay)


X = np.linspace(-1, 1, 16, dtype=np.float32)[:, None]


def nested(net: Net = Net(scale=2.0), lr: float = 0.1, other: Decay | None = None) -> th.Task:
    assert isinstance(net, Net) and isinstance(net.act, Act) and isinstance(net.decay.steps, tuple)
    model = th.models.MLP(1, width=net.width, depth=1, activation=net.act.value, seed=net.seed)
    data = th.Data((X, net.scale * net.decay.rate * X[:, 0]))
    return th.Task(model, data, optimizer=th.optim.named("sgd", lr), epochs=3)


FLAT = {
    "net.width": 2,
    "net.scale": 2.0,
    "net.seed": 0,
    "net.act": Act.TANH,
    "net.decay.rate": 0.5,
    "net.decay.steps": (3, 4),
    "lr": 0.1,
    "other": None,
}


@pytest.fixture(scope="module")
def plain() -> th.Result:
    """The fit with every default."""
    return th.fit(nested)


def test_a_config_has_flat_names(plain):
    assert plain.config == FLAT


@pytest.mark.usefixtures("fresh_programs")
def test_floats_and_seeds_inside_are_traced():
    assert set(read_signature(nested).traced) == {"net.scale", "net.seed", "net.decay.rate", "lr"}
    configs = [
        {"net.scale": s, "net.decay.rate": r} for s, r in ((1.0, 0.5), (2.0, 0.25), (3.0, 1.0))
    ]
    together = th.fit_many(nested, configs, mode="vmap")
    assert [result.traces for result in together] == [1, 1, 1]
    for result, config in zip(together, configs, strict=True):
        alone = th.fit(nested, **config)
        assert result.risk["train"] == pytest.approx(alone.risk["train"], rel=1e-5)


@pytest.mark.parametrize(
    "given",
    [
        {"net": Net(scale=3.0)},
        {"net": {"scale": 3.0}},
        {"net.scale": 3.0},
        {"net": {"scale": 3.0, "act": "tanh", "decay": {"steps": [3, 4]}}},
    ],
)
def test_every_spelling_of_a_nested_parameter_is_the_same_fit(given):
    result = th.fit(nested, **given)
    assert result.config == {**FLAT, "net.scale": 3.0}


def test_fit_takes_what_a_store_gives_back(plain, tmp_path):
    with th.open_store(tmp_path) as store:
        other = {"net.act": Act.RELU, "other": Decay(0.25)}
        th.fit(nested, **other, trackers=[th.store_tracker(store)])
        run = store.run("last")
    assert json.loads(json.dumps(run.config))["net.act"] == "relu"
    again = th.fit(nested, **run.config)
    assert again.config == {**FLAT, **other}


def test_a_wrong_field_is_named():
    with pytest.raises(ConfigError, match=r"net\.decay has no field 'rte'; did you mean 'rate'"):
        th.fit(nested, **{"net.decay.rte": 1.0})
    with pytest.raises(ConfigError, match=r"net\.scale='big' is not a number"):
        th.fit(nested, **{"net.scale": "big"})


def test_an_instance_of_a_subclass_stays_whole(plain):
    class Other(Net):
        pass

    result = th.fit(nested, net=Other(scale=2.0))
    assert isinstance(result.config["net"], Other)
    assert result.risk["train"] == pytest.approx(plain.risk["train"])
