"""Odd inputs of the kinds that real tables have: long ids, tiny units, empty weights, odd labels.

Where nothing is wrong the numbers are those of NumPy; else there is one message with the fix.
"""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import thetahat as th

# A missing library is simulated by the readers' own question.
from thetahat.data import _readers

RNG = np.random.default_rng(0)
N = 24
X = RNG.normal(size=(N, 2))
Y = X[:, 0] - X[:, 1] + 0.1 * RNG.normal(size=N)
IDS = np.arange(N) // 4 + 10**17


def refused(text: str) -> Any:
    return pytest.raises(th.InputError, match=re.escape(text))


def frame(**columns: Any) -> pd.DataFrame:
    return pd.DataFrame({"y": Y, "a": X[:, 0], "b": X[:, 1], **columns})


SOURCES = {
    "pandas": frame,
    "nullable": lambda **c: frame().assign(**{n: pd.array(v, "Int64") for n, v in c.items()}),
    "polars": lambda **c: pl.from_pandas(frame(**c)),
    "arrow": lambda **c: pa.Table.from_pandas(frame(**c)),
    "mapping": lambda **c: {**frame().to_dict("list"), **c},
    "objects": lambda **c: {**frame().to_dict("list"), **{n: v.tolist() for n, v in c.items()}},
}


@pytest.mark.parametrize("kind", SOURCES)
def test_integers_that_doubles_merge_are_refused_as_numbers_and_as_groups(kind: str) -> None:
    source = SOURCES[kind](id=IDS)
    said = "column 'id' holds integers beyond 2**53: double precision rounds"
    with refused(f"{said} {10**17} and {10**17 + 1} to one number; make them text"):
        th.read_table(source, "y")
    table = th.read_table(source, "y", ignore="id")
    with refused(said):
        th.split(table, groups="id")


@pytest.mark.parametrize("pyarrow", [True, False])
def test_long_ids_of_a_csv_file_are_refused_with_and_without_pyarrow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pyarrow: bool
) -> None:
    frame(id=IDS).to_csv(tmp_path / "t.csv", index=False)
    monkeypatch.setattr(_readers, "_has", lambda library: pyarrow)
    with refused(f"double precision rounds {10**17} and {10**17 + 1} to one number"):
        th.read_table(tmp_path / "t.csv", "y")


def test_large_integers_that_doubles_tell_apart_are_numbers() -> None:
    wealth = 10**18 + np.arange(N) * 10**15
    table = th.read_table(frame(wealth=wealth), "y")
    np.testing.assert_array_equal(table.x[:, 2], wealth.astype(float))


@pytest.mark.parametrize("name", ["y", "a"])
@pytest.mark.parametrize("standardize", [True, False])
def test_numbers_whose_squares_are_rounded_to_zero_are_refused(
    name: str, standardize: bool
) -> None:
    tiny = frame().assign(**{name: 1e-300 * frame()[name]})
    with refused(f"column '{name}' varies by"):
        th.read_table(tiny, "y", standardize=standardize)
    data = th.split((tiny[["a", "b"]].to_numpy(), tiny["y"].to_numpy()), standardize=standardize)
    with refused("the standard deviation"):
        th.fit(th.Task(th.models.Linear(2), data, epochs=1))


def test_small_units_are_fitted_as_numpy_fits_them() -> None:
    small = frame().assign(y=1e-30 * Y, a=1e-20 * X[:, 0])
    data = th.split(th.read_table(small, "y"), val=0, test=0, train=1.0)
    result = th.fit(
        th.Task(th.models.Linear(2), data, optimizer=th.optim.named("sgd", 0.3), epochs=60)
    )
    design = np.column_stack([np.ones(N), X])
    expected = 1e-30 * design @ np.linalg.lstsq(design, Y, rcond=None)[0]
    np.testing.assert_allclose(result.predict(small), expected, rtol=1e-3, atol=1e-34)


def test_a_part_whose_weights_are_all_zero_is_refused_by_name() -> None:
    table = th.read_table(frame(w=np.r_[np.zeros(N - 4), np.ones(4)]), "y", weights="w")
    assert len(table) == 4  # a row of weight 0 is left out
    with refused("the weights of the train part are all zero; give another seed"):
        th.split(th.Observations(X, Y, np.r_[np.zeros(N - 4), np.ones(4)]), order=np.arange(N))
    with refused("the weights of the test part are all zero"):
        th.split(th.Observations(X, Y, np.r_[np.ones(N - 4), np.zeros(4)]), order=np.arange(N))


def test_labels_that_differ_in_case_or_spaces_are_noted() -> None:
    label = np.where(Y > 0, "yes", np.where(X[:, 0] > 0, "Yes ", "no")).astype(object)
    with pytest.warns(th.Notice, match="labels 'Yes ' and 'yes' differ in case or spaces only"):
        table = th.read_table(frame(y=label), "y")
    assert table.classes == ("Yes ", "no", "yes")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        th.read_table(frame(y=np.where(Y > 0, "yes", "no")), "y")


ODD: dict[str, tuple[Any, str]] = {
    "weights of another kind": (
        lambda: th.read_table(frame(), "y", weights=np.ones(N)),  # type: ignore[arg-type]
        "weights is a ndarray; give the name of a column that holds them",
    ),
    "an integer of 400 digits": (
        lambda: th.read_table({"y": Y, "a": [10**400, *range(N - 1)]}, "y"),
        "column 'a' holds an integer above 10**300; rescale it",
    ),
    "a path to split": (
        lambda: th.split("wages.csv"),
        "obs is the text 'wages.csv'; read a table first, as in th.read_table(path, target=...)",
    ),
    "data that are split": (
        lambda: th.folds(th.split((X, Y))),
        "these Data are split already; give the observations or the table",
    ),
    "a seed of a half": (lambda: th.split((X, Y), seed=0.5), "seed=0.5; give an integer"),
    "no seed": (lambda: th.split((X, Y), seed=None), "seed=None; give an integer"),
    "groups with a gap": (
        lambda: th.split(th.read_table(frame(), "y"), groups=[None, *range(N - 1)]),
        "drop those rows first (missing= reads features, weights and the target)",
    ),
    "no column": (
        lambda: th.fit(th.Task(th.models.Linear(1), th.Data((np.zeros((N, 0)), Y)))),
        "has the shape (24, 0), and no column; give at least one",
    ),
}


@pytest.mark.parametrize("name", ODD)
def test_an_odd_argument_is_one_message(name: str) -> None:
    call, said = ODD[name]
    with refused(said):
        call()


@pytest.fixture(scope="module")
def fitted() -> th.Result:
    return th.fit(th.Task(th.models.Linear(2), th.Data((X, Y)), optimizer="sgd", epochs=3))


@pytest.mark.parametrize(
    ("x", "said"),
    [
        (np.array([["a", "b"]]), "predict got an array of <U1; give real numbers"),
        ([[1.0, None]], "predict got an array of object; give real numbers"),
        ({"a": [1], "b": [2]}, "predict got a dict, and the model was fitted to arrays"),
        ("wages.csv", "predict got a str, and the model was fitted to arrays"),
        (None, "predict got a NoneType, and the model was fitted to arrays"),
    ],
)
def test_predict_refuses_what_is_no_array_of_numbers(fitted: th.Result, x: Any, said: str) -> None:
    with refused(said):
        fitted.predict(x)


def test_predict_takes_the_path_of_a_table(tmp_path: Path) -> None:
    data = th.split(th.read_table(frame(), "y"), val=0, test=0, train=1.0)
    result = th.fit(th.Task(th.models.Linear(2), data, optimizer="sgd", epochs=3))
    frame()[["b", "a"]].to_csv(tmp_path / "new.csv", index=False)
    np.testing.assert_array_equal(result.predict(tmp_path / "new.csv"), result.predict(frame()))
    with refused("no file"):
        result.predict(tmp_path / "other.csv")


def test_frames_whose_rows_are_in_another_order_are_refused() -> None:
    x, y = pd.DataFrame(X, columns=["a", "b"]), pd.Series(Y)
    for make in (
        lambda: th.split((x, y[::-1]), seed=0),
        lambda: th.Data(th.Observations(x, y[::-1])),
        lambda: th.folds((x, y), k=2, groups=pd.Series(IDS)[::-1]),
    ):
        with refused("row 0 has the labels 23 and 0. Put one in the order of the other"):
            make()
    kept = x.iloc[::2]
    assert len(th.Data((kept, y[::2].reset_index(drop=True))).train[0]) == 12


def test_masked_values_are_missing() -> None:
    gone = np.arange(N) == 3
    with refused("1 non-finite value, first at index 3"):
        th.Data((X, np.ma.masked_array(Y, mask=gone)))
    with refused("'a' in 1 of 24 rows"):
        th.read_table({"y": Y, "a": np.ma.masked_array(np.arange(N), mask=gone)}, target="y")


def test_a_training_part_of_the_count_1_is_refused() -> None:
    with refused("train=1 is a count: one row; write train=1.0 for all rows"):
        th.split((X, Y), train=1, val=0, test=0)
