"""Rows that ``predict`` takes: named rows, and parts of the data, which are standardised already."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import thetahat as th


@pytest.fixture(scope="module")
def frame():
    rng = np.random.default_rng(0)
    a, b = rng.normal(5, 2, 60), rng.normal(-3, 4, 60)
    return pd.DataFrame({"y": 3 * a - b, "b": b, "a": a})


@pytest.fixture(scope="module")
def result(frame):
    table = th.read_table(frame, target="y", features=["a", "b"])
    data = th.split(table, train=40, val=10, test=10, seed=0)
    return th.fit(th.Task(th.models.Linear(2), data, optimizer="lbfgs", epochs=50))


def test_predict_takes_a_named_row_in_any_order(result, frame):
    row = frame.iloc[7]
    assert abs(result.predict(row) - row["y"]) < 1e-3
    assert abs(result.predict(row[["b", "a"]]) - row["y"]) < 1e-3
    assert abs(result.model(row[["b", "a"]]) - row["y"]) < 1e-3
    with pytest.raises(th.InputError, match="'a'"):
        result.predict(row[["b"]])


@pytest.mark.parametrize("part", ["train", "val", "test"])
def test_predict_of_a_part_is_in_units_of_the_target(result, frame, part):
    rows = result.data.rows[part]
    own = getattr(result.data, part)
    for given in (part, own, own.x, own.x[:]):
        np.testing.assert_allclose(result.predict(given), frame["y"].to_numpy()[rows], atol=1e-3)
    np.testing.assert_allclose(result.predict(own.x[3:5]), result.predict(frame.iloc[rows[3:5]]))


def test_predict_of_a_part_of_standardised_arrays_is_in_units_of_y():
    x = np.random.default_rng(1).normal(100, 5, (50, 2))
    y = x @ [2.0, 1.0]
    data = th.split((x, y), train=30, val=0, test=20, seed=0, standardize=True)
    result = th.fit(th.Task(th.models.Linear(2), data, optimizer="lbfgs", epochs=50))
    expected = y[result.data.rows["test"]]
    np.testing.assert_allclose(result.predict(result.data.test.x), expected, rtol=1e-4)
    np.testing.assert_allclose(result.predict(x), y, rtol=1e-4)
