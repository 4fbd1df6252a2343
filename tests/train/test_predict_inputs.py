"""What predict takes for inputs in a table's units, and what for a part's standardised rows."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest

import thetahat as th

RNG = np.random.default_rng(0)
FRAME = {"a": 50 + 10 * RNG.normal(size=120), "b": 1000 + RNG.normal(size=120)}
FRAME["y"] = FRAME["a"] + FRAME["b"] + RNG.normal(size=120)


@pytest.fixture(scope="module")
def data() -> th.Data:
    table = th.read_table(FRAME, target="y")
    return th.split(table, train=0.6, val=0.2, test=0.2, seed=0)


@pytest.fixture(scope="module")
def result(data: th.Data) -> th.Result:
    return th.fit(
        th.Task(th.models.Linear(2), data, optimizer=th.optim.named("sgd", 0.3), epochs=60)
    )


@pytest.mark.parametrize(
    "given",
    [
        lambda part: part.x,
        lambda part: np.array(part.x),
        lambda part: np.asarray(part.x, np.float64),
        lambda part: np.asarray(part.x).tolist(),
        lambda part: part,
    ],
    ids=["as it is", "a copy", "float64", "a list", "Observations"],
)
def test_standardised_rows_of_the_data_are_not_standardised_again(data, result, given) -> None:
    columns = {name: FRAME[name][data.rows["test"]] for name in ("a", "b")}
    np.testing.assert_allclose(result.predict(given(data.test)), result.predict(columns), rtol=1e-6)


def test_some_standardised_rows_and_one_are_recognised(data, result) -> None:
    whole = result.predict("test")
    np.testing.assert_allclose(result.predict(np.array(data.test.x)[3:9]), whole[3:9], rtol=1e-6)
    np.testing.assert_allclose(result.predict(np.array(data.test.x)[4]), whole[4], rtol=1e-6)


def test_numbers_in_units_of_the_table_are_scaled(data, result) -> None:
    rows = np.stack([FRAME["a"], FRAME["b"]], axis=1)[data.rows["test"]]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_allclose(result.predict(rows), result.predict("test"), rtol=1e-6)


def test_a_loaded_model_says_that_numbers_look_standardised(data, result, tmp_path: Path) -> None:
    result.save(tmp_path / "line.theta")
    model = th.load(tmp_path / "line.theta")
    with pytest.warns(th.Notice, match=r"3 standard deviations .* in 'a', in every row"):
        model.predict(np.array(data.test.x))


def test_observations_of_another_split_are_refused(result) -> None:
    other = th.Observations(RNG.normal(size=(5, 2)), np.zeros(5))
    with pytest.raises(th.InputError, match="no rows of the data that were fitted"):
        result.predict(other)


def test_a_fold_that_there_is_not_is_named() -> None:
    folds = th.folds(th.read_table(FRAME, target="y"), k=5)
    with pytest.raises(th.InputError, match="there are 5 folds, numbered 0 to 4; got fold 5"):
        folds[5]
    assert len(list(folds)) == len([folds[k] for k in range(5)]) == 5


@pytest.mark.parametrize("make", [lambda pair: th.split(pair, seed=0), th.Data])
def test_inputs_may_be_one_number_each(make) -> None:
    x = RNG.normal(size=60)
    task = th.Task(th.models.Linear(1), make((x, 2 * x)), optimizer="lbfgs", epochs=5)
    np.testing.assert_allclose(th.fit(task).predict(x), 2 * x, rtol=1e-5)


def test_a_word_that_is_no_part_is_refused_with_the_nearest(result) -> None:
    with pytest.raises(th.InputError) as caught:
        result.predict("tset")
    said = "predict('tset'): neither a part of the data nor a file; did you mean 'test'?"
    assert str(caught.value) == said
