"""Observations that the Task's precision cannot hold are refused by name, before anything runs."""

from __future__ import annotations

import numpy as np
import pytest

import thetahat as th
from thetahat.core.errors import DataError

X = np.linspace(-1.0, 1.0, 24)[:, None]
WIDER = ", or give dtype='float64' (--dtype float64)"


def fit(data: object, dtype: str) -> th.Result:
    rate = th.optim.named("sgd", 0.1)
    return th.fit(th.Task(th.models.Linear(1), data, optimizer=rate, epochs=2, dtype=dtype))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ((X * 1e300, X[:, 0]), "data.train[0] reaches 1e+300{}; rescale it"),
        ((X * 1e100, X[:, 0]), "data.train[0] reaches 1e+100{}; rescale it" + WIDER),
        ((X, -1e39 * X[:, 0]), "data.train[1] reaches 1e+39{}; rescale it" + WIDER),
    ],
)
def test_arrays_that_overflow_are_refused(data: tuple, said: str) -> None:
    with pytest.raises(DataError) as caught:
        fit(th.Data(data), "float32")
    assert str(caught.value) == said.format(", which overflows single precision")


@pytest.mark.parametrize("name", ["x", "y"])
def test_a_table_that_overflows_names_its_column(name: str) -> None:
    column = X[:, 0]
    columns = {"a": column, "x": column**2, "y": 3 * column}
    columns[name] = columns[name] * 1e100 + 1e100
    table = th.read_table(columns, target="y")
    data = th.split(table, train=1.0, val=0, test=0)
    model = th.models.Linear(2)
    with pytest.raises(DataError) as caught:
        th.fit(th.Task(model, data, epochs=2))
    who = "column 'x'" if name == "x" else "target 'y'"
    mean = columns[name].mean()
    assert str(caught.value) == (
        f"{who} has the mean {mean:.3g}, which overflows single precision; rescale it{WIDER}"
    )
    # What the message advises works.
    assert th.fit(th.Task(model, data, epochs=2, dtype="float64")).status == "finished"


def test_numbers_near_the_limit_are_not_refused() -> None:
    assert fit(th.Data((X, 1e30 * X[:, 0])), "float32").status in ("finished", "diverged")
    assert fit(th.Data((X, X[:, 0] * 1e100)), "float64").status == "finished"
