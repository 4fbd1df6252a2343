"""Rows that ``predict`` takes: named rows, and parts of the data, which are standardised already."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import thetahat as th
from thetahat.cli import run


@pytest.fixture(scope="module")
def frame():
    rng = np.random.default_rng(0)
    a, b = rng.normal(5, 2, 60), rng.normal(-3, 4, 60)
    return pd.DataFrame({"y": 3 * a - b, "b": b, "a": a})


@pytest.fixture(scope="module")
def result(frame):
    table = th.read_table(frame, target="y", features=["a", "b"])
    data = th.split(table, train=40, val=10, test=10, seed=0)
    return th.fit(
        th.Task(th.models.Linear(2), data, optimizer=th.optim.named("sgd", 0.3), epochs=60)
    )


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
    result = th.fit(
        th.Task(th.models.Linear(2), data, optimizer=th.optim.named("sgd", 0.3), epochs=60)
    )
    expected = y[result.data.rows["test"]]
    np.testing.assert_allclose(result.predict(result.data.test.x), expected, rtol=1e-4)
    np.testing.assert_allclose(result.predict(x), y, rtol=1e-4)


def test_rows_without_a_prediction_are_nan_and_named_as_on_the_command_line(
    frame: pd.DataFrame, tmp_path: Path
) -> None:
    frame = frame.assign(g=np.where(frame["a"] > 5, "high", "low"), c=frame["y"] > 18)
    bad = frame.head(6).copy()
    bad.loc[1, "a"], bad.loc[3, "g"], bad.loc[4, "b"] = np.nan, "new", np.inf
    bad.to_csv(tmp_path / "bad.csv", index=False)
    said = "3 of 6 rows have no prediction.*1 lacks a feature.*1 has an infinite 'b'.*'new'"

    def fitted(target: str, loss: str, missing: str = "refuse") -> th.Result:
        read = {"features": ["a", "b", "g"], "categorical": "g", "missing": missing}
        data = th.split(th.read_table(frame, target, **read), seed=0)
        return th.fit(th.Task(th.models.Linear(4), data, loss=loss, optimizer="adam", epochs=3))

    result = fitted("y", "squared")
    with pytest.warns(th.Notice, match=said + r".*indices 1, 3, 4$"):
        came = result.predict(bad)
    good = [0, 2, 5]
    np.testing.assert_array_equal(np.flatnonzero(np.isnan(came)), [1, 3, 4])
    np.testing.assert_allclose(came[good], result.predict(bad.iloc[good]))
    with pytest.warns(th.Notice, match=r"rows 2, 4, 5 of the table, counted from 1"):
        np.testing.assert_array_equal(result.predict(tmp_path / "bad.csv"), came)
    result.save(tmp_path / "m.theta")
    code = run(["predict", f"{tmp_path}/m.theta", f"{tmp_path}/bad.csv", f"-o={tmp_path}/o.csv"])
    assert code == 0
    np.testing.assert_array_equal(pd.read_csv(tmp_path / "o.csv")["predicted"], came)
    with pytest.warns(th.Notice):
        filled = fitted("y", "squared", "mean").predict(bad)
    np.testing.assert_array_equal(np.flatnonzero(np.isnan(filled)), [3, 4])
    with pytest.warns(th.Notice):
        both = th.train.Results([result, result]).predict(bad)
    np.testing.assert_array_equal(both, [came, came])
    labels = fitted("c", "logistic")
    with pytest.warns(th.Notice):
        assert [label is None for label in labels.predict(bad)] == [r not in good for r in range(6)]
    with pytest.warns(th.Notice):
        assert np.isnan(labels.predict_proba(bad)[[1, 3, 4]]).all()
    with pytest.raises(th.InputError, match="it was a column of numbers"):
        result.predict(bad.assign(a="text"))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([[1, 2], [3]], "different lengths|numbers"),
        (np.ones((2, 2)) + 1j, "complex"),
        (np.array([["a", "b"]]), "give numbers"),
        ([{"a": 1, "b": 2}], "a table with named columns"),
        (pd.DataFrame([[1.0, 2.0, 3.0]], columns=["a", "a", "b"]), "two columns 'a'"),
    ],
    ids=["ragged", "complex", "text", "records", "twice"],
)
def test_what_cannot_be_predicted_is_refused(result: th.Result, given: object, said: str) -> None:
    with pytest.raises(th.InputError, match=said):
        result.predict(given)


def test_complex_observations_are_refused_and_not_cut() -> None:
    with pytest.raises(th.InputError, match="complex numbers; give real"):
        th.Data((np.ones((4, 1)) + 1j, np.ones(4)))


@pytest.mark.filterwarnings("always")
def test_numbers_that_a_standardised_part_has_too_are_in_the_tables_units():
    dose = np.repeat([0.0, 5.0, 10.0], 20)  # 5 is standardised to 0
    table = th.read_table({"dose": dose, "y": 3 * dose + 1}, target="y")
    data = th.split(table, train=1.0, val=0, test=0)
    result = th.fit(
        th.Task(th.models.Linear(1), data, optimizer=th.optim.named("sgd", 0.3), epochs=60)
    )
    with pytest.warns(th.Notice, match="taken in the table's own units"):
        assert abs(result.predict(np.array([[0.0]]))[0] - 1) < 1e-3
    assert abs(result.predict({"dose": [0.0]})[0] - 1) < 1e-3
    own = 3 * dose[data.rows["train"]] + 1
    np.testing.assert_allclose(result.predict(data.train.x), own, atol=1e-3)
