"""Several targets: standardised one by one, one loss, predictions (N, K) in their own units."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression

import thetahat as th
from thetahat.core.errors import DataError, ShapeError

RNG = np.random.default_rng(0)
N = 120
X = RNG.normal(size=(N, 3))
Y = X @ RNG.normal(size=(3, 2)) * [1.0, 1e4] + [5.0, -3e5] + RNG.normal(size=(N, 2)) * [0.3, 2e3]
FRAME = pd.DataFrame({"a": Y[:, 0], "b": Y[:, 1], "u": X[:, 0], "v": X[:, 1], "w": X[:, 2]})
WEIGHT = RNG.uniform(0.5, 2, N)


def task(data: th.Data, **fields: Any) -> th.Task:
    fields = {"optimizer": th.optim.named("sgd", 0.3), "epochs": 100, "dtype": "float64"} | fields
    return th.Task(th.models.Linear(3, out=2), data, **fields)


@pytest.fixture(scope="module")
def result() -> th.Result:
    table = th.read_table(FRAME, ["a", "b"])
    assert (table.target, table.y.shape) == ("a, b", (N, 2))
    return th.fit(task(th.split(table, 0.8, None, 0.2, seed=3)))


def test_predictions_are_those_of_least_squares_of_each_target(result: th.Result) -> None:
    rows = result.data.rows["train"]
    line = LinearRegression().fit(X[rows], Y[rows])
    np.testing.assert_allclose(result.predict(FRAME), line.predict(X), rtol=1e-6)
    np.testing.assert_allclose(result.predict(X[0]), line.predict(X[:1])[0], rtol=1e-6)
    row = {"u": X[0, 0], "v": X[0, 1], "w": X[0, 2]}
    np.testing.assert_allclose(result.model(row), line.predict(X[:1])[0], rtol=1e-6)


def test_risk_is_the_mean_over_standardised_targets(result: th.Result) -> None:
    rows = result.data.rows
    scale = Y[rows["train"]].std(0)
    for part in ("train", "test"):
        error = (result.predict(FRAME)[rows[part]] - Y[rows[part]]) / scale
        assert result.risk[part] == pytest.approx(np.mean(error**2), rel=1e-5)


def test_each_target_is_standardised_by_its_own_moments_with_weights() -> None:
    table = th.read_table(FRAME.assign(share=WEIGHT), ["b", "a"], weights="share")
    data = th.split(table, seed=3)
    rows = data.rows["train"]
    y, share = Y[rows][:, ::-1], WEIGHT[rows]
    mean = np.average(y, axis=0, weights=share)
    np.testing.assert_allclose(data.transform.y_mean, mean)
    std = np.sqrt(np.average((y - mean) ** 2, axis=0, weights=share))
    np.testing.assert_allclose(data.transform.y_std, std)
    np.testing.assert_allclose(data.train.y, (y - mean) / std)


def test_arrays_of_several_targets_are_fitted_as_a_table_is(result: th.Result) -> None:
    arrays = th.fit(task(th.split((X, Y), 0.8, 0, 0.2, seed=3, standardize=True)))
    np.testing.assert_allclose(arrays.predict(X), result.predict(FRAME), rtol=1e-6)


def test_a_traced_split_standardises_every_target() -> None:
    def drawn(seed: th.Seed = 3) -> th.Task:
        return task(th.split(th.read_table(FRAME, ["a", "b"]), seed=seed), epochs=2)

    result = th.fit(drawn)
    plain = th.split(th.read_table(FRAME, ["a", "b"]), seed=3)
    np.testing.assert_allclose(result.data.transform.y_std, plain.transform.y_std, rtol=1e-6)
    np.testing.assert_allclose(result.data.transform.y_mean, plain.transform.y_mean, rtol=1e-6)


def test_a_list_of_one_target_is_one_target() -> None:
    assert th.read_table(FRAME, ["a"], ["u"]).y.shape == (N,)


@pytest.mark.parametrize("loss", ["absolute", "huber", th.pinball(0.25)])
def test_other_losses_take_several_targets(loss: Any) -> None:
    data = th.split(th.read_table(FRAME, ["a", "b"]))
    result = th.fit(task(data, loss=loss, optimizer="adam", epochs=3))
    assert result.predict(X).shape == (N, 2)


def test_a_metric_gets_a_vector() -> None:
    metrics = {"worst": lambda h, z: abs(h(z.x) - z.y).max()}
    result = th.fit(task(th.split(th.read_table(FRAME, ["a", "b"])), metrics=metrics, epochs=1))
    assert result.metrics["val_worst"] > 0


def test_a_model_of_one_output_is_refused() -> None:
    with pytest.raises(ShapeError, match=re.escape("Use a model with out=2")):
        th.fit(th.Task(th.models.Linear(3), th.split(th.read_table(FRAME, ["a", "b"]))))


CASES: dict[str, tuple[dict[str, Any], str]] = {
    "none": ({"target": []}, "target=[] names no column; give the column to estimate, or several"),
    "twice": ({"target": ["a", "a"]}, "target 'a' is given twice; give it once"),
    "unknown": ({"target": ["a", "c"]}, "the table has no column 'c' (target)"),
    "feature": (
        {"target": ["a", "b"], "features": ["u", "b"]},
        "target 'b' is among the features; leave it out of them",
    ),
    "text": ({"target": ["a", "kind"]}, "target 'kind' holds text, e.g. 'x'; turn it into numbers"),
    "category": (
        {"target": ["a", "kind"], "categorical": "kind"},
        "target 'kind' holds text, e.g. 'x'; turn it into numbers",
    ),
    "constant": ({"target": ["a", "one"]}, "target 'one' is constant (1)"),
    "missing": (
        {"target": ["a", "gap"], "missing": "mean"},
        "target 'gap' has 1 missing value, which cannot be imputed",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_targets_that_cannot_be_are_refused(case: str) -> None:
    given, said = CASES[case]
    own = FRAME.assign(kind=["x", "y"] * 60, one=1, gap=[np.nan, *range(N - 1)])
    with pytest.raises(DataError, match=re.escape(said)):
        th.read_table(own, **{"features": ["u", "v"], **given})


def test_a_target_too_large_for_float32_is_named() -> None:
    table = th.read_table(FRAME.assign(b=FRAME["b"] * 1e40), ["a", "b"])
    with pytest.raises(DataError, match="target 'b' has the mean"):
        th.fit(task(th.split(table), dtype="float32"))
    level = FRAME.assign(b=1e9 + FRAME["u"])[["a", "b", "v", "w"]]
    data = th.split(th.read_table(level, ["a", "b"], standardize=False))
    with pytest.raises(DataError, match="target 'b' has the mean 1e\\+09"):
        th.fit(th.Task(th.models.Linear(2, out=2), data, optimizer="adam"))
