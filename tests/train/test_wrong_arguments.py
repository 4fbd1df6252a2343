"""Arguments of the wrong kind get a message that says what is taken; values print as shapes."""

from __future__ import annotations

import re

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


def lr_only(lr: float = 0.1) -> th.Task:
    return task(optimizer=optax.sgd(lr))


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
        (
            lambda: th.fit(lr_only, start=3),
            r"'start'; the Task that lr_only\(\) returns has: th.Task",
        ),
        (lambda: th.fit(task(), start=3), r"Give start to the Task: th.Task\(..., start=...\)"),
        (
            lambda: th.fit(task(sampling=th.Shuffle(seed="a"), batch_size=9)),
            "seed='a'; give an integer",
        ),
        (
            lambda: th.split(draw(30), val=np.zeros(3)),
            r"val=array\(.* give a fraction such as 0.15",
        ),
        (lambda: th.fit(task()).evaluate([1]), "takes the name of a part, .*; got a list"),
        (
            lambda: th.fit(task(model=th.freeze(th.models.Linear(2), 3))),
            "where=3: give a path such",
        ),
        (lambda: th.Results([th.fit(task())]).plot("x"), r"plot\(x='x'\): give numbers"),
        (lambda: th.read_table({"y": [1.0], "x": [2.0]}, "y", na_values=1j), "na_values=1j; give"),
        (lambda: th.log(True), r"log\(True\): give numbers by name"),
        (lambda: th.split(draw(30), weights=3), "weights belong to the data: th.Observations"),
        (lambda: th.folds(draw(30), n_splits=3), "did you mean 'k'"),
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


def test_names_of_other_libraries_are_answered_by_those_of_this_one() -> None:
    result = th.fit(task())
    for name, said in {
        "score": "result.metrics['test_r2']",
        "test_risk": "it is result.risk['test']",
        "predict_prob": "did you mean 'predict_proba'?",
        "confg": "did you mean 'config'?",
    }.items():
        with pytest.raises(AttributeError, match=re.escape(f"has no attribute '{name}'; ")) as at:
            getattr(result, name)
        assert said in str(at.value)
    assert not hasattr(result, "_repr_png_")
    for name, said in {"KFold": "use th.folds(data, k)", "read_tabel": "'read_table'"}.items():
        with pytest.raises(AttributeError, match=re.escape(said)):
            getattr(th, name)


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
