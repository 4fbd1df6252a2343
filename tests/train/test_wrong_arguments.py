"""Arguments of the wrong kind get a message that says what is taken; values print as shapes."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import optax
import pytest
from small import draw

import thetahat as th
from thetahat.core import ConfigError
from thetahat.core.errors import InputError, ShapeError
from thetahat.sweep import parse_sweep


def task(**more) -> th.Task:
    parts = {"model": th.models.MLP(2, width=3, depth=1, seed=0), "data": th.Data(draw(30))}
    return th.Task(**{**parts, "optimizer": optax.sgd(0.1), "epochs": 2, **more})


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: th.store_tracker("runs.db"), "takes an open store"),
        (lambda: th.store_tracker(3), "takes an open store"),
        (lambda: th.open_store(3), "3 is not a store"),
        (lambda: th.start(3), "config=3 is not a mapping"),
        (lambda: parse_sweep({"method": "grid"}), "takes the text of a sweep file; got a dict"),
        (lambda: th.fit(3), "3 is not an experiment"),
        (lambda: th.fit_many("fit", [{}]), "'fit' is not an experiment"),
        (lambda: th.fit(dict), r"dict\(\) names no parameters; give a function of your own"),
        (lambda: th.fit(task(), resume=True), "resume=True goes on from a checkpoint; give check"),
        (lambda: task(penalty="l2"), r"penalty='l2' is not a function; give penalty\(params\)"),
        (
            lambda: th.fit(task(loss=lambda r, y: r * y)),
            r"the loss <lambda>\(r, y\) cannot be called as loss\(r\); write it with exactly one",
        ),
        (
            lambda: th.fit(task(loss=lambda r: "a")),
            "the loss <lambda> must be one array per observation; got a str",
        ),
        (
            lambda: th.read_table({"a": [[1.0], [2.0]], "y": [1.0, 2.0]}, "y"),
            r"column 'a' has shape \(2, 1\); give one value per row",
        ),
    ],
)
def test_an_argument_of_the_wrong_kind_is_named(call, said: str) -> None:
    with pytest.raises(InputError, match=said):
        call()


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: optax.lookahead(optax.sgd(0.1), 5, 0.5), "lookahead trains a pair"),
        (lambda: optax.contrib.schedule_free_sgd(0.1), "judged at other parameters"),
        (
            lambda: optax.chain(optax.clip(1.0), optax.contrib.schedule_free_adamw(0.1)),
            "judged at other parameters",
        ),
    ],
)
def test_an_optimizer_with_parameters_of_its_own_is_refused(make, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        th.fit(task(optimizer=make()))


def test_the_hint_of_a_residual_looks_at_the_model() -> None:
    x = np.linspace(0.1, 1, 30, dtype=np.float32)[:, None]
    scalar = task(
        model=th.models.MLP(1, width=3, depth=1, seed=0),
        data=th.Data((x, x[:, 0])),
        residual=lambda h, z: h(z[0]) - jnp.sqrt(z[0]),
    )
    with pytest.raises(ShapeError, match=r"h\(x\) is a scalar and x has shape \(1,\): use x\[0\]"):
        th.fit(scalar)
    model = th.models.MLP(1, width=3, depth=1, out=1, seed=0)
    with pytest.raises(ShapeError, match=r"Use h\(x\)\[0\]"):
        th.fit(task(model=model, data=scalar.data, residual=lambda h, z: h(z[0]) - z[1]))


def test_data_print_as_shapes() -> None:
    table = th.read_table({"a": list(range(40)), "y": [k * k for k in range(40)]}, target="y")
    assert str(table) == "Table(y on a; 40 rows)"
    split = th.split(table, train=0.5, val=0.5, test=None, seed=0)
    assert str(split.train) == "Observations(x: (20, 1), y: (20,))"
    assert "array(" not in str(split.train) + str(table)
    assert str(task()).count("\n") == 0


def test_the_package_lists_its_own_names_only() -> None:
    assert set(dir(th)) >= {"fit", "Task", "models"}
    assert not {"HOMES", "ROOMS", "TYPE_CHECKING", "Any", "importlib"} & set(dir(th))
